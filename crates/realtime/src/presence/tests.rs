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
        prop_assert_eq!(presence.ends.len(), 0);
    }
}

fn names(roster: &Roster) -> Vec<String> {
    let mut names: Vec<_> = roster
        .members
        .iter()
        .map(|shown| shown.user_id.to_string())
        .collect();
    names.sort();
    names
}

/// Tells what is due by now, twice: what changed is gathered first.
fn settle(presence: &mut Presence, now: Instant) -> Instant {
    presence.due(now);
    let now = now + GATHER;
    presence.flush(now);
    now
}

#[test]
fn who_is_on_another_node_is_there_until_that_node_says_otherwise_or_is_silent() {
    let mut now = Instant::now();
    let mut presence = Presence::new(GRACE);
    presence.join(&user(1));
    for n in [1, 2, 3] {
        presence.here_on(7, &user(n), Some(state(n)), now);
    }
    presence.here_on(8, &user(2), None, now);
    now = settle(&mut presence, now);
    assert_eq!(names(&presence.roster()), ["u_1", "u_2", "u_3"]);

    // One node lets two go; who is on a further node, or here, stays.
    for n in [1, 2, 3] {
        presence.gone_from(7, &user(n), now);
    }
    now = settle(&mut presence, now);
    assert_eq!(names(&presence.roster()), ["u_1", "u_2"]);

    // The other one dies.
    now += Duration::from_secs(15);
    settle(&mut presence, now);
    assert_eq!(names(&presence.roster()), ["u_1"]);
    assert_eq!(presence.state_bytes, 1, "of the one who is there");
}

#[test]
fn other_nodes_are_told_of_members_here_and_of_nobody_else() {
    let now = Instant::now();
    let mut presence = Presence::new(GRACE);
    presence.join(&user(1));
    presence.here_on(7, &user(2), None, now);
    presence.share();
    let told = |news: &News| {
        let here = news.here.iter().map(|announced| announced.user.to_string());
        (
            here.collect::<Vec<_>>(),
            news.gone
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        told(&presence.take_news(now)),
        (vec!["u_1".to_owned()], vec![])
    );
    presence.join(&user(1));
    presence.part(&user(1), now);
    assert_eq!(
        told(&presence.take_news(now)),
        (vec![], vec![]),
        "still here"
    );
    presence.part(&user(1), now);
    assert_eq!(
        told(&presence.take_news(now)),
        (vec![], vec![]),
        "perhaps only for a moment"
    );
    assert!(!presence.ends_sharing());
    let later = now + GRACE;
    assert_eq!(
        told(&presence.take_news(later)),
        (vec![], vec!["u_1".to_owned()])
    );
    assert!(presence.ends_sharing());
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
