//! `/flags`: what is effective for the caller, and who decided. `/flags/stale`: what should be gone.

use actix_web::{HttpResponse, web::Data};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use identity::{
    Problem,
    http::{Admitted, Query},
};
use serde::Serialize;
use serde_json::Value;
use store::{InvalidPage, LIST_LIMIT_MAX, PAGE_LIMIT_DEFAULT};
use utoipa::ToSchema;

use super::{ListFlags, ReadFlag, history::PageQuery};
use crate::{
    Context, FlagKey, Flags, Kind, LayerName, Layers, Mode, Reason, Row, Snapshot, Staleness,
};

/// One flag, as it is effective for the caller.
#[derive(Serialize, ToSchema)]
pub(crate) struct EffectiveView {
    key: String,
    /// Whose flag decided; null where there is no value.
    layer: Option<LayerName>,
    /// What the system's flag leaves to tenants, if there is one.
    mode: Option<Mode>,
    /// Whether the tenant has a flag of this key, whether it counts or not.
    overridden: bool,
    r#type: Option<Kind>,
    description: String,
    /// What it evaluates to for the caller, whose id is the targeting key.
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
    variant: Option<String>,
    reason: Option<Reason>,
    /// Why there is no value.
    error: Option<String>,
}

/// A page of flags.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListView {
    items: Vec<EffectiveView>,
    next: Option<String>,
}

/// All flags that are effective in this tenant and environment, with the layer that decided.
#[utoipa::path(get, path = "/flags", tag = "flags",
    params(("after" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = ListView)))]
pub(crate) async fn list(
    Admitted { scope, .. }: Admitted<ListFlags>,
    query: Query<PageQuery>,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    let (after, limit) = place(&query.0)?;
    let snapshot = flags.snapshot(&scope).await?;
    let context = Context::targeted(scope.user().as_str());
    let mut keys = snapshot.keys();
    keys.retain(|key| after.as_deref().is_none_or(|after| key.as_str() > after));
    let next = match (
        keys.get(limit),
        limit.checked_sub(1).and_then(|at| keys.get(at)),
    ) {
        (Some(_), Some(last)) => Some(BASE64_URL_SAFE_NO_PAD.encode(last.as_str())),
        _ => None,
    };
    let items = keys.iter().take(limit);
    let items = items
        .map(|key| effective(&snapshot, key, &context))
        .collect();
    Ok(HttpResponse::Ok().json(ListView { items, next }))
}

/// The text after which a page begins, and how long it is.
fn place(query: &PageQuery) -> Result<(Option<String>, usize), Problem> {
    let limit = query
        .limit
        .unwrap_or(PAGE_LIMIT_DEFAULT)
        .min(LIST_LIMIT_MAX);
    if limit == 0 {
        return Err(InvalidPage::Limit.into());
    }
    let read = |text: &String| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let key: FlagKey = String::from_utf8(bytes).ok()?.parse().ok()?;
        Some(key.to_string())
    };
    let after = query
        .after
        .as_ref()
        .map(|text| read(text).ok_or(InvalidPage::Cursor));
    Ok((after.transpose()?, limit))
}

fn effective(snapshot: &Snapshot<'_>, key: &FlagKey, context: &Context) -> EffectiveView {
    let Layers { system, tenant, .. } = snapshot.layers();
    let below = system.get(key.as_str());
    let overridden = tenant.get(key.as_str());
    let evaluated = snapshot.evaluate(key.as_str(), context);
    let (evaluation, error) = match evaluated {
        Ok(evaluation) => (Some(evaluation), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let flag = [overridden, below]
        .into_iter()
        .flatten()
        .find_map(|row| match row {
            Row::Flag(flag) => Some(flag),
            Row::Damaged => None,
        });
    EffectiveView {
        key: key.to_string(),
        layer: evaluation.as_ref().map(|it| it.layer),
        mode: below.and_then(|row| match row {
            Row::Flag(flag) => Some(flag.mode()),
            Row::Damaged => None,
        }),
        overridden: overridden.is_some(),
        r#type: evaluation.as_ref().map(|it| it.kind),
        description: flag
            .map(|flag| flag.description().to_owned())
            .unwrap_or_default(),
        variant: evaluation.as_ref().map(|it| it.variant.name.to_string()),
        reason: evaluation.as_ref().map(|it| it.reason),
        value: evaluation.map(|it| it.variant.value.clone()),
        error,
    }
}

/// One flag that should be gone.
#[derive(Serialize, ToSchema)]
struct StaleView {
    key: String,
    layer: LayerName,
    why: Staleness,
    changed_at: String,
    changed_by: String,
}

/// Flags that should be gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct StaleList {
    items: Vec<StaleView>,
    /// Always null: there are few enough for one page.
    next: Option<String>,
}

/// The tenant's flags in this environment that should be gone; in `t_system` those of the
/// system too.
#[utoipa::path(get, path = "/flags/stale", tag = "flags",
    responses((status = 200, body = StaleList)))]
pub(crate) async fn stale(
    Admitted { scope, .. }: Admitted<ReadFlag>,
    flags: Data<Flags>,
) -> Result<HttpResponse, Problem> {
    let stale = flags.stale(&scope).await?;
    let view = |stale: crate::StaleFlag| StaleView {
        key: stale.key.to_string(),
        layer: stale.layer,
        why: stale.why,
        changed_at: stale.changed_at.to_string(),
        changed_by: stale.changed_by.to_string(),
    };
    Ok(HttpResponse::Ok().json(StaleList {
        items: stale.into_iter().map(view).collect(),
        next: None,
    }))
}
