//! Why a socket closes: the codes on the wire, and the reason of each on record.

use crate::record::Reason;

pub(super) const NORMAL: u16 = 1000;
pub(super) const GOING_AWAY: u16 = 1001;
pub(super) const INTERNAL: u16 = 1011;
pub(super) const DRAINING: u16 = 1012;
pub(super) const PROTOCOL: u16 = 4400;
pub(super) const TOKEN_ENDED: u16 = 4401;
pub(super) const ACCESS_REVOKED: u16 = 4403;
pub(super) const TOO_SLOW: u16 = 4408;
pub(super) const THROTTLED: u16 = 4429;

/// The reason that is recorded for a code.
pub(super) const fn recorded(code: u16) -> Reason {
    match code {
        GOING_AWAY => Reason::Silent,
        INTERNAL => Reason::Failed,
        DRAINING => Reason::Drained,
        PROTOCOL => Reason::Protocol,
        TOKEN_ENDED => Reason::TokenEnded,
        ACCESS_REVOKED => Reason::AccessRevoked,
        TOO_SLOW => Reason::Slow,
        THROTTLED => Reason::Throttled,
        _ => Reason::Client,
    }
}
