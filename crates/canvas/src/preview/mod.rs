//! Previews: a revision of a canvas as a picture, SVG 1.1, that people can look at.
//!
//! Made from the nodes alone: no clock, no chance, no script, no reference to anything outside; the
//! same revision is the same text. Every text of a node is cut and escaped, so the size is bounded by
//! the number of nodes. Where nodes are drawn is in [`layout`].

mod layout;
mod text;

use std::fmt::Write;

use layout::Spot;

use crate::model::{Digest, State};

/// Room around everything.
const MARGIN: i64 = 16;
/// Room to the left of a label, and above its line.
const LABEL: (i64, i64) = (8, 20);

/// A revision of a canvas as SVG.
///
/// `name` is what the picture is called; `state_hash` says of what it is.
#[must_use]
pub fn svg(name: &str, state_hash: &Digest, state: &State) -> String {
    let spots = layout::spots(state);
    let (left, top, right, bottom) = bounds(&spots);
    let (width, height) = (right - left, bottom - top);
    let name = text::escaped(name, usize::MAX);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"{left} {top} {width} {height}\" role=\"img\" font-family=\"sans-serif\" font-size=\"14\">\n\
         <title>{name}</title>\n<desc>state {state_hash}</desc>\n\
         <rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for spot in &spots {
        // Writing to a text does not fail.
        let _ = draw(&mut out, spot);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, spot: &Spot) -> std::fmt::Result {
    let Spot {
        x,
        y,
        width,
        height,
        label,
    } = spot;
    let (text_x, text_y) = (x + LABEL.0, y + LABEL.1);
    writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\" fill=\"#f4f4f8\" stroke=\"#445\"/>\
         <text x=\"{text_x}\" y=\"{text_y}\">{label}</text>"
    )
}

/// Left, top, right and bottom of everything, with the margin.
fn bounds(spots: &[Spot]) -> (i64, i64, i64, i64) {
    let edge = |of: fn(&Spot) -> i64| spots.iter().map(of);
    let left = edge(|spot| spot.x).min().unwrap_or(0);
    let top = edge(|spot| spot.y).min().unwrap_or(0);
    let right = edge(|spot| spot.x + spot.width).max().unwrap_or(0);
    let bottom = edge(|spot| spot.y + spot.height).max().unwrap_or(0);
    (left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN)
}
