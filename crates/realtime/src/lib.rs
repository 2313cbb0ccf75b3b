//! Streams that cannot cross tenants and resume without loss.
//!
//! Start at [`Realtime`]. A thread is registered ([`Registry`]; a canvas in [`Canvases`]), messages
//! to it become durable envelopes in one log, and a hub shares them with all who
//! follow it over SSE or WebSocket. One cursor, `epoch-seq`, resumes on either.
//! What differs from rail to rail is in `rules`. Clients that cannot send headers use single-use
//! [`Tickets`]. Sockets of a canvas also share gestures, which are never stored.
//!
//! A reader that is slow costs a position, not a queue. Who falls out of the
//! topic's ring reads pages of the log, and is cut with a resumable cursor if
//! it is not level again in time. Who reads nothing at all is not even polled:
//! its connection holds the write buffer of actix-web (32 KiB) and what the
//! kernel buffers, until the kernel ends the socket. Set `TCP_USER_TIMEOUT` for
//! that, and `h1_allow_half_closed(false)`, so that a client that is gone is
//! noticed before the next heartbeat.
//!
//! What is kept in another log is followed over SSE in the same way: see `Rail`.
//!
//! With the feature `http` (on by default) `routes` mounts everything on
//! actix-web; without it the registry, publishing and tickets remain.
//!
//! **Invariant:** an event is told only after it is durable; who resumes gets
//! every event after the cursor once, or is told of the gap.

#![cfg_attr(
    not(feature = "http"),
    expect(
        dead_code,
        unused_imports,
        reason = "without routes nobody follows a stream; the hub is kept whole"
    )
)]

mod actions;
mod config;
mod envelope;
mod error;
mod frames;
mod gestures;
mod hub;
mod limits;
mod meters;
#[cfg(feature = "http")]
mod openapi;
mod presence;
mod publish;
#[cfg(feature = "http")]
mod rail;
mod record;
mod registry;
#[cfg(feature = "http")]
mod routes;
mod rules;
mod service;
mod snippets;
#[cfg(feature = "http")]
mod sse;
mod tell;
mod tickets;
mod trace;
mod watch;
mod wire;
#[cfg(feature = "http")]
mod ws;

pub use actions::{
    IssueTicket, KeepSnippets, OpenCanvasStream, OpenStream, PostMessage, PostToolEvent,
    ReadThread, RegisterThread,
};
pub use config::{LimitsConfig, RealtimeConfig, Retention, RingLimits, Timings};
pub use envelope::{
    DATA_BYTES_MAX, Envelope, IDEMPOTENCY_KEY_BYTES_MAX, InvalidMessage, Message, TYPE_BYTES_MAX,
};
pub use error::{Exhausted, RealtimeError};
pub use gestures::GESTURE_BYTES_MAX;
#[cfg(feature = "http")]
pub use openapi::openapi;
pub use presence::STATE_BYTES_MAX;
#[cfg(feature = "http")]
pub use rail::Rail;
pub use registry::{
    Canvas, CanvasKey, Canvases, NewCanvas, NewThread, Registry, RouteKey, TITLE_BYTES_MAX, Thread,
};
#[cfg(feature = "http")]
pub use routes::{routes, streams::SseQuery};
pub use rules::{CANVAS, CHAT};
pub use service::{Realtime, RealtimeDeps};
pub use snippets::{Said, SnippetSink};
pub use tell::{Backlog, Told};
pub use tickets::{TICKET_LIFE, Tickets};
