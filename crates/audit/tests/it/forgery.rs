//! Forgeries by somebody who knows the format, and by an operator who holds the key: this
//! crate and `docs/verify_audit.py` refuse them, and judge whatever else alike.

use identity::Entropy;
use serde_json::{Value, json};
use signed_note::{Note, StandardSigner};
use tenantry_audit::{
    Field, Hash, Origin, Receipt, Since, Trust, export::Line, log::Ask, signer::generate_secret,
    verify,
};
use testkit::SeededEntropy;

use crate::{
    python::{Case, case, judge},
    world::{ORIGIN, World},
};

/// What this crate finds.
fn verdict(case: &Case) -> Result<(), String> {
    let refused = |error: &dyn std::fmt::Display| error.to_string();
    let trust = Trust::new(case.trust.clone()).map_err(|error| refused(&error))?;
    let known = case.known.as_deref().map(|note| trust.checkpoint(note));
    let known = known.transpose().map_err(|error| refused(&error))?;
    let checked = if case.file.starts_with(b"{\"kind\":") {
        verify::export(case.file.as_slice(), &trust, known.as_ref()).map(drop)
    } else {
        verify::parse_receipt(&case.file)
            .and_then(|receipt| verify::receipt(&receipt, &trust, known.as_ref()))
            .map(drop)
    };
    checked.map_err(|error| refused(&error))
}

/// Both refuse all of them.
pub(crate) fn refused(cases: Vec<Case>) {
    for case in &cases {
        assert!(verdict(case).is_err(), "{} was accepted", case.name);
    }
    let cases: Vec<Case> = cases.into_iter().map(|case| case.refused("")).collect();
    judge(&cases);
}

/// Both accept, or both refuse; how many were accepted.
pub(crate) fn alike(cases: Vec<Case>) -> usize {
    let judged: Vec<Case> = cases
        .into_iter()
        .map(|case| match verdict(&case) {
            Ok(()) => case,
            Err(_) => case.refused(""),
        })
        .collect();
    judge(&judged);
    judged.iter().filter(|case| case.refused.is_none()).count()
}

/// A receipt after a change to its JSON.
fn changed(world: &World, name: &str, receipt: &Receipt, change: impl FnOnce(&mut Value)) -> Case {
    let mut value = serde_json::to_value(receipt).unwrap();
    change(&mut value);
    case(name, value.to_string().into_bytes(), world)
}

/// Three tenants, and a second epoch; the receipts are of the first tenant's second record.
struct Scene {
    world: World,
    old: Receipt,
    now: Receipt,
    others: Receipt,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::with_records(&[5, 5, 2]);
        let old = world.receipt(0, 2);
        world.record(0, 2);
        world.record(1, 1);
        world.close_epoch();
        let (now, others) = (world.receipt(0, 2), world.receipt(1, 2));
        Self {
            world,
            old,
            now,
            others,
        }
    }

    fn forged(&self, name: &str, change: impl FnOnce(&mut Value)) -> Case {
        changed(&self.world, name, &self.now, change)
    }
}

#[test]
fn parts_of_other_receipts_do_not_fit() {
    let scene = Scene::new();
    let [old, others] = [&scene.old, &scene.others].map(|one| serde_json::to_value(one).unwrap());
    let mut cases = Vec::new();
    for (from, parts) in [("old", &old), ("others", &others)] {
        for path in [
            "/leaf",
            "/proof",
            "/opened",
            "/evidence/salt",
            "/evidence/head",
            "/evidence/head/leaf",
            "/evidence/head/proof",
            "/evidence/epoch",
            "/evidence/epoch/leaf",
            "/evidence/checkpoint",
        ] {
            let part = parts.pointer(path).unwrap().clone();
            let forged = scene.forged(&format!("{path} of {from}"), |value| {
                *value.pointer_mut(path).unwrap() = part;
            });
            let own = serde_json::to_vec(&serde_json::to_value(&scene.now).unwrap()).unwrap();
            if forged.file != own {
                cases.push(forged);
            }
        }
    }
    assert!(cases.len() > 12);
    refused(cases);
}

#[test]
fn a_proof_has_one_length() {
    let scene = Scene::new();
    let mut cases = Vec::new();
    for path in ["/proof", "/evidence/head/proof", "/evidence/epoch/proof"] {
        let mut edited = |name: &str, edit: fn(&mut Vec<Value>)| {
            cases.push(scene.forged(&format!("{path} {name}"), |value| {
                edit(value.pointer_mut(path).unwrap().as_array_mut().unwrap());
            }));
        };
        edited("begins earlier", |proof| {
            proof.insert(0, json!(Hash::EMPTY));
        });
        edited("goes on", |proof| proof.push(json!(Hash::EMPTY)));
        edited("begins later", |proof| drop(proof.remove(0)));
        edited("ends earlier", |proof| drop(proof.pop()));
        edited("begins twice", |proof| proof.insert(0, proof[0].clone()));
    }
    refused(cases);
}

