//! Questions to a log: what they find, what they cost, and what erasure leaves of them.

pub(crate) mod desk;

use std::sync::atomic::Ordering;

use identity::{Recorded, Timestamp};
use store::{Batch, Documents};
use tenantry_audit::{
    LeafActor,
    service::{Entry, Filter},
};

use desk::{Desk, deed};

const START_MS: i64 = 1_767_225_600_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(START_MS + ms)
}

fn by(actor: &str) -> Filter {
    Filter {
        actor: Some(actor.to_owned()),
        ..Filter::default()
    }
}

fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq.get()).collect()
}

/// What was recorded, as a list.
struct Noted {
    actor: &'static str,
    action: &'static str,
    target: &'static str,
    trace: String,
    ms: i64,
}

const ACTORS: [&str; 4] = ["u_ann", "u_bob", "u_cyd", "recovery"];
const ACTIONS: [&str; 3] = ["a.add", "a.change", "a.remove"];
const TARGETS: [&str; 4] = ["u_ann", "u_dan", "th_1", "p_2"];

impl Noted {
    /// Mixed up, and always the same.
    fn new(number: u64) -> Self {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let part = |shift: u32, of: usize| usize::try_from(mixed >> shift).unwrap() % of;
        // Now and then a clock is ahead or behind.
        let astray = [0, 0, 0, 0, 5000, -5000][part(40, 6)];
        Self {
            actor: ACTORS[part(8, 4)],
            action: ACTIONS[part(16, 3)],
            target: TARGETS[part(24, 4)],
            trace: format!("req-{}", number / 3),
            ms: i64::try_from(number).unwrap() * 10 + astray,
        }
    }

    fn matches(&self, filter: &Filter) -> bool {
        let is = |asked: &Option<String>, found: &str| {
            asked.as_deref().is_none_or(|asked| asked == found)
        };
        is(&filter.actor, self.actor)
            && is(&filter.action, self.action)
            && is(&filter.target, self.target)
            && is(&filter.trace_id, &self.trace)
            && filter.from.is_none_or(|from| at(self.ms) >= from)
            && filter.to.is_none_or(|to| at(self.ms) <= to)
    }
}

/// A log of `count` records, integrated now and then, the last ones not.
async fn noted(desk: &Desk, count: u64) -> Vec<Noted> {
    let mut all = Vec::new();
    for number in 0..count {
        let noted = Noted::new(number);
        let Noted {
            actor,
            action,
            target,
            trace,
            ms,
        } = &noted;
        let seq = desk.put(deed(actor, action, target, trace, at(*ms))).await;
        assert_eq!(seq, number + 1);
        all.push(noted);
        if number % 70 == 69 {
            desk.audit.turn().await;
        }
    }
    all
}

fn questions() -> Vec<Filter> {
    let some = |text: &str| Some(text.to_owned());
    let mut all = vec![Filter::default()];
    for actor in ACTORS.into_iter().chain(["u_nobody"]) {
        all.push(by(actor));
        all.push(Filter {
            target: some("u_ann"),
            ..by(actor)
        });
        all.push(Filter {
            action: some("a.change"),
            from: Some(at(4000)),
            ..by(actor)
        });
    }
    for target in TARGETS {
        all.push(Filter {
            target: some(target),
            to: Some(at(7000)),
            ..Filter::default()
        });
    }
    for trace in ["req-0", "req-200", "req-299", "req-x"] {
        all.push(Filter {
            trace_id: some(trace),
            ..Filter::default()
        });
    }
    for (from, to) in [(0, 300), (4000, 4100), (8700, 99_000), (9000, 100)] {
        all.push(Filter {
            from: Some(at(from)),
            to: Some(at(to)),
            ..Filter::default()
        });
    }
    all
}

