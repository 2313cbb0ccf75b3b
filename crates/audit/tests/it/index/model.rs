//! Random logs, integrated, merged, trimmed and reopened at random, against a plain list.

use std::collections::HashSet;

use proptest::{collection::vec, option, prelude::*};
use tenantry_audit::index::{IndexEvent, IndexField, Query, Term};

use super::{all, event, seq, shelf::Shelf, term, time};

const FIELDS: [IndexField; 4] = [
    IndexField::Action,
    IndexField::Actor,
    IndexField::Target,
    IndexField::TraceId,
];

/// One event: how the clock moved, in ms, and a value of each field that it has.
#[derive(Debug, Clone)]
struct Happened {
    later_ms: i64,
    values: [Option<u64>; 4],
}

#[derive(Debug, Clone)]
enum Step {
    Integrate(Vec<Happened>),
    /// A plan is made and never committed.
    Crash(Vec<Happened>),
    Upkeep,
    /// Percent of the log that is dropped.
    Drop(u64),
}

/// What to ask for: values of fields, times in percent of the log's, where to begin in percent.
#[derive(Debug, Clone)]
struct Question {
    values: [Option<u64>; 4],
    from: Option<i64>,
    to: Option<i64>,
    after: Option<u64>,
    limit: usize,
}

fn happened() -> impl Strategy<Value = Happened> {
    // Clocks stand, go on, and now and then jump back or ahead.
    let later_ms = prop_oneof![4 => 0..3_i64, 8 => 0..2000_i64, 1 => -20_000..20_000_i64];
    let values = (
        option::weighted(0.95, 0..3_u64),
        option::weighted(0.9, 0..20_u64),
        option::weighted(0.8, 0..300_u64),
        option::weighted(0.9, any::<u64>()),
    );
    (later_ms, values).prop_map(|(later_ms, (action, actor, target, trace))| Happened {
        later_ms,
        values: [action, actor, target, trace],
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => vec(happened(), 0..130).prop_map(Step::Integrate),
        2 => vec(happened(), 200..900).prop_map(Step::Integrate),
        1 => vec(happened(), 0..130).prop_map(Step::Crash),
        3 => Just(Step::Upkeep),
        1 => (0..30_u64).prop_map(Step::Drop),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let values = (
        option::weighted(0.4, 0..4_u64),
        option::weighted(0.4, 0..21_u64),
        option::weighted(0.2, 0..310_u64),
    );
    let from = option::weighted(0.5, -5..105_i64);
    let to = option::weighted(0.5, -5..105_i64);
    let after = option::weighted(0.5, 0..110_u64);
    (values, from, to, after, 1..200_usize).prop_map(
        |((action, actor, target), from, to, after, limit)| Question {
            values: [action, actor, target, None],
            from,
            to,
            after,
            limit,
        },
    )
}

/// The log as a list.
#[derive(Default)]
struct Model {
    events: Vec<IndexEvent>,
    clock_ms: i64,
    floor: u64,
}

impl Model {
    fn next(&mut self, happened: &[Happened]) -> Vec<IndexEvent> {
        let first = self.events.len() as u64 + 1;
        let events = (first..).zip(happened).map(|(number, happened)| {
            self.clock_ms += happened.later_ms;
            event(number, self.clock_ms, terms(&happened.values))
        });
        events.collect()
    }

    fn at_percent(&self, percent: i64) -> i64 {
        let times = self.events.iter().map(|event| event.time.unix_ms());
        let low = times.clone().min().unwrap_or(0);
        let high = times.max().unwrap_or(0);
        low + (high - low) * percent / 100
    }

    fn query(&self, asked: &Question) -> Query {
        let after = asked
            .after
            .map(|part| self.events.len() as u64 * part / 100);
        Query {
            terms: groups(&asked.values),
            after: after.filter(|after| *after > 0).map(seq),
            from: asked.from.map(|percent| time(self.at_percent(percent))),
            to: asked.to.map(|percent| time(self.at_percent(percent))),
            limit: asked.limit,
        }
    }

    /// The records that have the terms of `query`, and whether they happened at its times.
    fn matching(&self, query: &Query) -> Vec<(u64, bool)> {
        let events = self.events.iter().filter(|event| {
            event.seq.get() >= self.floor
                && Some(event.seq) > query.after
                && query
                    .terms
                    .iter()
                    .all(|group| group.iter().any(|term| event.terms.contains(term)))
        });
        let within = |event: &IndexEvent| {
            query.from.is_none_or(|from| event.time >= from)
                && query.to.is_none_or(|to| event.time <= to)
        };
        events
            .map(|event| (event.seq.get(), within(event)))
            .collect()
    }
}

fn terms(values: &[Option<u64>; 4]) -> Vec<Term> {
    let values = FIELDS.into_iter().zip(values);
    values
        .filter_map(|(field, value)| Some(term(field, (*value)?)))
        .collect()
}

/// An action and a target as they are; of actors also the next two, as one group.
fn groups(values: &[Option<u64>; 4]) -> Vec<Vec<Term>> {
    let values = FIELDS.into_iter().zip(values);
    let groups = values.filter_map(|(field, value)| {
        let (value, more) = ((*value)?, u64::from(field == IndexField::Actor) * 2);
        Some(
            (value..=value + more)
                .map(|value| term(field, value))
                .collect(),
        )
    });
    groups.collect()
}

async fn run(steps: Vec<Step>, questions: Vec<Question>) {
    let mut model = Model::default();
    let mut shelf = Shelf::new();
    for step in steps {
        match step {
            Step::Integrate(happened) => {
                let events = model.next(&happened);
                shelf.advance(&events).await.unwrap();
                model.events.extend(events);
            }
            Step::Crash(happened) => {
                let before = model.clock_ms;
                let events = model.next(&happened);
                let lost = shelf.index.advance(&shelf.pages, &events).await;
                assert!(lost.is_ok());
                model.clock_ms = before;
                shelf.reopen().await;
            }
            Step::Upkeep => {
                shelf.advance(&[]).await.unwrap();
            }
            Step::Drop(percent) => {
                model.floor = model.floor.max(model.events.len() as u64 * percent / 100);
                if model.floor > 0 {
                    shelf.index.drop_before(seq(model.floor));
                    shelf.advance(&[]).await.unwrap();
                }
            }
        }
        if let Some(asked) = questions.first() {
            answers(&model, &shelf, asked).await;
        }
    }
    for asked in &questions {
        answers(&model, &shelf, asked).await;
    }
    shelf.settle().await;
    for asked in &questions {
        answers(&model, &shelf, asked).await;
    }
}

/// Without times the answer is exact. With times, none that matches is left out.
async fn answers(model: &Model, shelf: &Shelf, asked: &Question) {
    let query = model.query(asked);
    let matching = model.matching(&query);
    let found = all(&shelf.index, &shelf.pages, &query).await.unwrap();
    if query.from.is_none() && query.to.is_none() {
        let expected: Vec<u64> = matching.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(found, expected);
        return;
    }
    let all: HashSet<u64> = matching.iter().map(|(seq, _)| *seq).collect();
    assert!(found.iter().all(|seq| all.contains(seq)));
    let found: HashSet<u64> = found.into_iter().collect();
    for (seq, within) in matching {
        assert!(!within || found.contains(&seq), "{seq} was left out");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_random_log_answers_as_a_list_would(
        steps in vec(step(), 1..60), questions in vec(question(), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps, questions));
    }

    /// Where clocks do not step back, a block too many at each end is the most.
    #[test]
    fn a_time_range_is_no_wider_than_its_blocks(
        spans in vec(vec(0..50_i64, 1..200), 1..40), from in 0..100_i64, to in 0..100_i64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::default();
            let mut shelf = Shelf::new();
            for span in spans {
                let happened = span.into_iter().map(|later_ms| Happened { later_ms, values: [Some(1), None, None, Some(later_ms.unsigned_abs())] });
                let events = model.next(&happened.collect::<Vec<_>>());
                shelf.advance(&events).await.unwrap();
                model.events.extend(events);
            }
            let (from, to) = (Some(from.min(to)), Some(from.max(to)));
            let asked = Question { values: [None; 4], from, to, after: None, limit: 1000 };
            let query = model.query(&asked);
            let found = all(&shelf.index, &shelf.pages, &query).await.unwrap();
            let within: Vec<u64> = model.matching(&query).into_iter().filter(|(_, within)| *within).map(|(seq, _)| seq).collect();
            assert!(within.iter().all(|seq| found.contains(seq)));
            assert!(found.len() <= within.len() + 2 * (tenantry_audit::index::MARK_EVENTS - 1));
        });
    }
}
