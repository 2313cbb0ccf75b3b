//! Durable commits of canvases, beside bare commits of one document to the same engine.
//!
//! A commit of a canvas waits for the disk once, with the head, the receipt and the version in one
//! batch; the event that tells of it is made durable beside that, by the same writer. On one canvas
//! commits are made one after the other, whoever sends them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use async_trait::async_trait;
use canvas::Mode;
use engine_embedded::Embedded;
use store::{Batch, DocKey, Documents, Partition};

use super::{
    SUBJECT,
    house::{Desks, House},
};
use crate::{
    ambient::{SystemClock, SystemEntropy},
    append::{Appender, Side, WRITERS, drive},
    scope::of_one_tenant,
    stats::median_ratio,
    table::Row,
};

const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 20;
const CANVASES_MANY: usize = 1000;
/// About as much as a commit of one update.
const COMMIT_BYTES: usize = 800;

/// The engine alone.
struct Bare {
    documents: Arc<dyn Documents>,
    partition: Partition,
}

#[async_trait]
impl Appender for Bare {
    async fn append(&self, writer: usize, n: u64) -> Result<()> {
        let key = DocKey::new(&self.partition, format!("{writer}-{n}"));
        let batch = Batch::new().expect_absent(&key);
        let batch = batch.put(&key, vec![b'x'; COMMIT_BYTES]);
        self.documents.commit(batch).await?;
        Ok(())
    }
}

/// Ours and the baseline, by as many writers.
struct Pair {
    what: &'static str,
    writers: usize,
    ours: Desks,
}

/// Measures in interleaved rounds.
pub(super) async fn measure() -> Result<Vec<Row>> {
    let folder = crate::ambient::scratch()?;
    let (house, engine) = House::open(&folder.path().join("canvases")).await?;
    let node = [Arc::new(house)];
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let bare_engine = Embedded::open(&folder.path().join("bare"), clock, entropy)?;
    let bare = Arc::new(Bare {
        documents: bare_engine.documents(),
        partition: Partition::in_scope(&of_one_tenant().await?, "bench"),
    });
    let one = |id: &str, clients| vec![format!("cv_{id}"); clients];
    let many: Vec<String> = (0..CANVASES_MANY).map(|at| format!("cv_{at}")).collect();
    let pairs = [
        Pair {
            what: "one canvas, one client, strict",
            writers: 1,
            ours: Desks::open(&node, &one("strict", 1), Mode::Strict).await?,
        },
        Pair {
            what: "one canvas, 64 clients, rebased",
            writers: WRITERS,
            ours: Desks::open(&node, &one("rebase", WRITERS), Mode::Rebase).await?,
        },
        Pair {
            what: "1,000 canvases, 64 clients, strict",
            writers: WRITERS,
            ours: Desks::open(&node, &many, Mode::Strict).await?,
        },
    ];
    let mut rows = Vec::new();
    for (at, pair) in pairs.into_iter().enumerate() {
        rows.extend(compare(at, pair, &bare).await?);
    }
    engine.close().await;
    bare_engine.close().await;
    Ok(rows)
}

async fn compare(at: usize, pair: Pair, bare: &Arc<Bare>) -> Result<[Row; 2]> {
    let Pair {
        what,
        writers,
        ours,
    } = pair;
    eprintln!("canvas: {what}, {ROUNDS} rounds");
    let ours: Arc<dyn Appender> = Arc::new(ours);
    let (mut bare_side, mut our_side) = (Side::new(), Side::new());
    for round in 0..ROUNDS {
        // Numbers go on over the pairs, because a document is made once.
        let round = at * ROUNDS + round;
        for (appender, side) in [
            (bare.clone() as Arc<dyn Appender>, &mut bare_side),
            (ours.clone(), &mut our_side),
        ] {
            let started = Instant::now();
            let driven = drive(appender, writers, round, ROUND).await?;
            side.enter(&driven, started.elapsed());
        }
    }
    let ratio = median_ratio(&our_side.rates, &bare_side.rates);
    let bare_what = format!("bare engine commits, {writers} writers");
    Ok([
        bare_side.row(SUBJECT, bare_what),
        our_side
            .row(SUBJECT, format!("commits: {what}"))
            .compared(ratio, None),
    ])
}
