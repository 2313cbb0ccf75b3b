//! The proof that training was allowed.

use identity::{TenantId, UserId};

/// Proof that the effective preference of one user in one tenant was `allow`.
///
/// Only [`TrainPrefs::permit`](crate::TrainPrefs::permit) and
/// [`TrainPrefs::permit_for`](crate::TrainPrefs::permit_for) make one. Whatever
/// puts someone's data into a training dataset takes it, so that the question
/// cannot be forgotten. It speaks of the moment when it was made: ask for a new
/// one for each dataset, and use it at once.
///
/// ```compile_fail
/// // Nobody else can make one.
/// let forged = tenantry_privacy::TrainingPermit {
///     tenant: "t_a".parse().unwrap(),
///     user: "u_a".parse().unwrap(),
///     version: 1,
/// };
/// ```
///
/// ```compile_fail
/// // One permit is one use.
/// fn twice(permit: &tenantry_privacy::TrainingPermit) -> tenantry_privacy::TrainingPermit {
///     permit.clone()
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is not taken along proves nothing"]
pub struct TrainingPermit {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) version: u64,
}

impl TrainingPermit {
    /// The tenant in which it was allowed.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Whose data it is about.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The [`Effective::version`](crate::Effective) that allowed it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}
