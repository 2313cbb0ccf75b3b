//! The pure core against the oracle, whatever comes.

use proptest::prelude::*;
use serde_json::{Value, json};
use tenantry_canvas::model::{Effective, Node, State};

use crate::{nodes::carry_out, oracle::Oracle};

/// Commands over few nodes, so that they meet.
fn commands() -> impl Strategy<Value = (&'static str, Value)> {
    let id = || (0..12_u8).prop_map(|n| format!("n{n}"));
    let maybe = || prop::option::of((0..12_u8).prop_map(|n| format!("n{n}")));
    let name = || prop::sample::select(vec!["x", "y", "z"]);
    let value = prop::sample::select(vec![
        json!(1),
        json!(2.5),
        json!({"b": [1], "a": "é"}),
        json!(null),
    ]);
    prop_oneof![
        4 => (id(), maybe(), name(), value.clone()).prop_map(|(node, parent, name, value)|
            ("node.create", json!({"node": node, "type": "t", "parent": parent, "props": {name: value}}))),
        3 => (id(), name(), value).prop_map(|(node, name, value)|
            ("node.update", json!({"node": node, "set": {name: value}}))),
        1 => (id(), name()).prop_map(|(node, name)| ("node.update", json!({"node": node, "unset": [name]}))),
        3 => (id(), maybe()).prop_map(|(node, parent)| ("node.move", json!({"node": node, "parent": parent}))),
        2 => (id(), id()).prop_map(|(node, other)| ("node.move", json!({"node": node, "after": other}))),
        2 => (id(), id()).prop_map(|(node, other)| ("node.move", json!({"node": node, "before": other}))),
        1 => id().prop_map(|node| ("node.delete", json!({"node": node}))),
    ]
}

fn commit_of(effective: &[Effective]) -> Value {
    json!({"commands": effective})
}

proptest! {
    #[test]
    fn states_are_what_a_stranger_makes_of_the_log(steps in prop::collection::vec(commands(), 1..80)) {
        let (mut state, mut oracle, mut replayed) = (State::default(), Oracle::default(), State::default());
        for (kind, args) in steps {
            let before = state.hash();
            match carry_out(&mut state, kind, &args) {
                Ok(done) => {
                    let wire = commit_of(std::slice::from_ref(&done));
                    oracle.apply(&wire);
                    let read: Effective = serde_json::from_value(wire["commands"][0].clone()).unwrap();
                    prop_assert_eq!(&read, &done);
                    replayed.perform(&read.change).unwrap();
                }
                Err(_) => prop_assert_eq!(state.hash(), before),
            }
        }
        oracle.check();
        prop_assert_eq!(state.hash().to_string(), oracle.hash());
        prop_assert_eq!(replayed.hash(), state.hash());
        let mut shuffled = State::of(reversed(&state)).unwrap();
        prop_assert_eq!(shuffled.hash(), state.hash());
        let bytes: usize = state.nodes().map(|node| node.bytes()).sum();
        prop_assert_eq!(state.bytes(), bytes);
    }

    #[test]
    fn undoing_what_nobody_touched_since_gives_the_state_before(
        first in prop::collection::vec(commands(), 1..40),
        then in prop::collection::vec(commands(), 1..20),
    ) {
        let mut state = State::default();
        for (kind, args) in &first {
            let _ = carry_out(&mut state, kind, args);
        }
        let mut before = state.clone();
        let mut done = Vec::new();
        for (kind, args) in &then {
            done.extend(carry_out(&mut state, kind, args));
        }
        let left = state.clone();
        let undo = state.undo(&before, &done);
        prop_assert_eq!(state.hash(), before.hash());
        // And the undo is itself undone.
        let mut again = state.clone();
        again.undo(&left, &undo.effective);
        prop_assert_eq!(again.hash(), left.clone().hash());
    }

    #[test]
    fn undoing_leaves_alone_what_others_did_since(
        first in prop::collection::vec(commands(), 1..30),
        then in prop::collection::vec(commands(), 1..10),
        others in prop::collection::vec(commands(), 1..10),
    ) {
        let mut state = State::default();
        for (kind, args) in &first {
            let _ = carry_out(&mut state, kind, args);
        }
        let before = state.clone();
        let done: Vec<Effective> = then.iter().filter_map(|(kind, args)| carry_out(&mut state, kind, args).ok()).collect();
        let left = state.clone();
        for (kind, args) in &others {
            let _ = carry_out(&mut state, kind, args);
        }
        let theirs = state.clone();
        let undo = state.undo(&before, &done);
        let mut oracle = Oracle::of(&json!({"nodes": reversed(&theirs)}));
        oracle.apply(&commit_of(&undo.effective));
        oracle.check();
        prop_assert_eq!(oracle.hash(), state.hash().to_string());
        for node in theirs.nodes() {
            let id = node.id();
            let Some(left) = left.get(id) else {
                // Made by others: as it is.
                prop_assert_eq!(state.get(id).map(|now| *now.hash()), Some(*node.hash()));
                continue;
            };
            let now = state.get(id);
            for (name, value) in node.props() {
                if left.props().get(name) != Some(value) {
                    prop_assert_eq!(now.and_then(|now| now.props().get(name)), Some(value));
                }
            }
        }
    }
}

/// All nodes, the last first.
fn reversed(state: &State) -> Vec<Node> {
    let mut nodes: Vec<Node> = state.nodes().map(|node| (**node).clone()).collect();
    nodes.reverse();
    nodes
}
