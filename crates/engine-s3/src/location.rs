//! Which bucket, and with whose credentials: parsed once, valid from then on.

use std::fmt;

use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::S3Error;

/// Shortest and longest name of a bucket, in bytes.
const BUCKET_BYTES_MIN: usize = 3;
const BUCKET_BYTES_MAX: usize = 63;
/// Longest name of a region, in bytes.
const REGION_BYTES_MAX: usize = 32;
/// Longest access key id and secret, in bytes.
const CREDENTIAL_BYTES_MAX: usize = 256;

/// Where a bucket is.
///
/// As JSON: `{"bucket", "region", "endpoint"?, "path_style"?}`. Without an
/// endpoint it is the one of AWS for the region. With `path_style` the bucket is the first part
/// of the path, as most other makes want it; otherwise it is part of the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Stated")]
pub struct S3Location {
    bucket: String,
    region: String,
    endpoint: Option<String>,
    path_style: bool,
}

/// A location as it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    bucket: String,
    region: String,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    path_style: bool,
}

impl S3Location {
    /// A bucket of a region, at an endpoint of its own if one is given.
    ///
    /// # Errors
    /// [`S3Error::Invalid`] names the part that no store would take.
    pub fn new(
        bucket: &str,
        region: &str,
        endpoint: Option<&str>,
        path_style: bool,
    ) -> Result<Self, S3Error> {
        if !is_bucket(bucket) {
            let why =
                "bucket must have 3 to 63 of a-z 0-9 . - and begin and end with a letter or digit";
            return Err(S3Error::Invalid(why.to_owned()));
        }
        if !is_region(region) {
            let why = "region must have 1 to 32 of a-z 0-9 -";
            return Err(S3Error::Invalid(why.to_owned()));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            region: region.to_owned(),
            endpoint: endpoint.map(origin).transpose()?,
            path_style,
        })
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The region that requests are signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The endpoint, without a slash at its end; `None` for that of AWS.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether the bucket is part of the path.
    #[must_use]
    pub fn path_style(&self) -> bool {
        self.path_style
    }
}

impl TryFrom<Stated> for S3Location {
    type Error = S3Error;

    fn try_from(stated: Stated) -> Result<Self, S3Error> {
        let endpoint = stated.endpoint.as_deref();
        Self::new(&stated.bucket, &stated.region, endpoint, stated.path_style)
    }
}

/// The general rules for names of buckets, which leave out names that look like an IPv4 address.
fn is_bucket(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
    };
    (BUCKET_BYTES_MIN..=BUCKET_BYTES_MAX).contains(&name.len())
        && name.bytes().all(inner)
        && edge(name.as_bytes().first())
        && edge(name.as_bytes().last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

fn is_region(name: &str) -> bool {
    (1..=REGION_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// An endpoint is a scheme, a host and perhaps a port; what more is written would be signed and lost.
fn origin(endpoint: &str) -> Result<String, S3Error> {
    let invalid = || {
        let why = "endpoint must be an http or https URL of a host and perhaps a port";
        S3Error::Invalid(why.to_owned())
    };
    let url = Url::parse(endpoint).map_err(|_| invalid())?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !bare || !matches!(url.scheme(), "http" | "https") {
        return Err(invalid());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A key of the store; the secret half never prints and is cleared when it is dropped.
#[derive(Clone)]
pub struct S3Credentials {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
}

impl S3Credentials {
    /// The two halves of a key.
    ///
    /// # Errors
    /// [`S3Error::Invalid`] when one is empty, over 256 bytes, or holds what no key holds.
    pub fn new(access_key_id: &str, secret_access_key: Zeroizing<String>) -> Result<Self, S3Error> {
        let plain = |text: &str| {
            (1..=CREDENTIAL_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        // A slash would end the key id where a signature names it.
        if !plain(access_key_id) || access_key_id.contains('/') {
            let why = "access_key_id must have 1 to 256 visible ASCII characters without a slash";
            return Err(S3Error::Invalid(why.to_owned()));
        }
        if !plain(&secret_access_key) {
            let why = "secret_access_key must have 1 to 256 visible ASCII characters";
            return Err(S3Error::Invalid(why.to_owned()));
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            secret_access_key,
        })
    }

    pub(crate) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(crate) fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Credentials(***)")
    }
}

/// Everything that a bucket is used with.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Where it is.
    pub location: S3Location,
    /// Whose requests it takes.
    pub credentials: S3Credentials,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_have_the_names_that_stores_take() {
        for good in ["abc", "a-b.c", "0files0", &"x".repeat(63)] {
            assert!(
                S3Location::new(good, "eu-central-1", None, false).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            "a..b",
            "10.0.0.1",
            "a/b",
            "a?b",
            "äbc",
            &"x".repeat(64),
        ] {
            assert!(
                S3Location::new(bad, "eu-central-1", None, false).is_err(),
                "{bad:?} was taken"
            );
        }
    }

    #[test]
    fn an_endpoint_is_an_origin() {
        for (given, kept) in [
            ("https://s3.example.com", "https://s3.example.com"),
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ] {
            let location = S3Location::new("abc", "r", Some(given), true).unwrap();
            assert_eq!(location.endpoint(), Some(kept));
        }
        for bad in [
            "",
            "s3.example.com",
            "ftp://s3.example.com",
            "https://user@s3.example.com",
            "https://s3.example.com/bucket",
            "https://s3.example.com/?x",
            "https://s3.example.com/#x",
        ] {
            assert!(
                S3Location::new("abc", "r", Some(bad), true).is_err(),
                "{bad:?} was taken"
            );
        }
    }

    #[test]
    fn json_is_a_location_or_names_what_is_wrong() {
        let parse =
            |text: &str| serde_json::from_str::<S3Location>(text).map_err(|e| e.to_string());
        let location = parse(r#"{"bucket":"abc","region":"eu-west-1"}"#).unwrap();
        assert_eq!((location.endpoint(), location.path_style()), (None, false));
        for (text, named) in [
            (r#"{"region":"eu-west-1"}"#, "bucket"),
            (r#"{"bucket":"abc"}"#, "region"),
            (r#"{"bucket":"abc","region":"EU"}"#, "region"),
            (r#"{"bucket":"abc","region":"r","acl":"public"}"#, "acl"),
        ] {
            assert!(parse(text).unwrap_err().contains(named), "{text}");
        }
    }

    #[test]
    fn credentials_never_print() {
        let secret = Zeroizing::new("canary".to_owned());
        let credentials = S3Credentials::new("canary-id", secret).unwrap();
        assert_eq!(format!("{credentials:?}"), "S3Credentials(***)");
        for (id, secret) in [
            ("", "s"),
            ("a/b", "s"),
            ("a b", "s"),
            ("a", ""),
            ("a", "s\n"),
        ] {
            let secret = Zeroizing::new(secret.to_owned());
            assert!(S3Credentials::new(id, secret).is_err(), "{id:?} was taken");
        }
    }
}
