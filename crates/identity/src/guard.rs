//! The guard: the one place where a request becomes a [`Scope`].
//!
//! It knows no framework. `http` feeds it from actix-web; an embedder can
//! feed it from anything that can fill [`Presented`].

use std::sync::Arc;

use smol_str::SmolStr;

use crate::{
    Action, AuthContext, Caller, Clock, ContextName, Credential, Directory, Member, Membership,
    Presented, Realm, Refusal, Rejection, RequestContext, RequestIds, Role, Scope, Selector,
    SessionId, Standing, StandingQuery, StreamTarget, TenantId, TicketGrant, TicketOffice,
    Timestamp, Tokens, UserId, VerifiedToken,
    presented::{agree, select},
};

/// A caller known by token, on routes that need no tenant.
#[derive(Debug)]
pub struct Account {
    user: UserId,
    session: Option<SessionId>,
}

impl Account {
    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }
    /// The session, for tokens of the own issuer.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }
}

/// Decides who may act, in the order of the contract's table.
pub struct Guard {
    tokens: Arc<Tokens>,
    directory: Arc<dyn Directory>,
    tickets: Option<Arc<dyn TicketOffice>>,
    clock: Arc<dyn Clock>,
}

/// Context and credential, before memberships are looked up.
struct Claim {
    user: UserId,
    session: Option<SessionId>,
    token_tenant: Option<TenantId>,
    expires_at: Timestamp,
    context: Arc<RequestContext>,
}

impl Guard {
    /// A guard over these issuers and this directory.
    #[must_use]
    pub fn new(tokens: Arc<Tokens>, directory: Arc<dyn Directory>, clock: Arc<dyn Clock>) -> Self {
        Self {
            tokens,
            directory,
            tickets: None,
            clock,
        }
    }

    /// Lets stream routes be opened with single-use tickets.
    #[must_use]
    pub fn with_tickets(mut self, tickets: Arc<dyn TicketOffice>) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// Admits a request to do `A`, or says why not.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies, in the order of the contract.
    pub async fn admit<A: Action>(&self, presented: &Presented<'_>) -> Result<Scope, Refusal> {
        let decided = self.decide(A::ROLE, A::REALM, presented).await;
        decided.map_err(|rejection| rejection.refusal)
    }

    /// As [`Guard::admit`], for an action that is known by its role and realm; a
    /// refusal comes with what was proven of the caller.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies, in a [`Rejection`].
    pub async fn decide(
        &self,
        role: Role,
        realm: Realm,
        presented: &Presented<'_>,
    ) -> Result<Scope, Box<Rejection>> {
        let claim = match presented.credential {
            // Rare, and boxed so that the future of every other request stays small.
            Credential::Ticket(ticket) => Box::pin(self.claim_of_ticket(ticket, presented)).await?,
            _ => self.claim_of_bearer(presented).await?,
        };
        self.judge(claim, role, realm).await
    }

    /// Knows a caller by token alone, for the routes that need no tenant.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`], or [`Refusal::Unavailable`].
    pub async fn know(&self, credential: Credential<'_>) -> Result<Account, Refusal> {
        let known = self.recognise(credential).await;
        known.map_err(|rejection| rejection.refusal)
    }

    /// As [`Guard::know`]; a refusal comes with what was proven of the caller.
    ///
    /// # Errors
    /// What [`Guard::know`] answers, in a [`Rejection`].
    pub async fn recognise(&self, credential: Credential<'_>) -> Result<Account, Box<Rejection>> {
        let token = self.verify(credential).await;
        let token = token.map_err(Rejection::of(Caller::Nobody))?;
        let live = self.require_session(&token).await;
        live.map_err(Rejection::of_user(&token.user))?;
        Ok(Account {
            user: token.user.clone(),
            session: token.session.clone(),
        })
    }

