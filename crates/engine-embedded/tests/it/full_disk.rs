//! A disk that takes no more: nothing is acknowledged that is not there.

use identity::Env;
use testkit::World;

use crate::{child, subject::open};

/// 4 MiB per file.
const BLOCKS: u32 = 8_192;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = child::limited("fill", folder.path(), BLOCKS)
        .spawn()
        .unwrap();
    let told: Vec<String> = child::lines(&mut child).collect();
    assert!(child.wait().unwrap().success(), "{told:?}");
    let after = |name: &str| {
        let line = told.iter().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name:?} in {told:?}"))
            .to_owned()
    };
    let acked: u64 = after("acked ").parse().unwrap();
    assert!(acked > 100, "some fitted");
    for refused in [after("refused "), after("again ")] {
        assert!(
            refused.starts_with("the store refuses writes: "),
            "{refused}"
        );
    }
    assert!(!after("health ").is_empty());
    assert_eq!(after("head "), acked.to_string(), "reads go on");

    let world = World::new();
    let scope = world.scope("t_one", Env::Dev, "u_1").await;
    let engine = open(folder.path(), &world);
    let log = engine.events();
    let stream = child::stream(&scope, 0);
    let head = log.bounds(&stream).await.unwrap().head;
    assert!(
        head >= acked,
        "{head} of {acked} after the disk has room again"
    );
    let next = child::append_number(&*log, &stream, head + 1)
        .await
        .unwrap();
    assert_eq!(next.cursor.seq, head + 1);
}
