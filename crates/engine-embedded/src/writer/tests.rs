//! Groups that fail, driven without the thread.

use std::{path::Path, time::Duration};

use identity::{Entropy as _, Env};
use parking_lot::RwLock;
use rusqlite::Connection;
use store::Read;
use testkit::World;

use super::*;
use crate::{
    events::{live::Live, unindexed::Unindexed},
    health::{Condition, Health},
    open,
};

struct Bench {
    world: World,
    shared: Arc<Shared>,
    writer: Writer,
    stream: StreamKey,
}

async fn bench(folder: &Path) -> Bench {
    let world = World::new();
    let scope = world.scope("t_one", Env::Dev, "u_1").await;
    let (connection, epoch) = open::writer(folder, &*world.entropy).unwrap();
    let shared = Arc::new(Shared {
        epoch,
        clock: world.clock.clone(),
        condition: Condition::default(),
        unindexed: RwLock::new(Unindexed::load(&connection).unwrap()),
        live: Live::default(),
    });
    Bench {
        world,
        writer: Writer::new(connection, Arc::clone(&shared)).unwrap(),
        shared,
        stream: StreamKey::in_scope(&scope, "chat", "th_1"),
    }
}

impl Bench {
    /// Commits one group of appends of `bytes` each, and returns the answers.
    fn append(&mut self, count: usize, bytes: usize) -> Vec<Result<Appended, AppendError>> {
        let mut body = vec![0; bytes];
        self.world.entropy.fill(&mut body);
        let (mut commands, mut answers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (reply, answer) = oneshot::channel();
            answers.push(answer);
            commands.push(Command::Append {
                stream: self.stream.clone(),
                event: NewEvent {
                    body: body.clone().into(),
                    at: identity::Timestamp::from_unix_ms(0),
                    idempotency: None,
                },
                reply,
            });
        }
        self.writer.commit(&mut commands);
        let answered = |mut answer: oneshot::Receiver<_>| answer.try_recv().unwrap();
        answers.into_iter().map(answered).collect()
    }

    fn head(&self, folder: &Path) -> u64 {
        let mut reader = open::reader(folder).unwrap();
        let read = self
            .shared
            .source()
            .read(&mut reader, &self.stream, None, 1_000);
        let Ok(Read::Page { bounds, .. }) = read else {
            panic!("reads go on: {read:?}");
        };
        bounds.head
    }
}

#[tokio::test]
async fn a_group_that_does_not_fit_leaves_nothing_and_ends_writing() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path()).await;
    let connection = &bench.writer.connection;
    let pages: i64 = connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    connection
        .pragma_update_and_check(None, "max_page_count", pages + 20, |_| Ok(()))
        .unwrap();
    assert!(bench.append(3, 4_000).iter().all(Result::is_ok));
    let refused = bench.append(30, 4_000);
    let full = |answer: &Result<Appended, AppendError>| matches!(answer, Err(AppendError::Store(StoreError::ReadOnly(why))) if why.contains("full"));
    assert!(refused.iter().all(full), "{refused:?}");
    assert_eq!(
        bench.head(folder.path()),
        3,
        "nothing of the group is there"
    );
    assert!(matches!(
        bench.shared.condition.health(),
        Health::ReadOnly(_)
    ));
    let later = bench.append(1, 1);
    assert!(
        later.iter().all(full),
        "what would fit is refused as well: {later:?}"
    );
}

#[tokio::test]
async fn a_lock_of_another_program_is_no_lasting_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path()).await;
    bench
        .writer
        .connection
        .busy_timeout(Duration::ZERO)
        .unwrap();
    assert!(bench.append(2, 10).iter().all(Result::is_ok));
    let other = Connection::open(folder.path().join(open::DATABASE_FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = bench.append(2, 10);
    let unavailable = |answer: &Result<Appended, AppendError>| {
        matches!(answer, Err(AppendError::Store(StoreError::Unavailable(_))))
    };
    assert!(busy.iter().all(unavailable), "{busy:?}");
    assert_eq!(bench.shared.condition.health(), Health::Writable);
    other.execute_batch("ROLLBACK").unwrap();
    let seqs: Vec<u64> = bench
        .append(2, 10)
        .iter()
        .map(|a| a.as_ref().unwrap().cursor.seq)
        .collect();
    assert_eq!(seqs, [3, 4], "what was refused has left no trace");
}
