//! How changes reach the index: late, at once, after a crash, and when nobody looked for long.

use std::{fs, path::Path, sync::Arc, time::Duration};

use identity::{Clock, Env, Scope};
use store::{Batch, DocKey, Partition};
use tenantry_nexus::{
    NexusError,
    search::{Asked, Asking},
};
use testkit::{Faulty, MemoryDocuments, World};

use super::library::Library;

/// Puts a record, and a note of it with the time `at`, as a batch does that commits late.
async fn put_late(library: &Library, scope: &Scope, id: &str, at: i64) {
    let (cards, changes) = (
        Partition::in_scope(scope, "cards"),
        Partition::in_scope(scope, "record_changes"),
    );
    let like = library.house.made(scope, "Late").await.id;
    let like = library
        .house
        .documents
        .get(&DocKey::new(&cards, like.as_str()))
        .await;
    let late = DocKey::new(&cards, id);
    let note = DocKey::new(&changes, format!("{at:015}/cards/{id}"));
    let batch = Batch::new()
        .put(&late, like.unwrap().unwrap().value)
        .put(&note, "{}");
    library.house.documents.commit(batch).await.unwrap();
}

#[tokio::test]
async fn a_batch_that_commits_late_is_found() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    let clock = &library.house.world.clock;
    for (id, late_ms, wait_s) in [("cd_late", 1500, 0), ("cd_later", 20_000, 5)] {
        clock.advance(Duration::from_secs(60));
        library.house.made(&scope, "Early").await;
        let before = library.titles(&scope, "late").await.len();
        put_late(&library, &scope, id, clock.now().unix_ms() - late_ms).await;
        clock.advance(Duration::from_secs(wait_s));
        let found = library.titles(&scope, "late").await;
        assert_eq!(found.len(), before + 2, "{late_ms} ms late");
    }
}

#[tokio::test]
async fn what_comes_very_late_is_found_however_often_one_looked_meanwhile() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    let clock = &library.house.world.clock;
    library.house.made(&scope, "Early").await;
    clock.advance(Duration::from_secs(60));
    library.titles(&scope, "early").await;
    clock.advance(Duration::from_millis(500));
    put_late(&library, &scope, "cd_late", clock.now().unix_ms() - 29_000).await;
    for _ in 0..4 {
        clock.advance(Duration::from_secs(1));
        library.house.made(&scope, "Meanwhile").await;
        library.titles(&scope, "meanwhile").await;
    }
    clock.advance(Duration::from_millis(600));
    assert_eq!(library.titles(&scope, "late").await.len(), 2);
}

#[tokio::test]
async fn a_node_whose_clock_is_ahead_hides_no_change() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    let now = library.house.world.clock.now().unix_ms();
    put_late(&library, &scope, "cd_late", now + 25_000).await;
    assert_eq!(library.titles(&scope, "late").await.len(), 2);
    library.house.made(&scope, "Here").await;
    assert_eq!(library.titles(&scope, "here").await, ["Here"]);
}

#[tokio::test]
async fn an_index_from_before_a_crash_catches_up() {
    let mut library = Library::durable();
    let scope = library.house.scope("t_a", Env::Dev).await;
    let old = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for n in 0..12 {
        let title = format!("Title {n:02}");
        library.house.made(&scope, &title).await;
        expected.push(title);
        if n == 3 {
            library.titles(&scope, "title").await;
            copy(&library.index_folder(), old.path());
        }
        if n % 4 == 1 {
            library.reopen();
        }
        let mut found = library.titles(&scope, "title").await;
        found.sort();
        assert_eq!(found, expected);
    }
    library.reopen();
    fs::remove_dir_all(library.index_folder()).unwrap();
    copy(old.path(), &library.index_folder());
    let mut found = library.titles(&scope, "title").await;
    found.sort();
    assert_eq!(
        found, expected,
        "what was committed after the copy is read from the feed"
    );
    library.close().await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

#[tokio::test]
async fn an_index_that_was_forgotten_for_long_is_made_anew() {
    let mut library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    library.house.made(&scope, "Before").await;
    assert_eq!(library.titles(&scope, "before").await, ["Before"]);
    library.house.made(&scope, "Unseen").await;
    library.reopen();
    // The note of it has ended.
    library
        .house
        .world
        .clock
        .advance(Duration::from_secs(8 * 24 * 60 * 60));
    let scope = library.house.scope("t_a", Env::Dev).await;
    let found = library.search.search(&scope, &asked("unseen")).await;
    found.unwrap();
    while library.search.state(&scope).await.unwrap().rebuilding {
        tokio::task::yield_now().await;
    }
    assert_eq!(library.titles(&scope, "unseen").await, ["Unseen"]);
}

fn asked(text: &str) -> Asked {
    let asking = Asking {
        text,
        ..Asking::default()
    };
    Asked::parse(&asking).unwrap()
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_and_forgotten() {
    let world = World::new();
    let faulty = Arc::new(Faulty::new(MemoryDocuments::new(world.clock.clone())));
    let library = Library::over(world, faulty.clone());
    let scope = library.house.scope("t_a", Env::Dev).await;
    library.house.made(&scope, "One").await;
    faulty.set_down(true);
    for _ in 0..3 {
        let refused = library.search.search(&scope, &asked("one")).await;
        assert!(
            matches!(refused, Err(NexusError::Store(_) | NexusError::SearchBusy)),
            "{refused:?}"
        );
    }
    faulty.set_down(false);
    assert_eq!(library.titles(&scope, "one").await, ["One"]);
    library.house.made(&scope, "Two").await;
    for failing in 1..5 {
        faulty.fail_next(failing);
        let _ = library.search.search(&scope, &asked("two")).await;
        faulty.fail_next(0);
        assert_eq!(library.titles(&scope, "two").await, ["Two"]);
    }
}

#[tokio::test]
async fn a_damaged_record_hides_no_other() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    put_late(&library, &scope, "cd_late", 0).await;
    let cards = Partition::in_scope(&scope, "cards");
    let damaged = Batch::new().put(&DocKey::new(&cards, "cd_late"), "{");
    library.house.documents.commit(damaged).await.unwrap();
    assert_eq!(library.titles(&scope, "late").await, ["Late"]);
    library.house.made(&scope, "Other").await;
    assert_eq!(library.titles(&scope, "other").await, ["Other"]);
}
