//! The gates, put together: flags say whether they hold, the audit log keeps what they decide.

use std::sync::Arc;

use async_trait::async_trait;
use flags::{Context, Flags, LayerName};
use gatechain::{Enforcement, Mode};
use identity::Scope;

/// Whether gates are enforced, as the flag `gates.enforce.<kind>` says.
///
/// Only a flag of the system that says `shadow` takes a gate's force away; one that is
/// absent, damaged or cannot be read does not. Nor does a tenant's: a kill switch for
/// everyone binds those who would rather not be bound. A tenant's may only enforce.
pub(crate) struct FlagEnforcement(pub(crate) Arc<Flags>);

#[async_trait]
impl Enforcement for FlagEnforcement {
    async fn mode(&self, scope: &Scope, kind: &'static str) -> Mode {
        let context = Context::targeted(scope.tenant().as_str());
        let key = format!("gates.enforce.{kind}");
        match self.0.evaluate(scope, &key, &context).await {
            Ok(it) if it.layer == LayerName::System && it.variant.value == "shadow" => Mode::Shadow,
            Ok(_) | Err(_) => Mode::Enforce,
        }
    }
}
