//! Who calls, and for which tenant.
//!
//! Start at [`Guard`]: it turns what a caller presents into a [`Scope`], or
//! into the first [`Refusal`] of the contract's table. With the feature `http`
//! (on by default) [`http::Routes`] mounts actix-web handlers, and takes only
//! those that begin with the guard.
//!
//! No storage here: live memberships arrive through [`Directory`], tickets
//! through [`TicketOffice`], keys of outside issuers through [`JwksSource`],
//! time and chance through [`Clock`] and [`Entropy`].
//!
//! **Invariant:** a [`Scope`] is minted by the guard and by nothing else.

mod caller;
mod clock;
mod directory;
mod env;
mod gpc;
mod guard;
#[cfg(feature = "http")]
pub mod http;
mod id;
mod misfit;
mod precondition;
mod presented;
mod problem;
mod record;
mod refusal;
mod role;
mod scope;
mod strict;
mod token;
mod trace;

pub use caller::{Caller, Member, Rejection, Seat};
pub use clock::{Clock, Entropy, InvalidTimestamp, Timestamp};
pub use directory::{
    Directory, DirectoryUnavailable, Membership, Standing, StandingQuery, TicketGrant, TicketOffice,
};
pub use env::{Env, InvalidEnv};
pub use gpc::asks_for_privacy;
pub use guard::{Account, Guard};
pub use id::{
    AppId, AssetId, CanvasId, InvalidId, ProjectId, SessionId, SurfaceId, TenantId, ThreadId,
    UserId,
};
pub use misfit::misfit;
pub use precondition::Precondition;
pub use presented::{Credential, Presented, Selector, StreamTarget};
pub use problem::{Code, Problem};
pub use record::{
    Conclusion, DETAIL_BYTES_MAX, DETAILS_MAX, Deed, Intent, Outcome, Pending, Place, Recorded,
    Recorder, Recording, Remarks,
};
pub use refusal::{ContextName, Refusal};
pub use role::{AccountAction, Action, InvalidRole, Realm, Role};
pub use scope::{AuthContext, RequestContext, Scope, SystemAuthority};
pub use strict::{Misread, read_strictly};
pub use token::{
    AudienceRule, DuplicateIssuer, Grant, JWKS_BYTES_MAX, JwksCache, JwksSource, KEY_BYTES_MIN,
    KeyRing, KeyRingError, KeyState, OidcIssuer, OwnIssuer, RingKey, Tokens, VerifiedToken,
    external_user,
};
pub use trace::{RequestId, RequestIds, TRACE, Traceparent};

#[cfg(test)]
mod test_entropy {
    /// Chance that never surprises, for unit tests of this crate.
    pub(crate) struct Ones;

    impl crate::Entropy for Ones {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(1);
        }
    }
}
