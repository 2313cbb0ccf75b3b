//! What a deed was done to, read from the path of ids that names it.

use identity::UserId;
use smol_str::SmolStr;

use crate::{Label, Target, TargetId, event::TARGET_ID_BYTES_MAX};

/// The last id in a path, and the collection before it: `/control/members/u_x` is
/// the `member` `u_x`. A path without an id names its collection.
pub(super) fn of_path(path: &str) -> Option<Target> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let at = parts.iter().rposition(|part| is_id(part));
    let (kind, id) = match at.and_then(|at| Some((at, parts.get(at)?))) {
        Some((at, id)) => {
            let collection = at.checked_sub(1).and_then(|before| parts.get(before));
            (singular(collection.copied().unwrap_or("thing")), *id)
        }
        None => ("collection", path),
    };
    let id = match id.parse::<UserId>() {
        Ok(user) => TargetId::User(user),
        Err(_) if id.is_empty() || id.len() > TARGET_ID_BYTES_MAX => return None,
        Err(_) => TargetId::Thing(SmolStr::new(id)),
    };
    Some(Target {
        kind: kind.parse::<Label>().ok()?,
        id,
    })
}

/// Ids of every kind have a short prefix of small letters: `th_x`.
fn is_id(part: &str) -> bool {
    part.split_once('_').is_some_and(|(prefix, rest)| {
        (1..=2).contains(&prefix.len())
            && prefix.bytes().all(|b| b.is_ascii_lowercase())
            && !rest.is_empty()
    })
}

/// The name of one of a collection. What is named in the plural, or ends in s, stays.
fn singular(collection: &str) -> &str {
    match collection {
        "canvas" | "settings" => collection,
        plural => plural.strip_suffix('s').unwrap_or(plural),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_last_id() {
        for (path, kind, id) in [
            ("/control/members/u_x", "member", "u_x"),
            ("/chat/threads/th_1/messages", "thread", "th_1"),
            ("/control/projects", "collection", "/control/projects"),
            ("/sse/chat/th_1", "chat", "th_1"),
            ("/canvas/cv_1/commands", "canvas", "cv_1"),
            ("/nexus/cards/cd_1", "card", "cd_1"),
        ] {
            let target = of_path(path).unwrap();
            let found = match &target.id {
                TargetId::Thing(id) => id.as_str(),
                TargetId::User(id) => id.as_str(),
            };
            assert_eq!((target.kind.as_str(), found), (kind, id), "{path}");
        }
        let member = of_path("/control/members/u_x").unwrap();
        assert!(matches!(member.id, TargetId::User(_)));
        assert_eq!(of_path(""), None);
    }
}
