//! Everything this crate serves.

pub(crate) mod events;
pub(crate) mod proofs;
pub(crate) mod subjects;
mod tail;
pub(crate) mod training;
pub(crate) mod view;

use actix_web::http::Method;
use identity::{
    Code, Problem,
    http::{PublicReason, Routes},
};
use std::time::Duration;
use store::StoreError;

use crate::service::{EraseError, ProofError, ReadError};

identity::action!(
    /// Reading what was done by everyone in the tenant.
    ReadAudit, "audit.event.read", Admin
);
identity::action!(ExportAudit, "audit.event.export", Admin);
identity::action!(ExportTraining, "audit.training.export", Admin);
identity::action!(ReadHold, "audit.hold.read", Admin);
identity::action!(SetHold, "audit.hold.set", Owner);
identity::action!(EraseSubject, "audit.subject.erase", Owner);

/// Checkpoints are for everyone.
pub(crate) struct Checkpoints;

impl PublicReason for Checkpoints {
    const ACTION: &'static str = "audit.checkpoint.read";
    const REASON: &'static str =
        "whoever verifies a receipt needs the checkpoint, which names no tenant";
}

/// Mounts the audit log; the server mounts it, and so can you. The application
/// needs `Data<Audit>` besides what `identity` needs.
pub fn routes(routes: &mut Routes) {
    routes.tenant(Method::GET, "/audit/events", events::list);
    routes.tenant(Method::GET, "/audit/events/{seq}", events::show);
    routes.tenant(Method::GET, "/audit/events/{seq}/receipt", proofs::receipt);
    routes.public(Method::GET, "/audit/checkpoint", proofs::checkpoint);
    routes.tenant(Method::POST, "/audit/export", proofs::export);
    routes.tenant(Method::POST, "/audit/training-export", training::export);
    routes.tenant(Method::POST, "/audit/erasures", subjects::erase);
    routes.tenant(Method::GET, "/audit/hold", subjects::show_hold);
    routes.tenant(Method::PUT, "/audit/hold", subjects::set_hold);
    routes.tenant(Method::DELETE, "/audit/hold", subjects::lift_hold);
}

fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) | StoreError::ReadOnly(_) => Problem::unavailable(error),
        StoreError::Corrupt(_) | StoreError::Limit(_) => internal(error),
    }
}

fn internal(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "the audit log cannot be read");
    Problem::new(
        Code::Internal,
        "The fault is ours; it was recorded under the request id.",
    )
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Store(store) => of_store(store),
            ReadError::Removed { oldest } => Self::new(
                Code::Gone,
                "Retention has removed the record; what is kept begins with oldest.",
            )
            .with("oldest", *oldest),
            ReadError::Tampered { seq, .. } => internal(&error).with("seq", *seq),
        }
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Read(read) => read.into(),
            ProofError::NotFound => Self::new(Code::NotFound, "There is no such record."),
            ProofError::NotYet => Self::new(
                Code::BackendUnavailable,
                "No checkpoint covers the record yet; try again.",
            )
            .retry_after(Duration::from_secs(1)),
            ProofError::UnknownCheckpoint => {
                Self::query("since", "is the size of no checkpoint that was given out")
            }
        }
    }
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Held(env) => Self::new(
                Code::LegalHold,
                format!("The log of {env} is under legal hold; lift it first."),
            ),
            EraseError::Store(store) => of_store(&store),
        }
    }
}
