//! Whether what the gates decide is enforced yet.

use std::fmt;

use async_trait::async_trait;
use identity::Scope;

/// What becomes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It holds.
    Enforce,
    /// It is recorded, and the request is let through; nothing is counted.
    Shadow,
}

impl Mode {
    /// `enforce` or `shadow`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says whether gates are enforced for a kind of writes; the flag `gates.enforce.<kind>` does.
///
/// Law: what is unknown or cannot be read is [`Mode::Enforce`].
#[async_trait]
pub trait Enforcement: Send + Sync {
    /// The mode for writes of `kind`, such as `cards`, in the scope's tenant.
    async fn mode(&self, scope: &Scope, kind: &'static str) -> Mode;
}

/// Enforces everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlwaysEnforce;

#[async_trait]
impl Enforcement for AlwaysEnforce {
    async fn mode(&self, _: &Scope, _: &'static str) -> Mode {
        Mode::Enforce
    }
}