async fn answers_as_a_list(desk: &Desk, list: &[Noted], questions: Vec<Filter>) {
    for (number, filter) in questions.into_iter().enumerate() {
        let expected: Vec<u64> = (1..)
            .zip(list)
            .filter(|(_, noted)| noted.matches(&filter))
            .map(|(seq, _)| seq)
            .collect();
        let limit = if number % 6 == 1 { 7 } else { 300 };
        let found = desk.ask(&filter, limit).await;
        assert_eq!(seqs(&found), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_question_finds_what_a_look_through_all_would() {
    let mut desk = Desk::new().await;
    let list = noted(&desk, 930).await;
    assert!(desk.pages().await.len() > 4, "there are segments");
    assert_eq!(seqs(&desk.all().await), (1..=930).collect::<Vec<_>>());
    answers_as_a_list(&desk, &list, questions()).await;
    desk.reopen().await;
    desk.audit.turn().await;
    let some = questions().into_iter().step_by(4).collect();
    answers_as_a_list(&desk, &list, some).await;
}

/// Ten records of one person among others', in a log and in one five times as long.
#[tokio::test]
async fn the_cost_of_an_answer_does_not_grow_with_the_log() {
    let mut costs = Vec::new();
    for count in [800, 4000] {
        let desk = Desk::new().await;
        for number in 0..count {
            let rare = number % (count / 10) == 5;
            let actor = if rare { "u_rare" } else { "u_often" };
            let trace = format!("req-{number}");
            let ms = i64::from(number);
            desk.put(deed(actor, "a.do", "th_1", &trace, at(ms))).await;
            if number % 200 == 199 {
                desk.audit.turn().await;
            }
        }
        let warm = desk.ask(&by("u_rare"), 100).await;
        assert_eq!(warm.len(), 10);
        desk.count.take();
        desk.ask(&by("u_rare"), 100).await;
        costs.push(desk.count.take());
        let trace = Filter {
            trace_id: Some("req-77".to_owned()),
            ..Filter::default()
        };
        assert_eq!(desk.ask(&trace, 100).await.len(), 1);
        assert!(desk.count.take() < 60);
    }
    assert!(costs[1] < 160, "{costs:?}");
    assert!(costs[1] < costs[0] * 2, "{costs:?}");
}

#[tokio::test]
async fn after_an_erasure_nobody_is_found_by_the_id() {
    let desk = Desk::new().await;
    for number in 0..400_i64 {
        let (actor, target) = match number % 4 {
            0 => ("u_gone", "th_1"),
            1 => ("u_kept", "u_gone"),
            _ => ("u_kept", "th_1"),
        };
        let trace = format!("req-{number}");
        desk.put(deed(actor, "a.do", target, &trace, at(number)))
            .await;
        if number % 100 == 50 {
            desk.audit.turn().await;
        }
    }
    let about = Filter {
        target: Some("u_gone".to_owned()),
        ..Filter::default()
    };
    assert_eq!(desk.ask(&by("u_gone"), 1000).await.len(), 100);
    assert_eq!(desk.ask(&about, 1000).await.len(), 100);
    let gone = "u_gone".parse().unwrap();
    assert_eq!(desk.audit.erase(&desk.scope, &gone).await.unwrap().keys, 1);
    assert_eq!(desk.ask(&by("u_gone"), 1000).await, []);
    assert_eq!(desk.ask(&about, 1000).await, []);
    assert_eq!(desk.ask(&by("u_kept"), 1000).await.len(), 300);
    // The records are there still, by everything else.
    let trace = Filter {
        trace_id: Some("req-0".to_owned()),
        ..Filter::default()
    };
    let found = desk.ask(&trace, 10).await;
    assert!(matches!(found[0].leaf.actor, LeafActor::User { .. }));
    assert_eq!(found[0].opened.fields.len(), 0);
    // Whoever comes again has a new key, and is found by what comes now.
    desk.put(deed("u_gone", "a.do", "th_1", "req-new", at(500)))
        .await;
    assert_eq!(desk.ask(&by("u_gone"), 1000).await.len(), 1);
    desk.audit.turn().await;
    assert_eq!(desk.ask(&by("u_gone"), 1000).await.len(), 1);
}

/// A key that waits in the spool and one that was made meanwhile are both asked for.
#[tokio::test]
async fn a_person_with_two_keys_is_found_by_both() {
    let desk = Desk::new().await;
    desk.put(deed("u_first", "a.do", "th_1", "req-0", at(0)))
        .await;
    desk.documents.set_down(true);
    for number in 0..2 {
        let waits = deed("u_two", "a.do", "th_1", "req-1", at(number));
        let recorded = desk.audit.record(waits).await.unwrap();
        assert!(matches!(recorded, Recorded::Degraded { .. }));
        desk.documents.set_down(false);
    }
    desk.audit.turn().await;
    desk.put(deed("u_two", "a.do", "th_1", "req-2", at(2)))
        .await;
    desk.audit.turn().await;
    assert_eq!(seqs(&desk.ask(&by("u_two"), 10).await), [2, 3, 4]);
    let two = "u_two".parse().unwrap();
    assert_eq!(desk.audit.erase(&desk.scope, &two).await.unwrap().keys, 2);
    assert_eq!(desk.ask(&by("u_two"), 10).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_records_of_a_person_share_one_key() {
    let desk = Desk::new().await;
    let records = (0..40).map(|number| {
        let trace = format!("req-{number}");
        let event = deed("u_many", "a.do", "th_1", &trace, at(number));
        let audit = std::sync::Arc::clone(&desk.audit);
        tokio::spawn(async move { audit.record(event).await })
    });
    for recorded in records.collect::<Vec<_>>() {
        let recorded = recorded.await.unwrap().unwrap();
        assert!(matches!(recorded, Recorded::Durable { .. }));
    }
    assert_eq!(desk.ask(&by("u_many"), 100).await.len(), 40);
    let many = "u_many".parse().unwrap();
    assert_eq!(desk.audit.erase(&desk.scope, &many).await.unwrap().keys, 1);
}

/// A key that is destroyed while it is being looked up seals nothing afterwards.
#[tokio::test]
async fn a_destroyed_key_is_not_remembered() {
    let mut desk = Desk::new().await;
    let did = |number| deed("u_ann", "a.do", "th_1", "req-1", at(number));
    desk.put(did(1)).await;
    desk.reopen().await;
    desk.count.erase_next.store(true, Ordering::SeqCst);
    desk.put(did(2)).await;
    assert!(!desk.count.erase_next.load(Ordering::SeqCst));
    desk.put(did(3)).await;
    assert_eq!(seqs(&desk.ask(&by("u_ann"), 10).await), [2, 3]);
}

/// Without its pages a log answers all the same, and makes them anew.
#[tokio::test]
async fn an_index_that_is_lost_or_altered_changes_no_answer_and_is_built_anew() {
    let desk = Desk::new().await;
    let list = noted(&desk, 500).await;
    desk.audit.turn().await;
    let some: Vec<Filter> = questions().into_iter().skip(2).step_by(6).collect();
    for altered in [false, true] {
        let before = desk.pages().await;
        assert!(!before.is_empty());
        let batch = before.iter().fold(Batch::new(), |batch, (key, page)| {
            let mut bytes = page.value.to_vec();
            bytes[20] ^= 1;
            match altered {
                true => batch.put(key, bytes),
                false => batch.delete(key),
            }
        });
        desk.documents.commit(batch).await.unwrap();
        answers_as_a_list(&desk, &list, some.clone()).await;
        desk.audit.turn().await;
        assert_eq!(desk.audit.frozen(), None);
        let after = desk.pages().await;
        assert!(!after.is_empty());
        assert!(
            before
                .iter()
                .all(|(key, _)| after.iter().all(|(one, _)| one != key))
        );
        answers_as_a_list(&desk, &list, some.clone()).await;
        assert_eq!(desk.pages().await, after, "it stays");
    }
}

/// Whoever asks while records are integrated finds all that were acknowledged before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_during_integration_miss_nothing() {
    let desk = std::sync::Arc::new(Desk::new().await);
    let writing = std::sync::Arc::clone(&desk);
    let (told, acknowledged) = tokio::sync::watch::channel(0_usize);
    let writer = tokio::spawn(async move {
        for number in 0..1500_u32 {
            let trace = format!("req-{number}");
            let actor = if number % 10 == 0 { "u_ann" } else { "u_bob" };
            let ms = i64::from(number);
            writing
                .put(deed(actor, "a.do", "th_1", &trace, at(ms)))
                .await;
            if number % 10 == 0 {
                told.send_modify(|count| *count += 1);
            }
            if number % 25 == 0 {
                writing.audit.turn().await;
            }
        }
    });
    let mut asked = 0;
    while !writer.is_finished() {
        let least = *acknowledged.borrow();
        let found = desk.ask(&by("u_ann"), 60).await;
        assert!(found.len() >= least, "{} of {least}", found.len());
        asked += 1;
    }
    writer.await.unwrap();
    assert!(asked > 3);
    assert_eq!(desk.ask(&by("u_ann"), 60).await.len(), 150);
}
