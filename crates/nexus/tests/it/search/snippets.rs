//! What was said in threads: kept without personal data, once, behind the gates, and found in
//! its project alone.

use identity::{Env, Scope, ThreadId};
use serde_json::{Value, json, value::RawValue};
use store::{Batch, DocKey, Document, Listing, Partition};
use tenantry_nexus::{
    NexusError, Snippets,
    search::{Asking, Hit},
};

use super::library::Library;

async fn keep(
    library: &Library,
    scope: &Scope,
    event: &str,
    data: Value,
) -> Result<(), NexusError> {
    let snippets = Snippets::new(library.house.nexus.clone(), library.house.gates.clone());
    let data = RawValue::from_string(data.to_string()).unwrap();
    let thread: ThreadId = "th_1".parse().unwrap();
    snippets.keep(scope, &thread, event, &data).await
}

async fn hits(library: &Library, scope: &Scope, text: &str) -> Vec<Hit> {
    let asking = Asking {
        text,
        kind: Some("snippets"),
        ..Asking::default()
    };
    library.found(scope, &asking).await.items
}

async fn stored(library: &Library, scope: &Scope) -> Vec<Document> {
    let partition = Partition::in_scope(scope, "snippets");
    let all = Listing {
        limit: 100,
        ..Listing::default()
    };
    let documents = &library.house.documents;
    documents.list(&partition, &all).await.unwrap()
}

#[tokio::test]
async fn what_was_said_is_found_without_personal_data() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    let said = json!({"text": "The zebra is mine, write to jane.doe@example.org"});
    for _ in 0..2 {
        keep(&library, &scope, "e-1", said.clone()).await.unwrap();
    }
    keep(&library, &scope, "e-2", json!("a zebra of words"))
        .await
        .unwrap();
    for nothing in [
        json!({"x": "zebra"}),
        json!({"text": 7}),
        json!(["zebra"]),
        json!(" "),
    ] {
        keep(&library, &scope, "e-3", nothing).await.unwrap();
    }
    let found = hits(&library, &scope, "zebra").await;
    let tags: Vec<_> = found.iter().map(|hit| hit.tags.clone()).collect();
    assert_eq!(found.len(), 2);
    assert!(
        tags.contains(&vec!["th_1".to_owned(), "e-1".to_owned()]),
        "{tags:?}"
    );
    assert_eq!(hits(&library, &scope, "jane").await, vec![]);
    for document in stored(&library, &scope).await {
        let text = String::from_utf8(document.value.to_vec()).unwrap();
        assert!(!text.contains("jane.doe"), "{text}");
    }
    let other = library.house.scope("t_b", Env::Dev).await;
    assert_eq!(hits(&library, &other, "zebra").await, vec![]);
}

#[tokio::test]
async fn a_closed_gate_keeps_nothing() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    library.house.stop(&scope).await;
    let refused = keep(&library, &scope, "e-1", json!("zebra")).await;
    assert!(matches!(refused, Err(NexusError::Denied(_))), "{refused:?}");
    assert_eq!(stored(&library, &scope).await, vec![]);
}

#[tokio::test]
async fn another_project_does_not_find_it() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    keep(&library, &scope, "e-1", json!("zebra")).await.unwrap();
    let kept = stored(&library, &scope).await.remove(0);
    let mut elsewhere: Value = serde_json::from_slice(&kept.value).unwrap();
    elsewhere["project"] = json!("p_elsewhere");
    let moved = Batch::new().put(
        &DocKey::new(&Partition::in_scope(&scope, "snippets"), kept.id.clone()),
        elsewhere.to_string(),
    );
    // The index still says that it is of this project; what is shown is what is stored.
    assert_eq!(hits(&library, &scope, "zebra").await.len(), 1);
    library.house.documents.commit(moved).await.unwrap();
    assert_eq!(hits(&library, &scope, "zebra").await, vec![]);
    // And so does the index when it has read it again.
    library.rebuild(&scope).await.unwrap();
    while library.search.state(&scope).await.unwrap().rebuilding {
        tokio::task::yield_now().await;
    }
    assert_eq!(hits(&library, &scope, "zebra").await, vec![]);
}
