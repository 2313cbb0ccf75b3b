//! Over the engine that keeps a real folder: what is erased is in no file of it, and an
//! old copy of the folder is recognised.

use std::{path::Path, sync::Arc};

use engine_embedded::Embedded;
use identity::{Env, Recorded};
use tenantry_audit::service::Audit;

use super::house::{House, event, put};

const SUBJECT: &str = "u_canary91bc";
const SUBJECTS: usize = 150;

async fn opened(house: &House, folder: &Path) -> (Embedded, Arc<Audit>) {
    let (clock, entropy) = (house.world.clock.clone(), house.world.entropy.clone());
    let engine = Embedded::open(folder, clock, entropy).unwrap();
    let audit = house.open_engine(engine.documents(), engine.events(), house.spool());
    let audit = audit.await.unwrap();
    (engine, audit)
}

async fn closed(engine: Embedded, audit: Arc<Audit>) {
    drop(audit);
    engine.close().await;
}

/// The files of a folder that hold `needle`.
fn files_with(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let needle = needle.as_bytes();
        if bytes.windows(needle.len()).any(|window| window == needle) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_subject_is_in_no_file() {
    let house = House::new();
    let data = house.folder.path().join("data");
    let (engine, audit) = opened(&house, &data).await;
    // So many that whole pages of the file become free.
    let subject = |n| format!("{SUBJECT}{n}");
    for n in 0..SUBJECTS {
        put(&audit, event("t_a", Env::Dev, &subject(n), n)).await;
        put(&audit, event("t_a", Env::Dev, "u_other", n)).await;
    }
    audit.turn().await;
    assert!(
        !files_with(&data, SUBJECT).is_empty(),
        "the search finds what is there"
    );
    let scope = house.scope("t_a", Env::Dev).await;
    for n in 0..SUBJECTS {
        let erased = audit.erase(&scope, &subject(n).parse().unwrap()).await;
        assert_eq!(erased.unwrap().keys, 1);
    }
    audit.turn().await;
    closed(engine, audit).await;
    let (engine, audit) = opened(&house, &data).await;
    let entries = house.sound(&audit, &scope).await;
    assert!(entries.iter().any(|one| !one.opened.erased.is_empty()));
    let export = house.export(&audit, &scope).await;
    assert!(!String::from_utf8(export).unwrap().contains(SUBJECT));
    closed(engine, audit).await;
    assert_eq!(files_with(&data, SUBJECT), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_the_folder_is_recognised_and_signs_nothing() {
    let house = House::new();
    let (data, old) = (
        house.folder.path().join("data"),
        house.folder.path().join("old"),
    );
    let (engine, audit) = opened(&house, &data).await;
    put(&audit, event("t_a", Env::Dev, "u_1", 0)).await;
    audit.turn().await;
    closed(engine, audit).await;
    copy(&data, &old);
    let (engine, audit) = opened(&house, &data).await;
    put(&audit, event("t_a", Env::Dev, "u_1", 1)).await;
    audit.turn().await;
    closed(engine, audit).await;
    let anchor = std::fs::read(house.anchor()).unwrap();
    copy(&old, &data);
    let (engine, audit) = opened(&house, &data).await;
    assert!(audit.frozen().unwrap().contains("it is an old copy"));
    let late = audit.record(event("t_a", Env::Dev, "u_1", 2)).await;
    assert_eq!(late, Ok(Recorded::Degraded { why: "spooled" }));
    audit.turn().await;
    assert_eq!(house.epochs(&audit), 1);
    closed(engine, audit).await;
    assert_eq!(std::fs::read(house.anchor()).unwrap(), anchor);
}
