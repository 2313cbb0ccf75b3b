//! Backups: whole, verified, beside a writing engine, and recognised when restored.

use std::{path::Path, sync::Arc};

use identity::Env;
use store::{Batch, DocKey, GapReason, Partition, Read, StreamKey};
use tenantry_engine_embedded::{Embedded, OpenError, backup};

use crate::{
    child::{self, append_number},
    subject::{engine, open},
};

fn restore(copy: &Path, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(copy, folder.join("tenantry.db")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_writers_has_everything_acknowledged_before() {
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let places = tempfile::tempdir().unwrap();
    let streams: Vec<StreamKey> = (0..4)
        .map(|n| StreamKey::in_scope(&scope, "chat", &format!("th_{n}")))
        .collect();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = streams
        .iter()
        .map(|stream| {
            let (log, stream) = (subject.handle().events(), stream.clone());
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    number += 1;
                    append_number(&*log, &stream, number).await.unwrap();
                }
            })
        })
        .collect();
    let log = subject.handle().events();
    for round in 0..3 {
        let mut heads = Vec::new();
        for stream in &streams {
            while log.bounds(stream).await.unwrap().head < 500 * (round + 1) {
                tokio::task::yield_now().await;
            }
            heads.push(log.bounds(stream).await.unwrap().head);
        }
        let copy = places.path().join(format!("{round}.db"));
        if round == 0 {
            let folder = subject.folder().to_owned();
            let to = copy.clone();
            let beside = tokio::task::spawn_blocking(move || backup(&folder, &to));
            beside.await.unwrap().unwrap();
        } else {
            subject.handle().backup(&copy).await.unwrap();
        }
        let folder = places.path().join(format!("restored {round}"));
        restore(&copy, &folder);
        let restored = open(&folder, &subject.world);
        for (stream, head) in streams.iter().zip(heads) {
            let found = restored.events().bounds(stream).await.unwrap();
            assert!(found.head >= head, "{} of {head}", found.head);
            let again = append_number(&*restored.events(), stream, head)
                .await
                .unwrap();
            assert!(again.duplicate && again.cursor.seq == head);
        }
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_restored_copy_begins_another_life() {
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let stream = StreamKey::in_scope(&scope, "chat", "th_1");
    let document = DocKey::new(&Partition::in_scope(&scope, "kind"), "a");
    let handle = subject.handle();
    append_number(&*handle.events(), &stream, 1).await.unwrap();
    handle
        .documents()
        .commit(Batch::new().put(&document, "x"))
        .await
        .unwrap();
    let places = tempfile::tempdir().unwrap();
    let copy = places.path().join("copy.db");
    handle.backup(&copy).await.unwrap();
    let lost = append_number(&*handle.events(), &stream, 2).await.unwrap();
    let lost_version = handle
        .documents()
        .commit(Batch::new().put(&document, "lost"))
        .await;

    let folder = places.path().join("restored");
    restore(&copy, &folder);
    let restored = open(&folder, &subject.world);
    let bounds = restored.events().bounds(&stream).await.unwrap();
    assert_eq!(bounds.head, 1);
    assert_ne!(bounds.epoch, lost.cursor.epoch);
    let other = append_number(&*restored.events(), &stream, 3)
        .await
        .unwrap();
    assert_eq!(
        other.cursor.seq, lost.cursor.seq,
        "another event has its seq"
    );
    let read = restored
        .events()
        .read(&stream, Some(lost.cursor), 10)
        .await
        .unwrap();
    let unknown = matches!(
        read,
        Read::Gap {
            reason: GapReason::UnknownEpoch,
            ..
        }
    );
    assert!(unknown, "{read:?}");
    let version = restored
        .documents()
        .commit(Batch::new().put(&document, "y"))
        .await
        .unwrap();
    assert!(
        version.0 > lost_version.unwrap().0,
        "versions are not given again"
    );

    drop(restored);
    let again = open(&folder, &subject.world);
    let kept = again.events().bounds(&stream).await.unwrap();
    assert_eq!(kept.epoch, bounds.epoch, "a life goes on over restarts");
    drop(again);
    let twice = places.path().join("restored twice");
    restore(&copy, &twice);
    let twin = open(&twice, &subject.world)
        .events()
        .bounds(&stream)
        .await
        .unwrap();
    assert_ne!(
        twin.epoch, bounds.epoch,
        "each restored copy has a life of its own"
    );
}

#[tokio::test]
async fn a_restored_copy_may_be_killed_in_its_new_life() {
    let subject = engine().await;
    let places = tempfile::tempdir().unwrap();
    let copy = places.path().join("copy.db");
    subject.handle().backup(&copy).await.unwrap();
    let folder = places.path().join("restored");
    restore(&copy, &folder);
    let mut child = child::command("append", &folder).spawn().unwrap();
    assert!(child::lines(&mut child).next().is_some(), "it writes");
    child.kill().unwrap();
    child.wait().unwrap();
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let stream = child::stream(&scope, 0);
    let reopened = open(&folder, &subject.world).events();
    let epoch = reopened.bounds(&stream).await.unwrap().epoch;
    let old = subject
        .handle()
        .events()
        .bounds(&stream)
        .await
        .unwrap()
        .epoch;
    assert_ne!(epoch, old);
}

#[tokio::test]
async fn a_backup_replaces_nothing_and_is_not_put_beside_an_old_log() {
    let subject = engine().await;
    let places = tempfile::tempdir().unwrap();
    let taken = places.path().join("taken");
    std::fs::write(&taken, "precious").unwrap();
    let refused = subject.handle().backup(&taken).await;
    assert!(matches!(refused, Err(OpenError::Exists(_))), "{refused:?}");
    assert_eq!(std::fs::read(&taken).unwrap(), b"precious");

    let copy = places.path().join("copy");
    subject.handle().backup(&copy).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(places.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing else stays behind: {left:?}");
    let folder = places.path().join("folder");
    restore(&copy, &folder);
    std::fs::write(folder.join("tenantry.db-wal"), "of the file before").unwrap();
    let world = &subject.world;
    let error = Embedded::open(&folder, world.clock.clone(), world.entropy.clone());
    assert!(matches!(error.err(), Some(OpenError::StaleWal { .. })));

    let nothing = places.path().join("nothing");
    assert!(backup(&nothing, &places.path().join("of nothing")).is_err());
    assert!(!nothing.exists());
}

#[tokio::test]
async fn a_closed_folder_can_be_backed_up() {
    let subject = engine().await;
    let scope = subject.world.scope("t_one", Env::Dev, "u_1").await;
    let stream = StreamKey::in_scope(&scope, "chat", "th_1");
    append_number(&*subject.handle().events(), &stream, 1)
        .await
        .unwrap();
    subject.close().await;
    let places = tempfile::tempdir().unwrap();
    let copy = places.path().join("copy");
    backup(subject.folder(), &copy).unwrap();
    restore(&copy, &places.path().join("restored"));
    let restored = open(&places.path().join("restored"), &subject.world);
    assert_eq!(restored.events().bounds(&stream).await.unwrap().head, 1);
}
