//! Servers that are not the one primary: each is refused by what it is, whatever else it promises.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use tenantry_engine_redis::{Redis, RedisConfig, RedisCredentials, RedisError};
use testkit::{RedisServer, SeededEntropy};

use crate::{
    faults::{event, healed, stream},
    subject::{own, run},
};

async fn refused(url: &str) -> RedisError {
    let relaxed = serde_json::json!({"url": url, "durability": "relaxed"});
    let config: RedisConfig = serde_json::from_value(relaxed).unwrap();
    let none = RedisCredentials::default();
    let refused = Redis::connect(&config, &none, Arc::new(SeededEntropy::new(1))).await;
    refused.err().expect("it is refused")
}

fn not_primary(refused: &RedisError, is: &str) {
    let RedisError::NotPrimary { place, found } = refused else {
        panic!("{refused:?}");
    };
    assert!(found.contains(is), "{refused}");
    let text = refused.to_string();
    assert!(
        text.contains(place) && text.contains("single primary"),
        "{text}"
    );
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_node_of_a_cluster_is_refused() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    not_primary(&refused(&server.url()).await, "Cluster");
    // One that has all the slots would take every key, for as long as it is the only one.
    run(&server, &words("CLUSTER ADDSLOTSRANGE 0 16383")).await;
    let served = async || {
        let info = format!("{:?}", run(&server, &words("CLUSTER INFO")).await);
        info.contains("cluster_state:ok").then_some(()).ok_or(())
    };
    healed(served).await;
    not_primary(&refused(&server.url()).await, "Cluster");
    assert_eq!(
        format!("{:?}", run(&server, &words("DBSIZE")).await),
        "int(0)"
    );
    // It has no other database, and says so first.
    not_primary(&refused(&format!("{}/1", server.url())).await, "Cluster");
}

#[tokio::test]
async fn a_replica_is_refused_and_the_primary_that_became_one_is_left() {
    let engine = own(&["--repl-diskless-sync-delay", "0"]).await;
    let log = engine.handle().events();
    let stream = stream(&engine, "kept");
    log.append(&stream, event(&engine, "a")).await.unwrap();
    let port = engine.server().port().to_string();
    for writable in ["no", "yes"] {
        let settings = [
            "--replicaof",
            "127.0.0.1",
            &port,
            "--replica-read-only",
            writable,
        ];
        let replica = RedisServer::start_with(&settings);
        not_primary(&refused(&replica.url()).await, "replica");
    }
    let other = RedisServer::start();
    let follow = format!("REPLICAOF 127.0.0.1 {}", other.port());
    engine.command(&words(&follow)).await;
    // Connections from before are given up with the first refusal, and new ones find out.
    let says = async || {
        let refused = log.append(&stream, event(&engine, "b")).await.unwrap_err();
        refused
            .to_string()
            .contains("a replica")
            .then_some(())
            .ok_or(())
    };
    healed(says).await;
    engine.command(&words("REPLICAOF NO ONE")).await;
    healed(async || log.append(&stream, event(&engine, "c")).await).await;
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_sentinel_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("sentinel.conf");
    std::fs::write(&settings, format!("port {port}\nbind 127.0.0.1\n")).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&settings).arg("--sentinel");
    let _sentinel = Running(command.stdout(Stdio::null()).spawn().unwrap());
    let url = format!("redis://127.0.0.1:{port}");
    let up = async || match refused(&url).await {
        RedisError::Unreachable { why, .. } => Err(why),
        refused => Ok(refused),
    };
    not_primary(&healed(up).await, "Sentinel");
}
