//! The server as its users meet it: the real binary, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod audit;
mod audit_offline;
mod audit_tail;
mod backends;
mod banner;
mod browser;
mod canvas_streams;
mod client;
mod cloud;
mod cognito;
mod cognito_keys;
mod cursors;
mod deploy;
mod enforcement;
mod faults;
mod faults_audit;
mod faults_clocks;
mod faults_firestore;
mod faults_nodes;
mod faults_redis;
mod faults_s3;
mod faults_talk;
mod gated;
mod lifecycle;
mod manifest;
mod migrate_events;
mod migrate_objects;
mod nexus;
mod nodes;
mod nodes_budgets;
mod nodes_switch;
mod nodes_traces;
mod objects;
mod ofrep;
mod otlp;
mod outside;
mod own_database;
mod prefs;
mod process;
mod recipes;
mod recipes_assets;
mod recipes_canvas;
mod recipes_gated;
mod recipes_nexus;
mod redis_tls;
mod refusals;
mod removal;
mod replays;
mod routing;
mod search;
mod several;
mod startup;
mod streams;
mod telemetry;
mod traces;
mod uploads;
