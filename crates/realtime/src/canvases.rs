//! Who owns a canvas, and where its events go: a durable record in the tenant's own partition.
//!
//! **Invariant:** a [`CanvasKey`] exists only because the registry found its canvas in the
//! caller's tenant, environment and project. Foreign, unknown and malformed ids are refused
//! alike.
//!
//! ```compile_fail
//! // Nobody else can make one.
//! let forged = tenantry_realtime::CanvasKey { canvas: todo!(), stream: todo!(), place: todo!() };
//! ```

use std::sync::Arc;

use bytes::Bytes;
use identity::{CanvasId, Clock, Entropy, Env, ProjectId, Scope, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{
    Appended, Batch, CommitError, DocKey, Document, Documents, Idempotency, Page, PageRequest,
    Partition, StoreError, StreamKey,
};

use crate::{Realtime, RealtimeError, envelope::Sealing};

/// The rail of canvases.
pub const CANVAS: &str = "canvas";

/// A canvas that the caller may use: where its events go, and its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanvasKey {
    canvas: CanvasId,
    tenant: TenantId,
    env: Env,
    project: ProjectId,
    stream: StreamKey,
    documents: Partition,
}

impl CanvasKey {
    fn of(scope: &Scope, canvas: CanvasId) -> Self {
        Self {
            stream: StreamKey::in_scope(scope, CANVAS, &object_of(scope, canvas.as_str())),
            documents: Partition::in_scope(scope, CANVAS),
            tenant: scope.tenant().clone(),
            env: scope.env(),
            project: scope.project().clone(),
            canvas,
        }
    }

    /// The canvas.
    #[must_use]
    pub fn canvas(&self) -> &CanvasId {
        &self.canvas
    }

    /// The project that owns it.
    #[must_use]
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// The stream of its events.
    #[must_use]
    pub fn stream(&self) -> &StreamKey {
        &self.stream
    }

    /// The name of one of its own documents: no other canvas has one of that name.
    #[must_use]
    pub fn document(&self, name: &str) -> DocKey {
        let id = format!("{}/{}/{name}", self.project, self.canvas);
        DocKey::new(&self.documents, id)
    }
}

/// A registered canvas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canvas {
    /// Its id, unique in its project.
    pub canvas_id: CanvasId,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// What people call it.
    pub title: Option<String>,
    /// Who registered it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
}

/// A canvas to register.
#[derive(Debug, Clone, Default)]
pub struct NewCanvas {
    /// The id, if the caller chose one.
    pub canvas_id: Option<CanvasId>,
    /// The title, at most [`crate::TITLE_BYTES_MAX`].
    pub title: Option<String>,
}

/// The durable registry of canvases.
pub struct Canvases {
    documents: Arc<dyn Documents>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Canvases {
    pub(crate) fn new(
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            documents,
            clock,
            entropy,
        }
    }

