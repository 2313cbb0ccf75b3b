//! The Tenantry server: thin. It reads the configuration, puts the crates
//! together, and surrounds their routes with what every server needs.
//!
//! Start at [`compose`]: the only place that names an engine.
//!
//! **Invariant:** no rule lives here. Who may do what is decided by `identity`,
//! what a request means by the crate that mounts its route.

pub mod ambient;
mod audit_log;
mod audit_offline;
mod audit_tail;
mod banner;
mod canvas_offline;
pub mod cli;
pub mod commands;
pub mod compose;
pub mod config;
pub mod dev;
mod flag_tail;
mod gates;
mod jwks;
mod keys;
mod needs;
mod nodes;
pub mod routes;
mod routes_command;
mod setup;
mod snippets;
mod startup;
mod telemetry;
mod web;

pub use startup::{EXIT_CONFIG, StartupError};
