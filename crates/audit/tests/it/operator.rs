//! Exports that an operator makes up, who holds the key: they have one structure all the same.

use serde_json::{Value, json};
use tenantry_audit::Hash;

use crate::{
    forgery::{alike, refused, signed_by_the_key},
    python::{Case, case},
    world::{ORIGIN, World},
};

/// A line, its kind first: by that an export is told from a receipt.
fn written(line: &Value) -> String {
    let mut rest = line.clone();
    let kind = rest.as_object_mut().unwrap().remove("kind").unwrap();
    format!("{{\"kind\":{kind},{}\n", &rest.to_string()[1..])
}

/// An export of these lines with a trailer that the key has signed.
fn sealed(lines: &[Value]) -> Vec<u8> {
    let mut export: Vec<u8> = lines
        .iter()
        .flat_map(|line| written(line).into_bytes())
        .collect();
    let records = lines.iter().filter(|line| line["kind"] == "record").count();
    let sha256 = Hash::of(&[&export]);
    let text = format!("tenantry-audit/export/v1\n{ORIGIN}\n{records}\n{sha256}\n");
    let note = signed_by_the_key(&text);
    let trailer = format!(
        "\"records\":{records},\"sha256\":\"{sha256}\",\"note\":{}",
        json!(note)
    );
    export.extend(format!("{{\"kind\":\"trailer\",{trailer}}}\n").into_bytes());
    export
}

/// The lines of an export before its trailer: the header, a block of two, its records, and again.
fn whole(world: &World) -> Vec<Value> {
    let export = world.export(0, 3, 6, 2);
    let whole: Vec<Value> = export
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .filter(|line: &Value| line["kind"] != "trailer")
        .collect();
    assert_eq!(whole.len(), 7);
    whole
}

fn forged(world: &World, name: &str, change: impl Fn(&mut Vec<Value>)) -> Case {
    let mut lines = whole(world);
    change(&mut lines);
    case(name, sealed(&lines), world)
}

#[test]
fn the_members_of_a_line_are_what_they_should_be() {
    let world = World::with_records(&[6]);
    let set = |line: usize, member: &'static str, to: Value| {
        forged(&world, &format!("{line}/{member} = {to}"), move |lines| {
            lines[line][member] = to.clone();
        })
    };
    assert_eq!(alike(vec![forged(&world, "whole", |_| {})]), 1);
    refused(vec![
        set(0, "kind", json!("heading")),
        set(0, "format", json!("tenantry-audit/export/v2")),
        set(0, "from", json!(0)),
        set(0, "from", json!(2)),
        set(0, "from", json!("3")),
        set(0, "to", json!(5)),
        set(0, "to", json!(7)),
        set(0, "to", json!(1)),
        set(0, "frontier", json!([])),
        set(0, "more", json!(0)),
        set(1, "first", json!(4)),
        set(1, "first", json!("3")),
        set(1, "hashes", json!([])),
        set(1, "proof", json!([])),
        set(1, "kind", json!("trailer")),
        set(2, "seq", json!(4)),
        set(2, "seq", json!(3.0)),
        set(2, "kind", json!("Record")),
        set(2, "more", json!(0)),
    ]);
}

#[test]
fn the_lines_are_those_that_should_be_there() {
    let world = World::with_records(&[6]);
    let forged = |name: &str, change: fn(&mut Vec<Value>)| forged(&world, name, change);
    refused(vec![
        forged("a longer frontier", |lines| {
            lines[0]["frontier"]
                .as_array_mut()
                .unwrap()
                .insert(0, json!(Hash::EMPTY));
        }),
        forged("a hash more", |lines| {
            lines[4]["hashes"]
                .as_array_mut()
                .unwrap()
                .push(json!(Hash::EMPTY));
        }),
        forged("a hash less", |lines| {
            drop(lines[4]["hashes"].as_array_mut().unwrap().pop());
        }),
        forged("a block twice", |lines| lines.insert(1, lines[1].clone())),
        forged("an empty block at the end", |lines| {
            lines.push(json!({"kind": "block", "first": 7, "hashes": [], "proof": []}));
        }),
        forged("a block after the end", |lines| {
            lines.push(
                json!({"kind": "block", "first": 7, "hashes": [json!(Hash::EMPTY)], "proof": []}),
            );
        }),
        forged("a record before its block", |lines| lines.swap(1, 2)),
        forged("a record after the end", |lines| {
            lines.push(lines[6].clone());
        }),
        forged("a header in between", |lines| {
            lines.insert(4, lines[0].clone());
        }),
        forged("no records", |lines| lines.truncate(1)),
        forged("no second block", |lines| lines.truncate(4)),
        forged("a block without its records", |lines| lines.truncate(5)),
        forged("the last record left out", |lines| lines.truncate(6)),
    ]);
}

#[test]
fn a_trailer_is_a_line_of_one_spelling() {
    let world = World::with_records(&[6]);
    let text = String::from_utf8(sealed(&whole(&world))).unwrap();
    let (lines, trailer) = text.trim_end().rsplit_once('\n').unwrap();
    let unended = |name: &str, text: String| case(name, text.into_bytes(), &world);
    refused(vec![
        unended("no newline at the end", text.trim_end().to_owned()),
        unended(
            "no newline before the trailer",
            format!("{lines}{trailer}\n"),
        ),
        unended(
            "a space in the trailer",
            text.replace("\"sha256\":", "\"sha256\": "),
        ),
        unended("an empty line", format!("{lines}\n\n{trailer}\n")),
    ]);
}
