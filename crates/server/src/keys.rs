//! Issuers and keys, made from configuration and secrets.

use std::sync::Arc;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use control::{SecretRef, Secrets};
use identity::{
    Clock, Entropy, JwksCache, KEY_BYTES_MIN, KeyRing, KeyState, OidcIssuer, OwnIssuer, RingKey,
    Tokens,
};

use crate::{
    config::{AuthConfig, KeyConfig, OidcConfig},
    jwks::HttpJwks,
    startup::Missing,
};

/// Base64url, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The issuers, or `None` with everything that is wrong noted in `missing`.
pub(crate) fn tokens(
    config: &AuthConfig,
    secrets: &Secrets,
    clock: &Arc<dyn Clock>,
    missing: &mut Missing,
) -> Option<Tokens> {
    let keys: Vec<_> = config
        .keys
        .iter()
        .map(|key| missing.collect(ring_key(key, secrets)))
        .collect();
    let outside: Vec<_> = config
        .oidc
        .iter()
        .map(|issuer| missing.collect(outside(issuer, clock)))
        .collect();
    // Only a complete ring says something useful about its keys' states.
    let keys = keys.into_iter().collect::<Option<Vec<_>>>()?;
    let ring = missing.collect(KeyRing::new(keys))?;
    let own = OwnIssuer::new(&config.issuer, &config.audience, ring);
    missing.collect(Tokens::new(
        own,
        outside.into_iter().collect::<Option<_>>()?,
    ))
}

fn ring_key(key: &KeyConfig, secrets: &Secrets) -> Result<RingKey, String> {
    let reference: SecretRef = key
        .secret
        .parse()
        .map_err(|error| format!("the key {}: {error}", key.kid))?;
    let text = secrets
        .resolve(&reference)
        .map_err(|error| error.to_string())?;
    let secret = BASE64.decode(text.expose().trim_ascii()).map_err(|_| {
        format!(
            "the secret {reference} of the key {} is not base64url",
            key.kid
        )
    })?;
    Ok(RingKey {
        kid: key.kid.clone(),
        secret: secret.into(),
        state: key.state,
    })
}

fn outside(issuer: &OidcConfig, clock: &Arc<dyn Clock>) -> Result<OidcIssuer, String> {
    let source = HttpJwks::new(&issuer.jwks_url)
        .map_err(|why| format!("the issuer {}: {why}", issuer.issuer))?;
    let cache = JwksCache::new(Arc::new(source), Arc::clone(clock));
    Ok(OidcIssuer::new(
        &issuer.issuer,
        issuer.accept.clone(),
        cache,
    ))
}

/// Issuers that nobody trusts, with a key that nobody has.
pub(crate) fn throwaway(entropy: &dyn Entropy) -> anyhow::Result<Tokens> {
    let mut secret = vec![0; KEY_BYTES_MIN];
    entropy.fill(&mut secret);
    let key = RingKey {
        kid: "throwaway".to_owned(),
        secret: secret.into(),
        state: KeyState::Active,
    };
    Ok(Tokens::new(
        OwnIssuer::new("", "", KeyRing::new(vec![key])?),
        Vec::new(),
    )?)
}
