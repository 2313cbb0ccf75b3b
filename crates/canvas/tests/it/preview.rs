//! Pictures of revisions.

use serde_json::{Value, json};
use tenantry_canvas::{model::State, preview::svg};

use crate::nodes::carry_out;

fn drawn(nodes: &[Value]) -> String {
    let mut state = State::default();
    for node in nodes {
        carry_out(&mut state, "node.create", node).unwrap();
    }
    let hash = state.hash();
    svg("cv_1 <revision>", &hash, &state)
}

#[test]
fn a_picture_is_what_it_was() {
    let picture = drawn(&[
        json!({"node": "a", "type": "t", "props": {"x": -10, "y": 20.4, "width": 100, "height": 50, "text": "<b>&"}}),
        json!({"node": "b", "type": "t", "parent": "a"}),
        json!({"node": "c", "type": "t", "parent": "b", "props": {"x": 1e9, "y": 0, "text": 7}}),
    ]);
    let lines: Vec<&str> = picture.lines().collect();
    assert!(
        lines[0].contains("viewBox=\"-26 4 400 194\""),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1], "<title>cv_1 &#60;revision&#62;</title>");
    let rect = |x: i64, y: i64, width: i64, height: i64, label: &str| {
        let (text_x, text_y) = (x + 8, y + 20);
        format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\" fill=\"#f4f4f8\" stroke=\"#445\"/><text x=\"{text_x}\" y=\"{text_y}\">{label}</text>"
        )
    };
    assert_eq!(lines[4], rect(-10, 20, 100, 50, "&#60;b&#62;&#38;"));
    assert_eq!(lines[5], rect(14, 110, 320, 32, "t b"));
    assert_eq!(lines[6], rect(38, 150, 320, 32, "t c"));
    assert_eq!(lines[7..], ["</svg>"]);
}

#[test]
fn a_picture_of_all_that_a_canvas_may_hold_is_bounded() {
    let nodes: Vec<Value> = (0..2_000)
        .map(|n| json!({"node": format!("n{n}"), "type": "t", "props": {"text": "\"".repeat(1_000)}}))
        .collect();
    let picture = drawn(&nodes);
    assert!(picture.len() < 500 * nodes.len(), "{}", picture.len());
    assert!(picture.contains("…") && !picture.contains("\"\"\""));
    assert_eq!(drawn(&[]).lines().count(), 5);
}
