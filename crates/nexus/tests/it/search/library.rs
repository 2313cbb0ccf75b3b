//! Cards and a search over them, with its indexes in a folder.

use std::{path::PathBuf, sync::Arc, time::Duration};

use engine_embedded::Embedded;
use identity::Scope;
use serde_json::json;
use store::Documents;
use tempfile::TempDir;
use tenantry_nexus::{
    Card, NexusError, Record,
    search::{
        Asked, Asking, Found, Freshness, IndexState, Rebuild, Search, SearchDeps, SearchSettings,
    },
};
use testkit::{MemoryDocuments, World};

use crate::house::House;

pub(crate) struct Library {
    pub(crate) house: House,
    pub(crate) search: Search,
    pub(crate) settings: SearchSettings,
    folder: TempDir,
    engine: Option<Embedded>,
}

impl Library {
    /// Over documents in memory.
    pub(crate) fn new() -> Self {
        let world = World::new();
        let documents = Arc::new(MemoryDocuments::new(world.clock.clone()));
        Self::over(world, documents)
    }

    pub(crate) fn over(world: World, documents: Arc<dyn Documents>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = SearchSettings {
            open_max: 8,
            writers_max: 2,
            searches_max: 2,
            patience: Duration::from_secs(120),
            ..SearchSettings::new(folder.path().join("index"))
        };
        let house = House::over(world, documents);
        Self {
            search: opened(&house, settings.clone()),
            house,
            settings,
            folder,
            engine: None,
        }
    }

    /// Over the engine that keeps a folder.
    pub(crate) fn durable() -> Self {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
        let engine = Embedded::open(folder.path(), clock, entropy).unwrap();
        let mut library = Self::over(world, engine.documents());
        library.engine = Some(engine);
        library.folder = folder;
        library.settings.folder = library.index_folder();
        library.reopen();
        library
    }

    /// Both.
    pub(crate) fn both() -> [Self; 2] {
        [Self::new(), Self::durable()]
    }

    pub(crate) async fn close(self) {
        drop(self.search);
        if let Some(engine) = self.engine {
            engine.close().await;
        }
    }

    pub(crate) fn index_folder(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    /// The process ends and another one begins: nothing is told to the search.
    pub(crate) fn reopen(&mut self) {
        // The old one lets go of its locks first, as it does when its process ends.
        let nothing = SearchSettings::new("/nowhere".into());
        self.search = opened(&self.house, nothing);
        self.search = opened(&self.house, self.settings.clone());
    }

    /// Another node over the same store, with indexes of its own.
    pub(crate) fn other_node(&self) -> Search {
        let settings = SearchSettings {
            folder: self.folder.path().join("other"),
            ..self.settings.clone()
        };
        opened(&self.house, settings)
    }

    /// Asks for a new index.
    pub(crate) async fn rebuild(&self, scope: &Scope) -> Result<IndexState, NexusError> {
        let permit = self.house.permit(scope, Rebuild).await;
        self.search.rebuild(scope, permit).await
    }

    /// Makes a card.
    pub(crate) async fn make(
        &self,
        scope: &Scope,
        title: &str,
        body: &str,
        tags: &[&str],
    ) -> Record<Card> {
        let card = json!({"title": title, "body": body, "tags": tags});
        let card = serde_json::from_value(card).unwrap();
        let made = self.house.create::<Card>(scope, card, None).await;
        made.unwrap().record
    }

    /// What a query finds, which has to be up to date.
    pub(crate) async fn found(&self, scope: &Scope, asking: &Asking<'_>) -> Found {
        let asked = Asked::parse(asking).unwrap();
        let found = self.search.search(scope, &asked).await.unwrap();
        assert_eq!(found.lag.state, Freshness::Current, "{asking:?}");
        found
    }

    /// The titles of what a query finds.
    pub(crate) async fn titles(&self, scope: &Scope, text: &str) -> Vec<String> {
        let asking = Asking {
            text,
            ..Asking::default()
        };
        let found = self.found(scope, &asking).await;
        found.items.into_iter().map(|hit| hit.title).collect()
    }
}

fn opened(house: &House, settings: SearchSettings) -> Search {
    let deps = SearchDeps {
        documents: house.documents.clone(),
        clock: house.world.clock.clone(),
    };
    Search::new(deps, settings)
}
