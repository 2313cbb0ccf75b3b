//! What upkeep writes and leaves behind.

use std::collections::BTreeSet;

use tenantry_audit::index::{
    EVENTS_MAX, Index, IndexError, IndexEvent, IndexField, PLAN_STEPS_MAX, QUERY_TERMS_MAX, Query,
    TERMS_MAX, Term,
};

use super::{all, event, seq, shelf::Shelf, term};

/// Steps of the largest size, enough for a merge of merged ones.
const STEPS: u64 = 10;

/// As many events and terms as one step takes, all terms different.
fn heavy(first: u64, terms: usize) -> Vec<IndexEvent> {
    let numbers = first..first + EVENTS_MAX as u64;
    numbers
        .map(|number| {
            let values = (0..terms as u64).map(|at| number * 32 + at);
            let terms = values.map(|value| term(IndexField::TraceId, value));
            event(number, i64::try_from(number).unwrap(), terms.collect())
        })
        .collect()
}

async fn segments(shelf: &Shelf) -> usize {
    let stored = shelf.stored().await;
    let ids = stored.iter().filter_map(|page| page.id.split('/').nth(2));
    ids.collect::<BTreeSet<_>>().len()
}

/// Batches of the largest size, merges that take many steps, and in the end few segments
/// and not a page too many.
#[tokio::test]
async fn the_heaviest_steps_fit_into_a_batch_and_upkeep_comes_to_rest() {
    let mut shelf = Shelf::new();
    let (mut most, mut steps) = (0, 0);
    for step in 0..STEPS {
        let events = heavy(step * EVENTS_MAX as u64 + 1, TERMS_MAX);
        let plan = shelf.index.advance(&shelf.pages, &events).await.unwrap();
        most = most.max(plan.puts.len() + plan.deletes.len());
        shelf.commit(plan).await;
    }
    loop {
        let plan = shelf.index.advance(&shelf.pages, &[]).await.unwrap();
        most = most.max(plan.puts.len() + plan.deletes.len());
        steps += 1;
        let more = plan.more;
        shelf.commit(plan).await;
        if !more {
            break;
        }
    }
    assert!((140..=PLAN_STEPS_MAX).contains(&most), "{most} steps");
    assert!(steps > 5, "merging takes many steps: {steps}");
    assert!(segments(&shelf).await <= 14);
    let last = STEPS * EVENTS_MAX as u64;
    for number in [1, 77, last / 2, last] {
        let asked = Query {
            terms: vec![vec![term(IndexField::TraceId, number * 32 + 3)]],
            limit: 10,
            ..Query::default()
        };
        let found = all(&shelf.index, &shelf.pages, &asked).await.unwrap();
        assert_eq!(found, [number]);
    }
    // The segment with the last record stays as a whole, until that one goes, too.
    shelf.index.drop_before(seq(last));
    shelf.settle().await;
    assert_eq!(segments(&shelf).await, 1);
    shelf.index.drop_before(seq(last + 1));
    shelf.settle().await;
    assert_eq!(shelf.stored().await, []);
}

/// A reader that began before merges finds what it looks for, or that it is too late.
#[tokio::test]
async fn a_reader_of_an_old_state_is_right_or_told() {
    let mut shelf = Shelf::new();
    let mut old: Vec<Index> = Vec::new();
    for number in 0..100_u64 {
        let numbers = number * 50 + 1..=number * 50 + 50;
        let events = numbers.map(|number| {
            let terms = [number % 7, 100 + number].map(|value| term(IndexField::Actor, value));
            event(number, i64::try_from(number).unwrap(), terms.to_vec())
        });
        shelf.advance(&events.collect::<Vec<_>>()).await.unwrap();
        old.push(shelf.index.clone());
    }
    shelf.settle().await;
    let asked = Query {
        terms: vec![vec![term(IndexField::Actor, 3)]],
        limit: 1000,
        ..Query::default()
    };
    let mut told = 0;
    for index in old {
        let last = index.last().unwrap().get();
        match all(&index, &shelf.pages, &asked).await {
            Ok(found) => {
                let expected: Vec<u64> = (1..=last).filter(|number| number % 7 == 3).collect();
                assert_eq!(found, expected);
            }
            Err(error) => {
                assert_eq!(error, IndexError::Stale);
                told += 1;
            }
        }
    }
    assert!((10..100).contains(&told), "{told} readers were too late");
}

#[tokio::test]
async fn events_that_do_not_follow_or_are_too_many_are_refused() {
    let shelf = Shelf::new();
    let many_terms: Vec<Term> = (0..=TERMS_MAX as u64)
        .map(|value| term(IndexField::Actor, value))
        .collect();
    let mut too_many = heavy(1, 1);
    too_many.push(event(EVENTS_MAX as u64 + 1, 0, Vec::new()));
    for events in [
        vec![event(2, 0, Vec::new())],
        vec![event(1, 0, Vec::new()), event(1, 0, Vec::new())],
        vec![event(1, 0, many_terms.clone())],
        too_many,
    ] {
        let refused = shelf.index.advance(&shelf.pages, &events).await;
        assert_eq!(refused, Err(IndexError::Refused));
    }
    let asked = Query {
        terms: vec![many_terms; QUERY_TERMS_MAX / TERMS_MAX + 1],
        ..Query::default()
    };
    let refused = shelf.index.candidates(&shelf.pages, &asked).await;
    assert_eq!(refused, Err(IndexError::Refused));
}
