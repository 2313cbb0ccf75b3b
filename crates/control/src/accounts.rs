//! Signing up and in.

use std::sync::Arc;

use identity::{Account, TenantId, UserId};
use store::{Batch, ThrottleKey};

use crate::{
    Change, ControlError, Email, Membership, Name, Password, SIGNUP_MODE, Sessions, Tenant,
    TokenPair, User,
    founding::Founding,
    password::Passwords,
    rate::LOGIN_FAILURES,
    records::{Core, encode, settle},
    tenant::{StoredTenant, TenantState},
    user::{EmailClaim, StoredUser},
};

/// What signing up takes.
#[derive(Debug)]
pub struct SignupRequest {
    /// The new user's address.
    pub email: Email,
    /// The new user's password.
    pub password: Password,
    /// The name of the new user's tenant.
    pub tenant_name: Name,
}

/// What signing up makes.
#[derive(Debug)]
pub struct SignedUp {
    /// The user.
    pub user: User,
    /// Their tenant, of which they are the owner.
    pub tenant: Tenant,
    /// The name of the tenant's default project.
    pub project_name: Name,
    /// Tokens of their first session.
    pub tokens: TokenPair,
}

/// Who someone is, and where they may act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Who.
    pub user: User,
    /// Where.
    pub memberships: Vec<Membership>,
}

/// Users' accounts.
pub struct Accounts {
    core: Arc<Core>,
    sessions: Arc<Sessions>,
    passwords: Arc<Passwords>,
}

impl Accounts {
    pub(crate) fn new(core: Arc<Core>, sessions: Arc<Sessions>, passwords: Arc<Passwords>) -> Self {
        Self {
            core,
            sessions,
            passwords,
        }
    }

    /// Makes a user, a tenant that they own, its default project and a session,
    /// and accepts what their address is invited to: all or nothing.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] when the address has a user,
    /// [`ControlError::Throttled`] when too many sign up or in at once.
    pub async fn sign_up(&self, request: &SignupRequest) -> Result<SignedUp, ControlError> {
        self.vacant(&request.email).await?;
        let turn = self.passwords.turn().await?;
        let password = turn.hash(&request.password).await?;
        settle!(self.try_sign_up(request, &password))
    }

    async fn vacant(&self, email: &Email) -> Result<(), ControlError> {
        let key = self.core.email_key(email);
        match self.core.get::<EmailClaim>(&key).await? {
            None => Ok(()),
            Some(_) => Err(ControlError::Conflict("This address has a user already.")),
        }
    }

