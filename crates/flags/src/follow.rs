//! Following what is effective at a tenant: for streams that tell clients to ask again.

use std::{fmt, sync::Arc};

use tokio::sync::watch;

use crate::{FRESH_MAX, Flags, FlagsError, Layer, LayerName, fresh::LayerKey, records::Home};

/// Identifies what flags evaluate to at a tenant, apart from the context: the versions of
/// both layers, and how many schedules have begun or ended in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration([u64; 4]);

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [system, begun, tenant, begun_there] = self.0;
        write!(f, "{system:x}.{begun:x}-{tenant:x}.{begun_there:x}")
    }
}

/// The flags of a tenant and environment, followed; [`Flags::follow`] begins it.
#[derive(Clone)]
pub struct Following {
    pub(crate) flags: Arc<Flags>,
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) tenant: LayerKey,
    /// Of the system and of the tenant.
    pub(crate) homes: [Home; 2],
}

impl Following {
    /// What is effective now.
    ///
    /// # Errors
    /// [`FlagsError::Unavailable`].
    pub async fn configuration(&self) -> Result<Configuration, FlagsError> {
        let [of_system, of_tenant] = &self.homes;
        let home = |layer| match layer {
            LayerName::System => of_system.clone(),
            LayerName::Tenant => of_tenant.clone(),
        };
        let now = self.flags.clock.now();
        let system = self.flags.layer(LayerKey::System, now, &home).await?;
        let tenant = self.flags.layer(self.tenant.clone(), now, &home).await?;
        let phase = |layer: &Layer| layer.phase(now) as u64;
        let versions = [
            system.version(),
            phase(&system),
            tenant.version(),
            phase(&tenant),
        ];
        Ok(Configuration(versions))
    }

    /// Waits until something may have changed: as soon as a flag was changed on this node or
    /// a change of another was heard of, and otherwise for [`FRESH_MAX`], after which every change is seen.
    pub async fn wait(&mut self) {
        // The sender lives as long as `flags` does; a time that is over is as good as a change.
        let _ = tokio::time::timeout(FRESH_MAX, self.changes.changed()).await;
    }
}
