//! The guard: the one place where a request becomes a [`Scope`].
//!
//! It knows no framework. `http` feeds it from actix-web; an embedder can
//! feed it from anything that can fill [`Presented`].

use std::{str::FromStr, sync::Arc};

use smol_str::SmolStr;

use crate::{
    Action, AuthContext, Clock, ContextName, Directory, Env, ProjectId, Realm, Refusal,
    RequestContext, RequestIds, Role, Scope, SessionId, Standing, StandingQuery, TenantId,
    TicketGrant, TicketOffice, Timestamp, Tokens, UserId, VerifiedToken,
};

/// What the caller sent to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Nothing.
    Absent,
    /// Something that is no credential: another scheme, two headers, two tickets.
    Malformed,
    /// A bearer token.
    Bearer(&'a str),
    /// A stream ticket; only stream routes take one.
    Ticket(&'a str),
}

/// What the caller sent under one context name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Selector<'a> {
    /// Nothing.
    #[default]
    Absent,
    /// One value.
    One(&'a str),
    /// Two headers, a comma, or bytes that are not visible ASCII.
    Malformed,
}

/// The stream that a request opens, to which a ticket is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamTarget<'a> {
    /// The rail, such as `chat`.
    pub rail: &'a str,
    /// The thread or canvas in the path.
    pub object: &'a str,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
}

