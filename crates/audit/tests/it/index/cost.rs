//! What a query reads, in pages: it grows with the answer, and hardly with the log.

use tenantry_audit::index::{IndexEvent, IndexField, Query, Term};

use super::{all, each, event, shelf::Shelf, term, time};

/// Events that are integrated together: one second of a busy log.
const BATCH: u64 = 250;

/// The events of a busy log: 5 actions, 500 actors, 20,000 targets, a trace each. Ten events,
/// spread over the log, are about the target 0.
fn events(batch: u64, of: u64) -> Vec<IndexEvent> {
    let first = batch * BATCH + 1;
    let rare = of / 10;
    (first..first + BATCH)
        .map(|number| {
            let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let target = match number % rare {
                7 => 0,
                _ => 1 + mixed % 20_000,
            };
            let terms = vec![
                term(IndexField::Action, mixed % 5),
                term(IndexField::Actor, mixed % 500),
                term(IndexField::Target, target),
                term(IndexField::TraceId, number),
            ];
            // Four milliseconds each.
            event(number, i64::try_from(number * 4).unwrap(), terms)
        })
        .collect()
}

async fn log(of: u64) -> Shelf {
    let mut shelf = Shelf::new();
    for batch in 0..of / BATCH {
        shelf.advance(&events(batch, of)).await.unwrap();
    }
    shelf
}

fn about(terms: Vec<Term>) -> Query {
    Query {
        terms: each(terms),
        limit: 100,
        ..Query::default()
    }
}

/// The pages that answering takes.
async fn cost(shelf: &Shelf, query: &Query, answers: usize) -> usize {
    shelf.reads();
    let found = all(&shelf.index, &shelf.pages, query).await.unwrap();
    assert_eq!(found.len(), answers);
    shelf.reads()
}

#[tokio::test]
async fn ten_answers_cost_the_same_in_a_log_ten_times_as_long() {
    let (short, long) = (log(10_000).await, log(100_000).await);
    let rare = about(vec![term(IndexField::Target, 0)]);
    let (in_short, in_long) = (cost(&short, &rare, 10).await, cost(&long, &rare, 10).await);
    assert!(in_short <= 25, "{in_short} pages");
    assert!(in_long <= 35, "{in_long} pages");
    assert!(in_long <= in_short + 10, "{in_short} and {in_long} pages");

    // A trace that is nowhere, beside an action that is everywhere.
    let nowhere = about(vec![
        term(IndexField::Action, 1),
        term(IndexField::TraceId, u64::MAX),
    ]);
    let pages = cost(&long, &nowhere, 0).await;
    assert!(pages <= 35, "{pages} pages");
}

#[tokio::test]
async fn a_time_is_found_without_reading_what_is_before_or_after() {
    let long = log(100_000).await;
    // A quarter of a second in the middle of the log: 62 events, in the blocks of two batches.
    let when = Query {
        from: Some(time(200_000)),
        to: Some(time(200_250)),
        limit: 1000,
        ..Query::default()
    };
    long.reads();
    let found = all(&long.index, &long.pages, &when).await.unwrap();
    assert!((50_000..=50_062).all(|seq| found.contains(&seq)));
    assert!(found.len() <= 63 + 2 * 63);
    assert!(long.reads() <= 4);
    // The end of the log, by an actor.
    let recent = Query {
        terms: vec![vec![term(IndexField::Actor, 3)]],
        from: Some(time(399_000)),
        limit: 1000,
        ..Query::default()
    };
    let found = all(&long.index, &long.pages, &recent).await.unwrap();
    assert!(found.iter().all(|seq| *seq > 99_600));
    assert!(long.reads() <= 6);
}

#[tokio::test]
async fn a_tiny_log_takes_no_document_and_few_bytes() {
    let mut shelf = Shelf::new();
    for number in 1..=5 {
        let terms = vec![
            term(IndexField::Action, number % 2),
            term(IndexField::Actor, 1),
            term(IndexField::Target, 1),
            term(IndexField::TraceId, number),
        ];
        let when = 1_767_225_600_000 + i64::try_from(number * 1000).unwrap();
        shelf.advance(&[event(number, when, terms)]).await.unwrap();
    }
    assert!(shelf.stored().await.is_empty());
    let bytes = shelf.index.encode().len();
    assert!(bytes <= 160, "{bytes} bytes");
}
