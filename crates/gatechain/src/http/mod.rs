//! The gates over HTTP.
