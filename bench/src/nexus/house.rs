//! Records and their search over the embedded engine, without HTTP.

use std::{path::Path, sync::Arc};

use anyhow::{Result, anyhow};
use engine_embedded::Embedded;
use futures_util::{StreamExt, TryStreamExt, stream};
use gatechain::{AlwaysEnforce, Credentials, GateChain, GateDeps};
use identity::{Scope, SystemAuthority};
use nexus::{
    Card, Create, Nexus, NexusDeps,
    search::{Search, SearchDeps, SearchSettings},
};

use crate::{
    ambient::{SystemClock, SystemEntropy},
    gates::{Monotonic, Unrecorded},
    scope::OpenHouse,
};

/// Writers that fill a house.
const FILLERS: usize = 256;
/// The words that cards are made of, the most frequent first.
const WORDS: [&str; 24] = [
    "plan", "draft", "review", "budget", "release", "customer", "invoice", "meeting", "roadmap",
    "design", "market", "quarter", "partner", "contract", "delivery", "support", "security",
    "network", "storage", "canvas", "ticket", "sprint", "forecast", "archive",
];

/// Records, their gates and their search.
pub(super) struct House {
    engine: Embedded,
    gates: GateChain,
    pub(super) nexus: Nexus,
    pub(super) search: Search,
}

impl House {
    /// Opens one in `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let engine = Embedded::open(&folder.join("store"), clock.clone(), entropy.clone())?;
        let gates = GateChain::new(GateDeps {
            documents: engine.documents(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            authority: SystemAuthority::assume(),
            enforcement: Arc::new(AlwaysEnforce),
            decisions: Arc::new(Unrecorded),
            stopwatch: Arc::new(Monotonic::start()),
        });
        let nexus = Nexus::new(NexusDeps {
            documents: engine.documents(),
            clock: clock.clone(),
            entropy,
            directory: Arc::new(OpenHouse),
        });
        let deps = SearchDeps {
            documents: engine.documents(),
            clock,
        };
        Ok(Self {
            search: Search::new(deps, SearchSettings::new(folder.join("index"))),
            engine,
            gates,
            nexus,
        })
    }

    /// Makes the cards `from..to` in the scope.
    pub(super) async fn fill(&self, scope: &Scope, from: usize, to: usize) -> Result<()> {
        stream::iter(from..to)
            .map(|n| self.make(scope, n))
            .buffer_unordered(FILLERS)
            .try_collect()
            .await
    }

    pub(super) async fn make(&self, scope: &Scope, n: usize) -> Result<()> {
        let create = Create::<Card> {
            value: card(n),
            key: None,
            payload: None,
        };
        let permit = self
            .gates
            .admit(scope, create, Credentials::default())
            .await;
        let permit = permit.map_err(|denied| anyhow!("denied: {denied:?}"))?;
        self.nexus.records::<Card>().create(scope, permit).await?;
        Ok(())
    }

    pub(super) async fn close(self) {
        self.gates.close().await;
        self.engine.close().await;
    }
}

/// The word of rank about `n`: low ranks are frequent, as in any language.
fn word(n: usize) -> &'static str {
    let rank = (n % 97) * (n % 89) / 360;
    WORDS.get(rank).copied().unwrap_or("plan")
}

fn card(n: usize) -> Card {
    let text: Vec<&str> = (0..40).map(|at| word(n * 31 + at * 17 + at * n)).collect();
    Card {
        title: format!("{} {} item{n}", word(n), word(n + 7)),
        kind: nexus::CardKind::Note,
        body: text.join(" "),
        tags: vec![word(n).to_owned()],
        links: Vec::new(),
    }
}