    /// Registers a canvas, or finds it again; the flag says whether it is new.
    ///
    /// # Errors
    /// [`RealtimeError::CanvasTitleConflict`] when it exists with another title.
    pub async fn register(
        &self,
        scope: &Scope,
        new: NewCanvas,
    ) -> Result<(CanvasKey, Canvas, bool), RealtimeError> {
        let id = new
            .canvas_id
            .unwrap_or_else(|| CanvasId::generate(&*self.entropy));
        let canvas = Canvas {
            canvas_id: id.clone(),
            project_id: scope.project().clone(),
            title: new.title,
            created_by: scope.user().clone(),
            created_at: self.clock.now(),
        };
        let key = key_of(scope, id.as_str());
        let value = serde_json::to_vec(&canvas).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let batch = Batch::new().expect_absent(&key).put(&key, value);
        match self.documents.commit(batch).await {
            Ok(_) => Ok((CanvasKey::of(scope, id), canvas, true)),
            Err(CommitError::Conflict(_)) => self.again(scope, &canvas).await,
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    async fn again(
        &self,
        scope: &Scope,
        asked: &Canvas,
    ) -> Result<(CanvasKey, Canvas, bool), RealtimeError> {
        let (key, known) = self
            .verify_canvas_access(scope, asked.canvas_id.as_str())
            .await?;
        if asked.title.is_some() && asked.title != known.title {
            return Err(RealtimeError::CanvasTitleConflict);
        }
        Ok((key, known, false))
    }

    /// Finds the canvas `id` of the scope, with the key that its commits and events need.
    ///
    /// # Errors
    /// [`RealtimeError::CanvasAccessDenied`], the same for foreign, unknown and malformed ids.
    pub async fn verify_canvas_access(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<(CanvasKey, Canvas), RealtimeError> {
        let denied = RealtimeError::CanvasAccessDenied;
        let id: CanvasId = id.parse().map_err(|_| denied.clone())?;
        let found = self.documents.get(&key_of(scope, id.as_str())).await?;
        let canvas = parse(&found.ok_or(denied)?)?;
        Ok((CanvasKey::of(scope, id), canvas))
    }

    /// Lists the project's canvases by id.
    ///
    /// # Errors
    /// [`RealtimeError::Store`].
    pub async fn list(
        &self,
        scope: &Scope,
        page: &PageRequest,
    ) -> Result<Page<Canvas>, RealtimeError> {
        let prefix = object_of(scope, "");
        let found = page
            .read_prefixed(&*self.documents, &partition(scope), &prefix)
            .await?;
        found.try_map(|document| parse(&document))
    }
}

/// Something that is told on a canvas's rail, on behalf of who did it: that may be
/// another than who tells it, when a server stopped between the two.
#[derive(Debug)]
pub struct Told<'a> {
    /// Such as `canvas.commit`.
    pub kind: &'a str,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: &'a UserId,
    /// In which request.
    pub request_id: &'a str,
    /// In which trace.
    pub traceparent: &'a str,
    /// What happened: JSON on one line.
    pub data: &'a RawValue,
    /// Tells the same thing once, however often it is told.
    pub idempotency: Idempotency,
}

impl Realtime {
    /// The registry of canvases.
    #[must_use]
    pub fn canvases(&self) -> &Canvases {
        &self.canvases
    }

    /// Takes a change of `bytes` from the tenant's rates, as a message is: before it is made.
    ///
    /// # Errors
    /// [`RealtimeError::Throttled`], [`RealtimeError::Store`].
    pub async fn admit(&self, scope: &Scope, bytes: usize) -> Result<(), RealtimeError> {
        self.limits.admit(scope, bytes).await
    }

    /// Tells something on a canvas's rail; durable when this returns.
    ///
    /// # Errors
    /// [`RealtimeError::IdempotencyConflict`], [`RealtimeError::Store`].
    pub async fn tell(&self, key: &CanvasKey, told: &Told<'_>) -> Result<Appended, RealtimeError> {
        let body = Sealing {
            kind: told.kind,
            at: told.at,
            tenant: &key.tenant,
            env: key.env,
            project: &key.project,
            rail: CANVAS,
            thread: None,
            canvas: Some(&key.canvas),
            actor: told.actor,
            request_id: told.request_id,
            traceparent: told.traceparent,
            data: told.data,
        };
        let body: Bytes = body
            .seal()
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.publisher
            .append_to(&key.stream, body, Some(told.idempotency))
            .await
    }
}

fn partition(scope: &Scope) -> Partition {
    Partition::in_scope(scope, "canvases")
}

/// The canvas's name below tenant and environment. The project is part of it,
/// so that projects cannot meet, or learn of each other's ids.
fn object_of(scope: &Scope, id: &str) -> String {
    format!("{}/{id}", scope.project())
}

fn key_of(scope: &Scope, id: &str) -> DocKey {
    DocKey::new(&partition(scope), object_of(scope, id))
}

fn parse(document: &Document) -> Result<Canvas, RealtimeError> {
    serde_json::from_slice(&document.value).map_err(|e| StoreError::Corrupt(e.to_string()).into())
}
