//! Which Redis, and what its acknowledgement has to mean: parsed once, valid from then on.

use std::{fmt, time::Duration};

use deadpool_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
};
use rustls::crypto::aws_lc_rs;
use serde::Deserialize;
use url::Url;

use crate::{RedisCredentials, RedisError};

/// The port of a URL that names none.
const PORT_DEFAULT: u16 = 6379;
/// What the names of all keys begin with, unless the row says otherwise.
const PREFIX_DEFAULT: &str = "tenantry";
/// Longest prefix and user name, in bytes.
const PREFIX_BYTES_MAX: usize = 64;
const USERNAME_BYTES_MAX: usize = 256;
/// Connections that share the commands, by default and at most.
const CONNECTIONS_DEFAULT: usize = 4;
const CONNECTIONS_MAX: usize = 64;
/// Most replicas that an append waits for.
const REPLICAS_MAX: u32 = 16;
/// Longest wait for them, in milliseconds; a command's own wait is longer.
const WAIT_MS_MAX: u64 = 2_000;

/// Where a Redis is and how it is used.
///
/// As JSON: `{"url", "username"?, "prefix"?, "connections"?, "durability"?, "appendfsync"?, "wait"?}`.
/// The URL is `redis://host[:port][/database]`, or the same with `rediss` for TLS; the password is a
/// secret and not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Stated")]
pub struct RedisConfig {
    tls: bool,
    host: String,
    port: u16,
    database: u16,
    username: Option<String>,
    prefix: String,
    connections: usize,
    policy: Policy,
}

/// A configuration as it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    url: String,
    username: Option<String>,
    prefix: Option<String>,
    connections: Option<usize>,
    #[serde(default)]
    durability: Promise,
    #[serde(default)]
    appendfsync: Fsync,
    wait: Option<StatedWait>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedWait {
    replicas: u32,
    timeout_ms: u64,
}

/// What the server has to promise before anything is stored on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Promise {
    /// An append-only file, and no eviction: a server without them is refused.
    #[default]
    Durable,
    /// Whatever the server does: acknowledged events may be lost.
    Relaxed,
}

/// When the append-only file reaches the disk (`appendfsync`); the later, the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// When the operating system likes.
    No,
    /// Each second: what was acknowledged in the last one or two is lost with the machine.
    EverySec,
    /// Before the acknowledgement.
    #[default]
    Always,
}

/// Replicas that must have an event before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// How many; at least 1.
    pub replicas: u32,
    /// For how long an append waits for them.
    pub at_most: Duration,
}

/// What an acknowledgement has to mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// What the server has to promise.
    pub promise: Promise,
    /// The weakest `appendfsync` that is taken from a durable server.
    pub appendfsync: Fsync,
    /// Replicas to wait for, if any.
    pub wait: Option<Wait>,
}

