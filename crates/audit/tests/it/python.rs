//! `docs/verify_audit.py`, a stranger's verifier, over exports and receipts: it accepts what is
//! whole, and refuses every tamper at the record that was tampered with.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tenantry_audit::{Since, TrustFile, export::Line, log::Ask};

use crate::{
    stranger::{accepts, python},
    world::{World, signers},
};

/// What the script is given, and what it must say.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
    pub(crate) trust: TrustFile,
    pub(crate) known: Option<String>,
    /// `None` if the file must verify; else a part of the message with which it is refused.
    pub(crate) refused: Option<String>,
    /// Whether to flip every byte of it as well, all of which must be refused.
    flip: bool,
}

pub(crate) fn case(name: impl Into<String>, file: Vec<u8>, world: &World) -> Case {
    Case {
        name: name.into(),
        file,
        trust: world.trust_file(),
        known: None,
        refused: None,
        flip: false,
    }
}

impl Case {
    pub(crate) fn refused(self, with: impl Into<String>) -> Self {
        let refused = Some(with.into());
        Self { refused, ..self }
    }

    pub(crate) fn known(self, note: &str) -> Self {
        let known = Some(note.to_owned());
        Self { known, ..self }
    }

    fn flipped(self) -> Self {
        Self { flip: true, ..self }
    }

    fn to_json(&self) -> Value {
        json!({"name": self.name, "file": BASE64_STANDARD.encode(&self.file), "trust": self.trust,
            "known": self.known, "refused": self.refused, "flip": self.flip})
    }
}

/// Runs the script over all cases, in one process.
pub(crate) fn judge(cases: &[Case]) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let mut python = python();
    python.args([
        format!("{root}tests/python/cases.py"),
        format!("{root}../../docs/verify_audit.py"),
    ]);
    let lines: Vec<String> = cases
        .iter()
        .map(|case| format!("{}\n", case.to_json()))
        .collect();
    assert_eq!(
        accepts(&mut python, lines.concat().as_bytes()).trim(),
        cases.len().to_string()
    );
}

fn receipt(world: &World, tenant: usize, seq: u64) -> Vec<u8> {
    serde_json::to_vec(&world.receipt(tenant, seq)).unwrap()
}

fn lines(export: &[u8]) -> Vec<Vec<u8>> {
    export
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

fn parsed(line: &[u8]) -> Line {
    serde_json::from_slice(line).unwrap()
}

fn written(line: &Line) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).unwrap();
    bytes.push(b'\n');
    bytes
}

#[test]
fn whole_receipts_and_exports_verify() {
    let world = World::with_records(&[5, 300, 1]);
    let mut cases = Vec::new();
    for (tenant, seq) in [
        (0, 1),
        (0, 5),
        (1, 1),
        (1, 255),
        (1, 256),
        (1, 257),
        (1, 300),
        (2, 1),
    ] {
        cases.push(case(
            format!("receipt {tenant}/{seq}"),
            receipt(&world, tenant, seq),
            &world,
        ));
    }
    for (from, to, block) in [
        (1, 300, 256),
        (7, 6, 1),
        (2, 2, 1),
        (200, 290, 32),
        (257, 300, 7),
        (300, 300, 1),
    ] {
        let export = world.export(1, from, to, block);
        cases.push(case(format!("export {from}..{to}"), export, &world));
    }
    let mut own = case(
        "with all that a trust file can pin",
        world.export(2, 1, 1, 1),
        &world,
    );
    own.trust.tenant = Some(world.tenants[2].id.clone());
    own.trust.env = Some(world.tenants[2].env);
    own.trust.slot = Some(2);
    cases.push(own);
    judge(&cases);
}

#[test]
fn a_whole_export_is_summed_up_on_the_command_line() {
    let world = World::with_records(&[4, 2]);
    let folder = tempfile::tempdir().unwrap();
    let (trust, export) = (
        folder.path().join("trust.json"),
        folder.path().join("audit.jsonl"),
    );
    std::fs::write(&trust, serde_json::to_vec(&world.trust_file()).unwrap()).unwrap();
    std::fs::write(&export, world.export(0, 2, 4, 2)).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify_audit.py");
    let run = || {
        let mut python = python();
        python.arg(script).args([&trust, &export]);
        python
    };
    let said = accepts(&mut run(), b"");
    assert!(
        said.starts_with("verified: records 2 to 4 of 4 of t_0 in prod, epoch 1"),
        "{said}"
    );
    let cut = &world.export(0, 2, 4, 2)[..900];
    std::fs::write(&export, cut).unwrap();
    let refused = run().output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).starts_with("REFUSED: "));
}

