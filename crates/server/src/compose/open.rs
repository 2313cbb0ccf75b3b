//! Opening backends: which there are, what their rows must say, and with what they serve.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use control::{Backend as Known, ResourceKind, RouteTarget, SecretRef, Secrets};
use engine_embedded::Embedded;
use identity::{Clock, Entropy, SystemAuthority, TicketOffice};
use realtime::Tickets;
use store::Documents;
use zeroize::Zeroizing;

use super::{
    backend::{Opened, Trouble},
    embedded::{self, EMBEDDED},
    firestore::{self, FIRESTORE},
    redis::{self, REDIS},
    s3::{self, S3},
};
use crate::{
    config::Config,
    needs::{self, Port},
};

/// What backends are opened with.
pub(super) struct Opener {
    pub(super) secrets: Arc<Secrets>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) authority: SystemAuthority,
    /// The engine in this process, if the control store is in it.
    pub(super) embedded: Option<Embedded>,
    /// Where the S3 endpoint for development listens, once it does.
    pub(super) own_s3: OnceLock<String>,
}

impl Opener {
    /// The S3 endpoint for development listens at `url`.
    pub(super) fn listens_at(&self, url: String) {
        // It starts once.
        let _ = self.own_s3.set(url);
    }

    /// The backend that a target names.
    ///
    /// # Errors
    /// When it is not built in.
    pub(super) fn name_of(&self, target: &RouteTarget) -> Result<&'static str, String> {
        let named = target.backend.to_string();
        let known = [EMBEDDED, S3, FIRESTORE, REDIS]
            .into_iter()
            .find(|name| *name == named);
        known.ok_or_else(|| format!("the backend {named} is not built in"))
    }

    /// Opens a backend.
    ///
    /// # Errors
    /// What is wrong with its row, or why it does not open.
    pub(super) async fn open(&self, name: &str, target: &RouteTarget) -> Result<Opened, Trouble> {
        match name {
            EMBEDDED => embedded::open(self),
            S3 => s3::open(self, target).await,
            FIRESTORE => firestore::open(self, target).await,
            REDIS => redis::open(self, target).await,
            other => Err(Trouble::Row(format!("the backend {other} is not built in"))),
        }
    }

    /// The office of tickets that are documents.
    pub(super) fn tickets(&self, documents: &Arc<dyn Documents>) -> Arc<dyn TicketOffice> {
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let documents = Arc::clone(documents);
        Arc::new(Tickets::new(documents, &self.authority, clock, entropy))
    }

    /// A secret of a row, which is text.
    ///
    /// # Errors
    /// When it is not named, cannot be resolved, or is no text.
    pub(super) async fn secret(
        &self,
        target: &RouteTarget,
        name: &str,
    ) -> Result<Zeroizing<String>, Trouble> {
        let reference = target.secrets.get(name);
        let missing = || Trouble::Row(format!("the secret {name} is not named"));
        let text = secret_text(&self.secrets, reference.ok_or_else(missing)?).await;
        text.map_err(Trouble::Row)
    }
}

/// A secret that is text, without the spaces around it.
///
/// # Errors
/// When it cannot be resolved or is no text; the value is not told.
pub(super) async fn secret_text(
    secrets: &Secrets,
    reference: &SecretRef,
) -> Result<Zeroizing<String>, String> {
    let value = secrets.fetch(reference).await.map_err(shown)?;
    let text = std::str::from_utf8(value.expose());
    let text = text.map_err(|_| format!("the secret {reference} is no text"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// All backends that a server of this configuration has, for the registry's own check.
///
/// # Errors
/// When one has no name of a backend.
pub(super) fn backends(config: &Config, control: &RouteTarget) -> anyhow::Result<Vec<Known>> {
    let mut backends = vec![
        s3::backend(config, control)?,
        firestore::backend(control)?,
        redis::backend(control)?,
    ];
    if control.backend.to_string() == EMBEDDED {
        backends.push(embedded::backend(control)?);
    }
    Ok(backends)
}

/// A backend as the registry checks its rows: it serves `ports`, and `faults` finds what else is wrong.
///
/// # Errors
/// When `name` is no name of a backend.
pub(super) fn known(
    name: &'static str,
    ports: &'static [Port],
    control: &RouteTarget,
    faults: impl Fn(&RouteTarget) -> Vec<String> + Send + Sync + 'static,
) -> anyhow::Result<Known> {
    let control = control.clone();
    let all = move |kind: &ResourceKind, target: &RouteTarget| {
        let mut found = faults(target);
        if needs::port_of(kind).is_some_and(|port| !ports.contains(&port)) {
            found.push(format!("the backend {name} cannot serve {kind}"));
        }
        if kind.to_string() == needs::CONTROL && *target != control {
            found.push("the configuration says that the control store is elsewhere".to_owned());
        }
        found
    };
    Ok(Known::new(name.parse()?, all))
}

/// What is wrong with the names of a row's secrets.
pub(super) fn secret_faults(
    name: &str,
    target: &RouteTarget,
    needed: &[&str],
    taken: &[&str],
) -> Vec<String> {
    let lacking = needed
        .iter()
        .filter(|needed| !target.secrets.contains_key(**needed))
        .map(|needed| format!("the secret {needed} is not named"));
    let strange = target
        .secrets
        .keys()
        .filter(|secret| !needed.contains(&secret.as_str()) && !taken.contains(&secret.as_str()))
        .map(|secret| format!("the secret {secret} is not one of the backend {name}"));
    lacking.chain(strange).collect()
}

pub(super) fn shown(error: impl fmt::Display) -> String {
    error.to_string()
}
