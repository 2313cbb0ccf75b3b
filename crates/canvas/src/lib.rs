//! A canvas that several people and agents edit at once.

pub mod model;
