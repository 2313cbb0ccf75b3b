//! Nothing here uses the service: commands on a state.

use serde_json::{Value, json};
use tenantry_canvas::model::{
    Command, DEPTH_MAX, Effective, Kind, NODE_BYTES_MAX, NODES_MAX, NodeId, Reason, State,
};

pub(crate) fn command(kind: &str, args: &Value) -> Command {
    let kind: Kind = serde_json::from_value(kind.into()).unwrap();
    Command::parse(kind, &args.to_string()).unwrap()
}

pub(crate) fn carry_out(state: &mut State, kind: &str, args: &Value) -> Result<Effective, Reason> {
    let id = "k".parse().unwrap();
    let carried = state.carry_out(&id, &command(kind, args));
    carried.map(|carried| carried.effective)
}

fn make(state: &mut State, node: &str, parent: Option<&str>) {
    let args = json!({"node": node, "type": "t", "parent": parent});
    carry_out(state, "node.create", &args).unwrap();
}

fn children(state: &State, parent: Option<&str>) -> Vec<String> {
    let parent: Option<NodeId> = parent.map(|id| id.parse().unwrap());
    let children = state.children(parent.as_ref());
    children.map(ToString::to_string).collect()
}

#[test]
fn siblings_are_where_they_were_put() {
    let mut state = State::default();
    for (node, place) in [
        ("b", json!({})),
        ("d", json!({"after": "b"})),
        ("a", json!({"after": null})),
        ("c", json!({"before": "d"})),
        ("e", json!({})),
    ] {
        let mut args = json!({"node": node, "type": "t"});
        args.as_object_mut()
            .unwrap()
            .extend(place.as_object().unwrap().clone());
        carry_out(&mut state, "node.create", &args).unwrap();
    }
    assert_eq!(children(&state, None), ["a", "b", "c", "d", "e"]);
    for (args, order) in [
        (json!({"node": "a"}), "bcdea"),
        (json!({"node": "a", "after": "b"}), "bacde"),
        (json!({"node": "a", "after": "b"}), "bacde"),
        (json!({"node": "e", "after": null}), "ebacd"),
        (json!({"node": "e", "after": null}), "ebacd"),
        (json!({"node": "d"}), "ebacd"),
        (json!({"node": "b", "before": "c"}), "eabcd"),
        (json!({"node": "b", "before": "c"}), "eabcd"),
    ] {
        carry_out(&mut state, "node.move", &args).unwrap();
        assert_eq!(children(&state, None).concat(), order, "{args}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut state = State::default();
    make(&mut state, "a", None);
    make(&mut state, "b", Some("a"));
    make(&mut state, "c", Some("b"));
    let before = state.hash();
    for (kind, args) in [
        ("node.create", json!({"node": "a", "type": "t"})),
        (
            "node.create",
            json!({"node": "x", "type": "t", "parent": "nobody"}),
        ),
        (
            "node.create",
            json!({"node": "x", "type": "t", "after": "b"}),
        ),
        ("node.update", json!({"node": "nobody", "set": {"x": 1}})),
        (
            "node.update",
            json!({"node": "a", "set": {"x": "y".repeat(NODE_BYTES_MAX)}}),
        ),
        ("node.move", json!({"node": "nobody"})),
        ("node.move", json!({"node": "a", "parent": "a"})),
        ("node.move", json!({"node": "a", "parent": "c"})),
        ("node.move", json!({"node": "c", "parent": "nobody"})),
        ("node.move", json!({"node": "c", "after": "c"})),
        ("node.delete", json!({"node": "nobody"})),
    ] {
        assert!(carry_out(&mut state, kind, &args).is_err(), "{kind} {args}");
        assert_eq!(state.hash(), before, "{kind} {args}");
    }
}

/// The same to the bit on every machine, in every build; a change of this is a change of the format.
#[test]
fn hashes_are_what_they_were() {
    let mut state = State::default();
    // Both were made by the lines of Python in docs/canvas.md.
    let empty = "feae619d046076393d187c0524b07aaa5c3b221c19ea885da00313cf779dba92";
    assert_eq!(state.hash().to_string(), empty);
    make(&mut state, "a", None);
    make(&mut state, "b", Some("a"));
    let set = json!({"node": "b", "set": {"x": [1.50, {"z": "é", "a": -0.0}], "y": null}});
    carry_out(&mut state, "node.update", &set).unwrap();
    let hash = "b906f269a7199adc9f8375f36b1227dcb4957281cad2ea3002ceb9c75fc6bb8a";
    assert_eq!(state.hash().to_string(), hash);
}

#[test]
fn a_tree_has_a_depth_and_a_number_of_nodes() {
    let mut state = State::default();
    make(&mut state, "n1", None);
    for depth in 2..=DEPTH_MAX {
        make(
            &mut state,
            &format!("n{depth}"),
            Some(&format!("n{}", depth - 1)),
        );
    }
    let deepest = format!("n{DEPTH_MAX}");
    let below = json!({"node": "x", "type": "t", "parent": deepest});
    assert_eq!(
        carry_out(&mut state, "node.create", &below),
        Err(Reason::TooDeep)
    );
    make(&mut state, "x", None);
    let moved = json!({"node": "x", "parent": deepest});
    assert_eq!(
        carry_out(&mut state, "node.move", &moved),
        Err(Reason::TooDeep)
    );
    let moved = json!({"node": "n1", "parent": "x"});
    assert_eq!(
        carry_out(&mut state, "node.move", &moved),
        Err(Reason::TooDeep)
    );
    while state.len() < NODES_MAX {
        let node = format!("m{}", state.len());
        make(&mut state, &node, None);
    }
    let more = json!({"node": "more", "type": "t"});
    assert_eq!(
        carry_out(&mut state, "node.create", &more),
        Err(Reason::TooManyNodes)
    );
}

#[test]
fn a_node_goes_with_all_that_is_in_it() {
    let mut state = State::default();
    let empty = state.hash();
    for (node, parent) in [
        ("a", None),
        ("b", Some("a")),
        ("c", Some("b")),
        ("d", Some("a")),
    ] {
        make(&mut state, node, parent);
    }
    let done = carry_out(&mut state, "node.delete", &json!({"node": "a"})).unwrap();
    let wire = serde_json::to_value(&done).unwrap();
    assert_eq!(wire["args"]["removed"], json!(["a", "b", "d", "c"]));
    assert!(state.is_empty());
    assert_eq!((state.hash(), state.bytes()), (empty, 0));
}
