//! Why a database cannot be used.

/// Why settings are refused, or the database they name does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FirestoreError {
    /// The settings are not ones that a database can have.
    #[error("{0}")]
    Invalid(String),
    /// There is no such database.
    #[error("{database} does not exist")]
    Missing {
        /// Its name, `projects/…/databases/…`.
        database: String,
    },
    /// The credentials do not open the database, or it does not understand what is asked.
    #[error("{database} refuses ({why})")]
    Refused {
        /// Its name.
        database: String,
        /// The code of the answer.
        why: String,
    },
    /// The database cannot be reached, or did not answer in time. It may later.
    #[error("{database} does not answer: {why}")]
    Unreachable {
        /// Its name.
        database: String,
        /// What happened instead.
        why: String,
    },
}
