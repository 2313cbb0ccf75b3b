//! Keys of an outside issuer (RFC 7517), cached so that its outage is not ours.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, JwkSet, PublicKeyUse},
};
use parking_lot::RwLock;

use crate::{Clock, Timestamp};

/// A set is fetched again when a key is asked for and it is older than this.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// Known keys survive an outage of the issuer for this long.
const STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Whatever is asked, the issuer is not asked more often than this.
const FETCH_INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Most keys of a set that are kept.
const KEYS_MAX: usize = 64;
/// Largest document that is read, in bytes.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;

/// Fetches an issuer's key set; the server does it over HTTPS.
#[async_trait]
pub trait JwksSource: Send + Sync {
    /// The JWK Set document, at most [`JWKS_BYTES_MAX`].
    ///
    /// # Errors
    /// A reason, for the log.
    async fn fetch(&self) -> Result<Vec<u8>, String>;
}

/// The answer to asking for a key.
pub(super) enum Lookup {
    Found(DecodingKey),
    Unknown,
    /// No set was ever fetched, or it is too old, and the issuer does not answer.
    Unavailable,
}

struct KeySet {
    keys: HashMap<String, DecodingKey>,
    fetched_at: Timestamp,
}

/// The keys of one issuer.
pub struct JwksCache {
    source: Arc<dyn JwksSource>,
    clock: Arc<dyn Clock>,
    set: RwLock<Option<Arc<KeySet>>>,
    /// When the issuer was last asked; holding it makes the fetch single-flight.
    asked_at: tokio::sync::Mutex<Option<Timestamp>>,
}

impl JwksCache {
    /// An empty cache before `source`.
    #[must_use]
    pub fn new(source: Arc<dyn JwksSource>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            set: RwLock::new(None),
            asked_at: tokio::sync::Mutex::new(None),
        }
    }

    /// Whether `kid` is among the keys known now; looks nowhere.
    pub(super) fn knows(&self, kid: &str) -> bool {
        self.usable().is_some_and(|set| set.keys.contains_key(kid))
    }

    pub(super) async fn key(&self, kid: &str) -> Lookup {
        let fresh = self
            .usable()
            .filter(|set| self.clock.now().since(set.fetched_at) < FRESH);
        if let Some(key) = fresh.as_ref().and_then(|set| set.keys.get(kid)) {
            return Lookup::Found(key.clone());
        }
        // A known key of an ageing set is used at once if someone else is fetching.
        let known = self.usable().and_then(|set| set.keys.get(kid).cloned());
        match (known, self.asked_at.try_lock()) {
            (Some(key), Err(_)) => return Lookup::Found(key),
            (_, Ok(asked_at)) => self.refresh(asked_at).await,
            (None, Err(_)) => self.refresh(self.asked_at.lock().await).await,
        }
        match self.usable() {
            None => Lookup::Unavailable,
            Some(set) => set
                .keys
                .get(kid)
                .map_or(Lookup::Unknown, |key| Lookup::Found(key.clone())),
        }
    }

    fn usable(&self) -> Option<Arc<KeySet>> {
        let now = self.clock.now();
        self.set
            .read()
            .clone()
            .filter(|set| now.since(set.fetched_at) < STALE_MAX)
    }

    async fn refresh(&self, mut asked_at: tokio::sync::MutexGuard<'_, Option<Timestamp>>) {
        let now = self.clock.now();
        if asked_at.is_some_and(|asked| now.since(asked) < FETCH_INTERVAL_MIN) {
            return;
        }
        *asked_at = Some(now);
        match self
            .source
            .fetch()
            .await
            .and_then(|document| parse(&document))
        {
            Ok(keys) => {
                let set = KeySet {
                    keys,
                    fetched_at: now,
                };
                *self.set.write() = Some(Arc::new(set));
            }
            Err(cause) => tracing::warn!(%cause, "the key set of an issuer could not be fetched"),
        }
    }
}

/// The RSA signing keys of a set; others are left out, a key id given twice refuses the set.
fn parse(document: &[u8]) -> Result<HashMap<String, DecodingKey>, String> {
    if document.len() > JWKS_BYTES_MAX {
        return Err("the key set is too large".to_owned());
    }
    let set: JwkSet = serde_json::from_slice(document).map_err(|e| e.to_string())?;
    let mut keys = HashMap::new();
    for jwk in set.keys.iter().take(KEYS_MAX) {
        let signs = jwk
            .common
            .public_key_use
            .as_ref()
            .is_none_or(|u| *u == PublicKeyUse::Signature);
        let (AlgorithmParameters::RSA(_), Some(kid), true) =
            (&jwk.algorithm, &jwk.common.key_id, signs)
        else {
            continue;
        };
        let key = DecodingKey::from_jwk(jwk).map_err(|e| e.to_string())?;
        if keys.insert(kid.clone(), key).is_some() {
            return Err(format!("the key id {kid} is given twice"));
        }
    }
    if keys.is_empty() {
        Err("the key set has no RSA signing key".to_owned())
    } else {
        Ok(keys)
    }
}
