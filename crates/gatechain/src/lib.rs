//! Gates before every write to the outside world.
//!
//! Start at [`GateChain`]. What is to be written is a [`Mutation`]; [`GateChain::admit`]
//! asks seven gates about it, in this order, and the first that refuses decides:
//! kill switch, firearms, strategy lock, its approval, KPI, temperature, and last
//! the budget, which reserves. What passes is a [`Permit`], and [`Permit::commit`] writes.
//!
//! # A gated write
//!
//! 1. Say what it is: `impl Mutation for CreateCard`, with the card inside, its action and
//!    the kind whose flag `gates.enforce.<kind>` may put it in shadow mode.
//! 2. Say how it is read from a request: `impl http::FromRequest for CreateCard`, with the
//!    type of the body and the object of the path.
//! 3. Begin the handler with [`Gated<CreateCard>`](http::Gated), and mount it with
//!    `routes.tenant(Method::POST, "/nexus/cards", create)`.
//! 4. Hand `gated.passed`, the permit, to the service, whose writing method takes a
//!    `Permit<CreateCard>` and nothing else that could write.
//! 5. There make the batch from `permit.mutation()`: the card's key from
//!    `Partition::in_scope(&scope, …)`, its expectations, its puts.
//! 6. `permit.commit(batch).await?` writes it together with what the gates need. A
//!    conflict of your own documents comes back as [`CommitRefused::Conflict`].
//! 7. A write that is no document (a call to another system) commits its intent first,
//!    and acts afterwards.
//!
//! # Invariants
//!
//! - A [`Permit`] is made by the chain alone, is not `Clone`, and is used up by its write.
//! - Every write brings along the versions of the fences of both levels. A change of a row
//!   rewrites its fence, so no write commits after a kill switch did, on any node. In place of the system's a
//!   tenant in another database brings along a copy of it there, which is rewritten before the change is answered.
//! - What cannot be read denies: for what the row is about, or for all of its level.
//! - No budget is overspent: a write pays from a leased slice, in its own batch.

mod approval;
mod ask;
mod budget;
mod chain;
mod databases;
mod decisions;
mod enforcement;
mod error;
mod fresh;
mod gates;
mod held;
#[cfg(feature = "http")]
pub mod http;
mod id;
mod layer;
mod mutation;
mod pattern;
mod payload;
mod rows;
mod service;
mod stored;
mod verdict;

pub use approval::{Approval, ApprovalId, ApprovalRefused, ApprovalRequest, ApprovalState};
pub use ask::{Ask, Snapshot};
pub use budget::{LEASE, Spending};
pub use chain::{Extent, Stopwatch, run_pure};
pub use databases::{COPIES, DATABASES_MAX, Database, Databases, OneDatabase};
pub use decisions::{AuditedDecisions, DECIDE, DecisionLog};
pub use enforcement::{AlwaysEnforce, Enforcement, Mode};
pub use error::GateError;
pub use fresh::{FRESH_MAX, MEMORY_BYTES_MAX, Place};
pub use layer::{BUDGETS_MAX, Layer, Level, ROWS_MAX};
pub use mutation::Mutation;
pub use pattern::{
    ActionPattern, InvalidPattern, InvalidRowId, InvalidTarget, PATTERN_BYTES_MAX,
    ROW_ID_BYTES_MAX, RowId, TARGET_BYTES_MAX, TargetName, is_action,
};
pub use payload::{InvalidHash, PayloadHash};
pub use rows::{
    ApprovalRule, BudgetRow, FirearmRow, Heat, InvalidRow, InvalidSubject, KillSwitch, Kpi,
    MICROS_MAX, Observed, QUORUM_MAX, REASON_CHARS_MAX, Row, RowKind, SPAN_S_MAX, StrategyLock,
    Subject, Temperature, Terms, Window,
};
pub use service::{
    CommitRefused, Committed, Credentials, Denied, Explained, Explanation, GateChain, GateDeps,
    Listed, PERMIT_AGE_MAX, PERMIT_STEPS_MAX, Permit,
};
pub use verdict::{Decision, Gate, Refusal, RowName, StateVersion, Verdict};

/// How often a change is tried again because others changed the same documents.
///
/// Of those who race, one succeeds in each round, so this many racers all end.
const CONTENTION_TRIES_MAX: usize = 24;
