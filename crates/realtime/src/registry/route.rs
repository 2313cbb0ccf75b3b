//! Where the events of one thread or canvas go.

use identity::{Env, ProjectId, Scope, TenantId, ThreadId};
use smol_str::SmolStr;
use store::StreamKey;

use super::object_of;
use crate::rules::Rules;

/// A stream that the caller may use: its rail, whose it is, and where its events go.
///
/// ```compile_fail,E0451
/// // Nobody but a registry can make one.
/// fn forged(known: tenantry_realtime::RouteKey) -> tenantry_realtime::RouteKey {
///     tenantry_realtime::RouteKey { object: "th_2".into(), ..known }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteKey {
    rules: &'static Rules,
    object: SmolStr,
    tenant: TenantId,
    env: Env,
    project: ProjectId,
    stream: StreamKey,
    snippets: Option<ThreadId>,
}

impl RouteKey {
    /// The stream of `object`, which a registry has found in the scope.
    pub(super) fn found(scope: &Scope, rules: &'static Rules, object: &str) -> Self {
        Self {
            rules,
            object: object.into(),
            tenant: scope.tenant().clone(),
            env: scope.env(),
            project: scope.project().clone(),
            stream: StreamKey::in_scope(scope, rules.rail, &object_of(scope, object)),
            snippets: None,
        }
    }

    /// The same, of a thread whose messages are kept as snippets.
    pub(super) fn with_snippets(self, thread: ThreadId) -> Self {
        Self {
            snippets: Some(thread),
            ..self
        }
    }

    /// The rail, [`crate::CHAT`] or [`crate::CANVAS`].
    #[must_use]
    pub fn rail(&self) -> &'static str {
        self.rules.rail
    }

    /// The id of the thread or canvas.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
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

    pub(crate) fn rules(&self) -> &'static Rules {
        self.rules
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub(crate) fn env(&self) -> Env {
        self.env
    }

    /// The thread, if its messages were kept as snippets when it was found.
    pub(crate) fn snippets(&self) -> Option<&ThreadId> {
        self.snippets.as_ref()
    }
}
