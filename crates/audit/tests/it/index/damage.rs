//! Failures of the store, and pages that are not as they were written.

use std::sync::Arc;

use identity::SystemAuthority;
use store::{Partition, StoreError};
use tenantry_audit::index::{Index, IndexError, IndexField, Pages, Query};
use testkit::{FakeClock, Faulty, MemoryDocuments};

use super::{all, event, shelf::Shelf, term, time};

async fn filled() -> Shelf {
    let mut shelf = Shelf::new();
    for batch in 0..30_u64 {
        let numbers = batch * 100 + 1..=batch * 100 + 100;
        let events = numbers.map(|number| {
            let terms = vec![
                term(IndexField::Action, number % 3),
                term(IndexField::TraceId, number),
            ];
            event(number, i64::try_from(number).unwrap(), terms)
        });
        shelf.advance(&events.collect::<Vec<_>>()).await.unwrap();
    }
    shelf.settle().await;
    shelf
}

/// Asks by an action and for a time, which looks at most pages.
async fn ask(shelf: &Shelf) -> Result<Vec<u64>, IndexError> {
    let mut found = Vec::new();
    for (from, to) in [(None, None), (Some(7), Some(2900))] {
        for action in 0..3 {
            let asked = Query {
                terms: vec![vec![term(IndexField::Action, action)]],
                from: from.map(time),
                to: to.map(time),
                after: None,
                limit: 1000,
            };
            found.extend(all(&shelf.index, &shelf.pages, &asked).await?);
        }
    }
    Ok(found)
}

/// A page that is lost or changed makes an answer fail, or it was not needed; no answer is short.
#[tokio::test]
async fn a_lost_or_changed_page_never_shortens_an_answer() {
    let shelf = filled().await;
    let whole = ask(&shelf).await.unwrap();
    let (mut lost, mut changed) = (0, 0);
    for page in shelf.stored().await {
        shelf.tamper(&page.id, None).await;
        match ask(&shelf).await {
            Ok(found) => assert_eq!(found, whole),
            Err(error) => {
                assert_eq!(error, IndexError::Stale);
                lost += 1;
            }
        }
        let mut bytes = page.value.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        shelf.tamper(&page.id, Some(bytes)).await;
        match ask(&shelf).await {
            Ok(found) => assert_eq!(found, whole),
            Err(error) => {
                assert_eq!(error, IndexError::Damaged);
                changed += 1;
            }
        }
        shelf.tamper(&page.id, Some(page.value.to_vec())).await;
    }
    assert!(lost > 5 && changed == lost, "{lost} and {changed}");
    assert_eq!(ask(&shelf).await, Ok(whole));
}

/// Merging reads every page, so it notices every one that is lost.
#[tokio::test]
async fn a_merge_does_not_go_on_without_a_page() {
    let mut shelf = Shelf::new();
    let mut number = 0;
    let plan = loop {
        let terms = vec![term(IndexField::TraceId, number); 1];
        number += 1;
        let plan = shelf
            .index
            .advance(&shelf.pages, &[event(number, 5, terms)])
            .await
            .unwrap();
        if plan.more {
            break plan;
        }
        shelf.commit(plan).await;
    };
    shelf.commit(plan).await;
    let stored = shelf.stored().await;
    let page = stored.first().unwrap();
    shelf.tamper(&page.id, None).await;
    let stuck = shelf.index.advance(&shelf.pages, &[]).await;
    assert_eq!(stuck.map(|plan| plan.more), Err(IndexError::Stale));
    shelf.tamper(&page.id, Some(page.value.to_vec())).await;
    shelf.settle().await;
}

#[tokio::test]
async fn a_store_that_fails_is_told_of() {
    let documents = Arc::new(Faulty::new(MemoryDocuments::new(Arc::new(
        FakeClock::default(),
    ))));
    let partition = Partition::of_system(&SystemAuthority::assume(), "audit-index");
    let pages = Pages::new(documents.clone(), partition, "prod/x/");
    let events: Vec<_> = (1..=300)
        .map(|number| event(number, 0, vec![term(IndexField::TraceId, number)]))
        .collect();
    let plan = Index::new().advance(&pages, &events).await.unwrap();
    documents.set_down(true);
    let asked = Query {
        terms: vec![vec![term(IndexField::TraceId, 1)]],
        ..Query::default()
    };
    let failed = plan.next.candidates(&pages, &asked).await;
    assert!(matches!(
        failed,
        Err(IndexError::Store(StoreError::Unavailable(_)))
    ));
}
