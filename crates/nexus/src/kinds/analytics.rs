//! Analytics events: what people did in a product, appended in batches with their consent.
//!
//! **Invariant:** an event is stored only if it says that the person consented to analytics,
//! and it does not change.

use std::time::Duration;

use gatechain::{CommitRefused, Permit};
use identity::{AppId, Scope, SurfaceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::Batch;

use crate::{
    AppendEvents, Body, Id, Invalid, Model, NexusError, Records, Writing,
    change::{kept, remembered},
    checks::{count, json, line, name},
    keys::{fingerprint, idempotency_key, live},
    record::Stored,
};

/// Most events of one batch: with the steps of a permit they fit into one commit.
pub const EVENTS_MAX: usize = 250;
const NAME_BYTES_MAX: usize = 128;
const PROPERTIES_BYTES_MAX: usize = 16 * 1024;
const PURPOSES_MAX: usize = 16;
const PURPOSE_BYTES_MAX: usize = 64;
const POLICY_BYTES_MAX: usize = 128;
const SESSION_BYTES_MAX: usize = 128;
/// How far ahead of ours a client's clock may be.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The purpose without which nothing is stored.
const ANALYTICS: &str = "analytics";

identity::action!(ReadAnalyticsEvents, "nexus.analytics_events.read", Viewer);
identity::action!(
    AppendAnalyticsEvents,
    "nexus.analytics_events.append",
    Member
);
identity::action!(ChangeAnalyticsEvent, "nexus.analytics_events.change", Owner);
identity::action!(DeleteAnalyticsEvent, "nexus.analytics_events.delete", Admin);

/// What a client writes of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EventBody {
    /// What happened, such as `page.viewed`: at most 128 of `A-Z a-z 0-9 . _ : -`.
    pub name: String,
    /// The version of the schema of `properties`, 1 at least.
    #[serde(default = "first_version")]
    pub schema_version: u32,
    /// To what the person consented.
    pub consent: Consent,
    /// When it happened; now unless said, and at most a day ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub occurred_at: Option<Timestamp>,
    /// The client's name for the visit: at most 128 of `A-Z a-z 0-9 . _ : -`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// What belongs to it, at most 16 KiB.
    #[serde(default)]
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub properties: Map<String, Value>,
}

/// To what a person consented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Consent {
    /// The purposes, at most 16; without `analytics` the event is refused.
    pub purposes: Vec<String>,
    /// The version of the text that they consented to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct AnalyticsEvent {
    /// What happened.
    pub name: String,
    /// The version of the schema of `properties`.
    pub schema_version: u32,
    /// To what the person consented.
    pub consent: Consent,
    /// When it happened, by the client's clock.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub occurred_at: Timestamp,
    /// The client's name for the visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The surface of `X-Surface-Id`.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub surface_id: Option<SurfaceId>,
    /// The app of `X-App-Id`.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub app_id: Option<AppId>,
    /// What belongs to it.
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub properties: Map<String, Value>,
}

impl Model for AnalyticsEvent {
    const KIND: &'static str = "analytics_events";
    const ID_PREFIX: &'static str = "ev";

    type Read = ReadAnalyticsEvents;
    type Create = AppendAnalyticsEvents;
    type Update = ChangeAnalyticsEvent;
    type Delete = DeleteAnalyticsEvent;
    type Body = EventBody;

    fn written(
        body: EventBody,
        before: Option<&Self>,
        writing: &Writing<'_>,
    ) -> Result<Self, Invalid> {
        if before.is_some() {
            return Err(Invalid::new("", "an event does not change"));
        }
        let occurred_at = body.occurred_at.unwrap_or(writing.now);
        if occurred_at > writing.now.plus(AHEAD_MAX) {
            return Err(Invalid::new("/occurred_at", "is more than a day ahead"));
        }
        let here = writing.scope.context();
        Ok(Self {
            name: body.name,
            schema_version: body.schema_version,
            consent: body.consent,
            occurred_at,
            session_id: body.session_id,
            surface_id: here.surface().cloned(),
            app_id: here.app().cloned(),
            properties: body.properties,
        })
    }

    fn body(&self) -> EventBody {
        EventBody {
            name: self.name.clone(),
            schema_version: self.schema_version,
            consent: self.consent.clone(),
            occurred_at: Some(self.occurred_at),
            session_id: self.session_id.clone(),
            properties: self.properties.clone(),
        }
    }
}

