//! The environment of a request: `dev`, `staging` or `prod`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Environments keep their data apart just as tenants do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Env {
    /// Development.
    Dev,
    /// Staging.
    Staging,
    /// Production.
    Prod,
}

/// A text names no environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an environment: use dev, staging or prod")]
pub struct InvalidEnv;

impl Env {
    /// All environments.
    pub const ALL: [Self; 3] = [Self::Dev, Self::Staging, Self::Prod];

    /// The normalised name, as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Prod => "prod",
        }
    }
}

impl FromStr for Env {
    type Err = InvalidEnv;

    /// Accepts the long names and any letter case (contract, section 1).
    fn from_str(text: &str) -> Result<Self, InvalidEnv> {
        const NAMES: [(&str, Env); 6] = [
            ("dev", Env::Dev),
            ("development", Env::Dev),
            ("staging", Env::Staging),
            ("stage", Env::Staging),
            ("prod", Env::Prod),
            ("production", Env::Prod),
        ];
        NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, env)| *env)
            .ok_or(InvalidEnv)
    }
}

impl fmt::Display for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_and_others_refused() {
        for (text, env) in [
            ("dev", Env::Dev),
            ("Development", Env::Dev),
            ("STAGE", Env::Staging),
            ("production", Env::Prod),
        ] {
            assert_eq!(text.parse(), Ok(env));
        }
        for bad in ["", "test", "dev ", "dev,prod", "local"] {
            assert_eq!(bad.parse::<Env>(), Err(InvalidEnv));
        }
    }
}
