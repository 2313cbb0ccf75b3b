//! The bootstrap configuration: where the control store is, where secrets come
//! from, what to listen on, and how to log. What serves which resource is data
//! in the routing registry, not configuration.
//!
//! **Invariant:** unknown keys are refused, and no value here is a secret: only references to them are.

mod audit;
mod auth;
mod http;
mod s3_endpoint;
mod storage;
mod telemetry;

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use control::RouteTarget;
use realtime::{LimitsConfig, Retention};
use serde::{Deserialize, Serialize};
use store::Quota;

pub use audit::{AuditConfig, PredecessorConfig};
pub use auth::{AuthConfig, KeyConfig, OidcConfig};
pub use http::HttpConfig;
pub use s3_endpoint::S3EndpointConfig;
pub use storage::StorageConfig;
pub use telemetry::{InvalidRatio, SampleRatio, TelemetryConfig};

/// Everything that `tenantry serve --config FILE` reads.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address to listen on.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Folder of the embedded engine: the control store, and whatever the routing registry sends there.
    pub data: PathBuf,
    /// Where the control store is, as a row of the routing registry would say; in `data` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<RouteTarget>,
    /// How clients reach this server, for the URLs that it hands out.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Issuers, keys and lifetimes.
    pub auth: AuthConfig,
    /// The audit log; a server does not start without one.
    #[serde(default)]
    pub audit: Option<AuditConfig>,
    /// An S3 endpoint for development.
    #[serde(default)]
    pub s3_endpoint: Option<S3EndpointConfig>,
    /// Limits of raw storage and media.
    #[serde(default)]
    pub storage: StorageConfig,
    /// Limits and timeouts of the server.
    #[serde(default)]
    pub http: HttpConfig,
    /// Limits of streams.
    #[serde(default)]
    pub realtime: RealtimeConfig,
    /// Logs.
    #[serde(default)]
    pub log: LogConfig,
    /// Traces and metrics for a collector; without the table nothing is sent.
    #[serde(default)]
    pub telemetry: Option<TelemetryConfig>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7420))
}

/// Limits of streams; every one of them is per tenant unless it says otherwise.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RealtimeConfig {
    /// Events kept for each thread; 0 keeps all.
    pub retain_events: u64,
    /// Open streams.
    pub connections: usize,
    /// Open streams of the whole process.
    pub connections_total: usize,
    /// Events published each second, sustained.
    pub publishes_per_s: NonZeroU32,
    /// Events published at once.
    pub publishes_burst: NonZeroU32,
    /// Bytes published each second, sustained.
    pub bytes_per_s: NonZeroU32,
    /// Bytes published at once.
    pub bytes_burst: NonZeroU32,
}

impl RealtimeConfig {
    /// The settings of the realtime service.
    pub(crate) fn settings(self, public_url: Option<String>) -> realtime::RealtimeConfig {
        let quota = |burst: NonZeroU32, per_second: NonZeroU32| Quota { burst, per_second };
        realtime::RealtimeConfig {
            limits: LimitsConfig {
                connections_per_tenant: self.connections,
                connections: self.connections_total,
                publishes: quota(self.publishes_burst, self.publishes_per_s),
                publish_bytes: quota(self.bytes_burst, self.bytes_per_s),
            },
            retention: Retention {
                events: self.retain_events,
            },
            public_url,
            ..realtime::RealtimeConfig::default()
        }
    }
}

impl Default for RealtimeConfig {
    fn default() -> Self {
        let limits = LimitsConfig::default();
        Self {
            retain_events: Retention::default().events,
            connections: limits.connections_per_tenant,
            connections_total: limits.connections,
            publishes_per_s: limits.publishes.per_second,
            publishes_burst: limits.publishes.burst,
            bytes_per_s: limits.publish_bytes.per_second,
            bytes_burst: limits.publish_bytes.burst,
        }
    }
}

/// How to log.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// Directives such as `info,tenantry_realtime=debug`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            filter: "info".to_owned(),
        }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// The file says something that is not configuration.
    #[error("the configuration {0} is not valid: {1}")]
    Invalid(PathBuf, toml::de::Error),
}

impl Config {
    /// The configuration of a fresh installation.
    #[must_use]
    pub fn fresh(data: PathBuf, auth: AuthConfig, audit: AuditConfig) -> Self {
        Self {
            listen: default_listen(),
            data,
            control: None,
            public_url: None,
            auth,
            audit: Some(audit),
            s3_endpoint: None,
            storage: StorageConfig::default(),
            http: HttpConfig::default(),
            realtime: RealtimeConfig::default(),
            log: LogConfig::default(),
            telemetry: None,
        }
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] says which file, where in it, and why.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ConfigError::Unreadable(path.to_owned(), e))?;
        toml::from_str(&text).map_err(|e| ConfigError::Invalid(path.to_owned(), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "data = \"d\"\n[auth]\nissuer = \"https://a.example\"\naudience = \"a\"\nkeys = [{kid = \"k\", secret = \"file:/k\", state = \"active\"}]\n";

    #[test]
    fn the_least_configuration_has_safe_defaults() {
        let config: Config = toml::from_str(LEAST).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:7420");
        assert_eq!(config.auth.access_ttl_s, 900);
        assert_eq!(config.auth.bootstrap_key, "env:SYSTEM_BOOTSTRAP_KEY");
        assert!(config.http.allowed_origins.is_empty());
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for (at, key) in [
            ("", "lisen = \"x\"\n"),
            ("\n[http]\n", "worker = 1\n"),
            ("\n[realtime]\n", "retain = 1\n"),
        ] {
            let text = if at.is_empty() {
                format!("{key}{LEAST}")
            } else {
                format!("{LEAST}{at}{key}")
            };
            let refused = toml::from_str::<Config>(&text).unwrap_err().to_string();
            assert!(
                refused.contains(key.split(' ').next().unwrap()),
                "{refused}"
            );
        }
    }
}
