//! Working out what a change writes, before it is written.
//!
//! Beside its record a change writes what belongs to it, in the same batch: the slot that it
//! has, its place in its group, the idempotency key, and the note for the search.

use std::{slice, time::Duration};

use identity::{Precondition, Scope, StandingQuery, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Batch, DocKey, Listing, Partition};

use crate::{
    Body, Delete, Id, IdempotencyKey, Invalid, Model, NexusError, Record, Records, Reference,
    Referent, Writing,
    assets::ASSETS,
    feed::noted,
    keys::{
        damaged, decode, deleted, encode, fingerprint, group, groups, idempotency_key, live, slot,
    },
    record::Stored,
    records::Read,
};

/// How long a deleted record can be restored.
const RESTORABLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long an idempotency key stands for its request.
const IDEMPOTENCY: Duration = Duration::from_secs(24 * 60 * 60);

/// For what an idempotency key stands.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredKey {
    /// What was made.
    pub(crate) ids: Vec<String>,
    /// SHA-256 of the request, in hexadecimal.
    pub(crate) request: String,
}

/// A change that is worked out and not yet done: the writes, and the record after them.
pub(crate) struct Change<M> {
    pub(crate) batch: Batch,
    pub(crate) record: Record<M>,
}

/// What comes of a request to make a record.
pub(crate) enum Creation<M> {
    New(Change<M>),
    MadeBefore(Record<M>),
}

/// What is kept of a record in its group.
#[derive(Serialize, Deserialize)]
struct Member {
    bytes: usize,
}

impl<M: Model> Records<M> {
    /// What makes a new record, or the record that the key has made before.
    pub(crate) async fn creation(
        &self,
        scope: &Scope,
        body: &M::Body,
        key: Option<&IdempotencyKey>,
    ) -> Result<Creation<M>, NexusError> {
        body.check()?;
        let request = fingerprint(body);
        let key = key.map(|key| idempotency_key::<M>(scope, key));
        if let Some(key) = &key
            && let Some(made) = self.made_before(key, &request).await?
        {
            let id = made.first().ok_or(NexusError::NotFound)?;
            let record = self.find(scope, id).await?;
            return Ok(Creation::MadeBefore(record.ok_or(NexusError::NotFound)?));
        }
        let writing = self.writing(scope, 1);
        let value = M::written(body.clone(), None, &writing)?;
        self.check_references(scope, &value, &[]).await?;
        let id = Id::generate(&*self.core.deps.entropy, writing.now, 0);
        let stored = Stored::first(value, &writing);
        let place = live::<M>(scope, &id);
        let batch = Batch::new().expect_absent(&place);
        let batch = self.settled(batch, scope, &id, &stored).await?;
        let batch = match &key {
            Some(key) => remembered(batch, key, slice::from_ref(&id), request, writing.now)?,
            None => batch,
        };
        let batch = noted::<M>(batch, scope, &place, writing.now);
        let record = stored.with_id(id);
        Ok(Creation::New(Change { batch, record }))
    }

    /// What a request with the key has made before; `None` when there was none.
    ///
    /// # Errors
    /// [`NexusError::IdempotencyConflict`] when that was another request.
    pub(crate) async fn made_before(
        &self,
        key: &DocKey,
        request: &str,
    ) -> Result<Option<Vec<Id<M>>>, NexusError> {
        let Some(document) = self.core.deps.documents.get(key).await? else {
            return Ok(None);
        };
        let kept: StoredKey = decode(&document)?;
        if kept.request != request {
            return Err(NexusError::IdempotencyConflict);
        }
        let ids = kept.ids.iter().map(|id| id.parse());
        let ids: Result<_, _> = ids.collect();
        ids.map(Some).map_err(|_| damaged(&document))
    }

