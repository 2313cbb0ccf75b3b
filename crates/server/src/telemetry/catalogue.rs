//! Everything that is measured, by name.
//!
//! **Invariant:** counters and gauges without labels exist from the start, at zero: what an alert waits for is
//! seen when it happens for the first time. Labels have values that are known when the server is
//! built: routes, gates, rails, engines; never a tenant, a user or what a caller sent.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};

use super::queue::counted;

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rises, by events.
    Counter,
    /// Rises, and is labelled: it exists once it was counted.
    Labelled,
    /// Rises and falls.
    Gauge,
    /// Rises and falls, and is labelled.
    LabelledGauge,
    /// Counted in buckets of seconds, or of members of a group.
    Histogram,
}

use Kind::{Counter, Gauge, Histogram, Labelled, LabelledGauge};

/// Name, kind, and what it says.
pub(super) const METRICS: &[(&str, Kind, &str)] = &[
    (
        "tenantry_http_request_seconds",
        Histogram,
        "Requests until their answer begins, by method, route and status",
    ),
    (
        "tenantry_store_seconds",
        Histogram,
        "Calls of engines, by engine, port and operation",
    ),
    (
        "tenantry_store_errors_total",
        Labelled,
        "Calls that an engine failed, also by kind",
    ),
    (
        "tenantry_backend_refusals_total",
        Labelled,
        "Calls that were refused at once because a backend fails, by backend and why",
    ),
    (
        "tenantry_redis_append_batch_size",
        Histogram,
        "Appends that were sent to Redis together",
    ),
    (
        "tenantry_redis_reconnects_total",
        Counter,
        "Connections to Redis that were made anew",
    ),
    (
        "tenantry_nodes_hearing",
        Gauge,
        "1 while changes that are made on other nodes are heard of",
    ),
    (
        "tenantry_nodes_heard_total",
        Labelled,
        "Changes of other nodes that were heard of, by what they are about",
    ),
    (
        "tenantry_nodes_forgotten_total",
        Counter,
        "Times that everything remembered was forgotten, because a change may have been missed",
    ),
    (
        "tenantry_nodes_untold_total",
        Counter,
        "Messages to other nodes that the bus did not take",
    ),
    (
        "tenantry_engine_commit_group_size",
        Histogram,
        "Commits that shared one sync of the embedded engine",
    ),
    (
        "tenantry_engine_commit_seconds",
        Histogram,
        "Syncs of the embedded engine",
    ),
    (
        "tenantry_engine_queue_depth",
        Gauge,
        "Commits that wait for the embedded engine",
    ),
    (
        "tenantry_engine_read_only",
        Gauge,
        "1 when the embedded engine refuses writes",
    ),
    (
        "tenantry_realtime_connections",
        LabelledGauge,
        "Open streams, by rail and transport",
    ),
    (
        "tenantry_realtime_deliveries_total",
        Labelled,
        "Events sent to clients, by rail and transport",
    ),
    (
        "tenantry_realtime_delivered_bytes_total",
        Labelled,
        "Bytes of them",
    ),
    (
        "tenantry_realtime_gaps_total",
        Labelled,
        "Cursors that could not be honoured",
    ),
    (
        "tenantry_realtime_slow_consumer_cuts_total",
        Labelled,
        "Clients that were cut because they fell behind",
    ),
    (
        "tenantry_realtime_publish_seconds",
        Histogram,
        "Events until they are durable, by rail",
    ),
    (
        "tenantry_realtime_publish_errors_total",
        Labelled,
        "Events that the store did not take, by rail",
    ),
    (
        "tenantry_realtime_gestures_total",
        Counter,
        "Gestures that were taken",
    ),
    (
        "tenantry_realtime_ring_bytes",
        Gauge,
        "Bytes of the events that wait for slow clients",
    ),
    (
        "tenantry_gates_decisions_total",
        Labelled,
        "Decisions, by the gate that refused and by mode",
    ),
    (
        "tenantry_gates_verdicts_total",
        Labelled,
        "What each gate said",
    ),
    (
        "tenantry_gates_loads_total",
        Counter,
        "Reads of a tenant's gates from the store",
    ),
    ("tenantry_audit_records_total", Counter, "Durable records"),
    (
        "tenantry_audit_degraded_total",
        Counter,
        "Records that went to the spool",
    ),
    (
        "tenantry_audit_lost_total",
        Counter,
        "Records that could not even be spooled",
    ),
    ("tenantry_audit_spooled", Gauge, "Records in the spool"),
    (
        "tenantry_audit_frozen",
        Gauge,
        "1 when nothing is signed any more",
    ),
    ("tenantry_audit_epochs_total", Counter, "Checkpoints"),
    (
        "tenantry_audit_leader",
        Gauge,
        "1 on the node that integrates and signs, which a lone one does",
    ),
    (
        "tenantry_audit_takeovers_total",
        Counter,
        "Times that this node began to lead",
    ),
    (
        "tenantry_audit_anchor_failures_total",
        Counter,
        "Checkpoints whose anchor could not be written",
    ),
    ("tenantry_audit_refusals_total", Counter, "Refused attempts"),
    (
        "tenantry_audit_removed_total",
        Counter,
        "Records removed by retention",
    ),
    (
        "tenantry_audit_indexes_renewed_total",
        Counter,
        "Indexes that had to be built anew",
    ),
    (
        "tenantry_directory_loads_total",
        Counter,
        "Reads of memberships from the store",
    ),
    (
        "tenantry_login_failures_total",
        Counter,
        "Sign-ins with a wrong password",
    ),
    (
        "tenantry_password_refused_total",
        Counter,
        "Sign-ins refused because too many passwords are checked at once",
    ),
    (
        "tenantry_refresh_reuse_total",
        Counter,
        "Sessions ended because a refresh token was used twice",
    ),
    (
        "tenantry_train_prefs_unreadable_total",
        Counter,
        "Training preferences that count as denied because they are damaged",
    ),
    (
        "tenantry_flags_damaged_total",
        Counter,
        "Reads of flags that are damaged",
    ),
    (
        "tenantry_assets_objects_deleted_total",
        Labelled,
        "Objects deleted because nothing refers to them",
    ),
    (
        "tenantry_telemetry_spans_total",
        Labelled,
        "Spans, by whether the collector took them",
    ),
];

/// Says what each figure is, and begins those that can begin.
pub(super) fn describe() {
    for (name, kind, says) in METRICS.iter().copied() {
        match kind {
            Counter => {
                describe_counter!(name, says);
                counter!(name).absolute(0);
            }
            Labelled => describe_counter!(name, says),
            Gauge => {
                describe_gauge!(name, says);
                gauge!(name).set(0.0);
            }
            LabelledGauge => describe_gauge!(name, says),
            Histogram => describe_histogram!(name, Unit::Count, says),
        }
    }
    for outcome in ["exported", "dropped_full", "dropped_failed"] {
        counted(outcome).absolute(0);
    }
}
