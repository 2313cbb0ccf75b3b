//! Another life of the data is another epoch: after everything was lost, after one stream was, and
//! after a server came back that may have forgotten what it gave out.

use store::{Cursor, GapReason, Read, TailError};
use tenantry_engine_redis::{RedisConfig, RedisCredentials};
use testkit::RedisServer;

use crate::{
    faults::{event, healed, keyed, next, read_all, stream},
    subject::{Engine, connect, own, run},
};

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
        let info = run(&replica, &words("INFO replication")).await;
        let up = format!("{info:?}").contains("master_link_status:up");
        up.then_some(()).ok_or(())
    };
    healed(synced).await;
    engine.server().kill();
    run(&replica, &words("REPLICAOF NO ONE")).await;
    let config = RedisConfig::new(&replica.url()).unwrap();
    let config = config.with_prefix(engine.config().prefix()).unwrap();
    let log = connect(&config, &RedisCredentials::default())
        .await
        .events();
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
