//! Which database, and with whose credentials: parsed once, valid from then on.

use std::fmt;

use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::FirestoreError;

/// The database of a project that was not given another name.
const DATABASE: &str = "(default)";
/// Where the service is, for every project.
const ENDPOINT: &str = "https://firestore.googleapis.com";
/// Longest project id and name of a database, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// Largest key of a service account, in bytes.
const KEY_BYTES_MAX: usize = 16 * 1024;

/// Where a database is.
///
/// As JSON: `{"project", "database"?, "endpoint"?}` for the service, and
/// `{"project", "database"?, "emulator": "host:port"}` for Google's emulator.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Stated")]
pub struct FirestoreLocation {
    project: String,
    database: String,
    server: Server,
}

/// Who answers there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Server {
    /// The service, with TLS and credentials.
    Service(String),
    /// The emulator, with neither.
    Emulator(String),
}

/// A location as it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    project: String,
    #[serde(default)]
    database: Option<String>,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    emulator: Option<String>,
}

impl FirestoreLocation {
    /// A database of the service, at an endpoint of its own if one is given.
    ///
    /// # Errors
    /// [`FirestoreError::Invalid`] names the part that the service would not take.
    pub fn service(
        project: &str,
        database: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<Self, FirestoreError> {
        let endpoint = endpoint.map_or_else(|| Ok(ENDPOINT.to_owned()), origin)?;
        Self::at(project, database, Server::Service(endpoint))
    }

    /// A database of the emulator at `host:port`, which keeps it in memory.
    ///
    /// # Errors
    /// [`FirestoreError::Invalid`] names the part that is not in order.
    pub fn emulator(
        project: &str,
        database: Option<&str>,
        address: &str,
    ) -> Result<Self, FirestoreError> {
        let server = Server::Emulator(emulator(address)?);
        Self::at(project, database, server)
    }

    fn at(project: &str, database: Option<&str>, server: Server) -> Result<Self, FirestoreError> {
        let database = database.unwrap_or(DATABASE);
        if !is_project(project) {
            let why = "project must have 1 to 63 of a-z 0-9 - : . and begin with a letter";
            return Err(FirestoreError::Invalid(why.to_owned()));
        }
        if database != DATABASE && !is_database(database) {
            let why =
                "database must be (default), or have 4 to 63 of a-z 0-9 - and begin with a letter";
            return Err(FirestoreError::Invalid(why.to_owned()));
        }
        Ok(Self {
            project: project.to_owned(),
            database: database.to_owned(),
            server,
        })
    }

    /// The database's full name, `projects/…/databases/…`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("projects/{}/databases/{}", self.project, self.database)
    }

    /// Whether the emulator is to answer.
    #[must_use]
    pub fn is_emulator(&self) -> bool {
        matches!(self.server, Server::Emulator(_))
    }

    /// The URL of whoever answers.
    pub(crate) fn url(&self) -> &str {
        match &self.server {
            Server::Service(url) | Server::Emulator(url) => url,
        }
    }
}

impl TryFrom<Stated> for FirestoreLocation {
    type Error = FirestoreError;

    fn try_from(stated: Stated) -> Result<Self, FirestoreError> {
        let database = stated.database.as_deref();
        match (&stated.endpoint, &stated.emulator) {
            (Some(_), Some(_)) => {
                let why = "endpoint is that of the service: it and emulator exclude each other";
                Err(FirestoreError::Invalid(why.to_owned()))
            }
            (None, Some(address)) => Self::emulator(&stated.project, database, address),
            (endpoint, None) => Self::service(&stated.project, database, endpoint.as_deref()),
        }
    }
}

