//! One command on a canvas of many nodes, its state's hash included, beside one of few.

use std::time::Instant;

use anyhow::{Result, anyhow};
use canvas::model::{Command, CommandId, Kind, State};
use serde_json::{Value, json};

use super::SUBJECT;
use crate::{stats::median, table::Row};

const NODES_FEW: usize = 100;
const NODES_MANY: usize = 10_000;
/// Nodes lie in groups of so many.
const IN_GROUP: usize = 100;
const ROUNDS: usize = 20;
const COMMANDS: usize = 100;

/// A kind of command, and its arguments for the `n`th time on so many nodes.
type Asked = (&'static str, Kind, fn(usize, usize) -> Value);

const ASKED: [Asked; 4] = [
    (
        "create",
        Kind::Create,
        |n, nodes| json!({"node": format!("made{n}"), "type": "note", "parent": some(n, nodes), "props": {"text": "a note"}}),
    ),
    (
        "update",
        Kind::Update,
        |n, nodes| json!({"node": some(n, nodes), "set": {"text": "changed", "n": n}}),
    ),
    (
        "move",
        Kind::Move,
        |n, nodes| json!({"node": some(n, nodes), "after": null}),
    ),
    (
        "delete",
        Kind::Delete,
        |n, nodes| json!({"node": some(n, nodes)}),
    ),
];

/// A node that is no group, another one each time.
fn some(n: usize, nodes: usize) -> String {
    let at = n * 7919 % nodes;
    format!(
        "n{}",
        if at.is_multiple_of(IN_GROUP) {
            at + 1
        } else {
            at
        }
    )
}

/// Measures each kind on both.
///
/// # Errors
/// When a command cannot be carried out.
pub(super) fn measure() -> Result<Vec<Row>> {
    let (few, many) = (filled(NODES_FEW)?, filled(NODES_MANY)?);
    eprintln!("canvas: one command on {NODES_MANY} nodes");
    let mut rows = Vec::new();
    for (name, kind, args) in ASKED {
        let (mut few_us, mut many_us) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            for (state, nodes, us) in [
                (&few, NODES_FEW, &mut few_us),
                (&many, NODES_MANY, &mut many_us),
            ] {
                us.push(one_round(state, round, kind, |n| args(n, nodes))?);
            }
        }
        let (few_us, many_us) = (median(few_us), median(many_us));
        let what = format!("{name}, one command on {NODES_MANY} nodes, hashed");
        let detail = format!("on {NODES_FEW} nodes {few_us:.1} µs; the ratio is to that");
        let row = Row::new(SUBJECT, what, format!("{many_us:.1} µs"), detail);
        rows.push(row.compared(many_us / few_us, None));
    }
    Ok(rows)
}

/// Microseconds of a command, carried out on a copy, which is how a batch is carried out.
fn one_round(
    state: &State,
    round: usize,
    kind: Kind,
    args: impl Fn(usize) -> Value,
) -> Result<f64> {
    let id: CommandId = "k".parse()?;
    let numbers = (0..COMMANDS).map(|n| round * COMMANDS + n);
    let commands: Vec<Command> = numbers
        .map(|n| Ok(Command::parse(kind, &args(n).to_string())?))
        .collect::<Result<_>>()?;
    let started = Instant::now();
    for command in &commands {
        let mut copy = state.clone();
        let carried = copy.carry_out(&id, command);
        carried.map_err(|why| anyhow!("{command:?}: {why}"))?;
        std::hint::black_box(copy.hash());
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / COMMANDS as f64)
}

/// A canvas of `nodes` nodes, in groups.
pub(super) fn filled(nodes: usize) -> Result<State> {
    let mut state = State::default();
    let id: CommandId = "k".parse()?;
    for at in 0..nodes {
        let group = at - at % IN_GROUP;
        let parent = (at != group).then(|| format!("n{group}"));
        let props = json!({"text": format!("the note number {at}"), "x": at % 997, "y": at % 991});
        let args =
            json!({"node": format!("n{at}"), "type": "note", "parent": parent, "props": props});
        let command = Command::parse(Kind::Create, &args.to_string())?;
        let carried = state.carry_out(&id, &command);
        carried.map_err(|why| anyhow!("{args}: {why}"))?;
    }
    state.hash();
    Ok(state)
}
