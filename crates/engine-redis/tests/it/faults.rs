//! Servers that die, forget, stand still and are full. What was acknowledged is there afterwards, or
//! every cursor says that it is not; nothing hangs, and everything heals without a restart of ours.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::join_all};
use store::{
    AppendError, Appended, Cursor, EventLog, GapReason, Idempotency, NewEvent, Quota, Read,
    StoreError, StoredEvent, StreamKey, Tail, TailError, ThrottleKey,
    contract::{PATIENCE, Subject},
};
use testkit::RedisServer;
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

fn keyed(engine: &Engine, body: &str, key: u8) -> NewEvent {
    let idempotency = Some(Idempotency {
        key: [key; 16],
        fingerprint: [1; 16],
    });
    NewEvent {
        idempotency,
        ..event(engine, body)
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
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

async fn next(tail: &mut Tail) -> Result<Vec<StoredEvent>, TailError> {
    soon(tail.next())
        .await
        .expect("a tail ends only after an error")
}

async fn read_all(log: &dyn EventLog, stream: &StreamKey) -> Vec<StoredEvent> {
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
async fn a_server_that_lost_everything_begins_another_epoch() {
    let engine = own(&[]).await;
    let log = engine.handle().events();
    let stream = stream(&engine, "lost");
    for n in 0..10 {
        log.append(&stream, event(&engine, &n.to_string()))
            .await
            .unwrap();
    }
    let before = log.bounds(&stream).await.unwrap();
    let mut tail = log.tail(&stream, before.at_head()).await.unwrap();
    log.append(&stream, event(&engine, "heard")).await.unwrap();
    assert_eq!(next(&mut tail).await.unwrap().len(), 1);
    engine.server().lose_everything();
    engine.server().revive();
    // More than there were, so that old cursors would fit.
    for n in 0..20 {
        healed(async || {
            log.append(&stream, event(&engine, &format!("new {n}")))
                .await
        })
        .await;
    }
    let after = log.bounds(&stream).await.unwrap();
    assert_ne!(after.epoch, before.epoch);
    let old = Cursor {
        seq: 5,
        ..before.at_head()
    };
    let read = log.read(&stream, Some(old), 10).await.unwrap();
    let reason = GapReason::UnknownEpoch;
    assert!(
        matches!(
            read,
            Read::Gap {
                reason: GapReason::UnknownEpoch,
                ..
            }
        ),
        "{read:?}"
    );
    let Err(TailError::Gap(found, _)) = next(&mut tail).await else {
        panic!("the tail's position is gone");
    };
    assert_eq!(found, reason);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushing_and_deleting_are_noticed_without_a_restart() {
    let engine = own(&[]).await;
    let log = engine.handle().events();
    let names = |object: &str| {
        let stream = stream(&engine, object);
        let tag = format!("{{{}:{stream}}}", engine.config().prefix());
        (stream, [format!("{tag}:e"), format!("{tag}:m")])
    };
    let flush = vec!["FLUSHALL".to_owned()];
    let delete = |keys: &[String]| [&["DEL".to_owned()], keys].concat();
    let (all, all_keys) = names("all");
    let (events, events_keys) = names("events");
    let (life, life_keys) = names("life");
    let (flushed, _) = names("flushed");
    for (stream, command, lost) in [
        (&all, delete(&all_keys), true),
        (&events, delete(&events_keys[..1]), true),
        (&life, delete(&life_keys[1..]), false),
        (&flushed, flush, true),
    ] {
        for n in 0..3 {
            log.append(stream, keyed(&engine, "before", n))
                .await
                .unwrap();
        }
        let before = log.bounds(stream).await.unwrap();
        let mut tail = log.tail(stream, before.at_head()).await.unwrap();
        engine.command(&command).await;
        let mut last = None;
        for n in 0..5 {
            let appended = log
                .append(stream, keyed(&engine, "after", n))
                .await
                .unwrap();
            let known = !lost && n < 3;
            assert_eq!(
                appended.duplicate, known,
                "{command:?}: a key of what is gone counts no more"
            );
            last = Some(appended.cursor);
        }
        let after = log.bounds(stream).await.unwrap();
        assert_eq!(after.epoch != before.epoch, lost, "{command:?}");
        assert_eq!(last, Some(after.at_head()));
        assert_eq!(read_all(&*log, stream).await.len(), 5);
        let heard = next(&mut tail).await;
        let gap = matches!(heard, Err(TailError::Gap(GapReason::UnknownEpoch, _)));
        assert_eq!(gap, lost, "{command:?}: {heard:?}");
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
    assert_eq!(log.bounds(&unknown).await.unwrap().head, 0, "nobody wrote there");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_may_have_lost_something_begins_another_epoch() {
    // When the operating system likes is less than always: what came last may be gone.
    for (settings, keeps) in [(&["--appendfsync", "no"][..], false), (&[], true)] {
        let server = RedisServer::start_with(settings);
        let engine = Engine::relaxed(server).await;
        let log = engine.handle().events();
        let stream = stream(&engine, "restarted");
        log.append(&stream, event(&engine, "before")).await.unwrap();
        let before = log.bounds(&stream).await.unwrap();
        engine.server().kill();
        engine.server().revive();
        let after = healed(async || log.bounds(&stream).await).await;
        assert_eq!(after.epoch == before.epoch, keeps, "{settings:?}");
        assert_eq!(
            (after.oldest, after.head),
            (1, 1),
            "the events are there all the same"
        );
        let other = engine.node().await.events();
        assert_eq!(
            other.bounds(&stream).await.unwrap(),
            after,
            "all nodes agree"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_begins_another_epoch() {
    let engine = own(&["--repl-diskless-sync-delay", "0"]).await;
    let log = engine.handle().events();
    let stream = stream(&engine, "taken_over");
    log.append(&stream, event(&engine, "before")).await.unwrap();
    let before = log.bounds(&stream).await.unwrap();
    let port = engine.server().port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let synced = async || {
        let info = crate::subject::run(&replica, &words("INFO replication")).await;
        let up = format!("{info:?}").contains("master_link_status:up");
        up.then_some(()).ok_or(())
    };
    healed(synced).await;
    engine.server().kill();
    crate::subject::run(&replica, &words("REPLICAOF NO ONE")).await;
    let config = tenantry_engine_redis::RedisConfig::new(&replica.url()).unwrap();
    let config = config.with_prefix(engine.config().prefix()).unwrap();
    let log = crate::subject::connect(&config, None).await.events();
    let after = log.bounds(&stream).await.unwrap();
    assert_eq!(
        (after.oldest, after.head),
        (1, 1),
        "what it had received is there"
    );
    assert_ne!(
        after.epoch, before.epoch,
        "what it had not received may have been seen"
    );
}
