//! What is gated: making, replacing, deleting and restoring a record.

use gatechain::{Mutation, PayloadHash};
use identity::Precondition;
use serde_json::json;

use crate::{Id, IdempotencyKey, Model};

/// Making a record.
#[derive(Debug, Clone)]
pub struct Create<M> {
    /// What it says.
    pub value: M,
    /// The key under which the client makes it, if it has one.
    pub key: Option<IdempotencyKey>,
    /// The hash of the body that asks for it.
    pub payload: Option<PayloadHash>,
}

/// Replacing what a record says.
#[derive(Debug, Clone)]
pub struct Replace<M> {
    /// Which.
    pub id: Id<M>,
    /// What it is to say.
    pub value: M,
    /// In which revision it has to be.
    pub precondition: Precondition,
    /// The hash of the body that asks for it.
    pub payload: Option<PayloadHash>,
}

/// Deleting a record.
#[derive(Debug, Clone)]
pub struct Delete<M> {
    /// Which.
    pub id: Id<M>,
    /// In which revision it has to be.
    pub precondition: Precondition,
}

/// Restoring a deleted record.
#[derive(Debug, Clone)]
pub struct Restore<M> {
    /// Which.
    pub id: Id<M>,
}

impl<M: Model> Mutation for Create<M> {
    type Action = M::Create;
    const KIND: &'static str = M::KIND;

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.payload
    }
}

impl<M: Model> Mutation for Replace<M> {
    type Action = M::Update;
    const KIND: &'static str = M::KIND;

    fn target(&self) -> Option<&str> {
        Some(self.id.as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.payload
    }
}

impl<M: Model> Mutation for Delete<M> {
    type Action = M::Delete;
    const KIND: &'static str = M::KIND;
    const BARE: bool = true;

    fn target(&self) -> Option<&str> {
        Some(self.id.as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        PayloadHash::of(&json!({}))
    }
}

impl<M: Model> Mutation for Restore<M> {
    type Action = M::Delete;
    const KIND: &'static str = M::KIND;
    const BARE: bool = true;

    fn target(&self) -> Option<&str> {
        Some(self.id.as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        PayloadHash::of(&json!({}))
    }
}
