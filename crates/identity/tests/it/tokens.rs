//! Tokens of the own issuer: every way in which one can be wrong is a 401.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use std::time::Duration;
use tenantry_identity::{Clock, Refusal};
use testkit::World;

use crate::forge::{NOW_S, RSA_PUBLIC, claims, header, sign, sign_raw, with};

async fn verifies(world: &World, token: &str) -> bool {
    match world.tokens.verify(token, world.clock.now()).await {
        Ok(_) => true,
        Err(Refusal::Unauthenticated { sent: true, .. }) => false,
        Err(other) => panic!("{other:?} for {token}"),
    }
}

#[tokio::test]
async fn the_forged_token_is_otherwise_a_good_one() {
    let world = World::new();
    assert!(verifies(&world, &sign(&header(), &claims())).await);
    assert!(verifies(&world, &world.token("u_1")).await);
}

#[tokio::test]
async fn every_claim_is_required_and_checked() {
    let world = World::new();
    for name in ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid"] {
        let token = sign(&header(), &with(claims(), name, Value::Null));
        assert!(!verifies(&world, &token).await, "{name} was not required");
    }
    let wrong = [
        ("iss", json!("https://other.test")),
        ("aud", json!("other")),
        ("aud", json!([testkit::AUDIENCE])),
        ("sub", json!("t_1")),
        ("sub", json!("")),
        ("jti", json!("")),
        ("sid", json!("x")),
        ("tid", json!("t_unknown")),
        ("exp", json!(NOW_S)),
        ("exp", json!(NOW_S - 1)),
        ("exp", json!("9999999999")),
        ("exp", json!(9_999_999_999.5)),
        ("nbf", json!(NOW_S + 60)),
        ("nbf", json!("0")),
        ("iat", json!(NOW_S + 60)),
    ];
    for (name, value) in wrong {
        let token = sign(&header(), &with(claims(), name, value.clone()));
        assert!(
            !verifies(&world, &token).await,
            "{name} = {value} was accepted"
        );
    }
}

#[tokio::test]
async fn the_header_chooses_nothing() {
    let world = World::new();
    let wrong = [
        ("alg", json!("none")),
        ("alg", json!("HS512")),
        ("alg", json!("RS256")),
        ("alg", Value::Null),
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("kid", json!("other")),
        ("kid", Value::Null),
        ("crit", json!(["exp"])),
    ];
    for (name, value) in wrong {
        let token = sign(&with(header(), name, value.clone()), &claims());
        assert!(
            !verifies(&world, &token).await,
            "header {name} = {value} was accepted"
        );
    }
}

#[tokio::test]
async fn no_other_key_signs() {
    let world = World::new();
    let (header, claims) = (header().to_string(), claims().to_string());
    for secret in [RSA_PUBLIC, &[0; 32], b""] {
        let token = sign_raw(
            &header,
            &claims,
            &EncodingKey::from_secret(secret),
            Algorithm::HS256,
        );
        assert!(!verifies(&world, &token).await);
    }
}

#[tokio::test]
async fn texts_that_two_parsers_read_differently_are_refused() {
    let world = World::new();
    let key = EncodingKey::from_secret(&testkit::SECRET);
    let sign = |header: &str, claims: &str| sign_raw(header, claims, &key, Algorithm::HS256);
    let (head, body) = (header().to_string(), claims().to_string());
    let doubled_sub = body.replacen('{', "{\"sub\":\"u_2\",", 1);
    let doubled_alg = head.replacen('{', "{\"alg\":\"HS256\",", 1);
    let nested = body.replacen('{', "{\"x\":{\"a\":1,\"a\":2},", 1);
    for (header, claims) in [
        (&head, doubled_sub),
        (&doubled_alg, body.clone()),
        (&head, nested),
        (&head, format!("{body} ") + "{}"),
        (&head, format!("{body}x")),
        (&format!("{head}{head}"), body.clone()),
        (&head, format!("[{body}]")),
    ] {
        assert!(
            !verifies(&world, &sign(header, &claims)).await,
            "{header} {claims} was accepted"
        );
    }
}

#[tokio::test]
async fn malformed_texts_are_refused() {
    let world = World::new();
    let good = sign(&header(), &claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let none = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt","kid":"test"}"#),
        URL_SAFE_NO_PAD.encode(claims().to_string())
    );
    let bad = [
        String::new(),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        format!("{signed}."),
        format!("{signed}.{signature}="),
        format!("{signed}.{signature}A"),
        format!("{good}.{signature}"),
        format!(" {good}"),
        format!("{good}\n"),
        none,
        format!("{signed}.{}", "A".repeat(9000)),
    ];
    for token in bad {
        assert!(!verifies(&world, &token).await, "{token:?} was accepted");
    }
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_ends() {
    let world = World::new();
    let token = world.token("u_1");
    assert!(verifies(&world, &token).await);
    world.clock.advance(Duration::from_secs(899));
    assert!(verifies(&world, &token).await);
    world.clock.advance(Duration::from_secs(1));
    assert!(!verifies(&world, &token).await);
}

mod rings {
    use super::*;
    use std::sync::Arc;
    use tenantry_identity::{KeyRing, KeyState, OwnIssuer, RingKey, Tokens};

    fn ring(states: [(&str, u8, KeyState); 2]) -> Tokens {
        let keys = states.into_iter().map(|(kid, byte, state)| RingKey {
            kid: kid.to_owned(),
            secret: vec![byte; 32].into(),
            state,
        });
        let ring = KeyRing::new(keys.collect()).unwrap();
        Tokens::new(
            OwnIssuer::new(testkit::ISSUER, testkit::AUDIENCE, ring),
            Vec::new(),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn rotation_keeps_old_tokens_until_their_key_is_revoked() {
        use KeyState::{Active, Revoked, Standby, VerifyOnly};
        let world = World::new();
        let grant = tenantry_identity::Grant {
            user: "u_1".parse().unwrap(),
            session: "se_1".parse().unwrap(),
            tenant: None,
            life: Duration::from_secs(900),
        };
        let now = world.clock.now();
        let before = ring([("old", 1, Active), ("new", 2, Standby)]);
        let old = before.mint(&grant, now, &*world.entropy).unwrap();
        let after = Arc::new(ring([("old", 1, VerifyOnly), ("new", 2, Active)]));
        let new = after.mint(&grant, now, &*world.entropy).unwrap();
        assert!(
            before.verify(&new, now).await.is_ok(),
            "a standby key verifies"
        );
        assert!(
            after.verify(&old, now).await.is_ok(),
            "a verify_only key verifies"
        );
        let revoked = ring([("old", 1, Revoked), ("new", 2, Active)]);
        assert!(
            revoked.verify(&old, now).await.is_err(),
            "a revoked key does not"
        );
        assert!(revoked.verify(&new, now).await.is_ok());
    }
}
