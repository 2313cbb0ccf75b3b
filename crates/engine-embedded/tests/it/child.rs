//! The same test binary as a second process: one ignored by everyone but its parent.
//!
//! A test that needs another process starts this binary with the one test
//! `child::process` and says in the environment what it shall do. Started
//! without that, the test does nothing.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use futures_util::future::join_all;
use identity::Env;
use store::{AppendError, EventLog, Idempotency, NewEvent, StreamKey};
use tenantry_engine_embedded::{Embedded, Health};
use testkit::World;

const ROLE: &str = "TENANTRY_TEST_CHILD";
const FOLDER: &str = "TENANTRY_TEST_FOLDER";
/// Streams to which the child appends, from a task each.
pub(crate) const STREAMS: usize = 8;

/// The stream that a child's task appends to.
pub(crate) fn stream(scope: &identity::Scope, n: usize) -> StreamKey {
    StreamKey::in_scope(scope, "crash", &format!("th_{n}"))
}

/// This binary, to be started as a child that does `role` in `folder`.
pub(crate) fn command(role: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    configure(&mut command, role, folder);
    command
}

/// This binary under a limit of `blocks` 512-byte blocks per file, whose
/// excess is an error as on a full disk, and not a signal.
pub(crate) fn limited(role: &str, folder: &Path, blocks: u32) -> Command {
    let mut command = Command::new("/bin/sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command.arg("-c").arg(script);
    command.arg(std::env::current_exe().unwrap());
    configure(&mut command, role, folder);
    command
}

fn configure(command: &mut Command, role: &str, folder: &Path) {
    command
        .args([
            "--exact",
            "child::process",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
}

/// The lines that a child reports, without those of the test harness.
pub(crate) fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let output = BufReader::new(child.stdout.take().unwrap());
    output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("child: ").map(|(_, told)| told.to_owned()))
}

/// Writes one whole line at once, so that the parent sees it before the next step.
fn report(line: &str) {
    let mut output = std::io::stdout().lock();
    output
        .write_all(format!("child: {line}\n").as_bytes())
        .unwrap();
    output.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let folder = std::env::var(FOLDER).unwrap();
    let folder = Path::new(&folder);
    match role.as_str() {
        "append" => append(folder).await,
        "open" => open(folder),
        "fill" => fill(folder).await,
        other => panic!("unknown role {other}"),
    }
}

/// Appends to all streams until killed, and reports what was acknowledged.
async fn append(folder: &Path) {
    let world = World::new();
    let scope = world.scope("t_one", Env::Dev, "u_1").await;
    let engine = super::subject::open(folder, &world);
    let tasks = (0..STREAMS).map(|n| {
        let (log, stream) = (engine.events(), stream(&scope, n));
        tokio::spawn(async move {
            let mut next = log.bounds(&stream).await.unwrap().head + 1;
            while append_number(&*log, &stream, next).await.is_ok() {
                report(&format!("{n} {next}"));
                next += 1;
            }
        })
    });
    join_all(tasks).await;
}

/// Appends the event `number` under its own key.
pub(crate) async fn append_number(
    log: &dyn EventLog,
    stream: &StreamKey,
    number: u64,
) -> Result<store::Appended, AppendError> {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key[8..].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let event = NewEvent {
        body: number.to_string().into(),
        at: identity::Timestamp::from_unix_ms(0),
        idempotency: Some(Idempotency {
            key,
            fingerprint: key,
        }),
    };
    log.append(stream, event).await
}

/// Reports whether the folder can be opened.
fn open(folder: &Path) {
    let world = World::new();
    match Embedded::open(folder, world.clock.clone(), world.entropy.clone()) {
        Ok(_) => report("opened"),
        Err(error) => report(&error.to_string()),
    }
}

/// Appends until the engine refuses, and reports what it can do afterwards.
async fn fill(folder: &Path) {
    let world = World::new();
    let scope = world.scope("t_one", Env::Dev, "u_1").await;
    let engine = super::subject::open(folder, &world);
    let (log, stream) = (engine.events(), stream(&scope, 0));
    assert_eq!(engine.health(), Health::Writable);
    let mut acked = 0;
    let refused = loop {
        match append_number(&*log, &stream, acked + 1).await {
            Ok(appended) => acked = appended.cursor.seq,
            Err(error) => break error,
        }
    };
    report(&format!("acked {acked}"));
    report(&format!("refused {refused}"));
    let again = append_number(&*log, &stream, acked + 1).await.unwrap_err();
    report(&format!("again {again}"));
    let Health::ReadOnly(why) = engine.health() else {
        panic!("the engine must say that it only reads");
    };
    report(&format!("health {why}"));
    let bounds = log.bounds(&stream).await.unwrap();
    report(&format!("head {}", bounds.head));
    report("end");
}
