//! Presence, one rule at a time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const GRACE: Duration = Duration::from_millis(500);

fn user(n: u8) -> UserId {
    format!("u_{n}").parse().unwrap()
}

fn state(n: u8) -> Box<RawValue> {
    RawValue::from_string(n.to_string()).unwrap()
}

type Known = BTreeMap<String, Option<String>>;

fn learn(known: &mut Known, shown: &[Shown]) {
    for Shown { user_id, state } in shown {
        let state = state.as_ref().map(|state| state.get().to_owned());
        known.insert(user_id.to_string(), state);
    }
}

/// What a socket knows that applies every change after `version`.
fn catch_up(presence: &mut Presence, known: &mut Known, mut version: u64) -> u64 {
    while let Some(update) = presence.after(version) {
        version = update.version;
        if update.change.reset {
            known.clear();
        }
        learn(known, &update.change.joined);
        learn(known, &update.change.updated);
        for left in &update.change.left {
            known.remove(left.as_str());
        }
    }
    version
}

proptest! {
    /// Roster and changes make the same present, whenever one came and
    /// however late one looks.
    #[test]
    fn whoever_follows_knows_the_present(
        steps in proptest::collection::vec((0_u8..5, 0_u8..6, 0_u64..300), 1..150),
    ) {
        let mut now = Instant::now();
        let mut presence = Presence::new(GRACE);
        let mut sockets: BTreeMap<u8, usize> = BTreeMap::new();
        let (mut eager, mut eager_at) = (Known::new(), 0);
        let (mut lazy, lazy_at) = (Known::new(), presence.roster().version);
        for (step, who, wait) in steps {
            now += Duration::from_millis(wait);
            let open = sockets.entry(who).or_default();
            match step {
                0 => { presence.join(&user(who)); *open += 1; }
                1 if *open > 0 => { presence.part(&user(who), now); *open -= 1; }
                2 if *open > 0 => presence.show(&user(who), state(who)).unwrap(),
                _ => { presence.flush(now); }
            }
            presence.due(now);
            eager_at = catch_up(&mut presence, &mut eager, eager_at);
        }
        for _ in 0..2 {
            presence.due(now);
            now += GRACE;
            presence.flush(now);
        }
        catch_up(&mut presence, &mut eager, eager_at);
        catch_up(&mut presence, &mut lazy, lazy_at);
        let mut fresh = Known::new();
        learn(&mut fresh, &presence.roster().members);
        prop_assert_eq!(&eager, &fresh);
        prop_assert_eq!(&lazy, &fresh);
        let present = sockets.iter().filter(|(_, open)| **open > 0);
        let present: Vec<String> = present.map(|(who, _)| format!("u_{who}")).collect();
        prop_assert_eq!(fresh.keys().cloned().collect::<Vec<_>>(), present);
        prop_assert_eq!(presence.leaving.len(), 0);
    }
}

#[test]
fn beyond_the_bound_members_are_counted_alone() {
    let now = Instant::now();
    let mut presence = Presence::new(GRACE);
    for n in 0..LISTED_MAX + 10 {
        presence.join(&format!("u_{n}").parse().unwrap());
    }
    presence.due(now);
    assert!(presence.flush(now + GATHER));
    let roster = presence.roster();
    assert_eq!(roster.members.len(), LISTED_MAX);
    assert_eq!(roster.count, LISTED_MAX + 10);
}

#[test]
fn states_are_bounded_together() {
    let mut presence = Presence::new(GRACE);
    let large = || RawValue::from_string(format!("\"{}\"", "x".repeat(4094))).unwrap();
    let fits = STATES_BYTES_MAX / STATE_BYTES_MAX;
    for n in 0..=fits {
        let user = format!("u_{n}").parse().unwrap();
        presence.join(&user);
        assert_eq!(presence.show(&user, large()).is_ok(), n < fits);
    }
    // Showing less makes room again.
    for n in 0..2 {
        presence.show(&user(n), state(1)).unwrap();
    }
    presence
        .show(&format!("u_{fits}").parse().unwrap(), large())
        .unwrap();
}
