//! A control plane, and one member of one tenant, signed up as anyone is.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use control::{
    Control, ControlConfig, ControlDeps, Password, PasswordCost, Secrets, SignupRequest,
};
use engine_embedded::Embedded;
use identity::{Clock, Guard, SystemAuthority, Tokens};
use store::{Documents, Throttle};

use crate::{
    ambient::{SystemClock, SystemEntropy},
    server::Member,
};

/// Long enough for every round; the first of the two also bounds the sign-up.
const LIFE: Duration = Duration::from_secs(3600);

/// The guard, and someone whom it admits.
pub(super) struct House {
    pub(super) guard: Arc<Guard>,
    pub(super) member: Member,
    tokens: Arc<Tokens>,
    documents: Arc<dyn Documents>,
    throttle: Arc<dyn Throttle>,
}

/// Founds a tenant on the embedded engine in a new folder.
///
/// # Errors
/// When the engine or the control plane refuses.
pub(super) fn embedded(folder: &Path) -> Result<House> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let engine = Embedded::open(folder, Arc::new(SystemClock), Arc::new(SystemEntropy))?;
    runtime.block_on(found(engine.documents(), engine.throttle()))
}

/// Founds a tenant on any engines.
///
/// # Errors
/// When an engine or the control plane refuses.
pub(super) async fn found(
    documents: Arc<dyn Documents>,
    throttle: Arc<dyn Throttle>,
) -> Result<House> {
    let tokens = Arc::new(crate::scope::issuer()?);
    let control = control(&tokens, &documents, &throttle)?;
    control.seed().await?;
    let member = sign_up(&control).await?;
    Ok(House {
        guard: guard(&tokens, &control),
        member,
        tokens,
        documents,
        throttle,
    })
}

impl House {
    /// A guard of the same house that has looked nobody up yet.
    ///
    /// # Errors
    /// When the control plane cannot be put together.
    pub(super) fn forgetful(&self) -> Result<Arc<Guard>> {
        let control = control(&self.tokens, &self.documents, &self.throttle)?;
        Ok(guard(&self.tokens, &control))
    }
}

fn guard(tokens: &Arc<Tokens>, control: &Control) -> Arc<Guard> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Arc::new(Guard::new(tokens.clone(), control.directory(), clock))
}

fn control(
    tokens: &Arc<Tokens>,
    documents: &Arc<dyn Documents>,
    throttle: &Arc<dyn Throttle>,
) -> Result<Control> {
    Ok(Control::new(ControlDeps {
        documents: documents.clone(),
        throttle: throttle.clone(),
        tokens: tokens.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        secrets: Arc::new(Secrets::new(|_| None)),
        authority: SystemAuthority::assume(),
        config: ControlConfig {
            access_ttl: LIFE,
            refresh_ttl: LIFE,
            bootstrap_key: "env:SYSTEM_BOOTSTRAP_KEY".parse()?,
            password_cost: PasswordCost::OWASP,
            needs: Vec::new(),
            known_backends: Vec::new(),
        },
    })?)
}

async fn sign_up(control: &Control) -> Result<Member> {
    let request = SignupRequest {
        email: "bench@example.com".parse()?,
        password: Password::new("a long enough password".to_owned())?,
        tenant_name: "Bench".parse()?,
    };
    let signed_up = control.accounts().sign_up(&request).await?;
    Ok(Member {
        tenant: signed_up.tenant.id.to_string(),
        project: signed_up.tenant.default_project.to_string(),
        token: signed_up.tokens.access_token,
    })
}
