//! The search, over documents in memory and over the durable engine.

mod feeding;
mod finding;
mod isolation;
mod library;
mod rebuilding;
mod snippets;
