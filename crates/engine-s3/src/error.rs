//! Why a bucket cannot be used.

/// Why settings are refused, or the bucket they name does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3Error {
    /// The settings are not ones that a bucket can have.
    #[error("{0}")]
    Invalid(String),
    /// There is no such bucket.
    #[error("the bucket {bucket} does not exist")]
    BucketMissing {
        /// Its name.
        bucket: String,
    },
    /// The credentials do not open the bucket.
    #[error("the credentials for the bucket {bucket} are refused ({why})")]
    Refused {
        /// Its name.
        bucket: String,
        /// The status and code of the answer.
        why: String,
    },
    /// The store cannot be reached, or did not answer as one. It may later.
    #[error("the bucket {bucket} does not answer: {why}")]
    Unreachable {
        /// Its name.
        bucket: String,
        /// What happened instead.
        why: String,
    },
}
