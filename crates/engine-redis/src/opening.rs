//! A connection that is being made, and what is said when it does not come about.

use std::{error::Error, io, sync::Arc};

use deadpool_redis::{
    PoolError,
    redis::{ErrorKind, RedisError as ClientError},
};
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::{RedisError, error::reason, life::CLUSTER};

/// How a node of a cluster refuses to `SELECT` a database.
const NO_DATABASES: &str = "SELECT is not allowed in cluster mode";
/// How a server refuses who has no password, after the code.
const NO_USER: &str = "Authentication required.";

/// Where a connection goes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// Host, port and database.
    pub(crate) place: Arc<str>,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
}

impl Opening {
    /// Why the pool has no connection.
    pub(crate) fn no_connection(&self, cause: &PoolError) -> RedisError {
        match cause {
            PoolError::Backend(cause) => self.failed(cause),
            PoolError::Timeout(_) => self.late(),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                self.unreachable("the pool is closed".to_owned())
            }
        }
    }

    /// Nothing was heard in time.
    pub(crate) fn late(&self) -> RedisError {
        self.unreachable(match self.tls {
            true => "no connection over TLS in time (the url of a port without TLS begins with redis://)",
            false => "no connection in time",
        }.to_owned())
    }

    /// Why a new connection is of no use.
    pub(crate) fn failed(&self, cause: &ClientError) -> RedisError {
        if let Some(error) = tls_error(cause) {
            let place = self.place.to_string();
            let why = meaning(error);
            return RedisError::Handshake { place, why };
        }
        if cause.is_timeout() {
            return self.late();
        }
        // Of a database that is refused the client tells the detail alone.
        if cause.detail() == Some(NO_DATABASES) {
            let place = self.place.to_string();
            let found = CLUSTER;
            return RedisError::NotPrimary { place, found };
        }
        let refused = cause.kind() == ErrorKind::AuthenticationFailed
            || matches!(cause.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
            || cause.detail() == Some(NO_USER);
        if refused {
            let place = self.place.to_string();
            let why = reason(cause);
            return RedisError::Refused { place, why };
        }
        let ended = cause.is_connection_dropped() && !cause.is_connection_refusal();
        let why = reason(cause);
        self.unreachable(
            match self.tls || !(ended || cause.kind() == ErrorKind::Parse) {
                true => why,
                false => format!("{why} (the url of a port with TLS begins with rediss://)"),
            },
        )
    }

    fn unreachable(&self, why: String) -> RedisError {
        let place = self.place.to_string();
        RedisError::Unreachable { place, why }
    }
}

/// What TLS itself says, if that is the cause.
fn tls_error(cause: &ClientError) -> Option<&TlsError> {
    let cause = cause.source()?;
    // The client shares its causes.
    let cause: &(dyn Error + 'static) = match cause.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        Some(shared) => &**shared,
        None => cause,
    };
    let inner = cause.downcast_ref::<io::Error>()?.get_ref()?;
    inner.downcast_ref()
}

/// What an error of TLS means for who wrote the row.
fn meaning(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "its certificate is of an authority that is not trusted; a private one is named by the secret ca".to_owned()
        }
        TlsError::InvalidCertificate(why) => format!("its certificate is not taken: {why}"),
        TlsError::InvalidMessage(_) => {
            "what it answers is no TLS; the url of a port without TLS begins with redis://".to_owned()
        }
        TlsError::AlertReceived(
            why @ (AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
            | AlertDescription::BadCertificate
            | AlertDescription::DecryptError
            | AlertDescription::UnknownCA),
        ) => format!(
            "it refuses this node ({why:?}); what it asks for may be the secrets client_certificate and client_key"
        ),
        other => other.to_string(),
    }
}
