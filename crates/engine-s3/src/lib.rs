//! Blobs on S3, and on every store that speaks its protocol and enforces its policies.
//!
//! Start at [`S3Blobs`]. Bytes do not pass through the server: it signs forms
//! and URLs, and the store holds whoever uses them to what was signed.
//!
//! **Invariant:** what a form allows is one key, one media type and one size.
//! The store refuses everything else, whatever the browser sends.

mod answer;
mod blobs;
mod client;
mod disposition;
mod error;
mod head;
mod location;
mod post;
mod presign;
mod relocation;
mod time;
mod upload;

pub use blobs::S3Blobs;
pub use error::S3Error;
pub use location::{S3Credentials, S3Location, S3Settings};
