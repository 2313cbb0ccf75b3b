//! No word, count or snippet of another tenant, however many share the process.

use std::{fs, time::Duration};

use identity::{Clock, Env};
use serde_json::json;
use tenantry_nexus::{Memory, search::Asking};

use super::library::Library;

const PLACES: [(&str, Env); 6] = [
    ("t_a", Env::Dev),
    ("t_A", Env::Dev),
    ("t_a", Env::Prod),
    ("t_b", Env::Dev),
    ("t_system", Env::Dev),
    ("t_a-prod", Env::Dev),
];

#[tokio::test]
async fn each_tenant_and_environment_finds_its_own_alone() {
    for mut library in Library::both() {
        library.settings.open_max = 2;
        library.reopen();
        for round in 0..3 {
            for (at, (tenant, env)) in PLACES.into_iter().enumerate() {
                let scope = library.house.scope(tenant, env).await;
                library
                    .house
                    .made(&scope, &format!("Word{at} round{round}"))
                    .await;
                let found = library.titles(&scope, &format!("round{round}")).await;
                assert_eq!(found, [format!("Word{at} round{round}")]);
                let all = library.titles(&scope, "word").await;
                assert_eq!(all.len(), round + 1, "{tenant} {env}");
                assert!(
                    all.iter()
                        .all(|title| title.starts_with(&format!("Word{at} ")))
                );
                let state = library.search.state(&scope).await.unwrap();
                assert_eq!(state.records, Some(round as u64 + 1));
            }
            assert!(library.search.open() <= 2);
        }
        library.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_indexes_serve_many_tenants_at_once() {
    let mut library = Library::new();
    library.settings.open_max = 8;
    library.reopen();
    let library = std::sync::Arc::new(library);
    let mut tasks = Vec::new();
    for task in 0..8 {
        let library = library.clone();
        tasks.push(tokio::spawn(async move {
            for n in 0..20 {
                let tenant = format!("t_{}", (task * 7 + n) % 40);
                let scope = library.house.scope(&tenant, Env::Dev).await;
                let word = format!("mine{task}x{n}");
                library.house.made(&scope, &word).await;
                assert_eq!(library.titles(&scope, &word).await, [word]);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(library.search.open() <= 8);
}

#[tokio::test]
async fn the_index_of_another_is_not_taken_for_ones_own() {
    let mut library = Library::new();
    let (a, b) = (
        library.house.scope("t_a", Env::Dev).await,
        library.house.scope("t_b", Env::Dev).await,
    );
    library.house.made(&a, "Secret").await;
    library.titles(&a, "secret").await;
    let of_a = generation(&library);
    library.titles(&b, "secret").await;
    library.reopen();
    for shard in fs::read_dir(library.index_folder()).unwrap() {
        for place in fs::read_dir(shard.unwrap().path()).unwrap() {
            let place = place.unwrap().path();
            if !of_a.starts_with(&place) {
                fs::remove_dir_all(place.join("1")).unwrap();
                fs::create_dir(place.join("7")).unwrap();
                for file in fs::read_dir(&of_a).unwrap() {
                    let file = file.unwrap().path();
                    fs::copy(&file, place.join("7").join(file.file_name().unwrap())).unwrap();
                }
            }
        }
    }
    assert_eq!(library.titles(&b, "secret").await, Vec::<String>::new());
    assert_eq!(library.search.state(&b).await.unwrap().records, Some(0));
    assert_eq!(library.titles(&a, "secret").await, ["Secret"]);
}

/// The one generation that there is.
fn generation(library: &Library) -> std::path::PathBuf {
    let mut folder = library.index_folder();
    for _ in 0..3 {
        folder = fs::read_dir(folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
    }
    folder
}

#[tokio::test]
async fn memory_is_found_by_its_user_alone_and_until_it_ends() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    let other = library.house.world.scope("t_a", Env::Dev, "u_other").await;
    let now = library.house.world.clock.now();
    let ends = now.plus(Duration::from_secs(60));
    let memory = json!({"session_id": "s", "text": "the zebra", "expires_at": ends});
    let made = library.house.make::<Memory>(&scope, memory).await.unwrap();
    library.house.made(&other, "A zebra for all").await;
    let asking = Asking {
        text: "zebra",
        ..Asking::default()
    };
    let found = library.found(&scope, &asking).await.items;
    let ids: Vec<_> = found.iter().map(|hit| hit.id.as_str()).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&made.id.as_str()), "{ids:?}");
    assert_eq!(library.titles(&other, "zebra").await, ["A zebra for all"]);
    let memory = Asking {
        kind: Some("memory"),
        ..asking.clone()
    };
    assert_eq!(library.found(&other, &memory).await.items, vec![]);
    assert_eq!(library.found(&scope, &memory).await.items.len(), 1);

    library.house.world.clock.advance(Duration::from_secs(61));
    assert_eq!(library.titles(&scope, "zebra").await, ["A zebra for all"]);
    library.house.made(&scope, "Another").await;
    assert_eq!(library.titles(&scope, "zebra").await, ["A zebra for all"]);
    let state = library.search.state(&scope).await.unwrap();
    assert_eq!(state.records, Some(2), "what ended leaves the index");
}
