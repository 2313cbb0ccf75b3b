//! TLS: the same laws over it, and what is said when one does not trust the other.

use std::sync::Arc;

use futures_util::StreamExt as _;
use store::{Heard, Topic};
use tenantry_engine_redis::{
    ClientIdentity, Redis, RedisConfig, RedisCredentials, RedisError, RedisPassword,
    TrustedAuthorities,
};
use testkit::{Authority, RedisServer, SeededEntropy, Signed};
use zeroize::Zeroizing;

use crate::{
    faults::{event, healed, next, read_all, soon, stream},
    subject::{Engine, over},
};

mod events {
    store::events_contract!(super::engine);
}

mod throttle {
    store::throttle_contract!(super::engine);
}

mod bus {
    store::bus_contract!(super::engine);
}

/// The address that all these servers have.
const HERE: &str = "127.0.0.1";
/// What each server makes its password, and no message may tell.
const CANARY: &str = "canary";

/// What a client trusts that follows `authority`.
fn trusting(authority: &Authority) -> RedisCredentials {
    RedisCredentials {
        authorities: Some(TrustedAuthorities::new(&authority.certificate()).unwrap()),
        ..RedisCredentials::default()
    }
}

fn identity(signed: &Signed) -> ClientIdentity {
    ClientIdentity::new(&signed.certificate, Zeroizing::new(signed.key.clone())).unwrap()
}

fn password(credentials: RedisCredentials) -> RedisCredentials {
    let password = Zeroizing::new(CANARY.to_owned());
    RedisCredentials {
        password: Some(RedisPassword::new(password).unwrap()),
        ..credentials
    }
}

/// A server that speaks TLS, and an engine over it.
pub(crate) async fn engine() -> Engine {
    let authority = Authority::new("ours");
    let signed = authority.server(&[HERE]);
    let server = RedisServer::start_tls(&signed, &authority.certificate(), &[]);
    let config = RedisConfig::new(&server.url()).unwrap();
    over(Some(server), config, trusting(&authority)).await
}

async fn connect(url: &str, credentials: &RedisCredentials) -> Result<Redis, RedisError> {
    let config = RedisConfig::new(url)?;
    Redis::connect(&config, credentials, Arc::new(SeededEntropy::new(1))).await
}

/// What is said of a failed handshake: the place, the reason, and nothing secret.
async fn handshake(url: &str, credentials: &RedisCredentials) -> String {
    let refused = connect(url, credentials).await.err().unwrap();
    assert!(
        matches!(refused, RedisError::Handshake { .. }),
        "{refused:?}"
    );
    told(&refused, url)
}