impl Body for EventBody {
    fn check(&self) -> Result<(), Invalid> {
        name("/name", &self.name, NAME_BYTES_MAX)?;
        if self.schema_version == 0 {
            return Err(Invalid::new("/schema_version", "must be 1 at least"));
        }
        self.consent.check()?;
        if let Some(session) = &self.session_id {
            name("/session_id", session, SESSION_BYTES_MAX)?;
        }
        json("/properties", &self.properties, PROPERTIES_BYTES_MAX)
    }
}

/// The version of who has one form of an event.
const fn first_version() -> u32 {
    1
}

impl Consent {
    fn check(&self) -> Result<(), Invalid> {
        let purposes = "/consent/purposes";
        count(purposes, self.purposes.len(), PURPOSES_MAX)?;
        for (at, purpose) in self.purposes.iter().enumerate() {
            name(&format!("{purposes}/{at}"), purpose, PURPOSE_BYTES_MAX)?;
        }
        if let Some(policy) = &self.policy {
            line("/consent/policy", policy, POLICY_BYTES_MAX)?;
        }
        if self.purposes.iter().any(|purpose| purpose == ANALYTICS) {
            return Ok(());
        }
        let why = "without consent to analytics an event is not stored";
        Err(Invalid::new(purposes, why))
    }
}

impl AppendEvents {
    /// Refuses a batch that is empty or too large, or has an event in it that is not acceptable.
    pub(crate) fn check(events: &[EventBody]) -> Result<(), Invalid> {
        if events.is_empty() {
            return Err(Invalid::new("/events", "must not be empty"));
        }
        count("/events", events.len(), EVENTS_MAX)?;
        let mut events = events.iter().enumerate();
        events.try_for_each(|(at, event)| event.check().map_err(|invalid| nested(at, invalid)))
    }
}

fn nested(at: usize, invalid: Invalid) -> Invalid {
    Invalid::new(format!("/events/{at}{}", invalid.pointer), invalid.why)
}

/// Events that were appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Their ids, in the order in which they were sent.
    pub ids: Vec<Id<AnalyticsEvent>>,
    /// Whether an earlier request with the same idempotency key appended them.
    pub duplicate: bool,
}

impl Records<AnalyticsEvent> {
    /// Appends events: all or none.
    ///
    /// # Errors
    /// [`NexusError::Invalid`], [`NexusError::IdempotencyConflict`], [`NexusError::Denied`],
    /// [`NexusError::Store`].
    pub async fn append(
        &self,
        scope: &Scope,
        permit: Permit<AppendEvents>,
    ) -> Result<Appended, NexusError> {
        let AppendEvents { events, key, .. } = permit.mutation();
        AppendEvents::check(events)?;
        let request = fingerprint(events);
        let key = key
            .as_ref()
            .map(|key| idempotency_key::<AnalyticsEvent>(scope, key));
        if let Some(key) = &key
            && let Some(ids) = self.made_before(key, &request).await?
        {
            let duplicate = true;
            return Ok(Appended { ids, duplicate });
        }
        let writing = self.writing(scope, 1);
        let (mut batch, ids) = self.batch(events, &writing)?;
        if let Some(key) = &key {
            batch = remembered(batch, key, &ids, request.clone(), writing.now)?;
        }
        match permit.commit(batch).await {
            Ok(_) => Ok(Appended {
                ids,
                duplicate: false,
            }),
            // Another request with this key was faster.
            Err(CommitRefused::Conflict(key)) => {
                let ids = self.made_before(&key, &request).await?;
                Ok(Appended {
                    ids: ids.ok_or(NexusError::Contended)?,
                    duplicate: true,
                })
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// What puts the events, and their ids. No two ids are alike, so nothing is expected.
    fn batch(
        &self,
        events: &[EventBody],
        writing: &Writing<'_>,
    ) -> Result<(Batch, Vec<Id<AnalyticsEvent>>), NexusError> {
        let (mut batch, mut ids) = (Batch::new(), Vec::with_capacity(events.len()));
        for (at, event) in events.iter().enumerate() {
            let value = AnalyticsEvent::written(event.clone(), None, writing);
            let value = value.map_err(|invalid| nested(at, invalid))?;
            let place = u8::try_from(at).unwrap_or(u8::MAX);
            let id = Id::generate(&*self.core.deps.entropy, writing.now, place);
            let stored = Stored::first(value, writing);
            batch = kept(batch, &live::<AnalyticsEvent>(writing.scope, &id), &stored)?;
            ids.push(id);
        }
        Ok((batch, ids))
    }
}
