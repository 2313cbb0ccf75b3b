//! Where nodes are drawn.
//!
//! A node whose properties `x` and `y` are numbers within [`COORDINATE_MAX`] is there, as wide and high
//! as `width` and `height` say, or as a row. All others are rows below those, in the order of the tree,
//! each indented by its depth. What comes later is drawn on top.

use serde_json::Value;

use super::text;
use crate::model::{Node, NodeId, State};

/// Furthest that a node is drawn from the middle.
const COORDINATE_MAX: f64 = 1_000_000.0;
/// Widest and highest that a node is drawn.
const SIDE_MAX: f64 = 100_000.0;
const ROW_WIDTH: i64 = 320;
const ROW_HEIGHT: i64 = 32;
/// From one row to the next.
const ROW_STEP: i64 = 40;
/// From one depth to the next.
const INDENT: i64 = 24;
/// Most characters of a label.
const LABEL_CHARS_MAX: usize = 40;

/// A node as it is drawn.
pub(super) struct Spot {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) width: i64,
    pub(super) height: i64,
    /// Escaped.
    pub(super) label: String,
}

/// All nodes: those with a place of their own, then the rows.
pub(super) fn spots(state: &State) -> Vec<Spot> {
    let (mut spots, mut rows) = (Vec::new(), Vec::new());
    for (node, depth) in in_order(state) {
        match placed(node) {
            Some(spot) => spots.push(spot),
            None => rows.push((node, depth)),
        }
    }
    let left = spots.iter().map(|spot| spot.x).min().unwrap_or(0);
    let below = spots
        .iter()
        .map(|spot| spot.y + spot.height + ROW_STEP)
        .max();
    let mut y = below.unwrap_or(0);
    for (node, depth) in rows {
        spots.push(Spot {
            x: left + INDENT * depth,
            y,
            width: ROW_WIDTH,
            height: ROW_HEIGHT,
            label: label(node),
        });
        y += ROW_STEP;
    }
    spots
}

/// All nodes, each after what it lies in, siblings in their order; with their depths, from 0.
fn in_order(state: &State) -> Vec<(&Node, i64)> {
    let mut found = Vec::new();
    let mut waiting: Vec<(&NodeId, i64)> = reversed(state, None, 0);
    while let Some((id, depth)) = waiting.pop() {
        if let Some(node) = state.get(id) {
            found.push((node.as_ref(), depth));
        }
        waiting.extend(reversed(state, Some(id), depth + 1));
    }
    found
}

fn reversed<'a>(
    state: &'a State,
    parent: Option<&'a NodeId>,
    depth: i64,
) -> Vec<(&'a NodeId, i64)> {
    let mut children: Vec<_> = state.children(parent).map(|id| (id, depth)).collect();
    children.reverse();
    children
}

fn placed(node: &Node) -> Option<Spot> {
    let within = |name, min, max| number(node, name).filter(|n| (min..=max).contains(n));
    let side = |name, otherwise| within(name, 1.0, SIDE_MAX).map_or(otherwise, whole);
    Some(Spot {
        x: whole(within("x", -COORDINATE_MAX, COORDINATE_MAX)?),
        y: whole(within("y", -COORDINATE_MAX, COORDINATE_MAX)?),
        width: side("width", ROW_WIDTH),
        height: side("height", ROW_HEIGHT),
        label: label(node),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "it is within the limits")]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

/// What is written on a node: its `text`, or what it is and its id.
fn label(node: &Node) -> String {
    match value(node, "text") {
        Some(Value::String(given)) => text::escaped(&given, LABEL_CHARS_MAX),
        _ => text::escaped(&format!("{} {}", node.kind(), node.id()), LABEL_CHARS_MAX),
    }
}

fn number(node: &Node, name: &str) -> Option<f64> {
    value(node, name)?.as_f64()
}

fn value(node: &Node, name: &str) -> Option<Value> {
    let named = node.props().iter().find(|(prop, _)| prop.as_str() == name);
    serde_json::from_str(named?.1.as_str()).ok()
}
