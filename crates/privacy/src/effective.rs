//! The rule: from what the levels say to whether training is allowed. The
//! crate's documentation shows it as a table.

use crate::{Preference, Source, Training};

/// Whether training is allowed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effective {
    /// Whether it is allowed.
    pub training: Training,
    /// On whose word: the first, from the system down, that does not allow; the
    /// user level's when all do.
    pub source: Source,
    /// Rises with each change that could concern this user: the versions of the
    /// three levels, added. 0 when a level is unreadable.
    pub version: u64,
}

/// What each level says; `None` where it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// The operators' word for everyone.
    pub system: Option<Preference>,
    /// The admins' word for the tenant.
    pub tenant: Option<Preference>,
    /// The user's word, and the admins' for the user.
    pub user: Option<Preference>,
}

impl Levels {
    /// What it comes to; `gpc` says whether the request carries `Sec-GPC: 1`.
    #[must_use]
    pub fn effective(&self, gpc: bool) -> Effective {
        let (training, source) = if gpc {
            (Training::Deny, Source::Gpc)
        } else {
            self.stored()
        };
        Effective {
            training,
            source,
            version: self.version().unwrap_or_default(),
        }
    }

    fn stored(&self) -> (Training, Source) {
        let above = [
            verdict(self.system, Training::Allow),
            verdict(self.tenant, Training::Deny),
        ];
        above
            .into_iter()
            .find(|(training, _)| *training == Training::Deny)
            .unwrap_or_else(|| verdict(self.user, Training::Deny))
    }

    fn version(&self) -> Option<u64> {
        let above = self.system?.version.saturating_add(self.tenant?.version);
        Some(above.saturating_add(self.user?.version))
    }
}

/// What a level comes to; `silence` is what it means that nothing was said there.
fn verdict(level: Option<Preference>, silence: Training) -> (Training, Source) {
    match level {
        None => (Training::Deny, Source::Unreadable),
        Some(Preference { said: None, .. }) => (silence, Source::Unknown),
        Some(Preference {
            said: Some(said), ..
        }) => (said.training, said.source),
    }
}
