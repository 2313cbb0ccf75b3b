//! The first operator: how a deployment gets `t_system`, and nothing else.
//!
//! The bootstrap key opens this once. After that it names only the operator who
//! exists, and it is of no use to anyone who does not also know their password.

use std::sync::Arc;

use identity::{TenantId, UserId};
use serde::{Deserialize, Serialize};
use store::{Batch, DocKey};
use subtle::ConstantTimeEq;

use crate::{
    Accounts, Change, ControlError, Email, Password, SIGNUP_MODE, SecretRef, Secrets, Tenant, User,
    password::Passwords,
    records::{Core, encode, settle},
    tenant::StoredTenant,
};

const SYSTEM_NAME: &str = "System";

/// Which operator the deployment was bootstrapped for.
#[derive(Serialize, Deserialize)]
struct Operator {
    user: UserId,
    email: Email,
}

/// What the bootstrap made, or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrapped {
    /// `t_system`.
    pub tenant: Tenant,
    /// Its operator.
    pub operator: User,
    /// Whether this call made it.
    pub created: bool,
}

/// Makes `t_system` and its operator.
pub struct Bootstrap {
    core: Arc<Core>,
    accounts: Arc<Accounts>,
    passwords: Arc<Passwords>,
    secrets: Arc<Secrets>,
    key: SecretRef,
}

impl Bootstrap {
    pub(crate) fn new(
        core: Arc<Core>,
        accounts: Arc<Accounts>,
        passwords: Arc<Passwords>,
        secrets: Arc<Secrets>,
        key: SecretRef,
    ) -> Self {
        Self {
            core,
            accounts,
            passwords,
            secrets,
            key,
        }
    }

    /// Whether `presented` is the bootstrap key. It is not, when none is configured.
    ///
    /// # Errors
    /// [`ControlError::Unauthenticated`].
    pub async fn unlock(&self, presented: &[u8]) -> Result<(), ControlError> {
        let key = self.secrets.fetch(&self.key).await.map_err(|error| {
            tracing::warn!(%error, "the bootstrap key cannot be had");
            ControlError::Unauthenticated
        })?;
        if key.expose().ct_eq(presented).into() {
            Ok(())
        } else {
            Err(ControlError::Unauthenticated)
        }
    }

    /// Makes `t_system` with its operator; again for the same operator, says what is there.
    ///
    /// # Errors
    /// [`ControlError::AlreadyBootstrapped`] when there is another operator,
    /// [`ControlError::Unauthenticated`] when the address has a user with another password.
    pub async fn run(
        &self,
        email: &Email,
        password: &Password,
    ) -> Result<Bootstrapped, ControlError> {
        settle!(self.try_run(email, password))
    }

    async fn try_run(
        &self,
        email: &Email,
        password: &Password,
    ) -> Result<Option<Bootstrapped>, ControlError> {
        let found = self.core.get::<Operator>(&self.operator_key()).await?;
        match found {
            Some(found) => self.confirm(&found.value, email, password).await.map(Some),
            None => self.create(email, password).await,
        }
    }

    async fn confirm(
        &self,
        operator: &Operator,
        email: &Email,
        password: &Password,
    ) -> Result<Bootstrapped, ControlError> {
        if operator.email != *email {
            return Err(ControlError::AlreadyBootstrapped);
        }
        self.accounts.authenticate(Some(email), password).await?;
        self.found(operator, false).await
    }

    async fn create(
        &self,
        email: &Email,
        password: &Password,
    ) -> Result<Option<Bootstrapped>, ControlError> {
        let core = &self.core;
        let (batch, user) = self.operator(email, password).await?;
        let tenant = TenantId::system();
        let founding = core.founding(tenant.clone(), SYSTEM_NAME.parse()?, SIGNUP_MODE);
        let batch = core.found(batch, &founding).await?;
        let batch = core.first_owner(batch, &tenant, Some((&user, Some(email))))?;
        let operator = Operator {
            user: user.clone(),
            email: email.clone(),
        };
        let key = self.operator_key();
        let batch = batch.expect_absent(&key).put(&key, encode(&operator)?);
        let changes = vec![
            Change::Tenant(tenant.clone()),
            Change::Member(tenant.clone(), user),
        ];
        if core.commit(batch, changes).await?.is_none() {
            return Ok(None);
        }
        self.found(&operator, true).await.map(Some)
    }

    /// The operator, with what makes them one: a new user, or one who knows their password.
    async fn operator(
        &self,
        email: &Email,
        password: &Password,
    ) -> Result<(Batch, UserId), ControlError> {
        if self.core.user_by_email(email).await?.is_some() {
            let user = self.accounts.authenticate(Some(email), password).await?;
            return Ok((Batch::new(), user));
        }
        let turn = self.passwords.turn().await?;
        let password = turn.hash(password).await?;
        let user = UserId::generate(&*self.core.entropy);
        let batch = self.core.claim(Batch::new(), &user, email, &password)?;
        Ok((batch, user))
    }

    async fn found(
        &self,
        operator: &Operator,
        created: bool,
    ) -> Result<Bootstrapped, ControlError> {
        let key = self.core.tenant_key(&TenantId::system());
        let tenant = self.core.get::<StoredTenant>(&key).await?;
        let tenant =
            tenant.ok_or_else(|| ControlError::Internal("t_system is not stored".to_owned()))?;
        Ok(Bootstrapped {
            tenant: tenant.value.with_id(TenantId::system()),
            operator: User {
                id: operator.user.clone(),
                email: Some(operator.email.clone()),
            },
            created,
        })
    }

    fn operator_key(&self) -> DocKey {
        let partition = self.core.tenant(&TenantId::system(), "bootstrap");
        DocKey::new(&partition, "operator")
    }
}
