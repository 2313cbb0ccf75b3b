//! Privacy: training preferences that are obeyed, personal data that is found and stripped.
//!
//! Start at [`TrainPrefs`]: it says whether a model may be trained on what
//! someone did ([`Effective`]), lets users, admins and operators say so, and
//! gives the [`TrainingPermit`] without which nobody's data goes into a dataset.
//! With the feature `http` (on by default) [`routes()`] mounts `/privacy`.
//! Personal data in text is in [`pii`].
//!
//! # Whether training is allowed
//!
//! Most restrictive wins, from the system to the tenant to the user; what is
//! unknown or unreadable counts as denied, and `Sec-GPC: 1` only tightens:
//!
//! | system | tenant | user | `Sec-GPC: 1` | effective | source |
//! | --- | --- | --- | --- | --- | --- |
//! | any | any | any | yes | deny | `gpc` |
//! | deny | any | any | no | deny | `operator` |
//! | unreadable | any | any | no | deny | `unreadable` |
//! | allow or nothing | deny | any | no | deny | `admin` |
//! | allow or nothing | nothing | any | no | deny | `unknown` |
//! | allow or nothing | unreadable | any | no | deny | `unreadable` |
//! | allow or nothing | allow | deny | no | deny | `user` or `admin` |
//! | allow or nothing | allow | nothing | no | deny | `unknown` |
//! | allow or nothing | allow | unreadable | no | deny | `unreadable` |
//! | allow or nothing | allow | allow | no | **allow** | `user` or `admin` |
//!
//! The tenant and the user have to consent; the system can only forbid. What a
//! user said and what an admin said about that user stand side by side, and the
//! more restrictive of the two is what the user's level says.
//!
//! **Invariants:**
//! - a change that was acknowledged is seen at once in this process, and within
//!   a second on other nodes;
//! - a [`TrainingPermit`] exists only because the effective preference was
//!   `allow` when it was made.

mod effective;
mod error;
mod fresh;
mod permit;
pub mod pii;
mod preference;
mod prefs;
mod records;
#[cfg(feature = "http")]
mod routes;

pub use effective::{Effective, Levels};
pub use error::PrivacyError;
pub use fresh::FRESH_MAX;
pub use permit::TrainingPermit;
pub use preference::{InvalidTraining, Preference, Said, Source, Training};
pub use prefs::{Subject, TrainPrefs, TrainPrefsDeps};
pub use records::Level;
#[cfg(feature = "http")]
pub use routes::{gpc, openapi, routes};
