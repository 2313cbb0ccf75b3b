//! Servers that die, forget, stand still and are full. What was acknowledged is there afterwards, or
//! every cursor says that it is not; nothing hangs, and everything heals without a restart of ours.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::join_all};
use store::{
    AppendError, Appended, Cursor, EventLog, Idempotency, NewEvent, Quota, Read, StoreError,
    StoredEvent, StreamKey, Tail, TailError, ThrottleKey,
    contract::{PATIENCE, Subject},
};
use tokio::time::{Instant, timeout};

use crate::subject::{Engine, own};

pub(crate) fn stream(engine: &Engine, object: &str) -> StreamKey {
    StreamKey::in_scope(&engine.scopes.one, "faults", object)
}

pub(crate) fn event(engine: &Engine, body: &str) -> NewEvent {
    let at = Subject::<dyn EventLog>::now(engine);
    NewEvent {
        body: body.to_owned().into(),
        at,
        idempotency: None,
    }
}

pub(crate) fn keyed(engine: &Engine, body: &str, key: u8) -> NewEvent {
    let idempotency = Some(Idempotency {
        key: [key; 16],
        fingerprint: [1; 16],
    });
    NewEvent {
        idempotency,
        ..event(engine, body)
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("an answer in time")
}

/// Asks again until it works: the engine heals by itself, and nobody has to restart it.
pub(crate) async fn healed<T, E>(mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    soon(async {
        loop {
            if let Ok(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

pub(crate) async fn next(tail: &mut Tail) -> Result<Vec<StoredEvent>, TailError> {
    soon(tail.next())
        .await
        .expect("a tail ends only after an error")
}

pub(crate) async fn read_all(log: &dyn EventLog, stream: &StreamKey) -> Vec<StoredEvent> {
    let Read::Page { events, .. } = log.read(stream, None, 1000).await.unwrap() else {
        panic!("from the oldest there is no gap");
    };
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_what_it_acknowledged_and_tails_go_on() {
    let engine = own(&[]).await;
    let log = engine.handle().events();
    let stream = stream(&engine, "killed");
    let head = log.bounds(&stream).await.unwrap().at_head();
    let mut tail = log.tail(&stream, head).await.unwrap();
    let writers = (0..8).map(|writer| {
        let (log, stream) = (Arc::clone(&log), stream.clone());
        let event = event(&engine, &format!("writer {writer}"));
        tokio::spawn(async move {
            let mut acked = Vec::new();
            while let Ok(appended) = log.append(&stream, event.clone()).await {
                acked.push((appended.cursor, event.body.clone()));
            }
            acked
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut followed = Vec::new();
    while followed.len() < 500 {
        followed.extend(next(&mut tail).await.unwrap());
    }
    engine.server().kill();
    let mut acked = BTreeMap::new();
    for writer in writers {
        for (cursor, body) in soon(writer).await.unwrap() {
            assert!(
                acked.insert(cursor.seq, body).is_none(),
                "{cursor} was given twice"
            );
        }
    }
    engine.server().revive();
    let bounds = healed(async || log.bounds(&stream).await).await;
    assert_eq!(bounds.epoch, head.epoch, "nothing was lost");
    let more = healed(async || log.append(&stream, event(&engine, "after")).await).await;
    while followed
        .last()
        .is_none_or(|last: &StoredEvent| last.cursor.seq < more.cursor.seq)
    {
        followed.extend(next(&mut tail).await.unwrap());
    }
    assert!(acked.len() >= 500, "{} were acknowledged", acked.len());
    for (at, event) in followed.iter().enumerate() {
        assert_eq!(
            event.cursor.seq,
            at as u64 + 1,
            "the tail has no hole and no repeat"
        );
    }
    for (seq, body) in acked {
        let found = &followed[usize::try_from(seq).unwrap() - 1];
        assert_eq!((found.cursor.seq, &found.body), (seq, &body));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_were_deleted_from_the_middle_are_never_passed_over() {
    let engine = own(&[]).await;
    let log = engine.handle().events();
    let stream = stream(&engine, "holes");
    for n in 0..5 {
        log.append(&stream, event(&engine, &n.to_string()))
            .await
            .unwrap();
    }
    let key = format!("{{{}:{stream}}}:e", engine.config().prefix());
    let ids = engine
        .command(&[
            "XRANGE".to_owned(),
            key.clone(),
            "-".to_owned(),
            "+".to_owned(),
        ])
        .await;
    let third = crate::subject::entry_id(&ids, 2);
    engine.command(&["XDEL".to_owned(), key, third]).await;
    let read = log.read(&stream, None, 100).await;
    assert!(
        matches!(&read, Err(StoreError::Corrupt(why)) if why.contains("event 3")),
        "{read:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_given_up_and_heals() {
    let engine = own(&[]).await;
    let log = engine.handle().events();
    let stream = stream(&engine, "paused");
    let first = log.append(&stream, event(&engine, "before")).await.unwrap();
    let mut tail = log.tail(&stream, first.cursor).await.unwrap();
    let paused = Instant::now();
    engine.server().pause();
    while paused.elapsed() < Duration::from_secs(10) {
        // None of these may hang, and none may claim what it does not know.
        let asked = Instant::now();
        let (appended, bounds, taken) = tokio::join!(
            log.append(&stream, keyed(&engine, "while", 7)),
            log.bounds(&stream),
            take(&engine),
        );
        assert!(
            matches!(
                appended,
                Err(AppendError::Store(StoreError::Unavailable(_)))
            ),
            "{appended:?}"
        );
        assert!(
            matches!(bounds, Err(StoreError::Unavailable(_))),
            "{bounds:?}"
        );
        assert!(
            matches!(taken, Err(StoreError::Unavailable(_))),
            "{taken:?}"
        );
        assert!(
            asked.elapsed() < PATIENCE,
            "answers come before patience ends"
        );
    }
    engine.server().resume();
    // The key makes it harmless to say it again, whether or not it arrived.
    let again = healed(async || log.append(&stream, keyed(&engine, "while", 7)).await).await;
    assert_eq!(again.cursor.seq, 2);
    let mut followed = next(&mut tail).await.unwrap();
    let last = log.append(&stream, event(&engine, "after")).await.unwrap();
    while followed.last().unwrap().cursor != last.cursor {
        followed.extend(next(&mut tail).await.unwrap());
    }
    let bodies: Vec<_> = followed.iter().map(|event| &event.body[..]).collect();
    assert_eq!(bodies, [&b"while"[..], b"after"]);
}

async fn take(engine: &Engine) -> Result<(), StoreError> {
    let key = ThrottleKey::of_tenant(&engine.scopes.one, "faults");
    let quota = Quota {
        burst: 5.try_into().unwrap(),
        per_second: 1.try_into().unwrap(),
    };
    let taken = engine.handle().throttle().take(&key, quota, 0).await;
    taken.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_writes_whole_and_goes_on_reading() {
    let engine = own(&["--maxmemory", "8mb"]).await;
    let log = engine.handle().events();
    let stream = stream(&engine, "full");
    let body = "x".repeat(100 * 1024);
    let mut acked = 0;
    let refused = loop {
        match log.append(&stream, event(&engine, &body)).await {
            Ok(appended) => acked = appended.cursor.seq,
            Err(refused) => break refused,
        }
    };
    assert!(acked > 10, "{acked} were taken");
    let AppendError::Store(StoreError::ReadOnly(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(why.contains("OOM"), "{why}");
    for _ in 0..5 {
        let refused = log.append(&stream, keyed(&engine, &body, 9)).await;
        assert!(
            matches!(refused, Err(AppendError::Store(StoreError::ReadOnly(_)))),
            "{refused:?}"
        );
    }
    let bounds = log.bounds(&stream).await.unwrap();
    assert_eq!(bounds.head, acked, "nothing was half written");
    engine.server().kill();
    engine.server().revive();
    assert_eq!(healed(async || log.bounds(&stream).await).await, bounds);
    let unknown = self::stream(&engine, "unknown");
    assert_eq!(
        log.bounds(&unknown).await.unwrap().head,
        0,
        "nobody wrote there"
    );
    healed(async || take(&engine).await).await;
    // Room is made by trimming, which a full server allows.
    log.trim(&stream, acked - 1).await.unwrap();
    let appended = healed(async || log.append(&stream, keyed(&engine, &body, 9)).await).await;
    let cursor = Cursor {
        seq: acked + 1,
        ..bounds.at_head()
    };
    let duplicate = false;
    assert_eq!(
        appended,
        Appended { cursor, duplicate },
        "the refused key was not kept"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_from_many_nodes_while_the_server_dies_is_one_event() {
    let engine = own(&[]).await;
    let stream = stream(&engine, "one_key");
    let nodes = join_all((0..4).map(|_| engine.node())).await;
    for round in 0..5_u8 {
        let racers = (0..32).map(|racer| {
            let log = nodes[racer % nodes.len()].events();
            let (stream, event) = (stream.clone(), keyed(&engine, "raced", round));
            tokio::spawn(async move {
                // Said again until there is an answer.
                loop {
                    if let Ok(appended) = log.append(&stream, event.clone()).await {
                        return appended;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        });
        let racers: Vec<_> = racers.collect();
        tokio::task::yield_now().await;
        engine.server().kill();
        engine.server().revive();
        let mut first = 0;
        for racer in racers {
            let appended = soon(racer).await.unwrap();
            assert_eq!(appended.cursor.seq, u64::from(round) + 1);
            first += usize::from(!appended.duplicate);
        }
        // None is first when the first answer was lost with the server.
        assert!(first <= 1, "{first} were first");
    }
    assert_eq!(read_all(&*nodes[0].events(), &stream).await.len(), 5);
}