#[test]
fn every_flipped_byte_is_refused() {
    let world = World::with_records(&[2, 1]);
    judge(&[
        case("export", world.export(0, 1, 2, 2), &world).flipped(),
        case("receipt", receipt(&world, 0, 2), &world).flipped(),
    ]);
}

#[test]
fn deleted_moved_repeated_altered_and_missing_records_are_named() {
    let world = World::with_records(&[7]);
    let export = world.export(0, 1, 7, 3);
    let whole = lines(&export);
    let mut cases = Vec::new();
    let mut tampered = |name: &str, seq: usize, lines: Vec<Vec<u8>>| {
        let named = format!("record {seq}:");
        cases.push(case(format!("{name} {seq}"), lines.concat(), &world).refused(named));
    };
    let records: Vec<usize> = (0..whole.len())
        .filter(|at| matches!(parsed(&whole[*at]), Line::Record(_)))
        .collect();
    assert_eq!(records.len(), 7);
    for (index, at) in records.iter().enumerate() {
        let seq = index + 1;
        let mut deleted = whole.clone();
        deleted.remove(*at);
        tampered("deleted", seq, deleted);
        let mut repeated = whole.clone();
        repeated.insert(*at, whole[*at].clone());
        tampered("repeated", seq + 1, repeated);
        for other in &records[seq..] {
            let mut swapped = whole.clone();
            swapped.swap(*at, *other);
            tampered("swapped", seq, swapped);
        }
        let mut altered = whole.clone();
        let text = String::from_utf8(altered[*at].clone()).unwrap();
        altered[*at] = text.replace("remove", "delete").into_bytes();
        tampered("altered", seq, altered);
        let mut without_tail = whole.clone();
        without_tail.drain(*at..whole.len() - 1);
        tampered("without the tail from", seq, without_tail);
    }
    let no_trailer = whole[..whole.len() - 1].concat();
    let more = [export.as_slice(), b"x"].concat();
    cases.push(case("no trailer", no_trailer, &world).refused("record 8: it is missing"));
    cases.push(case("something follows", more, &world).refused("after record 7"));
    for end in (0..export.len()).step_by(7) {
        cases.push(case(format!("cut at {end}"), export[..end].to_vec(), &world).refused(""));
    }
    judge(&cases);
}

#[test]
fn swapped_tenants_are_refused() {
    let world = World::with_records(&[3, 3]);
    let mut cases = Vec::new();
    let mut own = |name: &str, file: Vec<u8>, why: &str| {
        let mut case = case(name, file, &world).refused(why);
        case.trust.tenant = Some(world.tenants[0].id.clone());
        cases.push(case);
    };
    let others = String::from_utf8(world.export(1, 1, 3, 3)).unwrap();
    let renamed = others.replace("t_1", "t_0").into_bytes();
    own(
        "another's export",
        others.clone().into_bytes(),
        "the trust file names another tenant",
    );
    own(
        "another's export, renamed",
        renamed,
        "the head of slot 1 is of another tenant",
    );

    // The header of the one with the records of the other, and the reverse.
    let mut mixed = lines(&world.export(0, 1, 3, 3));
    let foreign = lines(others.as_bytes());
    mixed[1..].clone_from_slice(&foreign[1..]);
    own(
        "another's records",
        mixed.concat(),
        "record 1: the proof of the records from here on",
    );
    mixed = lines(&world.export(0, 1, 3, 3));
    mixed[3] = foreign[3].clone();
    own(
        "one of another's records",
        mixed.concat(),
        "record 2: it was altered, or is not in the log",
    );

    let mut receipt = world.receipt(1, 2);
    receipt.evidence = world.evidence(0);
    let file = serde_json::to_vec(&receipt).unwrap();
    own(
        "another's record in a receipt",
        file,
        "record 2: it was altered, or is not in the log",
    );

    let mut slot = case("another slot", world.export(1, 1, 3, 3), &world).refused("another slot");
    slot.trust.slot = Some(0);
    cases.push(slot);
    judge(&cases);
}

