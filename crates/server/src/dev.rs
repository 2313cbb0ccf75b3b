//! The development profile: durable, complete, and ready to try.
//!
//! Everything in it comes about through the ordinary paths: keys as `init` makes
//! them, tenants by sign-up, the thread and its first message over HTTP.

use std::{fs, time::Duration};

use anyhow::{Context, bail};
use control::{ControlError, Password, SignupRequest};
use identity::{Grant, ProjectId, TenantId};
use serde_json::{Value, json};

use crate::{
    ambient::{SystemEntropy, environment},
    cli::DevArgs,
    compose::Composed,
    config::{Config, LogConfig, LogFormat},
    setup::{Folder, reference},
};

/// The issuer of the profile's tokens.
pub const ISSUER: &str = "https://dev.tenantry.local";
/// The printed tokens live for a working day; those of a sign-in live as configured.
const TOKEN_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// The thread of the printed lines.
pub(crate) const THREAD: &str = "th_hello";
/// Where the bootstrap key may be given.
const BOOTSTRAP_VARIABLE: &str = "SYSTEM_BOOTSTRAP_KEY";
/// Who signs up, and their tenants.
const PEOPLE: [(&str, &str); 2] = [
    ("ada@north.example", "North"),
    ("bob@south.example", "South"),
];

/// A member of one of the two tenants.
pub(crate) struct Resident {
    pub(crate) tenant: TenantId,
    pub(crate) project: ProjectId,
    pub(crate) token: String,
}

/// What the profile tells whoever started it.
pub(crate) struct Facts {
    pub(crate) url: String,
    pub(crate) bootstrap_key: String,
    pub(crate) residents: Vec<Resident>,
    /// Cursor of the first message of the first tenant's thread.
    pub(crate) welcome: String,
}

impl Facts {
    /// The facts as one line for programs.
    pub(crate) fn to_json(&self) -> Value {
        let all = |of: fn(&Resident) -> &str| self.residents.iter().map(of).collect::<Vec<_>>();
        json!({
            "url": self.url,
            "tenants": all(|resident| resident.tenant.as_str()),
            "projects": all(|resident| resident.project.as_str()),
            "tokens": all(|resident| &resident.token),
            "env": "dev",
            "thread": THREAD,
            "bootstrap_key": self.bootstrap_key,
        })
    }
}

/// The profile's configuration; its keys are made on the first start.
///
/// # Errors
/// When the folder cannot be used.
pub(crate) fn configure(args: &DevArgs) -> anyhow::Result<(Folder, Config)> {
    let folder = Folder::prepare(&args.data)?;
    let bootstrap_key = match environment(BOOTSTRAP_VARIABLE) {
        Some(_) => format!("env:{BOOTSTRAP_VARIABLE}"),
        None => reference(&folder.secret("bootstrap.key", &SystemEntropy)?),
    };
    let mut config = folder.config(ISSUER, bootstrap_key, &SystemEntropy)?;
    config.listen = args.listen;
    config.log = LogConfig {
        format: LogFormat::Text,
        filter: "warn".to_owned(),
    };
    Ok((folder, config))
}

/// Signs the residents up, or in if they are there.
///
/// # Errors
/// When the store does not answer, or their passwords were lost.
pub(crate) async fn settle(composed: &Composed, folder: &Folder) -> anyhow::Result<Vec<Resident>> {
    let mut residents = Vec::new();
    for (email, tenant_name) in PEOPLE {
        residents.push(resident(composed, folder, email, tenant_name).await?);
    }
    Ok(residents)
}

async fn resident(
    composed: &Composed,
    folder: &Folder,
    email: &str,
    tenant_name: &str,
) -> anyhow::Result<Resident> {
    let password = folder.read_secret(&format!("{email}.password"), &SystemEntropy)?;
    let accounts = composed.control.accounts();
    let request = SignupRequest {
        email: email.parse()?,
        password: Password::new(password.clone())?,
        tenant_name: tenant_name.parse()?,
    };
    match accounts.sign_up(&request).await {
        Ok(_) | Err(ControlError::Conflict(_)) => {}
        Err(error) => return Err(error).context(format!("{email} cannot sign up")),
    }
    let (profile, pair) = accounts
        .log_in(email, password)
        .await
        .with_context(|| format!("{email} cannot sign in"))?;
    let Some(membership) = profile.memberships.first() else {
        bail!("{email} is a member of nothing")
    };
    Ok(Resident {
        tenant: membership.tenant.clone(),
        project: membership.default_project.clone(),
        token: day_token(composed, &pair.access_token).await?,
    })
}

/// A token of the same session that lives for a working day.
async fn day_token(composed: &Composed, token: &str) -> anyhow::Result<String> {
    let now = composed.clock.now();
    let verified = composed.tokens.verify(token, now).await?;
    let session = verified
        .session
        .clone()
        .context("own tokens have a session")?;
    let grant = Grant {
        user: verified.user.clone(),
        session,
        tenant: None,
        life: TOKEN_LIFE,
    };
    Ok(composed.tokens.mint(&grant, now, &*composed.entropy)?)
}

/// Makes the thread of each resident, and its first message, as any client would.
///
/// # Errors
/// When the server does not answer as it should.
pub(crate) async fn greet(url: &str, residents: &[Resident]) -> anyhow::Result<String> {
    let mut welcome = String::new();
    for resident in residents.iter().rev() {
        call(
            url,
            resident,
            "/chat/threads",
            "thread",
            &json!({"thread_id": THREAD}),
        )
        .await?;
        let message = json!({"data": {"text": "welcome"}});
        let posted = call(
            url,
            resident,
            &format!("/chat/threads/{THREAD}/messages"),
            "welcome",
            &message,
        )
        .await?;
        welcome = posted
            .get("id")
            .and_then(Value::as_str)
            .context("a message has an id")?
            .to_owned();
    }
    Ok(welcome)
}

async fn call(
    url: &str,
    resident: &Resident,
    path: &str,
    idempotency_key: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let response = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?
        .post(format!("{url}{path}"))
        .bearer_auth(&resident.token)
        .header("X-Tenant-Id", resident.tenant.as_str())
        .header("X-Env", "dev")
        .header("X-Project-Id", resident.project.as_str())
        .header("Idempotency-Key", idempotency_key)
        .json(body)
        .send()
        .await?;
    Ok(response.error_for_status()?.json().await?)
}

impl Folder {
    /// A generated secret's text.
    fn read_secret(&self, name: &str, entropy: &dyn identity::Entropy) -> anyhow::Result<String> {
        let file = self.secret(name, entropy)?;
        Ok(fs::read_to_string(file)?.trim().to_owned())
    }

    /// The bootstrap key, wherever it is.
    pub(crate) fn bootstrap_key(&self, entropy: &dyn identity::Entropy) -> anyhow::Result<String> {
        match environment(BOOTSTRAP_VARIABLE) {
            Some(key) => Ok(key),
            None => self.read_secret("bootstrap.key", entropy),
        }
    }
}
