//! Starting well or not at all: everything that is missing, in one message.

use std::fmt;

/// Exit code of a start that cannot succeed (`EX_CONFIG` of `sysexits.h`).
pub const EXIT_CONFIG: u8 = 78;

/// All that keeps the server from starting.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing(Vec<String>);

impl Missing {
    /// Notes one more.
    pub(crate) fn note(&mut self, what: impl fmt::Display) {
        self.0.push(what.to_string());
    }

    /// Keeps what succeeded, and notes what did not.
    pub(crate) fn collect<T, E: fmt::Display>(&mut self, outcome: Result<T, E>) -> Option<T> {
        outcome.map_err(|error| self.note(error)).ok()
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// [`StartupError`], if anything was noted.
    pub(crate) fn finish(self) -> Result<(), StartupError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(StartupError(self.0))
        }
    }
}

/// Why the server does not start: every reason, one a line.
#[derive(Debug, PartialEq, Eq)]
pub struct StartupError(Vec<String>);

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the server cannot start, {} missing:",
            if self.0.len() == 1 {
                "one thing is"
            } else {
                "these are"
            }
        )?;
        self.0
            .iter()
            .try_for_each(|reason| write!(f, "\n  - {reason}"))
    }
}

impl std::error::Error for StartupError {}
