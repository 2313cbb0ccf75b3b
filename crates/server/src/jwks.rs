//! Key sets of outside issuers, fetched over HTTP with limits.
//!
//! **Invariant:** who can change a key set can sign in as anyone, so it comes over TLS or does not leave this machine.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use identity::{JWKS_BYTES_MAX, JwksSource};
use reqwest::Url;

/// An issuer that does not answer in this time is down.
const FETCH_MAX: Duration = Duration::from_secs(5);

/// A key set at a URL.
pub(crate) struct HttpJwks {
    client: reqwest::Client,
    url: Url,
}

impl HttpJwks {
    /// A source at `url`.
    ///
    /// # Errors
    /// When it is no URL of a key set that can be trusted, or no TLS client can be made.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let url: Url = url
            .parse()
            .map_err(|error| format!("its jwks_url: {error}"))?;
        if !is_safe(&url) {
            return Err("its jwks_url is neither https nor on this machine".to_owned());
        }
        // No proxy of the environment stands between an issuer and those who trust it.
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(FETCH_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, url })
    }
}

/// Whether nobody on the way can put another document in its place.
fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    let here = host == "localhost" || address.is_ok_and(|address: IpAddr| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

#[async_trait]
impl JwksSource for HttpJwks {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let fetched = async {
            let mut response = self
                .client
                .get(self.url.clone())
                .send()
                .await?
                .error_for_status()?;
            let mut document = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                document.extend_from_slice(&chunk);
                if document.len() > JWKS_BYTES_MAX {
                    break;
                }
            }
            Ok::<_, reqwest::Error>(document)
        };
        let document = fetched.await.map_err(|error| error.to_string())?;
        if document.len() > JWKS_BYTES_MAX {
            return Err(format!("the key set has more than {JWKS_BYTES_MAX} bytes"));
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for url in [
            "https://cognito-idp.eu-central-1.amazonaws.com/pool/.well-known/jwks.json",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert!(HttpJwks::new(url).is_ok(), "{url}");
        }
        for url in [
            "http://issuer.example/keys",
            "http://127.0.0.1.example/keys",
            "http://localhost@issuer.example/keys",
            "file:///etc/keys",
            "keys",
        ] {
            let refused = HttpJwks::new(url).err();
            assert!(refused.is_some_and(|why| why.contains("jwks_url")), "{url}");
        }
    }
}
