//! Servers that keep less than their row asks for are refused, and nothing secret is said about them.

use std::sync::Arc;

use store::StoreError;
use tenantry_engine_redis::{
    Durability, Fsync, Policy, Promise, Redis, RedisConfig, RedisCredentials, RedisError,
    RedisPassword, Wait,
};
use testkit::{RedisServer, SeededEntropy};
use zeroize::Zeroizing;

use crate::{
    faults::{event, stream},
    subject::{Engine, own, run},
};

async fn connect(server: &RedisServer, row: &str) -> Result<Redis, RedisError> {
    let row = row.replace("URL", &server.url());
    let config: RedisConfig = serde_json::from_str(&row).unwrap();
    Redis::connect(
        &config,
        &RedisCredentials::default(),
        Arc::new(SeededEntropy::new(1)),
    )
    .await
}

async fn report(server: &RedisServer, row: &str) -> Durability {
    connect(server, row)
        .await
        .unwrap()
        .durability()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_server_that_forgets_is_refused_unless_the_row_allows_it() {
    let plain = r#"{"url":"URL"}"#;
    for (settings, says) in [
        (&["--appendonly", "no"], "appendonly is no"),
        (&["--appendfsync", "everysec"], "appendfsync is everysec"),
        (&["--maxmemory-policy", "allkeys-lru"], "allkeys-lru"),
    ] {
        let server = RedisServer::start_with(settings);
        let refused = connect(&server, plain).await.err().unwrap();
        assert!(
            matches!(refused, RedisError::NotDurable { .. }),
            "{refused:?}"
        );
        let text = refused.to_string();
        assert!(text.contains(says) && text.contains("in the row"), "{text}");
        let report = report(&server, r#"{"url":"URL","durability":"relaxed"}"#).await;
        assert_eq!(report.promise, Promise::Relaxed);
        assert!(report.to_string().starts_with("relaxed: "), "{report}");
    }
    let server = RedisServer::start_with(&["--appendfsync", "everysec"]);
    let report = report(&server, r#"{"url":"URL","appendfsync":"everysec"}"#).await;
    let expected = "durable: appendonly yes, appendfsync everysec, maxmemory-policy noeviction";
    assert_eq!(report.to_string(), expected);
}

#[tokio::test]
async fn a_server_that_stops_keeping_takes_no_more_events() {
    let engine = own(&[]).await;
    let log = engine.handle().events();
    let stream = stream(&engine, "kept");
    log.append(&stream, event(&engine, "kept")).await.unwrap();
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    engine.command(&words("CONFIG SET appendonly no")).await;
    assert_eq!(
        engine.handle().durability().await.unwrap().appendonly,
        Some(false)
    );
    // Noticed by every new connection; those that are open are ended here.
    engine
        .command(&words("CLIENT KILL TYPE normal SKIPME yes"))
        .await;
    let mut refused = None;
    for _ in 0..8 {
        match log.append(&stream, event(&engine, "not kept")).await {
            Ok(appended) => panic!("{appended:?}"),
            Err(error) => refused = Some(error),
        }
    }
    let why = refused.unwrap().to_string();
    assert!(why.contains("appendonly is no"), "{why}");
    assert_eq!(
        log.bounds(&stream).await.unwrap().head,
        1,
        "and is read all the same"
    );
}

#[tokio::test]
async fn replicas_that_are_waited_for_and_missing_are_no_acknowledgement() {
    let server = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let wait = r#"{"url":"URL","wait":{"replicas":1,"timeout_ms":100}}"#;
    let redis = connect(&server, wait).await.unwrap();
    let engine = own(&[]).await;
    let stream = stream(&engine, "alone");
    let alone = redis
        .events()
        .append(&stream, event(&engine, "x"))
        .await
        .unwrap_err();
    assert!(alone.to_string().contains("0 replicas"), "{alone}");

    let port = server.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let linked = async || {
        let info = run(&replica, &["INFO".to_owned(), "replication".to_owned()]).await;
        format!("{info:?}")
            .contains("master_link_status:up")
            .then_some(())
            .ok_or(())
    };
    crate::faults::healed(linked).await;
    let log = redis.events();
    crate::faults::healed(async || log.append(&stream, event(&engine, "x")).await).await;
}

#[tokio::test]
async fn nothing_secret_is_said() {
    let server = RedisServer::start_with(&["--requirepass", "canary"]);
    let url = server.url();
    let config = RedisConfig::new(&url).unwrap();
    let entropy = || Arc::new(SeededEntropy::new(1));
    let password = |text: &str| RedisCredentials {
        password: Some(RedisPassword::new(Zeroizing::new(text.to_owned())).unwrap()),
        ..RedisCredentials::default()
    };
    for wrong in [RedisCredentials::default(), password("canary-but-wrong")] {
        let refused = Redis::connect(&config, &wrong, entropy())
            .await
            .err()
            .unwrap();
        assert!(matches!(refused, RedisError::Refused { .. }), "{refused:?}");
        assert!(
            !format!("{refused} {refused:?} {wrong:?}").contains("canary"),
            "{refused}"
        );
    }
    let right = password("canary");
    assert!(!format!("{right:?}").contains("canary"), "{right:?}");
    Redis::connect(&config, &right, entropy()).await.unwrap();

    let in_url = url.replace("redis://", "redis://user:canary@");
    let refused = RedisConfig::new(&in_url).unwrap_err().to_string();
    assert!(
        !refused.contains("canary") && refused.contains("secret"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let server = RedisServer::start();
    let config = RedisConfig::new(&server.url()).unwrap();
    server.kill();
    let gone = Redis::connect(
        &config,
        &RedisCredentials::default(),
        Arc::new(SeededEntropy::new(1)),
    )
    .await
    .err()
    .unwrap();
    assert!(matches!(gone, RedisError::Unreachable { .. }), "{gone:?}");
    assert!(
        gone.to_string()
            .contains(&format!("127.0.0.1:{}", server.port())),
        "{gone}"
    );
}

#[test]
fn a_row_is_a_configuration_or_says_what_is_wrong() {
    let parse = |text: &str| serde_json::from_str::<RedisConfig>(text).map_err(|e| e.to_string());
    let config = parse(
        r#"{"url":"redis://[::1]:7000/3","username":"u","prefix":"a.b","connections":8,
            "durability":"durable","appendfsync":"everysec","wait":{"replicas":2,"timeout_ms":250}}"#,
    );
    let wait = Wait {
        replicas: 2,
        at_most: std::time::Duration::from_millis(250),
    };
    let policy = Policy {
        promise: Promise::Durable,
        appendfsync: Fsync::EverySec,
        wait: Some(wait),
    };
    assert_eq!(config.unwrap().policy(), policy);
    for (row, named) in [
        (r#"{}"#, "url"),
        (r#"{"url":"http://h"}"#, "redis://host"),
        (r#"{"url":"redis://"}"#, "redis://host"),
        (r#"{"url":"redis://h/x"}"#, "redis://host"),
        (r#"{"url":"redis://h?protocol=resp3"}"#, "redis://host"),
        (r#"{"url":"rediss://h#insecure"}"#, "redis://host"),
        (r#"{"url":"redis://h","prefix":"{x}"}"#, "prefix"),
        (r#"{"url":"redis://h","connections":0}"#, "connections"),
        (r#"{"url":"redis://h","username":""}"#, "username"),
        (r#"{"url":"redis://h","durability":"some"}"#, "some"),
        (
            r#"{"url":"redis://h","wait":{"replicas":0,"timeout_ms":1}}"#,
            "replicas",
        ),
        (
            r#"{"url":"redis://h","wait":{"replicas":1,"timeout_ms":5000}}"#,
            "timeout_ms",
        ),
        (r#"{"url":"redis://h","password":"p"}"#, "password"),
    ] {
        let wrong = parse(row).unwrap_err();
        assert!(wrong.contains(named), "{row}: {wrong}");
    }
}

#[tokio::test]
async fn a_relaxed_row_is_refused_nothing() {
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let engine = Engine::relaxed(server).await;
    let log = engine.handle().events();
    let appended = log
        .append(&stream(&engine, "relaxed"), event(&engine, "x"))
        .await;
    assert!(!matches!(
        appended,
        Err(store::AppendError::Store(StoreError::ReadOnly(_)))
    ));
    assert_eq!(appended.unwrap().cursor.seq, 1);
}