#[test]
fn places_and_names_are_not_changed() {
    let scene = Scene::new();
    let set = |path: &'static str, to: Value| {
        scene.forged(&format!("{path} = {to}"), |value| {
            *value.pointer_mut(path).unwrap() = to;
        })
    };
    let mut cases = vec![
        set("/seq", json!(1)),
        set("/seq", json!(3)),
        set("/seq", json!(0)),
        set("/seq", json!(-2)),
        set("/seq", json!(2.0)),
        set("/seq", json!("2")),
        set("/seq", json!(true)),
        set("/seq", json!(8)),
        set("/seq", json!(1_u64 << 48)),
        set("/seq", json!(u64::MAX)),
        set("/format", json!("tenantry-audit/receipt/v2")),
        set("/format", json!("tenantry-audit/export/v1")),
        set("/evidence/tenant", json!("t_1")),
        set("/evidence/tenant", json!("t_0\u{0}prod")),
        set("/evidence/env", json!("dev")),
        set("/evidence/env", json!("PROD")),
        set("/proof", json!([])),
        set("/proof", json!(vec![Hash::EMPTY; 70])),
        set("/proof", json!({})),
        set("/leaf", json!({})),
    ];
    let leaf = |name: &str, path: &'static str, from: &str, to: &str| {
        scene.forged(name, |value| {
            let text = value.pointer(path).unwrap().as_str().unwrap();
            assert!(text.contains(from), "{text:?}");
            *value.pointer_mut(path).unwrap() = text.replacen(from, to, 1).into();
        })
    };
    let head = "/evidence/head/leaf";
    let epoch = "/evidence/epoch/leaf";
    cases.extend([
        leaf("another slot", head, "v1\n0\n", "v1\n1\n"),
        leaf("a slot in another spelling", head, "v1\n0\n", "v1\n00\n"),
        leaf("a larger log", head, "\n7\n", "\n8\n"),
        leaf("a hold", head, "\n-\n", "\nlegal-hold\n"),
        leaf("another epoch", epoch, "v1\n2\n", "v1\n1\n"),
        leaf("epoch 0", epoch, "v1\n2\n", "v1\n0\n"),
        leaf("more slots", epoch, "\n3\n", "\n4\n"),
        leaf("another time", epoch, "00:00:02", "00:00:03"),
        leaf("a line more", epoch, "v1\n", "v1\n\n"),
        leaf("no end of line", epoch, "Z\n", "Z"),
    ]);
    refused(cases);
}

#[test]
fn shown_values_cannot_be_moved_or_invented() {
    let scene = Scene::new();
    let opened = |name: &str, change: fn(&mut serde_json::Map<String, Value>)| {
        scene.forged(name, |value| {
            change(value["opened"].as_object_mut().unwrap());
        })
    };
    refused(vec![
        opened("exchanged", |fields| {
            let (actor, target) = (fields["actor.id"].clone(), fields["target.id"].clone());
            fields.insert("actor.id".to_owned(), target);
            fields.insert("target.id".to_owned(), actor);
        }),
        opened("invented", |fields| {
            fields.insert("personal.phone".to_owned(), fields["actor.id"].clone());
        }),
        opened("field and value run together", |fields| {
            let moved = fields.remove("personal.email").unwrap();
            fields.insert("personal.email\u{0}u".to_owned(), moved);
        }),
        opened("another salt", |fields| {
            fields["actor.id"]["salt"] = fields["target.id"]["salt"].clone();
        }),
        opened("a member more", |fields| {
            fields["actor.id"]["note"] = "x".into();
        }),
        opened("no text", |fields| fields["actor.id"]["value"] = 7.into()),
        {
            // Which of the two is the right one, depends on the reader.
            let text = serde_json::to_string(&scene.now).unwrap();
            let (before, after) = text.split_once("\"opened\":{").unwrap();
            let opening = serde_json::to_string(&scene.now.opened[&Field::ActorId]).unwrap();
            let twice = format!("{before}\"opened\":{{\"actor.id\":{opening},{after}");
            case("twice", twice.into_bytes(), &scene.world)
        },
    ]);
}

/// A note over `text` with the key of the world, which no code of ours would sign.
pub(crate) fn signed_by_the_key(text: &str) -> String {
    signed(text, 2)
}

