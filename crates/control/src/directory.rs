//! The guard's questions, answered from a short memory ([`Fresh`]).

use std::sync::Arc;

use async_trait::async_trait;
use identity::{
    AppId, Directory, DirectoryUnavailable, Membership, ProjectId, SessionId, Standing,
    StandingQuery, SurfaceId, TenantId, Timestamp, UserId,
};
use store::DocKey;

use crate::{
    Change, ControlError,
    fresh::Fresh,
    member::StoredMember,
    named::{Apps, Projects, StoredNamed, Surfaces},
    records::Core,
    session::StoredSession,
    tenant::{StoredTenant, TenantState},
};

/// Standings and sessions that are remembered.
const STANDINGS_MAX: usize = 64 * 1024;
const SESSIONS_MAX: usize = 64 * 1024;

/// Everything that a standing depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    user: UserId,
    session: Option<SessionId>,
    tenant: TenantId,
    project: ProjectId,
    surface: Option<SurfaceId>,
    app: Option<AppId>,
}

impl Place {
    /// Ids are kept inline, so a place costs no allocation.
    fn of(query: StandingQuery<'_>) -> Self {
        Self {
            user: query.user.clone(),
            session: query.session.cloned(),
            tenant: query.tenant.clone(),
            project: query.project.clone(),
            surface: query.surface.cloned(),
            app: query.app.cloned(),
        }
    }

    fn ended_by(&self) -> [Change; 3] {
        let tenant = Change::Tenant(self.tenant.clone());
        let member = Change::Member(self.tenant.clone(), self.user.clone());
        let session = self.session.clone().map(Change::Session);
        [session.unwrap_or_else(|| tenant.clone()), tenant, member]
    }
}

/// Who a session belongs to, and until when; `None` when there is no such session.
type Owner = Option<(UserId, Timestamp)>;

/// A standing, and until when the session on which it rests goes on.
type Stands = (Standing, Timestamp);

/// The [`Directory`] over live data.
pub struct LiveDirectory {
    core: Arc<Core>,
    standings: Fresh<Place, Stands, 3>,
    sessions: Fresh<SessionId, Owner, 1>,
}

impl LiveDirectory {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let ended_by = |session: &SessionId| [Change::Session(session.clone())];
        Self {
            standings: Fresh::new(Arc::clone(&core), STANDINGS_MAX, Place::ended_by),
            sessions: Fresh::new(Arc::clone(&core), SESSIONS_MAX, ended_by),
            core,
        }
    }

    /// The standing with its session: together they cost a request one look.
    async fn load(&self, place: &Place) -> Result<Stands, ControlError> {
        let ends = match &place.session {
            None => Some(FOREVER),
            Some(session) => self
                .load_session(session)
                .await?
                .and_then(|(owner, ends)| (owner == place.user).then_some(ends)),
        };
        match ends {
            Some(ends) => Ok((self.load_standing(place).await?, ends)),
            None => Ok((NOBODY, FOREVER)),
        }
    }

    async fn load_standing(&self, place: &Place) -> Result<Standing, ControlError> {
        let core = &self.core;
        let tenant_key = core.tenant_key(&place.tenant);
        let member_key = core.member_key(&place.tenant, &place.user);
        let project_key = core.named_key::<Projects>(&place.tenant, &place.project);
        let surface = place.surface.as_ref();
        let surface_key = surface.map(|id| core.named_key::<Surfaces>(&place.tenant, id));
        let app = place.app.as_ref();
        let app_key = app.map(|id| core.named_key::<Apps>(&place.tenant, id));
        let (tenant, member, project_known, surface_known, app_known) = tokio::try_join!(
            core.get::<StoredTenant>(&tenant_key),
            core.get::<StoredMember>(&member_key),
            self.is_known(Some(&project_key)),
            self.is_known(surface_key.as_ref()),
            self.is_known(app_key.as_ref()),
        )?;
        let tenant = tenant.filter(|tenant| tenant.value.state == TenantState::Active);
        let membership = tenant.zip(member).map(|(tenant, member)| Membership {
            role: member.value.role,
            mode: tenant.value.mode.into(),
        });
        Ok(Standing {
            session_live: true,
            membership,
            project_known,
            surface_known,
            app_known,
        })
    }

    async fn is_known(&self, key: Option<&DocKey>) -> Result<bool, ControlError> {
        match key {
            Some(key) => Ok(self.core.get::<StoredNamed>(key).await?.is_some()),
            None => Ok(true),
        }
    }

    async fn load_session(&self, session: &SessionId) -> Result<Owner, ControlError> {
        let key = self.core.session_key(session);
        let stored = self.core.get::<StoredSession>(&key).await?;
        Ok(stored.map(|stored| (stored.value.user, stored.value.expires_at)))
    }
}

#[async_trait]
impl Directory for LiveDirectory {
    async fn standing(&self, query: StandingQuery<'_>) -> Result<Standing, DirectoryUnavailable> {
        let place = Place::of(query);
        let now = self.core.now();
        let stands = self.standings.get(&place, now, || self.load(&place)).await;
        let (standing, ends) = stands.map_err(unavailable)?;
        Ok(if ends > now { standing } else { NOBODY })
    }

    async fn session_live(
        &self,
        user: &UserId,
        session: &SessionId,
    ) -> Result<bool, DirectoryUnavailable> {
        let now = self.core.now();
        let load = || self.load_session(session);
        let owner = self.sessions.get(session, now, load).await;
        let owner = owner.map_err(unavailable)?;
        Ok(owner.is_some_and(|(owner, ends)| owner == *user && ends > now))
    }
}

/// A token of an outside issuer rests on no session.
const FOREVER: Timestamp = Timestamp::from_unix_ms(i64::MAX);

/// The standing of someone whose session has ended.
const NOBODY: Standing = Standing {
    session_live: false,
    membership: None,
    project_known: false,
    surface_known: false,
    app_known: false,
};

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn unavailable(error: ControlError) -> DirectoryUnavailable {
    DirectoryUnavailable(error.to_string())
}
