//! Tokens of the own issuer: HS256, `at+jwt` (RFC 9068), minted and verified.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};

use super::{KeyRing, VerifiedToken, check_times, jws::Compact};
use crate::{Entropy, SessionId, TenantId, Timestamp, UserId, id::random_text};

const TYP: &str = "at+jwt";

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    sid: SessionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<TenantId>,
}

/// The issuer that this deployment is itself.
pub struct OwnIssuer {
    issuer: String,
    audience: String,
    keys: KeyRing,
}

/// What a token is minted for.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The user.
    pub user: UserId,
    /// The session; ending it ends the token.
    pub session: SessionId,
    /// Set to bind the token to one tenant.
    pub tenant: Option<TenantId>,
    /// How long it lives.
    pub life: Duration,
}

impl OwnIssuer {
    /// An issuer that signs as `issuer` for `audience`.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, keys: KeyRing) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            keys,
        }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Mints an access token.
    ///
    /// # Errors
    /// Fails only if the signing library does.
    pub fn mint(
        &self,
        grant: &Grant,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let (kid, key) = self.keys.signing();
        let header = Header {
            typ: Some(TYP.to_owned()),
            kid: Some(kid.to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: grant.user.clone(),
            iat: now.unix_s(),
            nbf: now.unix_s(),
            exp: now.plus(grant.life).unix_s(),
            jti: random_text(entropy, 22),
            sid: grant.session.clone(),
            tid: grant.tenant.clone(),
        };
        jsonwebtoken::encode(&header, &claims, key)
    }

    pub(super) fn verify(
        &self,
        token: &Compact<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, &'static str> {
        if token.header.typ.as_deref() != Some(TYP) {
            return Err("the type is not at+jwt");
        }
        let kid = token.header.kid.as_deref().ok_or("the key id is missing")?;
        let key = self
            .keys
            .verifying(kid)
            .ok_or("the key is unknown or revoked")?;
        token.verify(key, Algorithm::HS256, "HS256")?;
        let claims: Claims = token.claims()?;
        if claims.iss != self.issuer {
            return Err("another issuer's token");
        }
        if claims.aud != self.audience {
            return Err("the token is for another audience");
        }
        if claims.jti.is_empty() {
            return Err("the token id is empty");
        }
        let expires_at = check_times(claims.exp, claims.iat, Some(claims.nbf), now)?;
        Ok(VerifiedToken {
            user: claims.sub,
            session: Some(claims.sid),
            tenant: claims.tid,
            not_before: Timestamp::from_unix_ms(claims.nbf.saturating_mul(1000)),
            expires_at,
            key: None,
        })
    }
}
