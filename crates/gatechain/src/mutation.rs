//! What is gated: a write to the outside world.

use identity::Action;

use crate::PayloadHash;

/// A write that has to pass the gates.
///
/// It carries what is to be written; [`Permit::mutation`](crate::Permit::mutation)
/// gives that back to whoever writes, so that what was decided on is what is written.
pub trait Mutation: Send + Sync + 'static {
    /// What is done, and by whom at least.
    type Action: Action;
    /// The kind of writes that are enforced together, such as `cards`: the flag
    /// `gates.enforce.<kind>` names it.
    const KIND: &'static str;
    /// Whether it has no body of its own (a deletion, say). An approval of it is then
    /// bound to its target, because the payload says nothing.
    const BARE: bool = false;

    /// The id of what it is done to; `None` when it makes something new.
    fn target(&self) -> Option<&str> {
        None
    }

    /// What it costs, in micro-units; `None` leaves that to the prices of the budgets.
    fn cost_micros(&self) -> Option<u64> {
        None
    }

    /// The hash of what is to be written; `None` when it has none, and then no
    /// approval fits.
    fn payload_sha256(&self) -> Option<PayloadHash>;
}