/// Projects of a domain are `domain.com:name`.
fn is_project(text: &str) -> bool {
    let of =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-:.".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(of)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_database(text: &str) -> bool {
    let of = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (4..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(of)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// A scheme, a host and perhaps a port. Tokens are sent there, so it is TLS.
fn origin(endpoint: &str) -> Result<String, FirestoreError> {
    let invalid = || {
        let why = "endpoint must be an https URL of a host and perhaps a port";
        FirestoreError::Invalid(why.to_owned())
    };
    let url = Url::parse(endpoint).map_err(|_| invalid())?;
    if url.scheme() != "https" || !is_bare(&url) {
        return Err(invalid());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn emulator(address: &str) -> Result<String, FirestoreError> {
    let invalid = || {
        let why = "emulator must be host:port";
        FirestoreError::Invalid(why.to_owned())
    };
    let url = Url::parse(&format!("http://{address}")).map_err(|_| invalid())?;
    if url.port().is_none() || !is_bare(&url) || address.ends_with('/') {
        return Err(invalid());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_bare(url: &Url) -> bool {
    url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// The key of a service account, which never prints and is cleared when it is dropped.
#[derive(Clone)]
pub struct FirestoreCredentials(Zeroizing<String>);

impl FirestoreCredentials {
    /// A key as the console or `gcloud iam service-accounts keys create` writes it: JSON text.
    ///
    /// # Errors
    /// [`FirestoreError::Invalid`] when it is none, without showing any of it.
    pub fn service_account(key: Zeroizing<String>) -> Result<Self, FirestoreError> {
        /// What is looked for; the rest is the business of whoever signs with it.
        #[derive(Deserialize)]
        struct Key<'a> {
            r#type: &'a str,
        }
        let known = key.len() <= KEY_BYTES_MAX
            && serde_json::from_str::<Key<'_>>(&key)
                .is_ok_and(|key| key.r#type == "service_account");
        if !known {
            let why = "service_account must be the JSON text of a service account's key";
            return Err(FirestoreError::Invalid(why.to_owned()));
        }
        Ok(Self(key))
    }

    pub(crate) fn key(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FirestoreCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FirestoreCredentials(***)")
    }
}

/// Everything that a database is used with.
#[derive(Debug, Clone)]
pub struct FirestoreSettings {
    pub(crate) location: FirestoreLocation,
    pub(crate) credentials: Option<FirestoreCredentials>,
}

impl FirestoreSettings {
    /// The service takes credentials, the emulator none.
    ///
    /// # Errors
    /// [`FirestoreError::Invalid`] when they are missing, or one too many.
    pub fn new(
        location: FirestoreLocation,
        credentials: Option<FirestoreCredentials>,
    ) -> Result<Self, FirestoreError> {
        let why = match (location.is_emulator(), credentials.is_some()) {
            (false, false) => "a database of the service needs the key of a service account",
            (true, true) => "the emulator takes no credentials: they would be sent in clear",
            _ => {
                return Ok(Self {
                    location,
                    credentials,
                });
            }
        };
        Err(FirestoreError::Invalid(why.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<FirestoreLocation, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn json_is_a_location_or_names_what_is_wrong() {
        let location = parse(r#"{"project":"acme-prod"}"#).unwrap();
        assert_eq!(location.name(), "projects/acme-prod/databases/(default)");
        assert_eq!(location.url(), "https://firestore.googleapis.com");
        let location =
            parse(r#"{"project":"p","database":"spine","emulator":"127.0.0.1:8080"}"#).unwrap();
        assert_eq!(location.name(), "projects/p/databases/spine");
        assert_eq!(location.url(), "http://127.0.0.1:8080");
        for (json, named) in [
            (r"{}", "project"),
            (r#"{"project":""}"#, "project"),
            (r#"{"project":"a/b"}"#, "project"),
            (r#"{"project":"p","database":"x/y"}"#, "database"),
            (r#"{"project":"p","database":"abc"}"#, "database"),
            (
                r#"{"project":"p","endpoint":"http://firestore.example"}"#,
                "endpoint",
            ),
            (
                r#"{"project":"p","endpoint":"https://a.example/path"}"#,
                "endpoint",
            ),
            (
                r#"{"project":"p","endpoint":"https://u@a.example"}"#,
                "endpoint",
            ),
            (r#"{"project":"p","emulator":"localhost"}"#, "emulator"),
            (r#"{"project":"p","emulator":"localhost:1/x"}"#, "emulator"),
            (
                r#"{"project":"p","emulator":"u:p@localhost:1"}"#,
                "emulator",
            ),
            (
                r#"{"project":"p","emulator":"a:1","endpoint":"https://a"}"#,
                "exclude",
            ),
            (r#"{"project":"p","key":"secret"}"#, "key"),
        ] {
            let refused = parse(json).unwrap_err();
            assert!(refused.contains(named), "{json}: {refused}");
        }
    }

    #[test]
    fn credentials_never_print_and_fit_their_server() {
        let key = Zeroizing::new(r#"{"type":"service_account","private_key":"canary"}"#.to_owned());
        let credentials = FirestoreCredentials::service_account(key).unwrap();
        assert!(!format!("{credentials:?}").contains("canary"));
        for bad in [
            "",
            "canary",
            r#"{"type":"authorized_user","secret":"canary"}"#,
        ] {
            let refused = FirestoreCredentials::service_account(Zeroizing::new(bad.to_owned()));
            assert!(
                !refused.unwrap_err().to_string().contains("canary"),
                "{bad}"
            );
        }
        let service = FirestoreLocation::service("p", None, None).unwrap();
        let emulator = FirestoreLocation::emulator("p", None, "127.0.0.1:1").unwrap();
        let new = FirestoreSettings::new;
        assert!(new(service.clone(), Some(credentials.clone())).is_ok());
        assert!(new(emulator.clone(), None).is_ok());
        assert!(new(service, None).is_err());
        assert!(new(emulator, Some(credentials)).is_err());
    }
}
