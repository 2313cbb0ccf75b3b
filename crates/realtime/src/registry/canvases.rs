//! Canvases.

use std::sync::Arc;

use identity::{CanvasId, Clock, Entropy, ProjectId, Scope, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::{DocKey, Documents, Page, PageRequest, Partition, StreamKey};

use super::{Kind, Registered, RouteKey};
use crate::{
    RealtimeError,
    rules::{CANVAS, CANVAS_RULES},
};

/// A canvas that the caller may use: where its events go, and its documents.
///
/// ```compile_fail,E0451
/// // Nobody but the registry can make one.
/// fn forged(known: tenantry_realtime::CanvasKey) -> tenantry_realtime::CanvasKey {
///     tenantry_realtime::CanvasKey { canvas: "cv_2".parse().unwrap(), ..known }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanvasKey {
    canvas: CanvasId,
    route: RouteKey,
    documents: Partition,
}

impl CanvasKey {
    fn found(scope: &Scope, canvas: CanvasId) -> Self {
        Self {
            route: RouteKey::found(scope, &CANVAS_RULES, canvas.as_str()),
            documents: Partition::in_scope(scope, CANVAS),
            canvas,
        }
    }

    /// The canvas.
    #[must_use]
    pub fn canvas(&self) -> &CanvasId {
        &self.canvas
    }

    /// Where its events go.
    #[must_use]
    pub fn route(&self) -> &RouteKey {
        &self.route
    }

    /// The project that owns it.
    #[must_use]
    pub fn project(&self) -> &ProjectId {
        self.route.project()
    }

    /// The stream of its events.
    #[must_use]
    pub fn stream(&self) -> &StreamKey {
        self.route.stream()
    }

    /// The name of one of its own documents: no other canvas has one of that name.
    #[must_use]
    pub fn document(&self, name: &str) -> DocKey {
        let id = format!("{}/{}/{name}", self.project(), self.canvas);
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

impl Kind for Canvas {
    type Id = CanvasId;
    const COLLECTION: &'static str = "canvases";
    const DENIED: RealtimeError = RealtimeError::CanvasAccessDenied;
    const TITLED: RealtimeError = RealtimeError::CanvasTitleConflict;

    fn id(&self) -> &str {
        self.canvas_id.as_str()
    }

    fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }
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
pub struct Canvases(Registered<Canvas>);

impl Canvases {
    pub(crate) fn new(
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self(Registered::new(documents, clock, entropy))
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
        let made = || CanvasId::generate(&*self.0.entropy);
        let canvas = Canvas {
            canvas_id: new.canvas_id.unwrap_or_else(made),
            project_id: scope.project().clone(),
            title: new.title,
            created_by: scope.user().clone(),
            created_at: self.0.clock.now(),
        };
        let (canvas, created) = self.0.register(scope, canvas).await?;
        let key = CanvasKey::found(scope, canvas.canvas_id.clone());
        Ok((key, canvas, created))
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
        let (id, canvas) = self.0.verify(scope, id).await?;
        Ok((CanvasKey::found(scope, id), canvas))
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
        self.0.page(scope, page).await
    }
}