    /// Checks that an open stream's scope still holds: token, session, membership, project.
    ///
    /// # Errors
    /// The [`Refusal`] that a new request would meet now.
    pub async fn recheck(&self, scope: &Scope, role: Role) -> Result<(), Refusal> {
        if scope.auth().expires_at <= self.clock.now() {
            return Err(refused("the token has ended"));
        }
        let claim = Claim {
            user: scope.user().clone(),
            session: scope.auth().session.clone(),
            token_tenant: None,
            expires_at: scope.auth().expires_at,
            context: scope.shared_context(),
        };
        let judged = self.judge(claim, role, Realm::Tenant).await;
        judged.map(drop).map_err(|rejection| rejection.refusal)
    }

    /// Renews an open stream's scope with a newer token of the same user.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when the token does not hold or is another
    /// user's, and what [`Guard::recheck`] would answer.
    pub async fn renew(&self, scope: &Scope, token: &str, role: Role) -> Result<Scope, Refusal> {
        let token = self.verify(Credential::Bearer(token)).await?;
        if token.user != *scope.user() {
            return Err(refused("the token is another user's"));
        }
        let claim = Claim {
            user: token.user.clone(),
            session: token.session.clone(),
            token_tenant: token.tenant.clone(),
            expires_at: token.expires_at,
            context: scope.shared_context(),
        };
        let judged = self.judge(claim, role, Realm::Tenant).await;
        judged.map_err(|rejection| rejection.refusal)
    }

    async fn verify(&self, credential: Credential<'_>) -> Result<Arc<VerifiedToken>, Refusal> {
        match credential {
            Credential::Absent => Err(Refusal::Unauthenticated {
                sent: false,
                why: "no credential",
            }),
            Credential::Malformed | Credential::Ticket(_) => Err(refused("malformed credential")),
            Credential::Bearer(token) => self.tokens.verify(token, self.clock.now()).await,
        }
    }

    async fn claim_of_bearer(&self, presented: &Presented<'_>) -> Result<Claim, Box<Rejection>> {
        let token = self.verify(presented.credential).await;
        let token = token.map_err(Rejection::of(Caller::Nobody))?;
        let selected = select(presented)
            .and_then(|context| agree(&context, &presented.mentions).map(|()| context));
        let context = match selected {
            Ok(context) => context,
            Err(refusal) => {
                // The session is part of the credential: an ended one is a 401 before any
                // 400. Where the context is in order, the standing tells it just as well.
                let live = Box::pin(self.require_session(&token)).await;
                let refusal = live.err().unwrap_or(refusal);
                return Err(Rejection::of_user(&token.user)(refusal));
            }
        };
        Ok(Claim {
            user: token.user.clone(),
            session: token.session.clone(),
            token_tenant: token.tenant.clone(),
            expires_at: token.expires_at,
            context,
        })
    }

