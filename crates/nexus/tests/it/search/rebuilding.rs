//! Making an index anew: while the old one answers, after damage, and cut off half-way.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use identity::Env;
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};
use tenantry_nexus::{
    NexusError,
    search::{Asked, Asking, Freshness, Rebuild},
};
use testkit::{MemoryDocuments, World};
use tokio::sync::{Mutex, MutexGuard};

use super::library::Library;

/// Documents of which lists of cards wait as long as the lock is held.
struct Held {
    inner: MemoryDocuments,
    lock: Mutex<()>,
}

#[async_trait]
impl Documents for Held {
    async fn get(&self, key: &DocKey) -> Result<Option<Document>, StoreError> {
        self.inner.get(key).await
    }
    async fn list(
        &self,
        partition: &Partition,
        listing: &Listing,
    ) -> Result<Vec<Document>, StoreError> {
        if partition.as_str().ends_with("/cards") {
            let _waited: MutexGuard<'_, ()> = self.lock.lock().await;
        }
        self.inner.list(partition, listing).await
    }
    async fn commit(&self, batch: Batch) -> Result<Version, CommitError> {
        self.inner.commit(batch).await
    }
}

fn generations(library: &Library) -> Vec<PathBuf> {
    let mut folders = vec![library.index_folder()];
    for _ in 0..3 {
        let below = folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap());
        folders = below.map(|entry| entry.unwrap().path()).collect();
    }
    folders
}

#[tokio::test]
async fn the_old_index_answers_while_a_new_one_is_built() {
    let world = World::new();
    let held = Arc::new(Held {
        inner: MemoryDocuments::new(world.clock.clone()),
        lock: Mutex::default(),
    });
    let library = Library::over(world, held.clone());
    let scope = library.house.scope("t_a", Env::Dev).await;
    library.house.made(&scope, "One").await;
    assert_eq!(library.titles(&scope, "one").await, ["One"]);
    let old = generations(&library);

    let lock = held.lock.lock().await;
    let state = library.rebuild(&scope).await.unwrap();
    assert_eq!((state.rebuilding, state.records), (true, Some(1)));
    assert!(library.rebuild(&scope).await.unwrap().rebuilding);
    library.house.made(&scope, "Two").await;
    assert_eq!(library.titles(&scope, "one").await, ["One"]);
    assert_eq!(library.titles(&scope, "two").await, ["Two"]);
    drop(lock);
    while library.search.state(&scope).await.unwrap().rebuilding {
        tokio::task::yield_now().await;
    }
    assert_eq!(library.titles(&scope, "one").await, ["One"]);
    assert_eq!(library.titles(&scope, "two").await, ["Two"]);
    library.house.made(&scope, "Three").await;
    assert_eq!(library.titles(&scope, "three").await, ["Three"]);
    let state = library.search.state(&scope).await.unwrap();
    assert_eq!((state.rebuilding, state.records), (false, Some(3)));
    while generations(&library).len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_ne!(generations(&library), old, "the old one is removed");
}

#[tokio::test]
async fn every_node_makes_its_index_anew() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    library.house.made(&scope, "One").await;
    let node = library.other_node();
    for search in [&library.search, &node] {
        assert_eq!(search.state(&scope).await.unwrap().records, None);
    }
    let found = node.search(&scope, &asked("one")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    // Put past the feed: only who begins anew finds it.
    let cards = Partition::in_scope(&scope, "cards");
    let documents = &library.house.documents;
    let first = Listing {
        limit: 1,
        ..Listing::default()
    };
    let one = documents.list(&cards, &first).await.unwrap().remove(0);
    let unseen = Batch::new().put(&DocKey::new(&cards, "cd_unseen"), one.value);
    documents.commit(unseen).await.unwrap();
    library.house.world.clock.advance(Duration::from_secs(1));
    assert_eq!(
        node.search(&scope, &asked("one"))
            .await
            .unwrap()
            .items
            .len(),
        1
    );

    library.rebuild(&scope).await.unwrap();
    let mut found = 0;
    while found < 2 {
        found = node
            .search(&scope, &asked("one"))
            .await
            .unwrap()
            .items
            .len();
        tokio::task::yield_now().await;
    }
    while node.state(&scope).await.unwrap().rebuilding {
        tokio::task::yield_now().await;
    }
    node.search(&scope, &asked("one")).await.unwrap();
    assert!(
        !node.state(&scope).await.unwrap().rebuilding,
        "once is enough"
    );
}