    pub(crate) fn writing<'a>(&self, scope: &'a Scope, revision: u64) -> Writing<'a> {
        Writing {
            scope,
            now: self.core.deps.clock.now(),
            revision,
        }
    }

    /// What makes of a record the one that `make` returns.
    pub(crate) async fn change(
        &self,
        scope: &Scope,
        id: &Id<M>,
        precondition: &Precondition,
        make: impl FnOnce(&M, &Writing<'_>) -> Result<M, Invalid>,
    ) -> Result<Change<M>, NexusError> {
        let place = live::<M>(scope, id);
        let read = self.read(&place).await?.ok_or(NexusError::NotFound)?;
        check(precondition, &read)?;
        let writing = self.writing(scope, read.value.revision + 1);
        let before = &read.value.value;
        let value = make(before, &writing)?;
        self.check_references(scope, &value, &before.references())
            .await?;
        self.check_group(scope, Some(id), &value).await?;
        let stored = read.value.next(value, &writing);
        let batch = Batch::new().expect_version(&place, read.version);
        let batch = kept(batch, &place, &stored)?;
        let batch = joined(batch, scope, id, &stored.value)?;
        let batch = noted::<M>(batch, scope, &place, writing.now);
        let record = stored.with_id(id.clone());
        Ok(Change { batch, record })
    }

    /// What moves a record to where it can be restored from.
    pub(crate) async fn deletion(
        &self,
        scope: &Scope,
        asked: &Delete<M>,
    ) -> Result<Change<M>, NexusError> {
        let id = &asked.id;
        let (place, grave) = (live::<M>(scope, id), deleted::<M>(scope, id));
        let read = self.read(&place).await?.ok_or(NexusError::NotFound)?;
        check(&asked.precondition, &read)?;
        let now = self.core.deps.clock.now();
        let (until, value) = (now.plus(RESTORABLE), &read.value.value);
        let until = value.expires_at().map_or(until, |end| until.min(end));
        let mut batch = Batch::new()
            .expect_version(&place, read.version)
            .delete(&place)
            .put_until(&grave, encode(&read.value)?, until);
        if let Some(name) = value.slot() {
            batch = batch.delete(&slot::<M>(scope, &name));
        }
        if let Some(name) = value.group() {
            batch = batch.delete(&member(scope, id, name));
        }
        let batch = noted::<M>(batch, scope, &place, now);
        let record = read.value.with_id(id.clone());
        Ok(Change { batch, record })
    }

    /// What brings a deleted record back, as a new revision.
    pub(crate) async fn restoration(
        &self,
        scope: &Scope,
        id: &Id<M>,
    ) -> Result<Change<M>, NexusError> {
        let (place, grave) = (live::<M>(scope, id), deleted::<M>(scope, id));
        let read = self.read(&grave).await?.ok_or(NexusError::NotFound)?;
        let writing = self.writing(scope, read.value.revision + 1);
        let value = read.value.value.clone();
        let stored = read.value.next(value, &writing);
        let batch = Batch::new()
            .expect_version(&grave, read.version)
            .expect_absent(&place)
            .delete(&grave);
        let batch = self.settled(batch, scope, id, &stored).await?;
        let batch = noted::<M>(batch, scope, &place, writing.now);
        let record = stored.with_id(id.clone());
        Ok(Change { batch, record })
    }

    /// The batch, which also puts a record where there was none, with its slot and its group.
    async fn settled(
        &self,
        batch: Batch,
        scope: &Scope,
        id: &Id<M>,
        stored: &Stored<M>,
    ) -> Result<Batch, NexusError> {
        self.check_group(scope, None, &stored.value).await?;
        let mut batch = kept(batch, &live::<M>(scope, id), stored)?;
        if let Some(name) = stored.value.slot() {
            let held = slot::<M>(scope, &name);
            if self.core.deps.documents.get(&held).await?.is_some() {
                return Err(NexusError::Taken);
            }
            batch = batch.expect_absent(&held).put(&held, encode(id)?);
        }
        joined(batch, scope, id, &stored.value)
    }

    /// Refuses a value with which its group would be too large; `id` is counted anew.
    async fn check_group(
        &self,
        scope: &Scope,
        id: Option<&Id<M>>,
        value: &M,
    ) -> Result<(), NexusError> {
        let (Some(name), Some(most)) = (value.group(), M::GROUP_MAX) else {
            return Ok(());
        };
        let own = id.map(|id| member(scope, id, name).id);
        let listing = Listing {
            prefix: group::<M>(scope, name),
            after: None,
            limit: most.records + 1,
        };
        let groups = groups(scope);
        let members = self.core.deps.documents.list(&groups, &listing).await?;
        let others = members
            .iter()
            .filter(|member| Some(&member.id) != own.as_ref());
        let (mut records, mut bytes) = (1, encode(value)?.len());
        for other in others {
            records += 1;
            bytes += decode::<Member>(other)?.bytes;
        }
        let fits = records <= most.records && bytes <= most.bytes;
        fits.then_some(()).ok_or(NexusError::Full(most))
    }

    /// Refuses a value that names what is not there, unless it did `before`.
    async fn check_references(
        &self,
        scope: &Scope,
        value: &M,
        before: &[Reference<'_>],
    ) -> Result<(), NexusError> {
        for reference in value.references() {
            if before.iter().any(|known| known.to == reference.to) {
                continue;
            }
            if !self.is_there(scope, reference.to).await? {
                let invalid = Invalid::new(reference.pointer, "there is no such record");
                return Err(invalid.into());
            }
        }
        Ok(())
    }

    async fn is_there(&self, scope: &Scope, referent: Referent<'_>) -> Result<bool, NexusError> {
        let (mut surface, mut app) = (None, None);
        match referent {
            Referent::Record { kind, id } => return self.exists(scope, kind, id).await,
            Referent::Asset(id) => return self.exists(scope, ASSETS, id.as_str()).await,
            Referent::Surface(id) => surface = Some(id),
            Referent::App(id) => app = Some(id),
        }
        let standing = self.core.deps.directory.standing(StandingQuery {
            user: scope.user(),
            session: scope.auth().session(),
            tenant: scope.tenant(),
            project: scope.project(),
            surface,
            app,
        });
        let standing = standing.await?;
        Ok(standing.surface_known && standing.app_known)
    }

    async fn exists(
        &self,
        scope: &Scope,
        kind: &'static str,
        id: &str,
    ) -> Result<bool, NexusError> {
        let key = DocKey::new(&Partition::in_scope(scope, kind), id);
        Ok(self.core.deps.documents.get(&key).await?.is_some())
    }
}

/// The batch, which also remembers what the request under `key` made.
pub(crate) fn remembered<M>(
    batch: Batch,
    key: &DocKey,
    ids: &[Id<M>],
    request: String,
    now: Timestamp,
) -> Result<Batch, NexusError> {
    let ids = ids.iter().map(ToString::to_string).collect();
    let kept = encode(&StoredKey { ids, request })?;
    let until = now.plus(IDEMPOTENCY);
    Ok(batch.expect_absent(key).put_until(key, kept, until))
}

/// The batch, which also puts a record at its place, for as long as it lasts.
pub(crate) fn kept<M: Model>(
    batch: Batch,
    place: &DocKey,
    stored: &Stored<M>,
) -> Result<Batch, NexusError> {
    let text = encode(stored)?;
    Ok(match stored.value.expires_at() {
        Some(end) => batch.put_until(place, text, end),
        None => batch.put(place, text),
    })
}

/// The batch, which also counts a record in its group, for as long as it lasts.
fn joined<M: Model>(
    batch: Batch,
    scope: &Scope,
    id: &Id<M>,
    value: &M,
) -> Result<Batch, NexusError> {
    let Some(name) = value.group() else {
        return Ok(batch);
    };
    let (key, bytes) = (member(scope, id, name), encode(value)?.len());
    let counted = encode(&Member { bytes })?;
    Ok(match value.expires_at() {
        Some(end) => batch.put_until(&key, counted, end),
        None => batch.put(&key, counted),
    })
}

fn member<M: Model>(scope: &Scope, id: &Id<M>, name: &str) -> DocKey {
    DocKey::new(&groups(scope), format!("{}{id}", group::<M>(scope, name)))
}

fn check<M>(precondition: &Precondition, read: &Read<M>) -> Result<(), NexusError> {
    let holds = precondition.holds(Some(read.value.revision));
    holds.then_some(()).ok_or(NexusError::Stale)
}