    async fn require_session(&self, token: &VerifiedToken) -> Result<(), Refusal> {
        let Some(session) = &token.session else {
            return Ok(());
        };
        match self.directory.session_live(&token.user, session).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(refused("the session has ended")),
            Err(error) => Err(Refusal::Unavailable(error.to_string())),
        }
    }

    async fn claim_of_ticket(
        &self,
        ticket: &str,
        presented: &Presented<'_>,
    ) -> Result<Claim, Box<Rejection>> {
        let nobody = || Rejection::of(Caller::Nobody);
        let (Some(office), Some(stream)) = (&self.tickets, presented.stream) else {
            return Err(nobody()(refused("this route takes no ticket")));
        };
        let unavailable = |e: crate::DirectoryUnavailable| Refusal::Unavailable(e.to_string());
        let grant = office.peek(ticket).await.map_err(unavailable);
        let grant = grant
            .map_err(nobody())?
            .filter(|grant| grant.expires_at > self.clock.now() && binds(grant, stream))
            .ok_or(refused(
                "the ticket is unknown, used, ended or another stream's",
            ))
            .map_err(nobody())?;
        let context = Arc::new(context_of(&grant, presented.ids));
        heed(&context, presented).map_err(Rejection::of_user(&grant.user))?;
        let consumed = office.consume(ticket).await.map_err(unavailable);
        if !consumed.map_err(Rejection::of_user(&grant.user))? {
            return Err(Rejection::of_user(&grant.user)(refused(
                "the ticket was used",
            )));
        }
        Ok(Claim {
            user: grant.user,
            session: grant.session,
            token_tenant: None,
            expires_at: grant.access_expires_at,
            context,
        })
    }

    /// Rows 3 to 5 of the table, from live data.
    async fn judge(&self, claim: Claim, role: Role, realm: Realm) -> Result<Scope, Box<Rejection>> {
        let found = self.standing(&claim).await;
        let (membership, standing) = found.map_err(Rejection::of_user(&claim.user))?;
        let Claim {
            user,
            session,
            expires_at,
            mut context,
            ..
        } = claim;
        if context.mode != membership.mode {
            Arc::make_mut(&mut context).mode = membership.mode;
        }
        let auth = AuthContext {
            user,
            session,
            role: membership.role,
            expires_at,
        };
        let system = context.tenant.is_system();
        if let Err(refusal) = place(&standing) {
            let member = Member::new(context, auth, false);
            return Err(Rejection::of(Caller::Member(member))(refusal));
        }
        if auth.role < role || (realm == Realm::System && !system) {
            let member = Member::new(context, auth, true);
            return Err(Rejection::of(Caller::Member(member))(
                Refusal::RoleForbidden,
            ));
        }
        Ok(Scope::mint(context, auth))
    }

    /// The caller's membership and what else stands, if token and session let them have one.
    async fn standing(&self, claim: &Claim) -> Result<(Membership, Standing), Refusal> {
        let context = &claim.context;
        if claim
            .token_tenant
            .as_ref()
            .is_some_and(|tenant| *tenant != context.tenant)
        {
            return Err(Refusal::TenantForbidden);
        }
        let query = StandingQuery {
            user: &claim.user,
            session: claim.session.as_ref(),
            tenant: &context.tenant,
            project: &context.project,
            surface: context.surface.as_ref(),
            app: context.app.as_ref(),
        };
        let standing = self.directory.standing(query).await;
        let mut standing = standing.map_err(|e| Refusal::Unavailable(e.to_string()))?;
        if !standing.session_live {
            return Err(refused("the session has ended"));
        }
        let membership = standing.membership.take();
        Ok((membership.ok_or(Refusal::TenantForbidden)?, standing))
    }
}

/// Row 4: the project, the surface and the app are the tenant's.
const fn place(standing: &Standing) -> Result<(), Refusal> {
    if !standing.project_known {
        Err(Refusal::UnknownProject)
    } else if !standing.surface_known {
        Err(Refusal::UnknownSurface)
    } else if !standing.app_known {
        Err(Refusal::UnknownApp)
    } else {
        Ok(())
    }
}

/// Whether a ticket's context is the one that the request speaks of.
fn heed(context: &RequestContext, presented: &Presented<'_>) -> Result<(), Refusal> {
    for (name, selector) in ContextName::ALL.into_iter().zip(presented.selectors) {
        match selector {
            Selector::Absent => {}
            Selector::Malformed => return Err(Refusal::ContextInvalid(name)),
            Selector::One(text) => agree(context, &[(name, SmolStr::new(text))])?,
        }
    }
    agree(context, &presented.mentions)
}

const fn refused(why: &'static str) -> Refusal {
    Refusal::Unauthenticated { sent: true, why }
}

fn binds(grant: &TicketGrant, stream: StreamTarget<'_>) -> bool {
    grant.rail == stream.rail
        && grant.object == stream.object
        && grant.origin.as_deref() == stream.origin
}

fn context_of(grant: &TicketGrant, ids: &RequestIds) -> RequestContext {
    RequestContext {
        tenant: grant.tenant.clone(),
        env: grant.env,
        project: grant.project.clone(),
        surface: grant.surface.clone(),
        app: grant.app.clone(),
        ids: ids.clone(),
        mode: SmolStr::default(),
    }
}
