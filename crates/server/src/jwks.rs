//! Key sets of outside issuers, fetched over HTTP with limits.

use std::time::Duration;

use async_trait::async_trait;
use identity::{JWKS_BYTES_MAX, JwksSource};

/// An issuer that does not answer in this time is down.
const FETCH_MAX: Duration = Duration::from_secs(5);

/// A key set at a URL.
pub(crate) struct HttpJwks {
    client: reqwest::Client,
    url: String,
}

impl HttpJwks {
    /// A source at `url`.
    ///
    /// # Errors
    /// When no TLS client can be made.
    pub(crate) fn new(url: &str) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(FETCH_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            url: url.to_owned(),
        })
    }
}

#[async_trait]
impl JwksSource for HttpJwks {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let fetched = async {
            let mut response = self
                .client
                .get(&self.url)
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