fn told(refused: &RedisError, url: &str) -> String {
    let text = refused.to_string();
    let (_, place) = url.rsplit_once('/').unwrap();
    assert!(text.contains(place), "{text}");
    assert!(!format!("{refused:?} {text}").contains(CANARY), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_met_again_over_tls() {
    let engine = engine().await;
    let log = engine.handle().events();
    let stream = stream(&engine, "tls");
    let first = log.append(&stream, event(&engine, "a")).await.unwrap();
    let mut tail = log.tail(&stream, first.cursor).await.unwrap();
    let topic = Topic::of_system(&engine.scopes.system, "changes");
    let bus = engine.handle().bus();
    let mut hearing = bus.subscribe(&topic).await.unwrap();
    for round in ["b", "c"] {
        engine.server().kill();
        let lost = log.append(&stream, event(&engine, "lost")).await;
        assert!(lost.is_err(), "{lost:?}");
        engine.server().revive();
        let after = healed(async || log.append(&stream, event(&engine, round)).await).await;
        assert_eq!(after.cursor.epoch, first.cursor.epoch);
        let heard = next(&mut tail).await.unwrap();
        assert_eq!(&*heard[0].body, round.as_bytes());
        assert_eq!(soon(hearing.next()).await, Some(Heard::Missed));
    }
    let all = read_all(&*log, &stream).await;
    assert_eq!(all.len(), 3);
}

#[tokio::test]
async fn a_server_of_another_authority_or_another_name_is_not_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let signed = ours.server(&[HERE]);
    let settings = ["--requirepass", CANARY];
    let server = RedisServer::start_tls(&signed, &ours.certificate(), &settings);
    let url = server.url();
    let namesake = Authority::new("ours");
    let strangers = [&other, &namesake].map(trusting);
    for strangers in strangers.into_iter().chain([RedisCredentials::default()]) {
        let text = handshake(&url, &password(strangers)).await;
        assert!(
            text.contains("not trusted") && text.contains("ca"),
            "{text}"
        );
    }
    connect(&url, &password(trusting(&ours))).await.unwrap();
    // An authority that is named is trusted beside others.
    let both = format!("{}{}", other.certificate(), ours.certificate());
    let both = RedisCredentials {
        authorities: Some(TrustedAuthorities::new(&both).unwrap()),
        ..RedisCredentials::default()
    };
    connect(&url, &password(both)).await.unwrap();

    let elsewhere = ours.server(&["redis.example", "127.0.0.2"]);
    let elsewhere = RedisServer::start_tls(&elsewhere, &ours.certificate(), &settings);
    let text = handshake(&elsewhere.url(), &password(trusting(&ours))).await;
    assert!(text.contains("not valid for name"), "{text}");
    // What is signed for a client is no server.
    let client = RedisServer::start_tls(&ours.client(), &ours.certificate(), &settings);
    handshake(&client.url(), &password(trusting(&ours))).await;
}

#[tokio::test]
async fn a_user_with_a_password_is_let_in_over_tls() {
    let authority = Authority::new("ours");
    let signed = authority.server(&[HERE, "localhost"]);
    let password_rule = format!(">{CANARY}");
    let mut settings = vec!["--user", "default", "off", "--user", "tenantry", "on"];
    settings.extend([&password_rule, "~*", "&*", "+@all"]);
    let server = RedisServer::start_tls(&signed, &authority.certificate(), &settings);
    let credentials = password(trusting(&authority));
    let row = serde_json::json!({"url": format!("rediss://localhost:{}/3", server.port()), "username": "tenantry"});
    let config: RedisConfig = serde_json::from_value(row).unwrap();
    let entropy = || Arc::new(SeededEntropy::new(1));
    Redis::connect(&config, &credentials, entropy())
        .await
        .unwrap();
    let refused = Redis::connect(&config, &trusting(&authority), entropy()).await;
    let refused = refused.err().unwrap();
    assert!(matches!(refused, RedisError::Refused { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_told_or_says_so() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let signed = ours.server(&[HERE]);
    for version in ["TLSv1.2", "TLSv1.3"] {
        let settings = ["--tls-auth-clients", "yes", "--tls-protocols", version];
        let server = RedisServer::start_tls(&signed, &ours.certificate(), &settings);
        let as_client = |signed: &Signed| RedisCredentials {
            client: Some(identity(signed)),
            ..trusting(&ours)
        };
        let namesake = Authority::new("ours");
        let strangers = [&other, &namesake].map(|authority| as_client(&authority.client()));
        for nobody in strangers.into_iter().chain([trusting(&ours)]) {
            let text = handshake(&server.url(), &nobody).await;
            assert!(text.contains("client_certificate"), "{version}: {text}");
        }
        let known = as_client(&ours.client());
        let redis = connect(&server.url(), &known).await.unwrap();
        let topic = Topic::of_system(&identity::SystemAuthority::assume(), "changes");
        let _hearing = redis.bus().subscribe(&topic).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_that_speaks_otherwise_is_named() {
    let authority = Authority::new("ours");
    let signed = authority.server(&[HERE]);
    let plain = RedisServer::start();
    let wrong = plain.url().replace("redis://", "rediss://");
    let refused = connect(&wrong, &password(trusting(&authority))).await;
    let text = told(&refused.err().unwrap(), &wrong);
    assert!(text.contains("begins with redis://"), "{text}");
    let server = RedisServer::start_tls(&signed, &authority.certificate(), &[]);
    let wrong = server.url().replace("rediss://", "redis://");
    let refused = connect(&wrong, &RedisCredentials::default()).await;
    let text = told(&refused.err().unwrap(), &wrong);
    assert!(text.contains("rediss://"), "{text}");
    // What only TLS needs is not left unused.
    let refused = connect(&wrong, &trusting(&authority)).await.err().unwrap();
    assert!(
        matches!(&refused, RedisError::Invalid(why) if why.contains("rediss://")),
        "{refused:?}"
    );
}

#[test]
fn certificates_and_keys_are_valid_from_birth_and_do_not_print() {
    let authority = Authority::new("ours");
    let (one, two) = (authority.client(), authority.client());
    let key = |text: &str| Zeroizing::new(text.to_owned());
    for none in ["", "x", &one.key, &"x".repeat(70_000)] {
        let wrong = TrustedAuthorities::new(none).unwrap_err().to_string();
        assert!(wrong.starts_with("ca must"), "{wrong}");
        let wrong = ClientIdentity::new(none, key(&one.key)).unwrap_err();
        assert!(
            wrong.to_string().contains("client_certificate must"),
            "{wrong}"
        );
    }
    for none in ["", "x", &*one.certificate, &two.key] {
        let wrong = ClientIdentity::new(&one.certificate, key(none)).unwrap_err();
        assert!(wrong.to_string().contains("client_key must"), "{wrong}");
    }
    let right = identity(&one);
    assert_eq!(format!("{right:?}"), "ClientIdentity(***)");
}
