//! Does this need a licence, and is there one?

use identity::{Code, Timestamp};

use super::{damaged, row_name};
use crate::{
    Gate, Layer, Level, Refusal, RowName,
    ask::{Ask, Question},
    held::HeldFirearm,
    pattern::covers,
    rows::FirearmRow,
};

pub(super) fn judge(question: &Question<'_>) -> Option<Box<Refusal>> {
    let refused = question.rows.layers().find_map(|(level, layer)| {
        let requirement = required(layer, question.ask)?;
        match licence(layer, question.ask, question.now) {
            Found::InForce(_) => None,
            found => Some(refuse(row_name(level, requirement), &found)),
        }
    });
    refused.or_else(|| damaged(Gate::Firearms, question))
}

/// The best licence that was found.
enum Found<'a> {
    InForce(&'a HeldFirearm),
    Ended,
    Revoked,
    Missing,
}

fn refuse(row: RowName, found: &Found<'_>) -> Box<Refusal> {
    let (code, detail) = match found {
        Found::Ended => (
            Code::LicenceExpired,
            "Your licence has ended, has not begun, or is used up.",
        ),
        Found::Revoked => (Code::LicenceRevoked, "Your licence was revoked."),
        Found::InForce(_) | Found::Missing => (
            Code::LicenceMissing,
            "This needs a licence that you do not have.",
        ),
    };
    Box::new(Refusal {
        code,
        detail: detail.to_owned(),
        row: Some(row),
        lift: "An administrator of the requirement's level gives you a licence.",
        retry_after: None,
    })
}

fn required<'a>(layer: &'a Layer, ask: &Ask<'_>) -> Option<&'a HeldFirearm> {
    layer.rows.firearms().find(|held| {
        matches!(held.row, FirearmRow::Requirement { .. }) && held.covers(ask.action, ask.target)
    })
}

fn licence<'a>(layer: &'a Layer, ask: &Ask<'_>, now: Timestamp) -> Found<'a> {
    let mut best = Found::Missing;
    for held in layer.rows.firearms() {
        let FirearmRow::Licence { subject, terms, .. } = &held.row else {
            continue;
        };
        if !(subject.is(ask.user, ask.role) && held.covers(ask.action, ask.target)) {
            continue;
        }
        let in_time = terms.as_ref().is_none_or(|terms| terms.in_time(now));
        let used = held.state.as_ref().map_or(0, |uses| uses.used);
        match uses_of(&held.row) {
            // One that is not used up comes before one that is counted.
            None if in_time => return Found::InForce(held),
            Some(uses) if in_time && used < uses => best = Found::InForce(held),
            _ if matches!(best, Found::Missing) => best = Found::Ended,
            _ => {}
        }
    }
    let revoked = |best: &Found<'_>| {
        matches!(best, Found::Missing)
            && layer.revoked().iter().any(|(_, revoked)| {
                let only = revoked.target.as_ref();
                revoked.subject.is(ask.user, ask.role)
                    && covers(&revoked.action, only, ask.action, ask.target)
            })
    };
    if revoked(&best) { Found::Revoked } else { best }
}

/// How often a licence may be used, if that is counted.
fn uses_of(row: &FirearmRow) -> Option<u32> {
    match row {
        FirearmRow::Licence { terms, .. } => terms.as_ref()?.uses,
        FirearmRow::Requirement { .. } => None,
    }
}

/// A counted licence that a write uses up by one.
pub(crate) struct LicenceUse<'a> {
    pub(crate) level: Level,
    pub(crate) held: &'a HeldFirearm,
}

/// The counted licences that an allowed write uses.
pub(crate) fn selected<'a>(question: &Question<'a>) -> impl Iterator<Item = LicenceUse<'a>> {
    let (ask, now) = (question.ask, question.now);
    question.rows.layers().filter_map(move |(level, layer)| {
        required(layer, ask)?;
        let Found::InForce(held) = licence(layer, ask, now) else {
            return None;
        };
        let counted = uses_of(&held.row).is_some();
        counted.then_some(LicenceUse { level, held })
    })
}
