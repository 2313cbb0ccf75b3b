//! Tokens of outside issuers: Cognito, or any OpenID Connect issuer, RS256 through a JWKS.

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{JwksCache, VerifiedToken, check_times, jwks::Lookup, jws::Compact};
use crate::{Refusal, TenantId, Timestamp, UserId};

/// How an issuer says for whom a token is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AudienceRule {
    /// `aud` is this, or holds it.
    Audience(String),
    /// `client_id` is this and `token_use` is `access`: Cognito's access tokens, which have no `aud`.
    ClientId(String),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    jti: String,
    #[serde(default)]
    aud: Option<Audience>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    token_use: Option<String>,
    #[serde(default)]
    tid: Option<TenantId>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// One outside issuer, and the one algorithm it may use.
pub struct OidcIssuer {
    issuer: String,
    audience: AudienceRule,
    keys: JwksCache,
}

impl OidcIssuer {
    /// Trusts `issuer` (exactly as in `iss`) for tokens that meet `audience`.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: AudienceRule, keys: JwksCache) -> Self {
        Self {
            issuer: issuer.into(),
            audience,
            keys,
        }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether a token verified before may still count: its key is still the issuer's.
    pub(super) fn still_trusts(&self, kid: &str) -> bool {
        self.keys.knows(kid)
    }

    pub(super) async fn verify(
        &self,
        token: &Compact<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, Refusal> {
        let refused = |why| Refusal::Unauthenticated { sent: true, why };
        let typ = token.header.typ.as_deref();
        if !typ
            .is_none_or(|typ| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt"))
        {
            return Err(refused("the type is no access token's"));
        }
        let kid = token
            .header
            .kid
            .as_deref()
            .ok_or(refused("the key id is missing"))?;
        if token.header.alg != "RS256" {
            return Err(refused("the algorithm is not the issuer's"));
        }
        let key = match self.keys.key(kid).await {
            Lookup::Found(key) => key,
            Lookup::Unknown => return Err(refused("the key is unknown")),
            Lookup::Unavailable => {
                return Err(Refusal::Unavailable("no key set of the issuer".to_owned()));
            }
        };
        token
            .verify(&key, Algorithm::RS256, "RS256")
            .map_err(refused)?;
        let claims: Claims = token.claims().map_err(refused)?;
        self.accept(claims, kid, now).map_err(refused)
    }

    fn accept(
        &self,
        claims: Claims,
        kid: &str,
        now: Timestamp,
    ) -> Result<VerifiedToken, &'static str> {
        if claims.iss != self.issuer {
            return Err("another issuer's token");
        }
        if !self.for_us(&claims) {
            return Err("the token is for another audience");
        }
        if claims.sub.is_empty() || claims.jti.is_empty() {
            return Err("the subject or the token id is empty");
        }
        let expires_at = check_times(claims.exp, claims.iat, claims.nbf, now)?;
        Ok(VerifiedToken {
            user: external_user(&self.issuer, &claims.sub),
            session: None,
            tenant: claims.tid,
            not_before: Timestamp::from_unix_ms(
                claims.nbf.unwrap_or(claims.iat).saturating_mul(1000),
            ),
            expires_at,
            key: Some(kid.into()),
        })
    }

    fn for_us(&self, claims: &Claims) -> bool {
        match &self.audience {
            AudienceRule::Audience(wanted) => match &claims.aud {
                Some(Audience::One(aud)) => aud == wanted,
                Some(Audience::Many(all)) => all.contains(wanted),
                None => false,
            },
            AudienceRule::ClientId(wanted) => {
                claims.client_id.as_ref() == Some(wanted)
                    && claims.token_use.as_deref() == Some("access")
            }
        }
    }
}

/// The user that `subject` of `issuer` is: always the same, never another's.
#[must_use]
pub fn external_user(issuer: &str, subject: &str) -> UserId {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut hash = Sha256::new();
    hash.update((issuer.len() as u64).to_be_bytes());
    hash.update(issuer);
    hash.update(subject);
    let digest = hash.finalize();
    UserId::derived(&URL_SAFE_NO_PAD.encode(digest))
}
