//! Outside issuers: RS256 alone, keys cached, outages survived, storms bounded.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::time::Duration;

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, jwk::Jwk};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tenantry_identity::{
    AudienceRule, Clock, JwksCache, JwksSource, KeyRing, KeyState, OidcIssuer, OwnIssuer, Refusal,
    RingKey, Tokens, external_user,
};
use testkit::World;

use crate::forge::{NOW_S, RSA_PRIVATE, RSA_PUBLIC, sign_raw, with};

const ISSUER: &str = "https://cognito.test/pool";

#[derive(Default)]
struct Issuer {
    fetches: AtomicUsize,
    down: AtomicBool,
    kids: Mutex<Vec<String>>,
}

#[async_trait]
impl JwksSource for Issuer {
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.down.load(Ordering::SeqCst) {
            return Err("down".to_owned());
        }
        let keys: Vec<Value> = self.kids.lock().iter().map(|kid| jwk(kid)).collect();
        Ok(json!({"keys": keys}).to_string().into_bytes())
    }
}

fn jwk(kid: &str) -> Value {
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap();
    let mut jwk =
        serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = kid.into();
    jwk
}

struct Setup {
    world: World,
    issuer: Arc<Issuer>,
    tokens: Tokens,
}

fn setup() -> Setup {
    let world = World::new();
    let issuer = Arc::new(Issuer {
        kids: Mutex::new(vec!["k1".to_owned()]),
        ..Issuer::default()
    });
    let cache = JwksCache::new(issuer.clone(), world.clock.clone());
    let outside = OidcIssuer::new(ISSUER, AudienceRule::ClientId("client".to_owned()), cache);
    let key = RingKey {
        kid: "own".to_owned(),
        secret: vec![1; 32].into(),
        state: KeyState::Active,
    };
    let own = OwnIssuer::new(
        testkit::ISSUER,
        testkit::AUDIENCE,
        KeyRing::new(vec![key]).unwrap(),
    );
    Setup {
        world,
        issuer,
        tokens: Tokens::new(own, vec![outside]).unwrap(),
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "abc", "client_id": "client", "token_use": "access", "jti": "j", "iat": NOW_S, "exp": NOW_S + 3600})
}

fn token(kid: &str, claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap();
    sign_raw(
        &json!({"alg": "RS256", "kid": kid}).to_string(),
        &claims.to_string(),
        &key,
        Algorithm::RS256,
    )
}

impl Setup {
    async fn verify(&self, token: &str) -> Result<(), Refusal> {
        self.tokens
            .verify(token, self.world.clock.now())
            .await
            .map(drop)
    }
    async fn refused(&self, token: &str) -> bool {
        matches!(
            self.verify(token).await,
            Err(Refusal::Unauthenticated { .. })
        )
    }
    fn fetches(&self) -> usize {
        self.issuer.fetches.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn an_access_token_of_the_issuer_names_one_user() {
    let setup = setup();
    let verified = setup
        .tokens
        .verify(&token("k1", &claims()), setup.world.clock.now())
        .await
        .unwrap();
    assert_eq!(verified.user, external_user(ISSUER, "abc"));
    assert_ne!(
        external_user(ISSUER, "abc"),
        external_user("https://cognito.test/poo", "labc")
    );
}

#[tokio::test]
async fn other_tokens_of_the_issuer_are_refused() {
    let setup = setup();
    setup.verify(&token("k1", &claims())).await.unwrap();
    for (name, value) in [
        ("client_id", json!("other")),
        ("client_id", Value::Null),
        ("token_use", json!("id")),
        ("exp", json!(NOW_S)),
        ("exp", Value::Null),
        ("iat", json!(NOW_S + 60)),
        ("nbf", json!(NOW_S + 60)),
        ("nbf", json!("x")),
        ("jti", Value::Null),
        ("sub", json!("")),
        ("iss", json!("https://cognito.test/other")),
    ] {
        assert!(
            setup
                .refused(&token("k1", &with(claims(), name, value.clone())))
                .await,
            "{name} = {value}"
        );
    }
}

#[tokio::test]
async fn the_public_key_is_no_secret_to_sign_with() {
    let setup = setup();
    let text = claims().to_string();
    let secret = EncodingKey::from_secret(RSA_PUBLIC);
    for header in [
        json!({"alg": "HS256", "kid": "k1"}),
        json!({"alg": "RS256", "kid": "k1"}),
        json!({"alg": "HS256", "kid": "own", "typ": "at+jwt"}),
    ] {
        assert!(
            setup
                .refused(&sign_raw(
                    &header.to_string(),
                    &text,
                    &secret,
                    Algorithm::HS256
                ))
                .await,
            "{header}"
        );
    }
    // And an RS256 token cannot pose as our own issuer's.
    let posing = with(
        with(claims(), "iss", testkit::ISSUER.into()),
        "aud",
        testkit::AUDIENCE.into(),
    );
    assert!(setup.refused(&token("own", &posing)).await);
    assert!(
        DecodingKey::from_rsa_pem(RSA_PUBLIC).is_ok(),
        "the key used above is the real one"
    );
}

#[tokio::test]
async fn a_storm_of_unknown_keys_asks_the_issuer_once_in_ten_seconds() {
    let setup = setup();
    setup.verify(&token("k1", &claims())).await.unwrap();
    assert_eq!(setup.fetches(), 1);
    setup.world.clock.advance(Duration::from_secs(11));
    let storm = (0..200)
        .map(|n| token(&format!("random-{n}"), &claims()))
        .collect::<Vec<_>>();
    let answers =
        futures_util::future::join_all(storm.iter().map(|token| setup.refused(token))).await;
    assert!(answers.into_iter().all(|refused| refused));
    assert_eq!(setup.fetches(), 2, "the storm was one fetch");
    // A rotated key is found once the interval is over.
    setup.issuer.kids.lock().push("k2".to_owned());
    setup.world.clock.advance(Duration::from_secs(11));
    setup.verify(&token("k2", &claims())).await.unwrap();
}

#[tokio::test]
async fn known_keys_survive_an_outage_for_a_day_and_unknown_ones_are_not_allowed() {
    let setup = setup();
    let long = with(claims(), "exp", json!(NOW_S + 1_000_000));
    setup.verify(&token("k1", &long)).await.unwrap();
    setup.issuer.down.store(true, Ordering::SeqCst);
    setup.world.clock.advance(Duration::from_secs(23 * 3600));
    setup
        .verify(&token("k1", &with(long.clone(), "jti", "another".into())))
        .await
        .unwrap();
    assert!(setup.refused(&token("k9", &long)).await);
    setup.world.clock.advance(Duration::from_secs(2 * 3600));
    let after = setup.verify(&token("k1", &long)).await;
    assert!(matches!(after, Err(Refusal::Unavailable(_))), "{after:?}");
}

#[tokio::test]
async fn a_withdrawn_key_ends_remembered_tokens() {
    let setup = setup();
    let remembered = token("k1", &claims());
    setup.verify(&remembered).await.unwrap();
    *setup.issuer.kids.lock() = vec!["k2".to_owned()];
    setup.world.clock.advance(Duration::from_secs(11));
    setup.verify(&token("k2", &claims())).await.unwrap();
    assert!(setup.refused(&remembered).await);
}