fn signed(text: &str, seed: u64) -> String {
    let origin: Origin = ORIGIN.parse().unwrap();
    let secret = generate_secret(&origin, &SeededEntropy::new(seed)).unwrap();
    let signer = StandardSigner::new(&secret).unwrap();
    let mut note = Note::new(text.as_bytes(), &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    String::from_utf8(note.to_bytes()).unwrap()
}

#[test]
fn a_checkpoint_has_one_form_even_with_the_right_key() {
    let scene = Scene::new();
    let note = scene.world.note();
    let (text, _) = note.split_once("\n\n").unwrap();
    let text = format!("{text}\n");
    assert_eq!(signed_by_the_key(&text), note);
    let with = |name: &str, note: String| {
        scene.forged(name, |value| value["evidence"]["checkpoint"] = note.into())
    };
    let other_key = signed(&text, 9);
    let (_, other_signature) = other_key.split_once("\n\n").unwrap();
    let id_of_ours = note.split_once("\n\n").unwrap().1;
    let export = scene.world.export(0, 1, 7, 7);
    let last = export.split(|b| *b == b'\n').rev().nth(1).unwrap();
    let Ok(Line::Trailer(trailer)) = serde_json::from_slice(last) else {
        panic!("the last line is no trailer");
    };
    refused(vec![
        with(
            "an extension line",
            signed_by_the_key(&format!("{text}more\n")),
        ),
        with(
            "a size in another spelling",
            signed_by_the_key(&text.replacen("\n2\n", "\n02\n", 1)),
        ),
        with(
            "a signed size",
            signed_by_the_key(&text.replacen("\n2\n", "\n+2\n", 1)),
        ),
        with(
            "another origin",
            signed_by_the_key(&text.replacen(ORIGIN, "audit.test/other", 1)),
        ),
        with("no root", signed_by_the_key(&format!("{ORIGIN}\n2\n"))),
        with("an export's trailer", trailer.note),
        with("another key of that name", other_key.clone()),
        with("no signature", format!("{text}\n")),
        with("lines of another system", note.replace('\n', "\r\n")),
        with("a line before", format!("\n{note}")),
        with("a line after", format!("{note}\n")),
        with("no end", note.trim_end().to_owned()),
        with("our signature under another name", {
            let renamed = id_of_ours.replacen(ORIGIN, "audit.test/other", 1);
            format!("{text}\n{renamed}")
        }),
        with("our signature under another text", {
            let other = text.replacen("\n2\n", "\n3\n", 1);
            format!("{other}\n{id_of_ours}")
        }),
        with(
            "a long note",
            format!("{note}{}", other_signature.repeat(90)),
        ),
    ]);
    // Witnesses may add their signatures, before ours or after it.
    let accepted = alike(vec![
        with("a witness after", format!("{note}{other_signature}")),
        with(
            "a witness before",
            format!("{text}\n{other_signature}{id_of_ours}"),
        ),
    ]);
    assert_eq!(accepted, 2);
}

#[test]
fn a_history_of_ones_own_needs_the_key() {
    let scene = Scene::new();
    let mut own = World::with_records(&[5]);
    own.record(0, 2);
    own.close_epoch();
    let receipt = own.receipt(0, 2);
    // A whole chain of its own, below the checkpoint that was signed.
    let note = scene.world.note().to_owned();
    let below = changed(
        &scene.world,
        "below a signed checkpoint",
        &receipt,
        |value| {
            value["evidence"]["checkpoint"] = note.into();
        },
    );
    let mut pinned = changed(
        &scene.world,
        "a second log in another slot",
        &scene.others,
        |_| {},
    );
    pinned.trust.slot = Some(0);
    let mut unknown = changed(
        &scene.world,
        "after the key was withdrawn",
        &scene.now,
        |_| {},
    );
    unknown.trust.keys = crate::world::signers(9).verifier_keys().to_vec();
    let mut foreign = changed(&scene.world, "trust in another origin", &scene.now, |_| {});
    foreign.trust.origin = "audit.test/other".to_owned();
    let key = &scene.world.signers.verifier_keys()[0];
    let public = key.rsplit_once('+').unwrap().1;
    let also_trusting = |name: &str, key: String| {
        let mut also = changed(&scene.world, name, &scene.now, |_| {});
        also.trust.keys.push(key);
        also
    };
    refused(vec![
        below,
        pinned,
        unknown,
        foreign,
        also_trusting("a key of another id", format!("{ORIGIN}+00000000+{public}")),
        also_trusting(
            "a key of another origin",
            key.replacen(ORIGIN, "audit.test/other", 1),
        ),
        also_trusting("no key", format!("{ORIGIN}+00000000+AQ==")),
    ]);
}

#[test]
fn a_proof_of_continuity_is_of_the_checkpoint_that_is_known() {
    let mut world = World::with_records(&[3]);
    let mut notes = vec![world.note().to_owned()];
    for _ in 0..4 {
        world.record(0, 1);
        world.close_epoch();
        notes.push(world.note().to_owned());
    }
    let since = |size| Since {
        size,
        proof: world.epochs.prove(Ask::Consistency { old: size, size: 5 }),
    };
    let with = |name: &str, since: Since, known: &str| {
        changed(&world, name, &world.receipt(0, 1), |value| {
            value["evidence"]["since"] = serde_json::to_value(since).unwrap();
        })
        .known(known)
    };
    assert_eq!(alike(vec![with("right", since(3), &notes[2])]), 1);
    let renamed = |size, named| Since {
        size: named,
        ..since(size)
    };
    let mut longer = since(4);
    longer.proof.insert(0, Hash::EMPTY);
    refused(vec![
        with("a longer proof", longer, &notes[3]),
        with("the proof from another size", renamed(2, 3), &notes[2]),
        with(
            "no proof",
            Since {
                size: 3,
                proof: Vec::new(),
            },
            &notes[2],
        ),
        with(
            "known is unsigned",
            since(3),
            &notes[2].replace("\n3\n", "\n2\n"),
        ),
    ]);
}

#[test]
fn leaves_that_an_operator_makes_up_are_judged_alike() {
    let plain = World::with_records(&[1]).receipt(0, 1).leaf;
    let with = |from: &str, to: &str| {
        assert!(plain.contains(from), "{from}");
        plain.replacen(from, to, 1)
    };
    let nested = format!(
        "\"metadata\":{{\"x\":{}1{},",
        "[".repeat(60),
        "]".repeat(60)
    );
    let leaves = [
        plain.clone(),
        format!("{plain} "),
        with("{\"v\":1", "{\"v\":2"),
        with("{\"v\":1", "{\"v\":1.0"),
        with("{\"v\":1", "{\"v\":true"),
        with("{\"v\":1", "{\"v\":1,\"v\":1"),
        with(
            "\"tenant\":\"t_0\"",
            "\"tenant\":\"t_1\",\"tenant\":\"t_0\"",
        ),
        with("\"tenant\":\"t_0\"", "\"tenant\":\"t_1\""),
        with("\"env\":\"prod\"", "\"env\":\"dev\""),
        with("\"env\":\"prod\",", ""),
        with("{\"v\":1", "{\"more\":0,\"v\":1"),
        with("\"metadata\":{", "\"metadata\":{\"x\":NaN,"),
        with("\"metadata\":{", "\"metadata\":{\"x\":\"\\ud800\","),
        with("\"metadata\":{", "\"metadata\":{\"x\":1,\"x\":1,"),
        with("\"metadata\":{", "\"metadata\":{\"x\":[{\"y\":1,\"y\":2}],"),
        with("\"personal\":{", "\"personal\":{\"email\":1,"),
        with("\"metadata\":{", &nested),
        plain.replace("personal", "impersonal"),
        "[]".to_owned(),
        "null".to_owned(),
        String::new(),
    ];
    let mut cases = Vec::new();
    for (at, leaf) in leaves.into_iter().enumerate() {
        let mut world = World::with_records(&[1]);
        world.tenants[0].log.append(Hash::of_leaf(leaf.as_bytes()));
        let stray = world.tenants[0].records[0].clone();
        world.tenants[0].records.push(stray);
        world.close_epoch();
        let mut receipt = world.receipt(0, 2);
        receipt.leaf = leaf;
        let json = serde_json::to_vec(&receipt).unwrap();
        cases.push(case(format!("leaf {at}"), json, &world));
    }
    assert_eq!(
        alike(cases),
        3,
        "the plain one, the one with a space, the nested one"
    );
}

#[test]
fn random_edits_of_receipts_and_exports_are_judged_alike() {
    let world = World::with_records(&[2, 1]);
    let entropy = SeededEntropy::new(77);
    let receipt = serde_json::to_vec(&world.receipt(0, 2)).unwrap();
    let export = world.export(0, 1, 2, 2);
    let mut accepted = 0;
    for (name, whole) in [("receipt", receipt), ("export", export)] {
        let cases = (0..1500).map(|n| {
            let file = edited(&whole, &entropy);
            case(format!("{name} {n}"), file, &world)
        });
        accepted += alike(cases.collect());
    }
    // Space between the members of a receipt is nobody's concern; nothing else is accepted.
    assert!((1..200).contains(&accepted), "{accepted}");
}

/// One byte that matters in JSON put in, put in the place of another, or taken out.
fn edited(whole: &[u8], entropy: &SeededEntropy) -> Vec<u8> {
    const BYTES: &[u8] = b" \n\t\"{}[]:,\\019+-.eaA=/\x00\xff";
    let mut chance = [0; 6];
    entropy.fill(&mut chance);
    let [a, b, c, d, byte, kind] = chance;
    let at = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap() % whole.len();
    let byte = BYTES[usize::from(byte) % BYTES.len()];
    let mut edited = whole.to_vec();
    match kind % 3 {
        0 => edited.insert(at, byte),
        1 => edited[at] = byte,
        _ => {
            edited.remove(at);
        }
    }
    edited
}
