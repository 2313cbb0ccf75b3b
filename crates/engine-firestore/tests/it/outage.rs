//! Servers that are gone, stopped, slow or not what they should be: said plainly, in time, and over when they are.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::future::join_all;
use store::{Batch, CommitError, Listing, StoreError};
use tenantry_engine_firestore::{
    Firestore, FirestoreCredentials, FirestoreError, FirestoreLocation, FirestoreSettings,
};
use testkit::{FakeClock, SeededEntropy};
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use zeroize::Zeroizing;

use crate::{
    proxy::Proxy,
    subject::{Store, open, open_own},
};

/// Most questions whether a server is there again; each waits for seconds.
const PINGS_MAX: usize = 20;

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Does everything once.
async fn works(store: &Store, firestore: &Firestore) {
    let (documents, key) = (firestore.documents(), store.key("works"));
    firestore.ping().await.unwrap();
    documents.commit(Batch::new().put(&key, "x")).await.unwrap();
    assert!(documents.get(&key).await.unwrap().is_some());
    let listing = Listing {
        limit: 10,
        ..Listing::default()
    };
    let page = documents.list(&store.partition(), &listing).await.unwrap();
    assert_eq!(page.len(), 1);
    documents.commit(Batch::new().delete(&key)).await.unwrap();
}

/// Waits for a server that has just begun, which takes its time: nothing else is done about it.
async fn works_again(store: &Store, firestore: &Firestore) {
    for _ in 0..PINGS_MAX {
        if firestore.ping().await.is_ok() {
            return works(store, firestore).await;
        }
    }
    panic!("it is not used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_is_unavailable_and_then_used_again() {
    let store = open_own().await;
    let firestore = store.another(&store.address).await;
    works(&store, &firestore).await;
    store.emulator().kill();
    let (documents, key) = (firestore.documents(), store.key("k"));
    for what in [
        unavailable(documents.get(&key).await),
        unavailable(
            documents
                .list(&store.partition(), &Listing::default())
                .await,
        ),
    ] {
        assert!(
            what.contains("databases/(default)") && what.contains("reached"),
            "{what}"
        );
    }
    let put = documents.commit(Batch::new().put(&key, "x")).await;
    let Err(CommitError::Store(StoreError::Unavailable(why))) = put else {
        panic!("{put:?}");
    };
    assert!(!why.contains("not known"), "it was not even sent: {why}");
    let gone = firestore.ping().await.unwrap_err();
    assert!(
        matches!(gone, FirestoreError::Unreachable { .. }),
        "{gone:?}"
    );
    store.emulator().revive();
    works_again(&store, &firestore).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_of_a_commit_is_waited_out() {
    let store = Arc::new(open_own().await);
    let documents = store.documents();
    documents
        .commit(Batch::new().put(&store.key("k"), "x"))
        .await
        .unwrap();
    // Stopped, it answers nobody; then it goes on.
    store.emulator().pause();
    let commits: Vec<_> = (0..8)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let key = store.key(&format!("n{n}"));
                let batch = Batch::new().expect_absent(&key).put(&key, "x");
                store.documents().commit(batch).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    store.emulator().resume();
    for commit in join_all(commits).await {
        commit.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_waited_for_and_a_silent_one_is_not() {
    let store = open().await;
    let proxy = Proxy::to(&store.address).await;
    let firestore = store.another(&proxy.address.to_string()).await;
    proxy.delay(Duration::from_millis(300));
    works(&store, &firestore).await;
    proxy.delay(Duration::ZERO);
    proxy.wire().hold_answers();
    let (documents, key) = (firestore.documents(), store.key("k"));
    let (got, put) = tokio::join!(
        documents.get(&key),
        documents.commit(Batch::new().put(&key, "x"))
    );
    let why = unavailable(got);
    assert!(why.contains("in time"), "{why}");
    let Err(CommitError::Store(StoreError::Unavailable(why))) = put else {
        panic!("{put:?}");
    };
    assert!(why.contains("not known"), "{why}");
    proxy.wire().release();
    firestore.ping().await.unwrap();
    assert!(
        documents.get(&key).await.unwrap().is_some(),
        "it was on its way, and arrived"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_there_is_room_for_wait_and_are_then_refused() {
    let store = open().await;
    let proxy = Proxy::to(&store.address).await;
    let firestore = store.another(&proxy.address.to_string()).await;
    firestore.ping().await.unwrap();
    proxy.wire().hold_answers();
    let asked = (0..100).map(|n| {
        let (documents, key) = (firestore.documents(), store.key(&n.to_string()));
        async move { documents.get(&key).await }
    });
    let answers = join_all(asked).await;
    let why: Vec<String> = answers.into_iter().map(unavailable).collect();
    let crowded = why
        .iter()
        .filter(|why| why.contains("too many calls"))
        .count();
    let late = why.iter().filter(|why| why.contains("in time")).count();
    assert!(
        crowded > 0 && late >= 64,
        "{crowded} had no room, {late} no answer"
    );
    proxy.wire().release();
    works(&store, &firestore).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_firestore_is_said_to_be_none() {
    let store = open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hangs_up = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let firestore = store.another(&address.to_string()).await;
    let refused = firestore.ping().await.unwrap_err();
    assert!(
        matches!(refused, FirestoreError::Unreachable { .. }),
        "{refused:?}"
    );
    unavailable(firestore.documents().get(&store.key("k")).await);
    hangs_up.abort();
}

/// The key of an account that nobody knows.
fn key() -> FirestoreCredentials {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'static> = pair.as_der().unwrap();
    let pem = BASE64_STANDARD.encode(der.as_ref());
    let json = serde_json::json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "canary-id",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n"),
        "client_email": "nobody@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://127.0.0.1:1/token",
    });
    FirestoreCredentials::service_account(Zeroizing::new(json.to_string())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_go_to_nobody_without_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let location = FirestoreLocation::service("p", None, Some(&endpoint)).unwrap();
    let settings = FirestoreSettings::new(location, Some(key())).unwrap();
    let (clock, chance) = (FakeClock::default(), SeededEntropy::new(1));
    let firestore = Firestore::connect(&settings, Arc::new(clock), Arc::new(chance));
    let firestore = firestore.await.unwrap();
    let sent = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut first = vec![0; 1024];
        let read = connection.read(&mut first).await.unwrap();
        first.truncate(read);
        first
    });
    let refused = firestore.ping().await.unwrap_err();
    assert!(
        matches!(refused, FirestoreError::Unreachable { .. }),
        "{refused:?}"
    );
    let sent = sent.await.unwrap();
    // A record of TLS that holds a handshake, and its greeting.
    assert_eq!((sent[0], sent[1], sent[5]), (22, 3, 1));
}
