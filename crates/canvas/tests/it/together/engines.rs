//! 64 writers of one canvas, on every engine that keeps canvases.

use std::{
    env,
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use engine_embedded::Embedded;
use engine_firestore::{Firestore, FirestoreLocation, FirestoreSettings};
use futures_util::future::join_all;
use store::Documents;
use tenantry_canvas::{Applied, CanvasError, CanvasService, CommandBatch, Mode};
use testkit::{FirestoreEmulator, MemoryEventLog, World};

use super::{Place, make, set};
use crate::house::batch;

const WRITERS: usize = 64;
const ROUNDS: u64 = 4;

/// Sends a batch until other nodes let it.
async fn sent(place: &Place, node: &CanvasService, batch: &CommandBatch) -> Applied {
    loop {
        match node.submit(&place.scope, &place.key, batch).await {
            Err(CanvasError::Contended) => {}
            other => return other.unwrap(),
        }
    }
}

/// Each writer makes a node, and changes it again and again as it last saw the canvas.
async fn writes(place: &Place, node: &CanvasService, writer: usize) -> Vec<(String, Applied)> {
    let own = format!("n{writer}");
    let mut answers: Vec<(String, Applied)> = Vec::new();
    for round in 0..ROUNDS {
        let command = if round == 0 {
            make(&own)
        } else {
            set(&own, round)
        };
        let base = answers.last().map_or(0, |(_, applied)| applied.rev);
        let id = format!("b{writer}-{round}");
        let batch = batch(&id, base, Mode::Rebase, &[command]);
        let applied = sent(place, node, &batch).await;
        assert!(!applied.duplicate);
        // It knows which commits it was put on top of: all that it had not seen.
        let unseen: Vec<u64> = (base + 1..applied.rev).collect();
        assert_eq!(applied.rebased_over, unseen);
        answers.push((id, applied));
    }
    answers
}

/// Writes at `nodes` in turn. Each revision is one writer's, and each answer is what the log says.
async fn all_write(place: &Place, nodes: &[&CanvasService]) {
    let writers = (0..WRITERS).map(|writer| writes(place, nodes[writer % nodes.len()], writer));
    let answers: Vec<_> = join_all(writers).await.into_iter().flatten().collect();
    let log = place.log().await;
    for (batch, answer) in &answers {
        Place::check(&log, batch, answer);
    }
    let mut revs: Vec<u64> = answers.iter().map(|(_, applied)| applied.rev).collect();
    revs.sort_unstable();
    let all = WRITERS as u64 * ROUNDS;
    assert_eq!(revs, (1..=all).collect::<Vec<_>>());
}

/// One node on which all writers wait at once: as many writes of the head as there are rounds, or a few
/// more where a snapshot is due.
async fn one_node(place: Place) {
    all_write(&place, &[&place.service]).await;
    let heads = place.documents.heads();
    assert!(heads <= 2 * ROUNDS as usize, "{heads} writes of the head");
    assert_eq!(place.documents.lost.load(Ordering::SeqCst), 0);
}

/// Several nodes, which are in each other's way.
async fn several_nodes(place: Place) {
    let others = [place.ground.start(), place.ground.start()];
    let nodes = [&place.service, &others[0], &others[1]];
    all_write(&place, &nodes).await;
    let heads = place.documents.heads();
    assert!(heads <= 32, "{heads} writes of the head");
}

#[tokio::test]
async fn of_64_writers_at_once_each_has_its_revision_in_memory() {
    one_node(Place::memory().await).await;
}

#[tokio::test]
async fn of_64_writers_at_3_nodes_each_has_its_revision_in_memory() {
    let place = Place::memory().await;
    let documents = Arc::clone(&place.documents);
    several_nodes(place).await;
    let lost = documents.lost.load(Ordering::SeqCst);
    assert!(lost > 0, "nobody was in another's way");
}

#[tokio::test]
async fn of_64_writers_at_once_each_has_its_revision_on_the_embedded_engine() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let engine = Embedded::open(folder.path(), world.clock.clone(), world.entropy.clone());
    let engine = engine.unwrap();
    let place = Place::over(engine.documents(), engine.events(), world).await;
    one_node(place).await;
    engine.close().await;
}

/// Documents in a project of their own, of the emulator that the environment names or of one that is
/// started here.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment names the emulator, and a project is named by the time"
)]
async fn on_firestore(world: &World) -> (Arc<dyn Documents>, Option<FirestoreEmulator>) {
    let named = env::var("FIRESTORE_EMULATOR_HOST").ok();
    let own = named.is_none().then(FirestoreEmulator::start);
    let address = named.unwrap_or_else(|| own.as_ref().unwrap().address());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let project = format!("t-{}-{}", since.as_millis(), std::process::id());
    let location = FirestoreLocation::emulator(&project, None, &address).unwrap();
    let settings = FirestoreSettings::new(location, None).unwrap();
    let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
    let firestore = Firestore::connect(&settings, clock, entropy).await.unwrap();
    (firestore.documents(), own)
}

#[tokio::test]
async fn of_64_writers_at_once_each_has_its_revision_on_firestore() {
    let world = World::new();
    let (documents, _emulator) = on_firestore(&world).await;
    let log = Arc::new(MemoryEventLog::default());
    one_node(Place::over(documents, log, world).await).await;
}

#[tokio::test]
async fn of_64_writers_at_3_nodes_each_has_its_revision_on_firestore() {
    let world = World::new();
    let (documents, _emulator) = on_firestore(&world).await;
    let log = Arc::new(MemoryEventLog::default());
    several_nodes(Place::over(documents, log, world).await).await;
}