impl RedisConfig {
    /// The Redis at `url`, with everything else as it is by default.
    ///
    /// # Errors
    /// [`RedisError::Invalid`] says what is wrong with the URL.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        let url = Url::parse(url).map_err(|_| invalid(URL_RULE))?;
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(invalid(URL_RULE)),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid(URL_RULE));
        }
        if url.password().is_some() || !url.username().is_empty() {
            return Err(invalid(
                "url must not hold a user or a password: use username and the secret",
            ));
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| invalid(URL_RULE))?,
        };
        Ok(Self {
            tls,
            // An IPv6 address is written in brackets in a URL, and without them elsewhere.
            host: host
                .ok_or_else(|| invalid(URL_RULE))?
                .trim_matches(['[', ']'])
                .to_owned(),
            port: url.port().unwrap_or(PORT_DEFAULT),
            database,
            username: None,
            prefix: PREFIX_DEFAULT.to_owned(),
            connections: CONNECTIONS_DEFAULT,
            policy: Policy::default(),
        })
    }

    /// The same with names that begin with `prefix`.
    ///
    /// # Errors
    /// [`RedisError::Invalid`] when it is not 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, RedisError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=PREFIX_BYTES_MAX).contains(&prefix.len()) || !prefix.bytes().all(plain) {
            return Err(invalid("prefix must have 1 to 64 of A-Z a-z 0-9 . _ -"));
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// The same with another meaning of the acknowledgement.
    ///
    /// # Errors
    /// [`RedisError::Invalid`] when nobody or too many are waited for, or for too long.
    pub fn with_policy(mut self, policy: Policy) -> Result<Self, RedisError> {
        if let Some(wait) = policy.wait {
            if !(1..=REPLICAS_MAX).contains(&wait.replicas) {
                return Err(invalid("wait.replicas must be 1 to 16"));
            }
            if wait.at_most.is_zero() || wait.at_most > Duration::from_millis(WAIT_MS_MAX) {
                return Err(invalid("wait.timeout_ms must be 1 to 2000"));
            }
        }
        self.policy = policy;
        Ok(self)
    }

    /// What the names of all keys begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What an acknowledgement has to mean.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// The place as people write it, without anything secret.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    /// What the client connects with.
    pub(crate) fn connection(
        &self,
        credentials: &RedisCredentials,
    ) -> Result<ConnectionInfo, RedisError> {
        let mut settings = RedisConnectionInfo::default().set_db(self.database.into());
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &credentials.password {
            settings = settings.set_password(&*password.0);
        }
        let (host, port) = (self.host.clone(), self.port);
        let address = match self.tls {
            true => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            false => ConnectionAddr::Tcp(host, port),
        };
        let info = address
            .into_connection_info()
            .map_err(|_| invalid(URL_RULE))?
            .set_redis_settings(settings);
        match (self.tls, credentials.need_tls()) {
            (true, _) => over_tls(info, credentials),
            (false, false) => Ok(info),
            (false, true) => Err(invalid(
                "ca, client_certificate and client_key are for TLS: the url must begin with rediss://",
            )),
        }
    }
}

/// The same with whom to trust, and who this node is.
fn over_tls(
    info: ConnectionInfo,
    credentials: &RedisCredentials,
) -> Result<ConnectionInfo, RedisError> {
    // The client takes the process's own, which may have been chosen already.
    let _ = aws_lc_rs::default_provider().install_default();
    let client = Client::build_with_tls(info, credentials.certificates());
    let client = client.map_err(|cause| invalid(cause.category()))?;
    Ok(client.get_connection_info().clone())
}

const URL_RULE: &str = "url must be redis://host or rediss://host, perhaps with a port and a database: redis://10.0.0.5:6379/0";

fn invalid(why: &str) -> RedisError {
    RedisError::Invalid(why.to_owned())
}

impl TryFrom<Stated> for RedisConfig {
    type Error = RedisError;

    fn try_from(stated: Stated) -> Result<Self, RedisError> {
        let wait = stated.wait.map(|wait| Wait {
            replicas: wait.replicas,
            at_most: Duration::from_millis(wait.timeout_ms),
        });
        let mut config = Self::new(&stated.url)?.with_policy(Policy {
            promise: stated.durability,
            appendfsync: stated.appendfsync,
            wait,
        })?;
        if let Some(prefix) = stated.prefix {
            config = config.with_prefix(&prefix)?;
        }
        if let Some(connections) = stated.connections {
            if !(1..=CONNECTIONS_MAX).contains(&connections) {
                return Err(invalid("connections must be 1 to 64"));
            }
            config.connections = connections;
        }
        if let Some(username) = stated.username {
            let plain = |byte: u8| byte.is_ascii_graphic();
            if !(1..=USERNAME_BYTES_MAX).contains(&username.len()) || !username.bytes().all(plain) {
                return Err(invalid(
                    "username must have 1 to 256 visible ASCII characters",
                ));
            }
            config.username = Some(username);
        }
        Ok(config)
    }
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::EverySec => "everysec",
            Self::Always => "always",
        })
    }
}
