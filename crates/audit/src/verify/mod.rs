//! Offline verification: nothing is believed but the trust file.
//!
//! Start at [`receipt`] and [`export`]. `docs/verify_audit.py` does the same in
//! another language, from `docs/audit-format.md` alone.

mod error;
mod evidence;
mod export;
mod receipt;

pub use error::{RecordFault, VerifyError};
pub use evidence::evidence;
pub use export::{Report, export};
pub use receipt::{VerifiedRecord, parse_receipt, receipt};