#[tokio::test]
async fn a_closed_gate_leaves_the_index_as_it_is() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    library.house.made(&scope, "One").await;
    library.titles(&scope, "one").await;
    let permit = library.house.permit(&scope, Rebuild).await;
    library.house.stop(&scope).await;
    let refused = library.search.rebuild(&scope, permit).await;
    assert!(matches!(refused, Err(NexusError::Denied(_))), "{refused:?}");
    assert!(!library.search.state(&scope).await.unwrap().rebuilding);
}

fn asked(text: &str) -> Asked {
    let asking = Asking {
        text,
        ..Asking::default()
    };
    Asked::parse(&asking).unwrap()
}

#[tokio::test]
async fn a_search_says_that_the_index_is_being_built() {
    let world = World::new();
    let held = Arc::new(Held {
        inner: MemoryDocuments::new(world.clock.clone()),
        lock: Mutex::default(),
    });
    let mut library = Library::over(world, held.clone());
    library.settings.patience = Duration::ZERO;
    library.reopen();
    let scope = library.house.scope("t_a", Env::Dev).await;
    library.house.made(&scope, "One").await;
    let lock = held.lock.lock().await;
    let found = library.search.search(&scope, &asked("one")).await.unwrap();
    assert_eq!(found.items, vec![]);
    assert_eq!(found.lag.state, Freshness::Building);
    drop(lock);
    while library.search.state(&scope).await.unwrap().rebuilding {
        tokio::task::yield_now().await;
    }
    library.settings.patience = Duration::from_secs(120);
    library.reopen();
    assert_eq!(library.titles(&scope, "one").await, ["One"]);
}

#[tokio::test]
async fn a_damaged_index_is_made_anew() {
    let mut library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    for n in 0..3 {
        library.house.made(&scope, &format!("Word {n}")).await;
        library.titles(&scope, "word").await;
    }
    library.reopen();
    let whole = generations(&library).remove(0);
    // Names of files are chance: one of each sort is damaged.
    let sorts: BTreeSet<String> = files(&whole).iter().filter_map(|name| sort(name)).collect();
    assert!(sorts.len() > 5, "{sorts:?}");
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |file| fs::remove_file(file).unwrap(),
        |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        },
        |file| fs::write(file, "garbage").unwrap(),
    ];
    for wanted in sorts {
        for damage in damages {
            library.titles(&scope, "word").await;
            library.reopen();
            let now = generations(&library).remove(0);
            let found = files(&now).into_iter();
            let mut found = found.filter(|name| sort(name).as_ref() == Some(&wanted));
            damage(&now.join(found.next().unwrap()));
            assert_eq!(library.titles(&scope, "word").await.len(), 3, "{wanted}");
        }
    }
}

/// What a file is for; locks are for nothing here.
fn sort(name: &str) -> Option<String> {
    let sort = name.rsplit('.').next().unwrap();
    (sort != "lock").then(|| sort.to_owned())
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn what_was_half_built_is_removed_and_another_format_is_made_anew() {
    let mut library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    library.house.made(&scope, "Word").await;
    library.titles(&scope, "word").await;
    library.reopen();
    let whole = generations(&library).remove(0);
    let half = whole.with_file_name("9");
    for (from, to) in [
        ("\\\"complete\\\":true", "\\\"complete\\\":false"),
        ("\\\"format\\\":1,", "\\\"format\\\":0,"),
    ] {
        fs::create_dir(&half).unwrap();
        let whole = generations(&library)
            .into_iter()
            .find(|found| *found != half)
            .unwrap();
        for name in files(&whole) {
            fs::copy(whole.join(&name), half.join(&name)).unwrap();
        }
        let meta = fs::read_to_string(half.join("meta.json")).unwrap();
        assert!(meta.contains(from), "{meta}");
        fs::write(half.join("meta.json"), meta.replace(from, to)).unwrap();
        assert_eq!(library.titles(&scope, "word").await, ["Word"]);
        assert_eq!(generations(&library), [whole]);
        library.reopen();
    }
}