/// A request, as far as the guard looks at it: never its body.
#[derive(Debug, Clone)]
pub struct Presented<'a> {
    /// The credential.
    pub credential: Credential<'a>,
    /// The context headers, in the order of [`ContextName::ALL`].
    pub selectors: [Selector<'a>; 5],
    /// Context names found in the path and the query.
    pub mentions: Vec<(ContextName, SmolStr)>,
    /// The stream that is opened, on routes that take tickets.
    pub stream: Option<StreamTarget<'a>>,
    /// The request's ids.
    pub ids: &'a RequestIds,
}

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
    context: RequestContext,
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
        self.admit_as(A::ROLE, A::REALM, presented).await
    }

    async fn admit_as(
        &self,
        role: Role,
        realm: Realm,
        presented: &Presented<'_>,
    ) -> Result<Scope, Refusal> {
        let claim = match presented.credential {
            Credential::Ticket(ticket) => self.claim_of_ticket(ticket, presented).await?,
            _ => self.claim_of_bearer(presented).await?,
        };
        self.judge(claim, role, realm).await
    }

    /// Knows a caller by token alone, for the routes that need no tenant.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`], or [`Refusal::Unavailable`].
    pub async fn know(&self, credential: Credential<'_>) -> Result<Account, Refusal> {
        let token = self.verify(credential).await?;
        if let Some(session) = &token.session {
            let live = self.directory.session_live(&token.user, session).await;
            if !live.map_err(|e| Refusal::Unavailable(e.to_string()))? {
                return Err(refused("the session has ended"));
            }
        }
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
            context: scope.context().clone(),
        };
        self.judge(claim, role, Realm::Tenant).await.map(drop)
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
            context: scope.context().clone(),
        };
        self.judge(claim, role, Realm::Tenant).await
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

    async fn claim_of_bearer(&self, presented: &Presented<'_>) -> Result<Claim, Refusal> {
        let token = self.verify(presented.credential).await?;
        if let Some(session) = &token.session {
            // The session is part of the credential: an ended one is a 401 before any 400.
            let live = self.directory.session_live(&token.user, session).await;
            if !live.map_err(|e| Refusal::Unavailable(e.to_string()))? {
                return Err(refused("the session has ended"));
            }
        }
        let context = select(presented)?;
        agree(&context, &presented.mentions)?;
        Ok(Claim {
            user: token.user.clone(),
            session: token.session.clone(),
            token_tenant: token.tenant.clone(),
            expires_at: token.expires_at,
            context,
        })
    }

    async fn claim_of_ticket(
        &self,
        ticket: &str,
        presented: &Presented<'_>,
    ) -> Result<Claim, Refusal> {
        let (Some(office), Some(stream)) = (&self.tickets, presented.stream) else {
            return Err(refused("this route takes no ticket"));
        };
        let unavailable = |e: crate::DirectoryUnavailable| Refusal::Unavailable(e.to_string());
        let grant = office.peek(ticket).await.map_err(unavailable)?;
        let grant = grant
            .filter(|grant| grant.expires_at > self.clock.now() && binds(grant, stream))
            .ok_or(refused(
                "the ticket is unknown, used, ended or another stream's",
            ))?;
        let context = context_of(&grant, presented.ids);
        for (name, selector) in ContextName::ALL.into_iter().zip(presented.selectors) {
            match selector {
                Selector::Absent => {}
                Selector::Malformed => return Err(Refusal::ContextInvalid(name)),
                Selector::One(text) => agree(&context, &[(name, SmolStr::new(text))])?,
            }
        }
        agree(&context, &presented.mentions)?;
        if !office.consume(ticket).await.map_err(unavailable)? {
            return Err(refused("the ticket was used"));
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
    async fn judge(&self, claim: Claim, role: Role, realm: Realm) -> Result<Scope, Refusal> {
        let Claim {
            user,
            session,
            token_tenant,
            expires_at,
            mut context,
        } = claim;
        if token_tenant.is_some_and(|tenant| tenant != context.tenant) {
            return Err(Refusal::TenantForbidden);
        }
        let query = StandingQuery {
            user: &user,
            session: session.as_ref(),
            tenant: &context.tenant,
            project: &context.project,
            surface: context.surface.as_ref(),
            app: context.app.as_ref(),
        };
        let standing = self
            .directory
            .standing(query)
            .await
            .map_err(|e| Refusal::Unavailable(e.to_string()))?;
        let Standing {
            session_live,
            membership,
            project_known,
            surface_known,
            app_known,
        } = standing;
        if !session_live {
            return Err(refused("the session has ended"));
        }
        let membership = membership.ok_or(Refusal::TenantForbidden)?;
        if !project_known {
            return Err(Refusal::UnknownProject);
        }
        if !surface_known {
            return Err(Refusal::UnknownSurface);
        }
        if !app_known {
            return Err(Refusal::UnknownApp);
        }
        if membership.role < role || (realm == Realm::System && !context.tenant.is_system()) {
            return Err(Refusal::RoleForbidden);
        }
        context.mode = membership.mode;
        Ok(Scope::mint(
            context,
            AuthContext {
                user,
                session,
                role: membership.role,
                expires_at,
            },
        ))
    }
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

fn required<T: FromStr>(name: ContextName, selector: Selector<'_>) -> Result<T, Refusal> {
    optional(name, selector)?.ok_or(Refusal::ContextMissing(name))
}

fn optional<T: FromStr>(name: ContextName, selector: Selector<'_>) -> Result<Option<T>, Refusal> {
    match selector {
        Selector::Absent => Ok(None),
        Selector::Malformed => Err(Refusal::ContextInvalid(name)),
        Selector::One(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Refusal::ContextInvalid(name)),
    }
}

fn select(presented: &Presented<'_>) -> Result<RequestContext, Refusal> {
    let [tenant, env, project, surface, app] = presented.selectors;
    Ok(RequestContext {
        tenant: required::<TenantId>(ContextName::Tenant, tenant)?,
        env: required::<Env>(ContextName::Env, env)?,
        project: required::<ProjectId>(ContextName::Project, project)?,
        surface: optional(ContextName::Surface, surface)?,
        app: optional(ContextName::App, app)?,
        ids: presented.ids.clone(),
        mode: SmolStr::default(),
    })
}

/// Whether a context named elsewhere in a request is the one that was selected.
///
/// A surface or app that no header selects cannot disagree.
///
/// # Errors
/// [`Refusal::ContextConflict`] names the first that disagrees.
pub(crate) fn agree(
    context: &RequestContext,
    mentions: &[(ContextName, SmolStr)],
) -> Result<(), Refusal> {
    for (name, text) in mentions {
        let agrees = match name {
            ContextName::Tenant => context.tenant.as_str() == text,
            ContextName::Env => text.parse() == Ok(context.env),
            ContextName::Project => context.project.as_str() == text,
            ContextName::Surface => context
                .surface
                .as_ref()
                .is_none_or(|id| id.as_str() == text),
            ContextName::App => context.app.as_ref().is_none_or(|id| id.as_str() == text),
        };
        if !agrees {
            return Err(Refusal::ContextConflict(*name));
        }
    }
    Ok(())
}
