//! Starting well or not at all: everything that a configuration and the registry name is looked for, and all
//! that is missing is told in one message.

use std::sync::Arc;

use control::Control;
use engine_embedded::S3Endpoint;

use super::{foundation::Foundation, s3, watch};
use crate::{
    config::Config,
    needs::{self, Seeds},
    startup::Missing,
};

/// What was found.
pub(super) struct Started {
    pub(super) foundation: Foundation,
    pub(super) control: Arc<Control>,
    /// The S3 endpoint for development, if there is to be one.
    pub(super) endpoint: Option<S3Endpoint>,
}

/// Opens the control store, resolves secrets, asks the routing registry, and then every backend that it names
/// for everyone.
///
/// With `seeds` the rows that are missing are made first: for `init` and `dev`.
///
/// # Errors
/// [`StartupError`](crate::StartupError) with everything that is missing.
pub(super) async fn start(config: &Config, seeds: Option<&Seeds>) -> anyhow::Result<Started> {
    let mut missing = Missing::default();
    let Started {
        foundation,
        control,
        endpoint,
    } = open(config, &mut missing).await?;
    if let Some(seeds) = seeds {
        needs::seed(&control, seeds).await?;
    }
    needs::check(&control, &mut missing).await?;
    watch::require(&foundation.router, &mut missing).await;
    missing.finish()?;
    control.seed().await?;
    Ok(Started {
        foundation,
        control,
        endpoint,
    })
}

/// Opens the control store, and whatever is needed to ask the registry in it.
///
/// # Errors
/// [`StartupError`](crate::StartupError) when it is not there, with everything that is known to be missing by then.
pub(super) async fn open(config: &Config, missing: &mut Missing) -> anyhow::Result<Started> {
    let Some(foundation) = Foundation::lay(config, missing)? else {
        std::mem::take(missing).finish()?;
        anyhow::bail!("the store was not opened");
    };
    let control = Arc::new(foundation.control(config)?);
    foundation.router.ask(&control);
    let endpoint = s3::endpoint(config, &foundation.secrets, missing).await;
    if let Some(endpoint) = &endpoint {
        foundation.router.opener().listens_at(endpoint.url());
    }
    if let Err(why) = foundation.control_is_there().await {
        // Without it nothing is known of the registry.
        missing.note(format!("the control store: {why}"));
        std::mem::take(missing).finish()?;
    }
    Ok(Started {
        foundation,
        control,
        endpoint,
    })
}

/// The registry, for a command that shows or changes it: what else is missing does not matter.
///
/// # Errors
/// [`StartupError`](crate::StartupError) when the control store is not there.
pub(crate) async fn registry(config: &Config) -> anyhow::Result<Arc<Control>> {
    let mut missing = Missing::default();
    Ok(open(config, &mut missing).await?.control)
}

/// Checks the registry and the backends that it names for everyone, and nothing else.
///
/// # Errors
/// [`StartupError`](crate::StartupError) with everything that is missing.
pub(crate) async fn check_routes(config: &Config) -> anyhow::Result<()> {
    let opened = open(config, &mut Missing::default()).await?;
    let mut missing = Missing::default();
    needs::check(&opened.control, &mut missing).await?;
    watch::require(&opened.foundation.router, &mut missing).await;
    Ok(missing.finish()?)
}
