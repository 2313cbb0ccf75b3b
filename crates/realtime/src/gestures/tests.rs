//! Gestures, one rule at a time, by a clock of the test's own.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn user(n: u16) -> UserId {
    format!("u_{n}").parse().unwrap()
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// What frames say.
fn said(mut frames: &[u8]) -> Vec<Value> {
    let mut said = Vec::new();
    while let [_, short, rest @ ..] = frames {
        // The header of a short or medium frame.
        let (length, rest) = match short {
            126 => (
                usize::from(u16::from_be_bytes([rest[0], rest[1]])),
                &rest[2..],
            ),
            short => (usize::from(*short), rest),
        };
        said.push(serde_json::from_slice(&rest[..length]).unwrap());
        frames = &rest[length..];
    }
    said
}

/// Whose gesture it is, and of which kind.
fn name(said: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&said["actor"]["user_id"]), text(&said["kind"]))
}

/// Everyone's gestures as a reader knows them.
#[derive(Default)]
struct Reader {
    seen: Seen,
    known: BTreeMap<(String, String), String>,
    looks: usize,
}

impl Reader {
    fn look(&mut self, gestures: &Gestures) {
        let Some(frames) = gestures.after(&mut self.seen, &user(999)) else {
            return;
        };
        self.looks += 1;
        for said in said(&frames) {
            assert_eq!(said["op"], "gesture");
            if said["reset"] == true {
                self.known.clear();
            } else if said["ended"] == true {
                self.known.remove(&name(&said));
            } else {
                self.known.insert(name(&said), said["data"].to_string());
            }
        }
    }
}

#[test]
fn the_latest_wins_and_is_told_once_in_33_ms() {
    let start = Instant::now();
    let mut gestures = Gestures::default();
    let mut reader = Reader::default();
    // Ten gestures in each of 33 ms, for a second.
    for n in 0..300_u64 {
        let now = start + ms(n * 10 / 3);
        let data = raw(&n.to_string());
        gestures.put(&user(1), "pointer", &data, now).unwrap();
        if gestures.due().is_some_and(|at| at <= now) {
            gestures.flush(now);
        }
        reader.look(&gestures);
    }
    assert!((29..=31).contains(&reader.looks), "{}", reader.looks);
    let end = start + ms(1040);
    assert!(gestures.flush(end));
    reader.look(&gestures);
    let known: Vec<_> = reader.known.into_values().collect();
    assert_eq!(known, ["299"]);
}

#[test]
fn the_first_after_a_pause_is_told_at_once() {
    let now = Instant::now();
    let mut gestures = Gestures::default();
    let put = |gestures: &mut Gestures, now| gestures.put(&user(1), "a", &raw("1"), now);
    assert_eq!(put(&mut gestures, now), Ok(Taken::Due));
    assert_eq!(gestures.due(), Some(now));
    assert!(gestures.flush(now));
    assert_eq!(put(&mut gestures, now + ms(1)), Ok(Taken::Due));
    assert_eq!(put(&mut gestures, now + ms(2)), Ok(Taken::Waits));
    assert_eq!(gestures.due(), Some(now + COALESCED));
    assert!(!gestures.flush(now + ms(32)));
    assert!(gestures.flush(now + COALESCED));
    assert!(!gestures.flush(now + COALESCED), "told again");
}

#[test]
fn who_is_slow_gets_the_latest_of_each_and_nothing_in_between() {
    let start = Instant::now();
    let mut gestures = Gestures::default();
    let mut slow = Reader::default();
    for n in 0..50_u64 {
        for who in 0..3 {
            let data = raw(&n.to_string());
            gestures
                .put(&user(who), "pointer", &data, start + ms(n * 40))
                .unwrap();
        }
        gestures.flush(start + ms(n * 40));
    }
    slow.look(&gestures);
    assert_eq!(slow.looks, 1);
    let known: Vec<_> = slow.known.values().collect();
    assert_eq!(known, ["49", "49", "49"]);
    slow.look(&gestures);
    assert_eq!(slow.looks, 1, "the same again");
}

