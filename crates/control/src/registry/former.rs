//! Where a row sent its place before it was moved.

use identity::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RouteRow, RouteTarget};
use crate::ControlError;

/// Most former targets of a row.
const FORMER_MAX: usize = 4;

/// A target that a row had, to which others may still send for a while what they were told to send there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormerTarget {
    /// The target.
    pub target: RouteTarget,
    /// Until when.
    pub until: Timestamp,
}

impl RouteRow {
    /// The former targets of this row once it leads to `next` and what it leads to now counts `until` then.
    ///
    /// # Errors
    /// [`ControlError::Invalid`] when there are too many at `now`.
    pub fn followed_by(
        &self,
        next: &RouteTarget,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<FormerTarget>, ControlError> {
        let counts = |former: &&FormerTarget| {
            former.until > now && former.target != *next && former.target != self.target
        };
        let mut former: Vec<FormerTarget> = self.former.iter().filter(counts).cloned().collect();
        former.push(FormerTarget {
            target: self.target.clone(),
            until,
        });
        if former.len() > FORMER_MAX {
            let why =
                format!("was moved {FORMER_MAX} times already, and the first target still counts");
            return Err(ControlError::invalid("/target", why));
        }
        Ok(former)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> RouteTarget {
        RouteTarget {
            backend: name.parse().unwrap(),
            config: serde_json::Map::new(),
            secrets: std::collections::BTreeMap::new(),
        }
    }

    fn moved(row: &RouteRow, to: &str, at: i64) -> Result<RouteRow, ControlError> {
        let at = Timestamp::from_unix_ms(at);
        let until = Timestamp::from_unix_ms(at.unix_ms() + 100);
        let to = target(to);
        let former = row.followed_by(&to, at, until)?;
        Ok(RouteRow {
            target: to,
            former,
            ..row.clone()
        })
    }

    fn names(row: &RouteRow) -> Vec<String> {
        let names = row.former.iter();
        names
            .map(|former| former.target.backend.to_string())
            .collect()
    }

    #[test]
    fn former_targets_count_for_a_while_and_once() {
        let kind = "media".parse().unwrap();
        let row = RouteRow::new(kind, super::super::RoutePlace::default(), target("a"));
        let row = moved(&row, "b", 0).unwrap();
        assert_eq!(names(&row), ["a"]);
        let back = moved(&row, "a", 50).unwrap();
        assert_eq!(names(&back), ["b"], "what it leads to is no former target");
        let row = moved(&row, "c", 50).unwrap();
        assert_eq!(names(&row), ["a", "b"]);
        assert_eq!(names(&moved(&row, "d", 120).unwrap()), ["b", "c"]);
        let row = moved(&moved(&row, "d", 60).unwrap(), "e", 70).unwrap();
        assert_eq!(names(&row), ["a", "b", "c", "d"]);
        assert!(moved(&row, "f", 80).is_err());
        assert!(moved(&row, "f", 100).is_ok());
    }
}
