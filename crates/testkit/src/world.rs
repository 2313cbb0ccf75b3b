//! A small world for tests: tenants, members and tokens, and scopes that are
//! earned through the real guard.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use identity::{
    Action, AppId, Clock, Credential, Directory, DirectoryUnavailable, Entropy, Env, Grant, Guard,
    KeyRing, KeyState, Membership, OwnIssuer, Presented, ProjectId, RequestIds, RingKey, Role,
    Scope, Selector, SessionId, Standing, StandingQuery, SurfaceId, TenantId, Tokens, UserId,
};
use parking_lot::RwLock;

use crate::{FakeClock, SeededEntropy};

identity::action!(Anything, "testkit.anything", Viewer);

/// The project that every tenant of a [`World`] has.
pub const PROJECT: &str = "p_default";
/// The issuer of a [`World`]'s tokens.
pub const ISSUER: &str = "https://tenantry.test";
/// The audience of a [`World`]'s tokens.
pub const AUDIENCE: &str = "tenantry";
/// The secret of a [`World`]'s one key, whose id is `test`.
pub const SECRET: [u8; 32] = [42; 32];

/// Memberships held in memory, which tests change at will.
#[derive(Default)]
pub struct FakeDirectory {
    roles: RwLock<HashMap<(TenantId, UserId), Role>>,
    ended: RwLock<Vec<SessionId>>,
    surfaces: RwLock<Vec<(TenantId, SurfaceId)>>,
    apps: RwLock<Vec<(TenantId, AppId)>>,
    down: RwLock<bool>,
}

impl FakeDirectory {
    /// Makes `user` a member of `tenant`, or changes the role.
    pub fn set_role(&self, tenant: &str, user: &str, role: Role) {
        self.roles
            .write()
            .insert((parse(tenant), parse(user)), role);
    }
    /// Removes a member.
    pub fn remove(&self, tenant: &str, user: &str) {
        self.roles.write().remove(&(parse(tenant), parse(user)));
    }
    /// Gives `tenant` a surface.
    pub fn add_surface(&self, tenant: &str, surface: &str) {
        self.surfaces.write().push((parse(tenant), parse(surface)));
    }
    /// Gives `tenant` an app.
    pub fn add_app(&self, tenant: &str, app: &str) {
        self.apps.write().push((parse(tenant), parse(app)));
    }
    /// Ends a session.
    pub fn end_session(&self, session: &SessionId) {
        self.ended.write().push(session.clone());
    }
    /// Makes every question fail, or answers again.
    pub fn set_down(&self, down: bool) {
        *self.down.write() = down;
    }
    fn reachable(&self) -> Result<(), DirectoryUnavailable> {
        if *self.down.read() {
            Err(DirectoryUnavailable("made to fail".to_owned()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Directory for FakeDirectory {
    async fn standing(&self, query: StandingQuery<'_>) -> Result<Standing, DirectoryUnavailable> {
        self.reachable()?;
        let role = self
            .roles
            .read()
            .get(&(query.tenant.clone(), query.user.clone()))
            .copied();
        Ok(Standing {
            session_live: query
                .session
                .is_none_or(|session| !self.ended.read().contains(session)),
            membership: role.map(|role| Membership {
                role,
                mode: "saas".into(),
            }),
            project_known: query.project.as_str() == PROJECT,
            surface_known: query.surface.is_none_or(|surface| {
                let known = (query.tenant.clone(), surface.clone());
                self.surfaces.read().contains(&known)
            }),
            app_known: query.app.is_none_or(|app| {
                let known = (query.tenant.clone(), app.clone());
                self.apps.read().contains(&known)
            }),
        })
    }

    async fn session_live(
        &self,
        _: &UserId,
        session: &SessionId,
    ) -> Result<bool, DirectoryUnavailable> {
        self.reachable()?;
        Ok(!self.ended.read().contains(session))
    }
}

/// Issuers, a directory, a clock and a guard that belong together.
pub struct World {
    /// The time.
    pub clock: Arc<FakeClock>,
    /// Chance.
    pub entropy: Arc<SeededEntropy>,
    /// Who is a member of what.
    pub directory: Arc<FakeDirectory>,
    /// The own issuer.
    pub tokens: Arc<Tokens>,
    /// The guard over all of that.
    pub guard: Arc<Guard>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world without members.
    #[must_use]
    pub fn new() -> Self {
        let clock = Arc::new(FakeClock::default());
        let directory = Arc::new(FakeDirectory::default());
        let tokens = Arc::new(tokens());
        let guard = Guard::new(tokens.clone(), directory.clone(), clock.clone());
        Self {
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            directory,
            tokens,
            guard: Arc::new(guard),
        }
    }

    /// A token of `user`, good for a quarter of an hour, in the session `se_{user}`.
    #[must_use]
    pub fn token(&self, user: &str) -> String {
        let grant = Grant {
            user: parse(user),
            session: parse(&format!("se_{user}")),
            tenant: None,
            life: Duration::from_secs(900),
        };
        let now = self.clock.now();
        self.tokens
            .mint(&grant, now, &*self.entropy)
            .expect("the key signs")
    }

    /// Makes `user` an owner of `tenant` and returns the scope that the guard gives them there.
    pub async fn scope(&self, tenant: &str, env: Env, user: &str) -> Scope {
        self.scope_as(tenant, env, user, Role::Owner).await
    }

    /// As [`World::scope`], with a role.
    pub async fn scope_as(&self, tenant: &str, env: Env, user: &str, role: Role) -> Scope {
        self.directory.set_role(tenant, user, role);
        self.admit::<Anything>(tenant, env, &self.token(user))
            .await
            .expect("a member is admitted")
    }

    /// Asks the guard to admit a bearer of `token`.
    ///
    /// # Errors
    /// What the guard answers.
    pub async fn admit<A: Action>(
        &self,
        tenant: &str,
        env: Env,
        token: &str,
    ) -> Result<Scope, identity::Refusal> {
        let ids = RequestIds::from_headers(None, None, &*self.entropy as &dyn Entropy);
        let selectors = [
            Selector::One(tenant),
            Selector::One(env.as_str()),
            Selector::One(PROJECT),
            Selector::Absent,
            Selector::Absent,
        ];
        let presented = Presented {
            credential: Credential::Bearer(token),
            selectors,
            mentions: Vec::new(),
            stream: None,
            ids: &ids,
        };
        self.guard.admit::<A>(&presented).await
    }

    /// The project that every tenant has.
    #[must_use]
    pub fn project(&self) -> ProjectId {
        parse(PROJECT)
    }
}

fn tokens() -> Tokens {
    let key = RingKey {
        kid: "test".to_owned(),
        secret: SECRET.to_vec().into(),
        state: KeyState::Active,
    };
    let ring = KeyRing::new(vec![key]).expect("one active key");
    Tokens::new(OwnIssuer::new(ISSUER, AUDIENCE, ring), Vec::new()).expect("one issuer")
}

/// An id that the test wrote, or a panic that shows it.
fn parse<T: std::str::FromStr>(text: &str) -> T {
    match text.parse() {
        Ok(id) => id,
        Err(_) => unreachable!("a test wrote the id {text:?}"),
    }
}
