//! Tokens as an attacker would write them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

/// Moment at which the fake clock starts, in seconds.
pub(crate) const NOW_S: i64 = 1_767_225_600;

/// A key pair that signs nothing but tests.
pub(crate) const RSA_PRIVATE: &[u8] = include_bytes!("rsa_for_tests.pem");
pub(crate) const RSA_PUBLIC: &[u8] = include_bytes!("rsa_for_tests.pub.pem");

/// Claims that the own issuer would write.
pub(crate) fn claims() -> Value {
    json!({
        "iss": testkit::ISSUER, "aud": testkit::AUDIENCE, "sub": "u_1", "jti": "j", "sid": "se_1",
        "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 900,
    })
}

/// A header that the own issuer would write.
pub(crate) fn header() -> Value {
    json!({"alg": "HS256", "typ": "at+jwt", "kid": "test"})
}

/// `claims` with one member changed, or removed when `value` is null.
pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    object
}

/// A token of raw texts, signed as asked.
pub(crate) fn sign_raw(
    header: &str,
    claims: &str,
    key: &EncodingKey,
    algorithm: Algorithm,
) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

/// A token signed with the secret of the test world.
pub(crate) fn sign(header: &Value, claims: &Value) -> String {
    sign_raw(
        &header.to_string(),
        &claims.to_string(),
        &EncodingKey::from_secret(&testkit::SECRET),
        Algorithm::HS256,
    )
}
