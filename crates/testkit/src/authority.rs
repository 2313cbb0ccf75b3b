//! An authority of a test's own, for servers that speak TLS and clients that they know by a certificate.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// Signs certificates that only its own followers trust.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, in PEM.
pub struct Signed {
    /// The certificate alone.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new one by this name; others by the same name have other keys.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, key());
        Self {
            issuer: issuer.expect("it signs itself"),
        }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// A server that goes by these names and addresses.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Signed {
        self.sign(params(names), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client.
    #[must_use]
    pub fn client(&self) -> Signed {
        self.sign(params(&["client"]), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Signed {
        params.extended_key_usages = vec![purpose];
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer);
        Signed {
            certificate: certificate.expect("it signs").pem(),
            key: key.serialize_pem(),
        }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("they are names")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key is drawn")
}
