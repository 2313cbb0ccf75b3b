//! What requests ask to be written. What can be refused without the gates is refused here,
//! before they are asked.

use gatechain::http::{FromRequest, NoBody, Sent};
use identity::{Problem, Scope};
use serde::Deserialize;
use utoipa::ToSchema;

use super::objects::{Changing, Deleted, New};
use crate::{
    AppendEvents, Body, Create, Delete, EventBody, Invalid, MergePatch, Model, Patch, Publication,
    Publish, Publishable, Replace, Restore,
};

impl<M: Model> FromRequest for Create<M> {
    type Body = M::Body;
    type Object = New;

    fn from_request(_: &Scope, object: &New, sent: Sent<M::Body>) -> Result<Self, Problem> {
        sent.body.check().map_err(wrong)?;
        Ok(Self {
            value: sent.body,
            key: object.key.clone(),
            payload: sent.sha256,
        })
    }
}

impl<M: Model> FromRequest for Replace<M> {
    type Body = M::Body;
    type Object = Changing<M>;

    fn from_request(_: &Scope, object: &Changing<M>, sent: Sent<M::Body>) -> Result<Self, Problem> {
        object.named()?;
        sent.body.check().map_err(wrong)?;
        object.current()?;
        Ok(Self {
            id: object.record.id.clone(),
            value: sent.body,
            precondition: object.precondition.clone(),
            payload: sent.sha256,
        })
    }
}

impl<M: Model> FromRequest for Patch<M> {
    type Body = MergePatch;
    type Object = Changing<M>;

    fn from_request(
        _: &Scope,
        object: &Changing<M>,
        sent: Sent<MergePatch>,
    ) -> Result<Self, Problem> {
        object.named()?;
        // What the patch is about is known only if it is about this revision.
        object.current()?;
        let patch = sent.body;
        patch.applied_to(&object.record.value).map_err(wrong)?;
        Ok(Self {
            id: object.record.id.clone(),
            patch,
            precondition: object.precondition.clone(),
            payload: sent.sha256,
        })
    }
}

impl<M: Model> FromRequest for Delete<M> {
    type Body = NoBody;
    type Object = Changing<M>;

    fn from_request(_: &Scope, object: &Changing<M>, _: Sent<NoBody>) -> Result<Self, Problem> {
        object.current()?;
        Ok(Self {
            id: object.record.id.clone(),
            precondition: object.precondition.clone(),
        })
    }
}

impl<M: Model> FromRequest for Restore<M> {
    type Body = NoBody;
    type Object = Deleted<M>;

    fn from_request(_: &Scope, object: &Deleted<M>, _: Sent<NoBody>) -> Result<Self, Problem> {
        let id = object.id.clone();
        Ok(Self { id })
    }
}

impl<B: Publishable> FromRequest for Publish<B> {
    type Body = NoBody;
    type Object = Changing<Publication<B>>;

    fn from_request(
        _: &Scope,
        object: &Changing<Publication<B>>,
        _: Sent<NoBody>,
    ) -> Result<Self, Problem> {
        object.current()?;
        Ok(Self {
            id: object.record.id.clone(),
            precondition: object.precondition.clone(),
        })
    }
}

/// Events that are to be appended.
#[derive(Debug, Deserialize, ToSchema)]
pub struct EventBatch {
    /// 1 to 250.
    pub(super) events: Vec<EventBody>,
}

impl FromRequest for AppendEvents {
    type Body = EventBatch;
    type Object = New;

    fn from_request(_: &Scope, object: &New, sent: Sent<EventBatch>) -> Result<Self, Problem> {
        Self::check(&sent.body.events).map_err(wrong)?;
        Ok(Self {
            events: sent.body.events,
            key: object.key.clone(),
            payload: sent.sha256,
        })
    }
}

fn wrong(invalid: Invalid) -> Problem {
    crate::NexusError::Invalid(invalid).into()
}
