//! Raw storage and media, over documents and objects in memory that fail when told to.

mod apart;
mod artifacts;
mod care;
mod house;
mod kills;
mod lineage;
mod names;
mod races;
mod uploads;
