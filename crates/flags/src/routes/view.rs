//! Flags as JSON.

use actix_web::{HttpResponse, http::StatusCode};
use identity::{
    Remarks,
    http::{etag, remarked},
};
use serde::Serialize;
use store::Versioned;
use utoipa::ToSchema;

use crate::{Changed, Definition, FlagKey, FlagsError, LayerName, Stored, sealed::digest_of};

/// One flag of a layer.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlagView {
    key: String,
    layer: LayerName,
    #[serde(flatten)]
    definition: Definition,
    /// The change of the layer that made it so.
    revision: u64,
    created_at: String,
    changed_at: String,
    changed_by: String,
}

impl FlagView {
    fn new(key: &FlagKey, layer: LayerName, stored: Stored) -> Self {
        Self {
            key: key.to_string(),
            layer,
            definition: stored.definition,
            revision: stored.revision,
            created_at: stored.created_at.to_string(),
            changed_at: stored.changed_at.to_string(),
            changed_by: stored.changed_by.to_string(),
        }
    }
}

/// Answers with a flag in a state, which the client can name in `If-Match`.
pub(super) fn flag(
    status: StatusCode,
    key: &FlagKey,
    layer: LayerName,
    stored: Versioned<Stored>,
) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header(etag(stored.version.0));
    response.json(FlagView::new(key, layer, stored.value))
}

/// Answers that a flag was changed.
///
/// The record names the change by its revision, under which the history has the flag before
/// and after, and by the digests of both: rules may name people, and records are for ever.
///
/// # Errors
/// [`FlagsError::Internal`], if a definition is no JSON.
pub(super) fn changed(
    key: &FlagKey,
    layer: LayerName,
    changed: Changed,
) -> Result<HttpResponse, FlagsError> {
    let digest = |definition: &Option<Definition>| match definition {
        Some(definition) => digest_of(definition),
        None => Ok("none".to_owned()),
    };
    let before = match changed.change.before_damaged {
        true => "damaged".to_owned(),
        false => digest(&changed.change.before)?,
    };
    let remarks = Remarks::default()
        .with("flag", key)
        .with("layer", layer)
        .with("revision", changed.change.revision)
        .with("before_sha256", before)
        .with("after_sha256", digest(&changed.change.after)?);
    let status = if changed.created() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let response = match changed.stored {
        Some(stored) => flag(status, key, layer, stored),
        None => HttpResponse::NoContent().finish(),
    };
    Ok(remarked(response, remarks))
}
