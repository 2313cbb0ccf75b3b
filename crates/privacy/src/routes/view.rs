//! Preferences as JSON.

use actix_web::HttpResponse;
use identity::{
    Remarks, UserId,
    http::{etag, remarked},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Levels, Preference, Said, Source, Training};

/// What is said about training.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TrainPrefBody {
    pub(super) training: Training,
}

/// What one level says.
#[derive(Serialize, ToSchema)]
pub(crate) struct LevelView {
    /// Null when nothing was said there, or it cannot be read.
    training: Option<Training>,
    source: Source,
    /// Rises by one with each change of this level; `If-Match` takes it as `"<version>"`.
    version: u64,
    updated_at: Option<String>,
}

impl LevelView {
    fn of(level: Option<Preference>) -> Self {
        let (said, version) = match level {
            None => (None, 0),
            Some(preference) => (preference.said, preference.version),
        };
        let silence = match level {
            None => Source::Unreadable,
            Some(_) => Source::Unknown,
        };
        Self {
            training: said.map(|said: Said| said.training),
            source: said.map_or(silence, |said| said.source),
            version,
            updated_at: said.map(|said| said.at.to_string()),
        }
    }
}

/// What each level says.
#[derive(Serialize, ToSchema)]
struct LevelsView {
    system: LevelView,
    tenant: LevelView,
    user: LevelView,
}

/// Whether a model may be trained on what a user did here, and why.
#[derive(Serialize, ToSchema)]
pub(crate) struct EffectiveView {
    user_id: String,
    /// `training`.
    purpose: &'static str,
    training: Training,
    source: Source,
    /// Rises with each change at any of the levels.
    version: u64,
    /// Whether the request carried `Sec-GPC: 1`.
    gpc: bool,
    levels: LevelsView,
}

/// Answers with the effective preference of `user`.
pub(super) fn effective(user: &UserId, levels: &Levels, gpc: bool) -> HttpResponse {
    let effective = levels.effective(gpc);
    HttpResponse::Ok().json(EffectiveView {
        user_id: user.to_string(),
        purpose: "training",
        training: effective.training,
        source: effective.source,
        version: effective.version,
        gpc,
        levels: LevelsView {
            system: LevelView::of(levels.system),
            tenant: LevelView::of(levels.tenant),
            user: LevelView::of(levels.user),
        },
    })
}

/// Answers with a level in a state, which the client can name in `If-Match`;
/// the record says what was `asked` for, whatever the level then says.
pub(super) fn changed(asked: Training, level: Preference) -> HttpResponse {
    let response = HttpResponse::Ok()
        .insert_header(etag(level.version))
        .json(LevelView::of(Some(level)));
    let remarks = Remarks::default().with("training", asked);
    remarked(response, remarks.with("version", level.version))
}

/// Answers that something was withdrawn from a level.
pub(super) fn withdrawn(level: Preference) -> HttpResponse {
    let remarks = Remarks::default().with("version", level.version);
    remarked(HttpResponse::NoContent().finish(), remarks)
}
