//! Sessions and their refresh tokens.
//!
//! A refresh token is `session.family.secret`. The family is the same in all
//! tokens of a session, the secret is new in each, and only their hashes are
//! stored. Who shows the family with an old secret had a token of this session
//! once: it was stolen or is used twice, and the session ends at once (RFC
//! 9700, section 4.14.2). Who knows the session's id alone can end nothing.
//!
//! **Invariant:** a refresh token is good for one refresh, on all nodes: the
//! rotation expects the state of the session in which the token was current.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use identity::{Account, Grant, SessionId, Timestamp, Tokens, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Batch, DocKey, Versioned};
use subtle::ConstantTimeEq;

use crate::{
    Change, ControlError,
    records::{Core, encode},
};

const SECRET_BYTES: usize = 32;
/// Longest text that is looked at as a refresh token.
const REFRESH_BYTES_MAX: usize = 256;

/// SHA-256 of a random secret, in base64url. Random secrets need no slow hash.
#[derive(Serialize, Deserialize)]
struct Hashed(String);

impl Hashed {
    fn of(secret: &str) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(secret)))
    }

    fn matches(&self, secret: &str) -> bool {
        self.0
            .as_bytes()
            .ct_eq(Self::of(secret).0.as_bytes())
            .into()
    }
}

/// A session as stored, by id. It goes on while it exists.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredSession {
    pub(crate) user: UserId,
    family: Hashed,
    current: Hashed,
    created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// An access token and the refresh token with which to get the next.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// Whose tokens they are.
    pub user: UserId,
    /// Bearer token, a JWT.
    pub access_token: String,
    /// Good for one refresh.
    pub refresh_token: String,
    /// How long the access token lives.
    pub expires_in: Duration,
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair").finish_non_exhaustive()
    }
}

/// A session that a batch is about to begin.
pub(crate) struct Opening {
    id: SessionId,
    refresh_token: String,
    stored: StoredSession,
}

struct Presented<'a> {
    id: SessionId,
    family: &'a str,
    secret: &'a str,
}

impl<'a> Presented<'a> {
    fn parse(token: &'a str) -> Option<Self> {
        if token.len() > REFRESH_BYTES_MAX {
            return None;
        }
        let mut parts = token.split('.');
        let presented = Self {
            id: parts.next()?.parse().ok()?,
            family: parts.next()?,
            secret: parts.next()?,
        };
        parts.next().is_none().then_some(presented)
    }

    fn next(&self, secret: &str) -> String {
        format!("{}.{}.{secret}", self.id, self.family)
    }
}

/// Begins, refreshes and ends sessions.
pub struct Sessions {
    core: Arc<Core>,
    tokens: Arc<Tokens>,
    access_ttl: Duration,
    refresh_ttl: Duration,
}

impl Sessions {
    pub(crate) fn new(
        core: Arc<Core>,
        tokens: Arc<Tokens>,
        access_ttl: Duration,
        refresh_ttl: Duration,
    ) -> Self {
        Self {
            core,
            tokens,
            access_ttl,
            refresh_ttl,
        }
    }

    /// A new session of `user`; it begins with [`Sessions::begin`] and its batch.
    pub(crate) fn opening(&self, user: &UserId) -> Opening {
        let id = SessionId::generate(&*self.core.entropy);
        let (family, secret) = (self.secret(), self.secret());
        let now = self.core.now();
        Opening {
            stored: StoredSession {
                user: user.clone(),
                family: Hashed::of(&family),
                current: Hashed::of(&secret),
                created_at: now,
                expires_at: now.plus(self.refresh_ttl),
            },
            refresh_token: format!("{id}.{family}.{secret}"),
            id,
        }
    }

    /// Adds the session to a batch, and mints its first tokens.
    pub(crate) fn begin(
        &self,
        batch: Batch,
        opening: Opening,
    ) -> Result<(Batch, TokenPair), ControlError> {
        let key = self.core.session_key(&opening.id);
        let value = encode(&opening.stored)?;
        let batch = batch.put_until(&key, value, opening.stored.expires_at);
        let pair = self.pair(&opening.stored.user, &opening.id, opening.refresh_token)?;
        Ok((batch, pair))
    }

    /// Exchanges a refresh token for a new pair.
    ///
    /// # Errors
    /// [`ControlError::Unauthenticated`] when the token is unknown, ended or
    /// used; a used one ends its session.
    pub async fn refresh(&self, token: &str) -> Result<TokenPair, ControlError> {
        let presented = Presented::parse(token).ok_or(ControlError::Unauthenticated)?;
        let key = self.core.session_key(&presented.id);
        // Twice, because whoever overtakes has used this very token or ended the session.
        for _ in 0..2 {
            let stored = self.core.get::<StoredSession>(&key).await?;
            let stored = stored
                .filter(|stored| stored.value.expires_at > self.core.now())
                .filter(|stored| stored.value.family.matches(presented.family))
                .ok_or(ControlError::Unauthenticated)?;
            if !stored.value.current.matches(presented.secret) {
                tracing::warn!(session = %presented.id, "a used refresh token ended its session");
                metrics::counter!("tenantry_refresh_reuse_total").increment(1);
                break;
            }
            if let Some(pair) = self.rotate(&key, stored, &presented).await? {
                return Ok(pair);
            }
        }
        self.end(&presented.id).await?;
        Err(ControlError::Unauthenticated)
    }

    async fn rotate(
        &self,
        key: &DocKey,
        stored: Versioned<StoredSession>,
        presented: &Presented<'_>,
    ) -> Result<Option<TokenPair>, ControlError> {
        let secret = self.secret();
        let mut session = stored.value;
        session.current = Hashed::of(&secret);
        session.expires_at = self.core.now().plus(self.refresh_ttl);
        let batch = Batch::new().expect_version(key, stored.version).put_until(
            key,
            encode(&session)?,
            session.expires_at,
        );
        if self.core.commit(batch, Vec::new()).await?.is_none() {
            return Ok(None);
        }
        self.pair(&session.user, &presented.id, presented.next(&secret))
            .map(Some)
    }

    /// Ends the caller's session: its access tokens are dead at once.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn log_out(&self, account: &Account) -> Result<(), ControlError> {
        match account.session() {
            Some(session) => self.end(session).await,
            // Sessions of outside issuers end there.
            None => Ok(()),
        }
    }

    async fn end(&self, session: &SessionId) -> Result<(), ControlError> {
        let batch = Batch::new().delete(&self.core.session_key(session));
        let ended = vec![Change::Session(session.clone())];
        self.core.commit(batch, ended).await.map(drop)
    }

    fn pair(
        &self,
        user: &UserId,
        session: &SessionId,
        refresh_token: String,
    ) -> Result<TokenPair, ControlError> {
        let grant = Grant {
            user: user.clone(),
            session: session.clone(),
            tenant: None,
            life: self.access_ttl,
        };
        let minted = self
            .tokens
            .mint(&grant, self.core.now(), &*self.core.entropy);
        let access_token =
            minted.map_err(|error| ControlError::Internal(format!("minting: {error}")))?;
        Ok(TokenPair {
            user: user.clone(),
            access_token,
            refresh_token,
            expires_in: self.access_ttl,
        })
    }

    fn secret(&self) -> String {
        let mut bytes = [0_u8; SECRET_BYTES];
        self.core.entropy.fill(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl Core {
    pub(crate) fn session_key(&self, session: &SessionId) -> DocKey {
        DocKey::new(&self.system("sessions"), session.as_str())
    }
}
