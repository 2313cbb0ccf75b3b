//! What a Redis is opened with: the password, whom to trust, and who this node is.
//!
//! **Invariant:** all of it is valid from birth, and nothing that is secret prints.

use std::fmt;

use deadpool_redis::redis::{ClientTlsConfig, TlsCertificates};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use crate::RedisError;

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Longest certificates or key, in bytes of PEM.
const PEM_BYTES_MAX: usize = 64 * 1024;

/// What a Redis is opened with, beside its configuration. Nothing of it is needed by all of them.
#[derive(Debug, Clone, Default)]
pub struct RedisCredentials {
    /// The password of the user.
    pub password: Option<RedisPassword>,
    /// Whom to trust over TLS; without them, Mozilla's list of public authorities.
    pub authorities: Option<TrustedAuthorities>,
    /// Who this node is over TLS, if the server asks.
    pub client: Option<ClientIdentity>,
}

/// The password of a Redis; it never prints and is cleared when it is dropped.
#[derive(Clone)]
pub struct RedisPassword(pub(crate) Zeroizing<String>);

/// The authorities that may have signed the certificate of a server, and no others.
#[derive(Debug, Clone)]
pub struct TrustedAuthorities(String);

/// The certificate of this node and its private key, which never prints.
#[derive(Clone)]
pub struct ClientIdentity {
    certificate: String,
    key: Zeroizing<String>,
}

impl RedisCredentials {
    /// Whether something of it is of use over TLS alone.
    pub(crate) fn need_tls(&self) -> bool {
        self.authorities.is_some() || self.client.is_some()
    }

    /// The part of it that TLS needs.
    pub(crate) fn certificates(&self) -> TlsCertificates {
        let authorities = self.authorities.as_ref();
        TlsCertificates {
            client_tls: self.client.as_ref().map(|client| ClientTlsConfig {
                client_cert: client.certificate.clone().into_bytes(),
                client_key: client.key.as_bytes().to_vec(),
            }),
            root_cert: authorities.map(|pem| pem.0.clone().into_bytes()),
        }
    }
}

impl RedisPassword {
    /// A password.
    ///
    /// # Errors
    /// [`RedisError::Invalid`] when it is empty or over 1,024 bytes.
    pub fn new(password: Zeroizing<String>) -> Result<Self, RedisError> {
        if !(1..=PASSWORD_BYTES_MAX).contains(&password.len()) {
            return Err(invalid("the password must have 1 to 1024 bytes"));
        }
        Ok(Self(password))
    }
}

impl TrustedAuthorities {
    /// The certificates of authorities, in PEM.
    ///
    /// # Errors
    /// [`RedisError::Invalid`] when there is none, one is no certificate, or they have over 64 KiB.
    pub fn new(pem: &str) -> Result<Self, RedisError> {
        const RULE: &str =
            "ca must be the certificates of authorities, in PEM, with 64 KiB at most";
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem, RULE)? {
            roots.add(certificate).map_err(|_| invalid(RULE))?;
        }
        Ok(Self(pem.to_owned()))
    }
}

impl ClientIdentity {
    /// A certificate with those that lead to its authority, and its private key, in PEM.
    ///
    /// # Errors
    /// [`RedisError::Invalid`] when one is none, or has over 64 KiB, or the key is another's.
    pub fn new(certificate: &str, key: Zeroizing<String>) -> Result<Self, RedisError> {
        const RULE: &str = "client_certificate must be a certificate in PEM, perhaps with those above it, with 64 KiB at most";
        const KEY_RULE: &str = "client_key must be a private key in PEM, without a passphrase";
        let chain = certificates(certificate, RULE)?;
        if key.len() > PEM_BYTES_MAX {
            return Err(invalid(KEY_RULE));
        }
        let parsed = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let parsed = parsed.map_err(|_| invalid(KEY_RULE))?;
        let pair = CertifiedKey::from_der(chain, parsed, &aws_lc_rs::default_provider());
        pair.map_err(|_| invalid("client_key must be the key of client_certificate"))?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key,
        })
    }
}

/// The certificates of a PEM; at least one.
fn certificates(pem: &str, rule: &str) -> Result<Vec<CertificateDer<'static>>, RedisError> {
    if pem.len() > PEM_BYTES_MAX {
        return Err(invalid(rule));
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| invalid(rule))
}

fn invalid(why: &str) -> RedisError {
    RedisError::Invalid(why.to_owned())
}

impl fmt::Debug for RedisPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisPassword(***)")
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(***)")
    }
}
