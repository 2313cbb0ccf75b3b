//! Issuers, keys and lifetimes.

use identity::{AudienceRule, KeyState};
use serde::{Deserialize, Serialize};

/// Who issues tokens, and for how long.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// `iss` of our own tokens.
    pub issuer: String,
    /// `aud` of our own tokens.
    pub audience: String,
    /// Life of an access token, in seconds.
    #[serde(default = "default_access_ttl")]
    pub access_ttl_s: u64,
    /// Life of a session without a refresh, in seconds.
    #[serde(default = "default_refresh_ttl")]
    pub refresh_ttl_s: u64,
    /// Reference to the key of `POST /auth/bootstrap/tenants`.
    #[serde(default = "default_bootstrap_key")]
    pub bootstrap_key: String,
    /// The key ring of our own tokens.
    pub keys: Vec<KeyConfig>,
    /// Outside issuers that are trusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oidc: Vec<OidcConfig>,
}

impl AuthConfig {
    /// One active key and the usual lifetimes.
    #[must_use]
    pub fn fresh(issuer: &str, bootstrap_key: String, key: KeyConfig) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: "tenantry".to_owned(),
            access_ttl_s: default_access_ttl(),
            refresh_ttl_s: default_refresh_ttl(),
            bootstrap_key,
            keys: vec![key],
            oidc: Vec::new(),
        }
    }
}

fn default_access_ttl() -> u64 {
    15 * 60
}

fn default_refresh_ttl() -> u64 {
    30 * 24 * 60 * 60
}

fn default_bootstrap_key() -> String {
    "env:SYSTEM_BOOTSTRAP_KEY".to_owned()
}

/// One key of the ring.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The name in a token's header.
    pub kid: String,
    /// Reference to the secret: base64 of at least 32 random bytes.
    pub secret: String,
    /// Where it is in its life; exactly one key is `active`.
    pub state: KeyState,
}

/// One outside issuer: Cognito, or any OpenID Connect issuer that signs with RS256.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// `iss`, exactly.
    pub issuer: String,
    /// Where its keys are: over TLS, or on this machine.
    pub jwks_url: String,
    /// For whom its tokens must be: `{ audience = "…" }`, or `{ client_id = "…" }` for Cognito.
    pub accept: AudienceRule,
}
