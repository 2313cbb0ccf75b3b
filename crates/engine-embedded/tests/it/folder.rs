//! Which folders open, and which are refused.

use rusqlite::Connection;
use tenantry_engine_embedded::{Embedded, OpenError};
use testkit::World;

use crate::{child, subject::open};

fn refusal(folder: &std::path::Path) -> OpenError {
    let world = World::new();
    match Embedded::open(folder, world.clock.clone(), world.entropy.clone()) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[test]
fn a_second_engine_is_refused_until_the_first_is_gone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("made").join("on demand");
    let engine = open(&folder, &World::new());
    let error = refusal(&folder);
    assert!(matches!(&error, OpenError::InUse(path) if *path == folder));
    let mut second = child::command("open", &folder).spawn().unwrap();
    let told: Vec<String> = child::lines(&mut second).collect();
    second.wait().unwrap();
    let in_use = format!(
        "the folder {} is in use by another process",
        folder.display()
    );
    assert_eq!(told, [in_use]);
    drop(engine);
    let mut third = child::command("open", &folder).spawn().unwrap();
    assert_eq!(child::lines(&mut third).collect::<Vec<_>>(), ["opened"]);
    third.wait().unwrap();
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), &World::new()));
    let file = folder.path().join("tenantry.db");
    let newer = Connection::open(&file).unwrap();
    let known: u32 = newer
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    newer
        .pragma_update(None, "user_version", known + 1)
        .unwrap();
    drop(newer);
    let before = std::fs::read(&file).unwrap();
    let error = refusal(folder.path()).to_string();
    assert!(
        error.contains(&format!("schema version {}", known + 1)),
        "{error}"
    );
    assert!(error.contains(&format!("up to {known}")), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    for foreign in ["another database", "no database"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tenantry.db");
        if foreign == "no database" {
            std::fs::write(&file, "x".repeat(5_000)).unwrap();
        } else {
            let other = Connection::open(&file).unwrap();
            other.execute_batch("CREATE TABLE theirs (a)").unwrap();
        }
        let before = std::fs::read(&file).unwrap();
        assert!(
            matches!(refusal(folder.path()), OpenError::Foreign(_)),
            "{foreign}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
}
