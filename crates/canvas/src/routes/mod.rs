//! Everything this crate serves.
