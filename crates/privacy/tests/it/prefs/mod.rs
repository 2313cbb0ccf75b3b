//! Training preferences.

mod http;
mod node;
mod races;
mod service;
mod truth;
