//! The compact form of a signed token, taken apart strictly and verified by one named algorithm.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::{Deserialize, de::DeserializeOwned};

use super::strict_json;

/// Longest token that is looked at, in bytes.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The members of a header that count; others are ignored, `crit` refuses the token.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// A token in three parts, nothing of it trusted yet.
pub(super) struct Compact<'a> {
    signed: &'a str,
    payload: Vec<u8>,
    signature: &'a str,
    pub(super) header: Header,
}

impl<'a> Compact<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, &'static str> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("the token is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("not a compact JWS")?;
        let (header, payload) = signed.split_once('.').ok_or("not a compact JWS")?;
        let decode = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| "a part is not base64url")
        };
        // The signature is decoded here too, so that it has one spelling.
        decode(signature)?;
        let header: Header = strict_json::from_slice(&decode(header)?)
            .map_err(|_| "the header is not a strict JSON object")?;
        if header.crit.is_some() {
            return Err("the header has critical extensions");
        }
        Ok(Self {
            signed,
            payload: decode(payload)?,
            signature,
            header,
        })
    }

    /// The claims. Before [`Compact::verify`] they select an issuer and nothing else.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, &'static str> {
        strict_json::from_slice(&self.payload)
            .map_err(|_| "the claims are missing, mistyped or given twice")
    }

    /// Checks the signature with the algorithm that the *issuer* has, which the header must name.
    pub(super) fn verify(
        &self,
        key: &DecodingKey,
        algorithm: Algorithm,
        name: &str,
    ) -> Result<(), &'static str> {
        if self.header.alg != name {
            return Err("the algorithm is not the issuer's");
        }
        match crypto::verify(self.signature, self.signed.as_bytes(), key, algorithm) {
            Ok(true) => Ok(()),
            _ => Err("the signature does not hold"),
        }
    }
}
