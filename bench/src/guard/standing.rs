//! A control plane over the embedded engine, and one member of one tenant, signed up as anyone is.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use control::{
    Control, ControlConfig, ControlDeps, Password, PasswordCost, Secrets, SignupRequest,
};
use engine_embedded::Embedded;
use identity::{Clock, Entropy, Guard, SystemAuthority, Tokens};

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
}

/// Founds a tenant in a new folder.
///
/// # Errors
/// When the engine or the control plane refuses.
pub(super) fn found(folder: &Path) -> Result<House> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let engine = Embedded::open(folder, clock.clone(), entropy.clone())?;
        let tokens = Arc::new(crate::scope::issuer()?);
        let control = control(&engine, tokens.clone(), clock.clone(), entropy)?;
        control.seed().await?;
        let member = sign_up(&control).await?;
        let guard = Arc::new(Guard::new(tokens, control.directory(), clock));
        Ok(House { guard, member })
    })
}

fn control(
    engine: &Embedded,
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Control> {
    Ok(Control::new(ControlDeps {
        documents: engine.documents(),
        throttle: engine.throttle(),
        tokens,
        clock,
        entropy,
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
