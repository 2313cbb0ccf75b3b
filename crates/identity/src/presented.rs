//! What a caller presents, and the context that it selects.
//!
//! **Invariant:** headers select; what a path, query, body or ticket names can
//! only agree with them.

use std::{str::FromStr, sync::Arc};

use smol_str::SmolStr;

use crate::{ContextName, Env, ProjectId, Refusal, RequestContext, RequestIds, TenantId};

/// What the caller sent to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Nothing.
    Absent,
    /// Something that is no credential: another scheme, two headers, two tickets.
    Malformed,
    /// A bearer token.
    Bearer(&'a str),
    /// A stream ticket; only stream routes take one.
    Ticket(&'a str),
}

/// What the caller sent under one context name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Selector<'a> {
    /// Nothing.
    #[default]
    Absent,
    /// One value.
    One(&'a str),
    /// Two headers, a comma, or bytes that are not visible ASCII.
    Malformed,
}

/// The stream that a request opens, to which a ticket is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamTarget<'a> {
    /// The rail, such as `chat`.
    pub rail: &'a str,
    /// The thread or canvas in the path.
    pub object: &'a str,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
}

/// A request, as far as the guard looks at it: never its body.
#[derive(Debug, Clone)]
pub struct Presented<'a> {
    /// The credential.
    pub credential: Credential<'a>,
    /// The context headers, in the order of [`ContextName::ALL`].
    pub selectors: [Selector<'a>; 5],
    /// Context names found in the path and the query.
    pub mentions: Vec<(ContextName, SmolStr)>,
    /// The stream that is opened, on routes that take tickets.
    pub stream: Option<StreamTarget<'a>>,
    /// The request's ids.
    pub ids: &'a RequestIds,
}

fn required<T: FromStr>(name: ContextName, selector: Selector<'_>) -> Result<T, Refusal> {
    optional(name, selector)?.ok_or(Refusal::ContextMissing(name))
}

fn optional<T: FromStr>(name: ContextName, selector: Selector<'_>) -> Result<Option<T>, Refusal> {
    match selector {
        Selector::Absent => Ok(None),
        Selector::Malformed => Err(Refusal::ContextInvalid(name)),
        Selector::One(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Refusal::ContextInvalid(name)),
    }
}

pub(crate) fn select(presented: &Presented<'_>) -> Result<Arc<RequestContext>, Refusal> {
    let [tenant, env, project, surface, app] = presented.selectors;
    Ok(Arc::new(RequestContext {
        tenant: required::<TenantId>(ContextName::Tenant, tenant)?,
        env: required::<Env>(ContextName::Env, env)?,
        project: required::<ProjectId>(ContextName::Project, project)?,
        surface: optional(ContextName::Surface, surface)?,
        app: optional(ContextName::App, app)?,
        ids: presented.ids.clone(),
        mode: SmolStr::default(),
    }))
}

/// Whether a context named elsewhere in a request is the one that was selected.
///
/// A surface or app that no header selects cannot disagree.
///
/// # Errors
/// [`Refusal::ContextConflict`] names the first that disagrees.
pub(crate) fn agree(
    context: &RequestContext,
    mentions: &[(ContextName, SmolStr)],
) -> Result<(), Refusal> {
    for (name, text) in mentions {
        let agrees = match name {
            ContextName::Tenant => context.tenant.as_str() == text,
            ContextName::Env => text.parse() == Ok(context.env),
            ContextName::Project => context.project.as_str() == text,
            ContextName::Surface => context
                .surface
                .as_ref()
                .is_none_or(|id| id.as_str() == text),
            ContextName::App => context.app.as_ref().is_none_or(|id| id.as_str() == text),
        };
        if !agrees {
            return Err(Refusal::ContextConflict(*name));
        }
    }
    Ok(())
}
