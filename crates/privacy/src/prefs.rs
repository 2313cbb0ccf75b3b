//! Preferences about training: asked for every event, changed now and then.

use std::sync::Arc;

use identity::{
    Clock, Directory, Precondition, Role, Scope, StandingQuery, SystemAuthority, TenantId, UserId,
};
use store::Documents;
use tokio::sync::broadcast;

use crate::{
    Effective, Levels, Preference, PrivacyError, Training, TrainingPermit,
    preference::Party,
    records::{Level, Records},
};

/// What [`TrainPrefs`] stands on.
pub struct TrainPrefsDeps {
    /// Where the preferences are.
    pub documents: Arc<dyn Documents>,
    /// Who is a member of the tenant.
    pub directory: Arc<dyn Directory>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The authority of the process: a preference holds in all environments of a tenant.
    pub authority: SystemAuthority,
}

/// A member whose preference the caller may see and change: themselves, or anyone
/// in the caller's tenant if the caller is an admin. [`TrainPrefs::subject`] finds one.
#[derive(Debug)]
pub struct Subject {
    tenant: TenantId,
    user: UserId,
    /// In whose name the caller speaks of them.
    party: Party,
}

impl Subject {
    /// The member.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }
}

/// The preferences of everyone about training.
///
/// ```
/// # async fn export(prefs: &tenantry_privacy::TrainPrefs, scope: &identity::Scope, author: &identity::UserId) {
/// match prefs.permit_for(scope, author).await {
///     Ok(permit) => { /* hand it on, with the author's text */ }
///     Err(refused) => { /* leave the text out: refused.source says why */ }
/// }
/// # }
/// ```
pub struct TrainPrefs {
    records: Records,
    directory: Arc<dyn Directory>,
}

impl TrainPrefs {
    /// The preferences that are stored in `deps.documents`.
    #[must_use]
    pub fn new(deps: TrainPrefsDeps) -> Self {
        Self {
            records: Records::new(deps.documents, deps.clock, deps.authority),
            directory: deps.directory,
        }
    }

