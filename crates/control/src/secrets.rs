//! Secrets: named by reference in configuration, resolved by one resolver, never printed.

use std::{fmt, io::Read, path::PathBuf, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Largest secret file, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Longest reference, in bytes.
const REFERENCE_BYTES_MAX: usize = 1024;

/// Where a secret is: `env:NAME` or `file:/path`. It may be shown; the value may not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretRef(Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Env(String),
    File(PathBuf),
}

/// A text is no reference to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a secret reference: use env:NAME or file:/absolute/path")]
pub struct InvalidSecretRef;

impl FromStr for SecretRef {
    type Err = InvalidSecretRef;

    fn from_str(text: &str) -> Result<Self, InvalidSecretRef> {
        if text.len() > REFERENCE_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(InvalidSecretRef);
        }
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(Self(Place::Env(name.to_owned()))),
            Some(("file", path)) if path.starts_with('/') => {
                Ok(Self(Place::File(PathBuf::from(path))))
            }
            _ => Err(InvalidSecretRef),
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Env(name) => write!(f, "env:{name}"),
            Place::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = InvalidSecretRef;
    fn try_from(text: String) -> Result<Self, InvalidSecretRef> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> String {
        reference.to_string()
    }
}

/// A secret's value: it never prints, and its memory is cleared when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// The bytes; do not keep or print them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(***)")
    }
}

impl fmt::Display for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret cannot be had; the text names the reference and never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret {reference} {why}")]
pub struct SecretError {
    /// Which.
    pub reference: SecretRef,
    /// Why.
    pub why: String,
}

/// Reads one environment variable.
type ReadEnv = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The one resolver of secret references.
#[derive(Clone)]
pub struct Secrets {
    read_env: Arc<ReadEnv>,
}

impl Secrets {
    /// A resolver that reads environment variables through `read_env`.
    pub fn new(read_env: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            read_env: Arc::new(read_env),
        }
    }

    /// Resolves one reference. Reads a file if it names one: not for async threads.
    ///
    /// # Errors
    /// [`SecretError`] when there is no such variable or file, or it is empty or too large.
    pub fn resolve(&self, reference: &SecretRef) -> Result<SecretValue, SecretError> {
        let failed = |why: String| SecretError {
            reference: reference.clone(),
            why,
        };
        let value = match &reference.0 {
            Place::Env(name) => (self.read_env)(name)
                .map(|text| Zeroizing::new(text.into_bytes()))
                .ok_or_else(|| failed("is not set".to_owned()))?,
            Place::File(path) => read_file(path).map_err(failed)?,
        };
        if value.is_empty() {
            return Err(failed("is empty".to_owned()));
        }
        Ok(SecretValue(value))
    }

    /// Resolves one reference, on a thread that may block.
    ///
    /// # Errors
    /// As [`Secrets::resolve`].
    pub async fn fetch(&self, reference: &SecretRef) -> Result<SecretValue, SecretError> {
        let (secrets, asked) = (self.clone(), reference.clone());
        let resolving = tokio::task::spawn_blocking(move || secrets.resolve(&asked));
        resolving.await.unwrap_or_else(|error| {
            Err(SecretError {
                reference: reference.clone(),
                why: format!("could not be resolved: {error}"),
            })
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// Reads a file without its trailing line end.
fn read_file(path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {}", error.kind());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut value = Zeroizing::new(Vec::new());
    let mut bounded = file.take(SECRET_BYTES_MAX + 1);
    bounded.read_to_end(&mut value).map_err(unreadable)?;
    if value.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("has more than {SECRET_BYTES_MAX} bytes"));
    }
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_two_forms() {
        for good in ["env:KEY", "env:_K9", "file:/run/secrets/key"] {
            assert_eq!(good.parse::<SecretRef>().unwrap().to_string(), good);
        }
        for bad in [
            "", "KEY", "env:", "env:9", "env:A B", "file:key", "file:", "vault:x", "ENV:K",
        ] {
            assert!(bad.parse::<SecretRef>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn values_never_print() {
        let value = SecretValue(Zeroizing::new(b"canary".to_vec()));
        assert_eq!(
            format!("{value} {value:?} {value:#?}"),
            "*** SecretValue(***) SecretValue(***)"
        );
        assert_eq!(value.expose(), b"canary");
    }
}
