//! What is gated: making, changing, publishing, deleting and restoring a record.

use gatechain::{Mutation, PayloadHash};
use identity::Precondition;

use crate::{
    AnalyticsEvent, EventBody, Id, IdempotencyKey, MergePatch, Model, Publication, Publishable,
};

/// Making a record.
#[derive(Debug, Clone)]
pub struct Create<M: Model> {
    /// What it says.
    pub value: M::Body,
    /// The key under which the client makes it, if it has one.
    pub key: Option<IdempotencyKey>,
    /// The hash of the body that asks for it.
    pub payload: Option<PayloadHash>,
}

/// Replacing what a record says.
#[derive(Debug, Clone)]
pub struct Replace<M: Model> {
    /// Which.
    pub id: Id<M>,
    /// What it is to say.
    pub value: M::Body,
    /// In which revision it has to be.
    pub precondition: Precondition,
    /// The hash of the body that asks for it.
    pub payload: Option<PayloadHash>,
}

/// Changing a part of what a record says.
#[derive(Debug, Clone)]
pub struct Patch<M> {
    /// Which.
    pub id: Id<M>,
    /// What is to be different.
    pub patch: MergePatch,
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

/// Making the draft of a publication its published edition.
#[derive(Debug, Clone)]
pub struct Publish<B> {
    /// Which.
    pub id: Id<Publication<B>>,
    /// In which revision it has to be.
    pub precondition: Precondition,
}

/// Appending events.
#[derive(Debug, Clone)]
pub struct AppendEvents {
    /// What has happened, 1 to [`EVENTS_MAX`](crate::EVENTS_MAX).
    pub events: Vec<EventBody>,
    /// The key under which the client appends them, if it has one.
    pub key: Option<IdempotencyKey>,
    /// The hash of the body that asks for it.
    pub payload: Option<PayloadHash>,
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

impl<M: Model> Mutation for Patch<M> {
    type Action = M::Update;
    const KIND: &'static str = M::KIND;

    fn target(&self) -> Option<&str> {
        Some(self.id.as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.payload
    }
}

impl<B: Publishable> Mutation for Publish<B> {
    type Action = B::Publish;
    const KIND: &'static str = B::KIND;
    const BARE: bool = true;

    fn target(&self) -> Option<&str> {
        Some(self.id.as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        PayloadHash::of_nothing()
    }
}

impl Mutation for AppendEvents {
    type Action = <AnalyticsEvent as Model>::Create;
    const KIND: &'static str = AnalyticsEvent::KIND;

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
        PayloadHash::of_nothing()
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
        PayloadHash::of_nothing()
    }
}