#[test]
fn a_record_of_another_tenant_in_the_log_itself_is_refused() {
    let mut world = World::with_records(&[3, 3]);
    let stray = world.tenants[1].records[0].clone();
    world.tenants[0].log.append(stray.leaf_hash());
    world.close_epoch();
    let mut receipt = world.receipt(1, 1);
    receipt.proof = world.tenants[0]
        .log
        .prove(Ask::Inclusion { index: 3, size: 4 });
    receipt.seq = 4.try_into().unwrap();
    receipt.evidence = world.evidence(0);
    let file = serde_json::to_vec(&receipt).unwrap();
    judge(&[case("stray", file, &world).refused("record 4: it belongs to another tenant")]);
}

#[test]
fn old_checkpoints_and_forks_are_refused() {
    let mut world = World::with_records(&[3]);
    let (old, old_note) = (world.export(0, 1, 3, 3), world.note().to_owned());
    world.record(0, 1);
    world.close_epoch();
    let note = world.note().to_owned();
    let with_proof = |world: &World| {
        let mut receipt = world.receipt(0, 1);
        let proof = world.epochs.prove(Ask::Consistency { old: 1, size: 2 });
        receipt.evidence.since = Some(Since { size: 1, proof });
        serde_json::to_vec(&receipt).unwrap()
    };
    let mut fork = World::with_records(&[2]);
    fork.record(0, 1);
    fork.close_epoch();
    judge(&[
        case("replayed", old, &world)
            .known(&note)
            .refused("an old checkpoint is replayed"),
        case("the known one", world.export(0, 1, 4, 4), &world).known(&note),
        case("continues", with_proof(&world), &world).known(&old_note),
        case("not shown", receipt(&world, 0, 1), &world)
            .known(&old_note)
            .refused("nothing shows"),
        case("fork", fork.export(0, 1, 3, 3), &world)
            .known(&note)
            .refused("contradicts"),
        case("fork with a proof", with_proof(&fork), &world)
            .known(&old_note)
            .refused("contradicts"),
    ]);
}

#[test]
fn only_a_trusted_key_is_believed() {
    let world = World::with_records(&[2]);
    let other = signers(9).verifier_keys()[0].clone();
    let mut foreign =
        case("another key", world.export(0, 1, 2, 2), &world).refused("no trusted key");
    foreign.trust.keys = vec![other.clone()];
    let mut rotated = case("both keys", world.export(0, 1, 2, 2), &world);
    rotated.trust.keys.insert(0, other);
    let mut signed = lines(&world.export(0, 1, 2, 2));
    // The whole export with the checkpoint's signature where the trailer's should be.
    let Some(Line::Trailer(mut trailer)) = signed.pop().map(|line| parsed(&line)) else {
        panic!("the last line is no trailer");
    };
    trailer.note = world.note().to_owned();
    signed.push(written(&Line::Trailer(trailer)));
    let signed = case("a checkpoint as trailer", signed.concat(), &world);
    judge(&[
        foreign,
        rotated,
        signed.refused("the signature is of another export"),
    ]);
}

#[test]
fn only_recorded_values_are_shown_and_only_committed_fields_are_erased() {
    let world = World::with_records(&[2]);
    let mut receipt = world.receipt(0, 1);
    receipt.opened.values_mut().next().unwrap().value.push('x');
    let changed = serde_json::to_vec(&receipt).unwrap();
    let mut cases = vec![
        case("changed", changed, &world).refused("record 1: the value of actor.id is not the one"),
    ];
    for (name, field) in [("shown", "actor.id"), ("unknown", "personal.phone")] {
        let mut lines = lines(&world.export(0, 1, 2, 2));
        let Line::Record(mut record) = parsed(&lines[3]) else {
            panic!("the fourth line is no record");
        };
        record.erased.push(field.parse().unwrap());
        lines[3] = written(&Line::Record(record));
        cases.push(
            case(name, lines.concat(), &world).refused("record 2: a field is said to be erased"),
        );
    }
    judge(&cases);
}
