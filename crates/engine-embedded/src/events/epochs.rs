//! The epochs of streams: the file's own, but for streams that came from another engine or were renewed.
//!
//! **Invariant:** what is stored is the difference to the epoch of the file. So all epochs change when
//! that one does: after a restore from a backup no cursor of before is honoured, wherever it was given.

use store::Epoch;

/// The epoch of a stream; never 0.
pub(crate) fn of_stream(file: Epoch, shift: u32) -> Epoch {
    Epoch((file.0 ^ shift).max(1))
}

/// What is stored for a stream in `epoch`.
pub(crate) fn shift(file: Epoch, epoch: Epoch) -> u32 {
    file.0 ^ epoch.0
}
