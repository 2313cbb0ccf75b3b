//! The routes behind the guard, as a client meets them.

mod client;
mod events;
mod gates;
mod subjects;