    async fn try_sign_up(
        &self,
        request: &SignupRequest,
        password: &str,
    ) -> Result<Option<SignedUp>, ControlError> {
        let core = &self.core;
        self.vacant(&request.email).await?;
        let user = UserId::generate(&*core.entropy);
        let tenant = TenantId::generate(&*core.entropy);
        let founding = core.founding(tenant.clone(), request.tenant_name.clone(), SIGNUP_MODE);
        let batch = core.claim(Batch::new(), &user, &request.email, password)?;
        let batch = core.found(batch, &founding).await?;
        let batch = core.first_owner(batch, &tenant, Some((&user, Some(&request.email))))?;
        let (batch, mut changes) = core
            .accept_invitations(batch, &request.email, &user)
            .await?;
        let (batch, tokens) = self.sessions.begin(batch, self.sessions.opening(&user))?;
        changes.push(Change::Member(tenant, user.clone()));
        if core.commit(batch, changes).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(SignedUp {
            user: User {
                id: user,
                email: Some(request.email.clone()),
            },
            tenant: founded(founding, core),
            project_name: Founding::project_name()?,
            tokens,
        }))
    }

    /// Begins a session for whoever knows the password.
    ///
    /// # Errors
    /// [`ControlError::Unauthenticated`], alike for unknown addresses and wrong
    /// passwords; [`ControlError::Throttled`] after too many of those.
    pub async fn log_in(
        &self,
        email: &str,
        password: String,
    ) -> Result<(Profile, TokenPair), ControlError> {
        // What cannot be right costs as much as what is wrong.
        let password = Password::new(password).unwrap_or_else(|_| Password::impossible());
        let email = email.parse::<Email>().ok();
        let user = self.authenticate(email.as_ref(), &password).await?;
        let (batch, tokens) = self
            .sessions
            .begin(Batch::new(), self.sessions.opening(&user))?;
        let begun = self.core.commit(batch, Vec::new()).await?;
        begun.ok_or_else(ControlError::contended)?;
        let memberships = self.core.memberships(&user).await?;
        let user = User { id: user, email };
        Ok((Profile { user, memberships }, tokens))
    }

    /// The user with this address and password.
    pub(crate) async fn authenticate(
        &self,
        email: Option<&Email>,
        password: &Password,
    ) -> Result<UserId, ControlError> {
        self.look(email).await?;
        let turn = self.passwords.turn().await?;
        // Again, because those whose turn it was before may have failed.
        self.look(email).await?;
        let user = match email {
            Some(email) => self.core.user_by_email(email).await?,
            None => None,
        };
        let stored = user.as_ref().map(|(_, stored)| stored.password.as_str());
        let matches = turn.verify(password, stored).await?;
        match user {
            Some((id, _)) if matches => Ok(id),
            _ => {
                metrics::counter!("tenantry_login_failures_total").increment(1);
                self.charge(email).await?;
                Err(ControlError::Unauthenticated)
            }
        }
    }

    /// Refuses an address with too many failures; success costs nothing.
    async fn look(&self, email: Option<&Email>) -> Result<(), ControlError> {
        match email {
            Some(email) => {
                let key = self.key(email);
                LOGIN_FAILURES.look(&*self.core.throttle, &key).await
            }
            None => Ok(()),
        }
    }

    /// Counts a failure. It may be one too many: the next look says so.
    async fn charge(&self, email: Option<&Email>) -> Result<(), ControlError> {
        let Some(email) = email else { return Ok(()) };
        let key = self.key(email);
        match LOGIN_FAILURES.take(&*self.core.throttle, &key).await {
            Err(ControlError::Throttled(..)) | Ok(()) => Ok(()),
            Err(other) => Err(other),
        }
    }

    fn key(&self, email: &Email) -> ThrottleKey {
        ThrottleKey::of_system(&self.core.authority, LOGIN_FAILURES.name, email.as_str())
    }

    /// Who the caller is. Users of outside issuers have no address here.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn profile(&self, account: &Account) -> Result<Profile, ControlError> {
        let id = account.user().clone();
        let stored = self
            .core
            .get::<StoredUser>(&self.core.user_key(&id))
            .await?;
        let memberships = self.core.memberships(&id).await?;
        let email = stored.map(|stored| stored.value.email);
        Ok(Profile {
            user: User { id, email },
            memberships,
        })
    }
}

fn founded(founding: Founding, core: &Core) -> Tenant {
    let stored = StoredTenant {
        name: founding.name,
        mode: founding.mode,
        state: TenantState::Active,
        default_project: founding.project,
        created_at: core.now(),
    };
    stored.with_id(founding.tenant)
}

impl Core {
    /// Adds a new user to `batch`, who then alone has the address.
    pub(crate) fn claim(
        &self,
        batch: Batch,
        user: &UserId,
        email: &Email,
        password: &str,
    ) -> Result<Batch, ControlError> {
        let (user_key, email_key) = (self.user_key(user), self.email_key(email));
        let stored = StoredUser {
            email: email.clone(),
            password: password.to_owned(),
            created_at: self.now(),
        };
        Ok(batch
            .expect_absent(&email_key)
            .expect_absent(&user_key)
            .put(&email_key, encode(&EmailClaim { user: user.clone() })?)
            .put(&user_key, encode(&stored)?))
    }
}