    /// Every change that is made in this process from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Level> {
        self.records.fresh.listen()
    }

    /// Takes a change that another node made; it is not told on.
    pub fn heard(&self, level: &Level) {
        self.records.fresh.forget(level);
    }

    /// Takes it that anything may have changed, because something told elsewhere was missed here.
    pub fn missed(&self) {
        self.records.fresh.forget_all();
    }

    /// Whether a model may be trained on what the caller does in this request;
    /// `gpc` says whether it carries `Sec-GPC: 1`.
    ///
    /// What cannot be read is a denial, never an error.
    pub async fn effective(&self, scope: &Scope, gpc: bool) -> Effective {
        self.levels(scope, scope.user()).await.effective(gpc)
    }

    /// Whether a model may be trained on what `user` did in the scope's tenant.
    ///
    /// Of someone who is no member nothing is known, which is a denial.
    pub async fn effective_for(&self, scope: &Scope, user: &UserId) -> Effective {
        self.levels(scope, user).await.effective(false)
    }

    /// Proof that [`TrainPrefs::effective`] allows it.
    ///
    /// # Errors
    /// The denial, which says why.
    pub async fn permit(&self, scope: &Scope, gpc: bool) -> Result<TrainingPermit, Effective> {
        let effective = self.effective(scope, gpc).await;
        permitted(scope, scope.user(), effective)
    }

    /// Proof that [`TrainPrefs::effective_for`] allows it.
    ///
    /// # Errors
    /// The denial, which says why.
    pub async fn permit_for(
        &self,
        scope: &Scope,
        user: &UserId,
    ) -> Result<TrainingPermit, Effective> {
        permitted(scope, user, self.effective_for(scope, user).await)
    }

    /// Whether a model may be trained on what `user` did in `tenant`, where the process
    /// itself asks and no member does: for the record of what was done.
    pub async fn effective_in(
        &self,
        _: &SystemAuthority,
        tenant: &TenantId,
        user: &UserId,
    ) -> Effective {
        self.levels_in(tenant, user).await.effective(false)
    }

    /// What each level says about `user` in the scope's tenant.
    pub async fn levels(&self, scope: &Scope, user: &UserId) -> Levels {
        self.levels_in(scope.tenant(), user).await
    }

    async fn levels_in(&self, tenant: &TenantId, user: &UserId) -> Levels {
        let (system, tenant, user) = tokio::join!(
            self.records.level(Level::System),
            self.records.level(Level::Tenant(tenant.clone())),
            self.records
                .level(Level::User(tenant.clone(), user.clone())),
        );
        Levels {
            system,
            tenant,
            user,
        }
    }

    /// Finds a member of whom the caller may speak.
    ///
    /// # Errors
    /// [`PrivacyError::RoleForbidden`] when the caller is neither them nor an admin,
    /// [`PrivacyError::NotFound`] alike for foreign and unknown users,
    /// [`PrivacyError::Unavailable`].
    pub async fn subject(&self, scope: &Scope, user: &UserId) -> Result<Subject, PrivacyError> {
        may_speak_of(scope, user.as_str())?;
        let party = if user == scope.user() {
            Party::User
        } else if self.is_member(scope, user).await? {
            Party::Admin
        } else {
            return Err(PrivacyError::NotFound);
        };
        Ok(Subject {
            tenant: scope.tenant().clone(),
            user: user.clone(),
            party,
        })
    }

    /// Says something for everyone on this system, as an operator.
    ///
    /// # Errors
    /// [`PrivacyError::RoleForbidden`], [`PrivacyError::Stale`],
    /// [`PrivacyError::Unavailable`], [`PrivacyError::Internal`].
    pub async fn set_system(
        &self,
        scope: &Scope,
        training: Training,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        self.change_system(scope, Some(training), precondition)
            .await
    }

    /// Withdraws what operators said. Withdrawing nothing is in order.
    ///
    /// # Errors
    /// Those of [`TrainPrefs::set_system`].
    pub async fn withdraw_system(
        &self,
        scope: &Scope,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        self.change_system(scope, None, precondition).await
    }

    /// Says something for the whole tenant, as an admin.
    ///
    /// # Errors
    /// [`PrivacyError::RoleForbidden`], [`PrivacyError::Stale`],
    /// [`PrivacyError::Unavailable`], [`PrivacyError::Internal`].
    pub async fn set_tenant(
        &self,
        scope: &Scope,
        training: Training,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        self.change_tenant(scope, Some(training), precondition)
            .await
    }

    /// Withdraws what admins said for the whole tenant. Withdrawing nothing is in order.
    ///
    /// # Errors
    /// Those of [`TrainPrefs::set_tenant`].
    pub async fn withdraw_tenant(
        &self,
        scope: &Scope,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        self.change_tenant(scope, None, precondition).await
    }

    /// Says something about one member: users for themselves, admins for others.
    ///
    /// Both words stand side by side and the more restrictive counts, so that
    /// neither lifts what the other denied.
    ///
    /// # Errors
    /// [`PrivacyError::Stale`], [`PrivacyError::Unavailable`], [`PrivacyError::Internal`].
    pub async fn set_user(
        &self,
        subject: &Subject,
        training: Training,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        self.records
            .change(
                &subject.level(),
                subject.party,
                Some(training),
                precondition,
            )
            .await
    }

    /// Withdraws what the caller's side said about one member. Withdrawing nothing is in order.
    ///
    /// # Errors
    /// Those of [`TrainPrefs::set_user`].
    pub async fn withdraw_user(
        &self,
        subject: &Subject,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        self.records
            .change(&subject.level(), subject.party, None, precondition)
            .await
    }

    async fn change_system(
        &self,
        scope: &Scope,
        to: Option<Training>,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        if !scope.tenant().is_system() {
            return Err(PrivacyError::RoleForbidden);
        }
        require_admin(scope)?;
        self.records
            .change(&Level::System, Party::Operator, to, precondition)
            .await
    }

    async fn change_tenant(
        &self,
        scope: &Scope,
        to: Option<Training>,
        precondition: &Precondition,
    ) -> Result<Preference, PrivacyError> {
        require_admin(scope)?;
        let level = Level::Tenant(scope.tenant().clone());
        self.records
            .change(&level, Party::Admin, to, precondition)
            .await
    }

    async fn is_member(&self, scope: &Scope, user: &UserId) -> Result<bool, PrivacyError> {
        let query = StandingQuery {
            user,
            session: None,
            tenant: scope.tenant(),
            project: scope.project(),
            surface: None,
            app: None,
        };
        Ok(self.directory.standing(query).await?.membership.is_some())
    }
}

impl Subject {
    fn level(&self) -> Level {
        Level::User(self.tenant.clone(), self.user.clone())
    }
}

/// Whether the caller may speak of `user`, whoever that is: themselves, or others as an admin.
pub(crate) fn may_speak_of(scope: &Scope, user: &str) -> Result<(), PrivacyError> {
    if user == scope.user().as_str() {
        Ok(())
    } else {
        require_admin(scope)
    }
}

fn require_admin(scope: &Scope) -> Result<(), PrivacyError> {
    if scope.auth().role() < Role::Admin {
        return Err(PrivacyError::RoleForbidden);
    }
    Ok(())
}

fn permitted(
    scope: &Scope,
    user: &UserId,
    effective: Effective,
) -> Result<TrainingPermit, Effective> {
    match effective.training {
        Training::Deny => Err(effective),
        Training::Allow => Ok(TrainingPermit {
            tenant: scope.tenant().clone(),
            user: user.clone(),
            version: effective.version,
        }),
    }
}
