//! A scope for measurements below HTTP, earned through the real guard.

use std::{str::FromStr, sync::Arc, time::Duration};

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use identity::{
    Clock, Credential, Directory, DirectoryUnavailable, Grant, Guard, KeyRing, KeyState,
    Membership, OwnIssuer, Presented, RequestIds, RingKey, Role, Scope, Selector, SessionId,
    Standing, StandingQuery, Tokens, UserId,
};

use crate::ambient::{SystemClock, SystemEntropy};

identity::action!(Measure, "bench.measure", Member);

const TOKEN_LIFE: Duration = Duration::from_secs(900);

/// Everyone is a member of everything.
pub(crate) struct OpenHouse;

#[async_trait]
impl Directory for OpenHouse {
    async fn standing(&self, _: StandingQuery<'_>) -> Result<Standing, DirectoryUnavailable> {
        Ok(Standing {
            session_live: true,
            membership: Some(Membership {
                role: Role::Owner,
                mode: "lab".into(),
            }),
            project_known: true,
            surface_known: true,
            app_known: true,
        })
    }

    async fn session_live(&self, _: &UserId, _: &SessionId) -> Result<bool, DirectoryUnavailable> {
        Ok(true)
    }
}

/// An issuer with a fresh key.
///
/// # Errors
/// Never with these constants.
pub(crate) fn issuer() -> Result<Tokens> {
    let mut secret = vec![0; identity::KEY_BYTES_MIN];
    identity::Entropy::fill(&SystemEntropy, &mut secret);
    let ring = KeyRing::new(vec![RingKey {
        kid: "bench".to_owned(),
        secret: secret.into(),
        state: KeyState::Active,
    }])?;
    Ok(Tokens::new(OwnIssuer::new("bench", "bench", ring), vec![])?)
}

/// A token of `user`.
///
/// # Errors
/// Only if the signing library fails.
pub(crate) fn token(tokens: &Tokens, user: UserId, session: SessionId) -> Result<String> {
    let grant = Grant {
        user,
        session,
        tenant: None,
        life: TOKEN_LIFE,
    };
    Ok(tokens.mint(&grant, SystemClock.now(), &SystemEntropy)?)
}

/// A scope of one tenant.
///
/// # Errors
/// When the guard refuses, which it does not.
pub(crate) async fn of_one_tenant() -> Result<Scope> {
    Guests::new()?.scope("t_bench").await
}

/// Someone who is a member of every tenant.
pub(crate) struct Guests {
    guard: Guard,
    token: String,
}

impl Guests {
    /// # Errors
    /// Never with these constants.
    pub(crate) fn new() -> Result<Self> {
        let tokens = Arc::new(issuer()?);
        let token = token(&tokens, id("u_bench")?, id("se_bench")?)?;
        let guard = Guard::new(tokens, Arc::new(OpenHouse), Arc::new(SystemClock));
        Ok(Self { guard, token })
    }

    /// A scope of `tenant`.
    ///
    /// # Errors
    /// When the guard refuses, which it does not.
    pub(crate) async fn scope(&self, tenant: &str) -> Result<Scope> {
        let ids = RequestIds::from_headers(None, None, &SystemEntropy);
        let presented = Presented {
            credential: Credential::Bearer(&self.token),
            selectors: [
                Selector::One(tenant),
                Selector::One("dev"),
                Selector::One("p_bench"),
                Selector::Absent,
                Selector::Absent,
            ],
            mentions: Vec::new(),
            stream: None,
            ids: &ids,
        };
        let admitted = self.guard.admit::<Measure>(&presented).await;
        admitted.map_err(|refusal| anyhow!("the guard refused: {refusal:?}"))
    }
}

fn id<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> Result<T> {
    Ok(text.parse()?)
}
