//! Tokens: who issued them, what they prove, and for how long.
//!
//! The unverified `iss` selects one issuer; that issuer's one algorithm, keys
//! and audience decide (RFC 8725, sections 3.1 and 3.10). Nothing is ever
//! taken from the token that says how to verify it.

mod jwks;
mod jws;
mod key_ring;
mod oidc;
mod own;
mod strict_json;

use std::{sync::Arc, time::Duration};

pub use jwks::{JWKS_BYTES_MAX, JwksCache, JwksSource};
pub use key_ring::{KEY_BYTES_MIN, KeyRing, KeyRingError, KeyState, RingKey};
pub use oidc::{AudienceRule, OidcIssuer, external_user};
pub use own::{Grant, OwnIssuer};

use jws::Compact;
use quick_cache::sync::Cache;
use serde::Deserialize;
use smol_str::SmolStr;

use crate::{Entropy, Refusal, SessionId, TenantId, Timestamp, UserId};

/// Clocks of two machines may differ by this much; it is granted to `nbf` and `iat`, never to `exp`.
const SKEW: Duration = Duration::from_secs(5);
/// Verified tokens that are remembered, and the longest of them in bytes.
const VERIFIED_MAX: usize = 16 * 1024;
const VERIFIED_BYTES_MAX: usize = 1024;

/// What a verified token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The user.
    pub user: UserId,
    /// The session, for tokens of the own issuer.
    pub session: Option<SessionId>,
    /// The one tenant for which it counts, if it is bound to one.
    pub tenant: Option<TenantId>,
    /// When it ends.
    pub expires_at: Timestamp,
    not_before: Timestamp,
    /// The outside issuer's key.
    key: Option<SmolStr>,
}

#[derive(Deserialize)]
struct Issued {
    iss: String,
}

/// All issuers that are trusted.
pub struct Tokens {
    own: OwnIssuer,
    outside: Vec<OidcIssuer>,
    /// By the token's whole text: a hit proves that these very bytes verified.
    verified: Cache<Box<str>, (Arc<VerifiedToken>, usize)>,
}

/// Two issuers would claim the same `iss`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the issuer {0} is configured twice")]
pub struct DuplicateIssuer(String);

impl Tokens {
    /// Trusts `own` and `outside`.
    ///
    /// # Errors
    /// [`DuplicateIssuer`], because one issuer has one algorithm.
    pub fn new(own: OwnIssuer, outside: Vec<OidcIssuer>) -> Result<Self, DuplicateIssuer> {
        let mut seen = std::collections::HashSet::from([own.issuer().to_owned()]);
        for issuer in &outside {
            if !seen.insert(issuer.issuer().to_owned()) {
                return Err(DuplicateIssuer(issuer.issuer().to_owned()));
            }
        }
        Ok(Self {
            own,
            outside,
            verified: Cache::new(VERIFIED_MAX),
        })
    }

    /// Mints a token of the own issuer.
    ///
    /// # Errors
    /// Fails only if the signing library does.
    pub fn mint(
        &self,
        grant: &Grant,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        self.own.mint(grant, now, entropy)
    }

    /// Verifies a token, at the moment `now`.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`], or [`Refusal::Unavailable`] when the
    /// issuer's keys cannot be had.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<VerifiedToken>, Refusal> {
        if let Some((known, issuer)) = self.verified.get(token)
            && self.still_holds(&known, issuer, now)
        {
            return Ok(known);
        }
        // Boxed, so that the future of a remembered token, which is most of them, stays small.
        let (verified, issuer) = Box::pin(self.verify_anew(token, now)).await?;
        let verified = Arc::new(verified);
        if token.len() <= VERIFIED_BYTES_MAX {
            self.verified
                .insert(token.into(), (Arc::clone(&verified), issuer));
        }
        Ok(verified)
    }

    fn still_holds(&self, known: &VerifiedToken, issuer: usize, now: Timestamp) -> bool {
        let key_holds = match (&known.key, self.outside.get(issuer)) {
            (Some(kid), Some(issuer)) => issuer.still_trusts(kid),
            (None, _) => true,
            (Some(_), None) => false,
        };
        key_holds && known.expires_at > now && known.not_before <= now.plus(SKEW)
    }

    async fn verify_anew(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(VerifiedToken, usize), Refusal> {
        let refused = |why| Refusal::Unauthenticated { sent: true, why };
        let compact = Compact::parse(token).map_err(refused)?;
        let Issued { iss } = compact.claims().map_err(refused)?;
        if iss == self.own.issuer() {
            return Ok((self.own.verify(&compact, now).map_err(refused)?, usize::MAX));
        }
        let outside = self
            .outside
            .iter()
            .enumerate()
            .find(|(_, issuer)| issuer.issuer() == iss);
        let (at, issuer) = outside.ok_or(refused("the issuer is not trusted"))?;
        Ok((issuer.verify(&compact, now).await?, at))
    }
}

/// Checks `exp`, `iat` and `nbf`; returns when the token ends.
fn check_times(
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    now: Timestamp,
) -> Result<Timestamp, &'static str> {
    let moment = |seconds: i64| Timestamp::from_unix_ms(seconds.saturating_mul(1000));
    if moment(exp) <= now {
        return Err("the token has ended");
    }
    if moment(nbf.unwrap_or(iat).max(iat)) > now.plus(SKEW) {
        return Err("the token does not count yet");
    }
    Ok(moment(exp))
}