#[test]
fn a_gesture_ends_after_five_seconds_unless_renewed() {
    let start = Instant::now();
    let mut gestures = Gestures::default();
    let mut reader = Reader::default();
    for (who, at) in [(1, 0), (2, 0), (2, 3000)] {
        gestures
            .put(&user(who), "pointer", &raw("1"), start + ms(at))
            .unwrap();
        gestures.flush(start + ms(at));
        reader.look(&gestures);
    }
    assert_eq!(reader.known.len(), 2);
    assert_eq!(gestures.due(), Some(start + LIFE));
    assert!(gestures.flush(start + LIFE));
    reader.look(&gestures);
    let left: Vec<_> = reader.known.keys().map(|(user, _)| user.clone()).collect();
    assert_eq!(left, ["u_2"]);
    // Who comes now hears of neither its life nor its end.
    let mut late = Reader::default();
    late.look(&gestures);
    assert_eq!(late.known.len(), 1);
    gestures.flush(start + ms(8000));
    gestures.flush(start + ms(8000) + LIFE);
    assert!(gestures.slots.is_empty(), "something is kept");
    assert_eq!((gestures.bytes, gestures.due()), (0, None));
}

#[test]
fn ones_own_are_not_told_to_oneself() {
    let now = Instant::now();
    let mut gestures = Gestures::default();
    gestures.put(&user(1), "pointer", &raw("1"), now).unwrap();
    gestures.flush(now);
    assert!(gestures.after(&mut Seen::default(), &user(1)).is_none());
    let told = gestures.after(&mut Seen::default(), &user(2)).unwrap();
    let shown = json!({"op": "gesture", "actor": {"user_id": "u_1"}, "kind": "pointer", "data": 1});
    assert_eq!(said(&told), [shown]);
}

#[test]
fn kinds_sizes_and_numbers_have_bounds() {
    let now = Instant::now();
    let mut gestures = Gestures::default();
    let put = |gestures: &mut Gestures, who, kind: &str, data: &str| {
        gestures.put(&user(who), kind, &raw(data), now)
    };
    let long = "k".repeat(KIND_BYTES_MAX + 1);
    for bad in ["", "K", "1", "_a", "a b", "a\"", "ä", &long] {
        assert_eq!(
            put(&mut gestures, 1, bad, "1"),
            Err(GestureRefused::Kind),
            "{bad}"
        );
    }
    let large = format!("\"{}\"", "x".repeat(GESTURE_BYTES_MAX - 1));
    assert_eq!(
        put(&mut gestures, 1, "a", &large),
        Err(GestureRefused::TooLarge)
    );
    for kind in 0..KINDS_MAX {
        put(&mut gestures, 1, &format!("k{kind}"), "1").unwrap();
    }
    let more = put(&mut gestures, 1, "more", "1");
    assert_eq!(more, Err(GestureRefused::TooManyKinds));
    // One of those that are there may go on, and others have their own.
    put(&mut gestures, 1, "k0", "2").unwrap();
    put(&mut gestures, 2, "more", "1").unwrap();
    let largest = format!("\"{}\"", "x".repeat(GESTURE_BYTES_MAX - 2));
    let mut dropped = 0;
    for who in 3..100 {
        let taken = put(&mut gestures, who, "a", &largest).unwrap();
        dropped += usize::from(taken == Taken::Dropped);
        assert!(gestures.bytes <= BYTES_MAX);
    }
    assert!(dropped > 0);
    // What is there is renewed all the same.
    assert_ne!(put(&mut gestures, 3, "a", &largest), Ok(Taken::Dropped));
}

proptest! {
    /// Whenever one looks: what one knows is what is there, once all was told.
    #[test]
    fn whoever_looks_knows_the_present(
        steps in proptest::collection::vec((0_u8..6, 0_u16..4, 0_u8..3, 0_u64..2500), 1..200),
    ) {
        let mut now = Instant::now();
        let mut gestures = Gestures::default();
        let (mut eager, mut lazy) = (Reader::default(), Reader::default());
        for (n, (step, who, kind, wait)) in steps.into_iter().enumerate() {
            now += ms(wait);
            match step {
                0..3 => {
                    let data = raw(&n.to_string());
                    gestures.put(&user(who), &format!("k{kind}"), &data, now).unwrap();
                }
                3 => { gestures.flush(now); }
                _ => eager.look(&gestures),
            }
            let sum: usize = gestures.slots.values().map(Slot::bytes).sum();
            prop_assert_eq!(gestures.bytes, sum);
        }
        now += COALESCED;
        gestures.flush(now);
        eager.look(&gestures);
        lazy.look(&gestures);
        let mut there = BTreeMap::new();
        for ((user, kind), slot) in &gestures.slots {
            if let Some(frame) = &slot.frame {
                let data = said(frame)[0]["data"].to_string();
                there.insert((user.to_string(), kind.to_string()), data);
            }
        }
        prop_assert_eq!(&lazy.known, &there);
        prop_assert_eq!(&eager.known, &there);
    }
}
