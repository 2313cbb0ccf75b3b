//! What verifies, and every way in which it no longer does.

use std::io::{BufReader, Read};

use tenantry_audit::{
    Continuity, NoteRefused, Receipt, Seq, Since, Trust, TrustFile, VerifyError,
    export::{LINE_BYTES_MAX, Line},
    log::Ask,
    verify::{self, RecordFault, Report},
};

use crate::world::{World, signers};

fn export(bytes: &[u8], trust: &Trust) -> Result<Report, VerifyError> {
    verify::export(bytes, trust, None)
}

fn seq(number: u64) -> Seq {
    Seq::try_from(number).unwrap()
}

/// The error, as text, for asserting what it names.
fn refusal<T: std::fmt::Debug>(result: Result<T, VerifyError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn every_receipt_verifies() {
    let world = World::with_records(&[5, 300, 1]);
    let trust = world.trust();
    for (tenant, owner) in world.tenants.iter().enumerate() {
        for number in 1..=owner.records.len() as u64 {
            let receipt = world.receipt(tenant, number);
            let json = serde_json::to_vec(&receipt).unwrap();
            let parsed = verify::parse_receipt(&json).unwrap();
            let verified = verify::receipt(&parsed, &trust, None).unwrap();
            assert_eq!(
                (verified.seq, &verified.leaf.tenant),
                (seq(number), &owner.id)
            );
            assert_eq!(verified.opened.len(), 3);
        }
    }
}

#[test]
fn every_range_of_an_export_verifies() {
    let world = World::with_records(&[3, 20]);
    let trust = world.trust();
    for from in 1..=20 {
        for to in from - 1..=20 {
            let bytes = world.export(1, from, to, 7);
            let report = export(&bytes, &trust).unwrap();
            assert_eq!((report.from, report.to), (seq(from), to));
            assert_eq!(report.records, to + 1 - from);
            assert_eq!(report.is_complete(), from == 1 && to == 20);
        }
    }
    let large = World::with_records(&[600]);
    for (from, to) in [(1, 600), (250, 530), (513, 600)] {
        let bytes = large.export(0, from, to, 256);
        assert!(export(&bytes, &large.trust()).is_ok());
    }
}

#[test]
fn every_flipped_byte_of_an_export_is_noticed() {
    let world = World::with_records(&[2, 2]);
    let trust = world.trust();
    let bytes = world.export(0, 1, 2, 1);
    assert!(export(&bytes, &trust).is_ok());
    for at in 0..bytes.len() {
        for flip in [1, 0x20, 0x80] {
            let mut flipped = bytes.clone();
            flipped[at] ^= flip;
            assert!(export(&flipped, &trust).is_err(), "byte {at} by {flip}");
        }
    }
}

#[test]
fn every_flipped_byte_of_a_receipt_is_noticed() {
    let world = World::with_records(&[4, 2]);
    let trust = world.trust();
    let json = serde_json::to_vec(&world.receipt(0, 3)).unwrap();
    for at in 0..json.len() {
        for flip in [1, 0x20, 0x80] {
            let mut flipped = json.clone();
            flipped[at] ^= flip;
            let verified = verify::parse_receipt(&flipped)
                .and_then(|receipt| verify::receipt(&receipt, &trust, None));
            assert!(verified.is_err(), "byte {at} by {flip}");
        }
    }
}

#[test]
fn an_export_cut_anywhere_is_noticed() {
    let world = World::with_records(&[3]);
    let bytes = world.export(0, 1, 3, 2);
    for end in 0..bytes.len() {
        assert!(
            export(&bytes[..end], &world.trust()).is_err(),
            "cut at {end}"
        );
    }
}

/// The lines of an export, and where each record is among them.
fn lines(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<usize>) {
    let lines: Vec<Vec<u8>> = bytes
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let is_record = |line: &Vec<u8>| matches!(serde_json::from_slice(line), Ok(Line::Record(_)));
    let records = (0..lines.len())
        .filter(|at| is_record(&lines[*at]))
        .collect();
    (lines, records)
}

#[test]
fn a_deleted_moved_or_repeated_record_is_named() {
    let world = World::with_records(&[9]);
    let trust = world.trust();
    let (lines, records) = lines(&world.export(0, 1, 9, 4));
    for (index, at) in records.iter().enumerate() {
        let named = format!("record {}:", index + 1);
        let mut deleted = lines.clone();
        deleted.remove(*at);
        assert!(refusal(export(&deleted.concat(), &trust)).starts_with(&named));

        let mut repeated = lines.clone();
        repeated.insert(*at, lines[*at].clone());
        let named_next = format!("record {}:", index + 2);
        let found = refusal(export(&repeated.concat(), &trust));
        // After the last one there is no next record to name.
        assert!(found.starts_with(&named_next) || index == 8, "{found}");

        if let Some(other) = records.get(index + 1) {
            let mut swapped = lines.clone();
            swapped.swap(*at, *other);
            assert!(refusal(export(&swapped.concat(), &trust)).starts_with(&named));
        }
    }
}

#[test]
fn an_altered_record_is_named_even_if_its_hash_is_altered_too() {
    let world = World::with_records(&[9]);
    let trust = world.trust();
    let (lines, records) = lines(&world.export(0, 1, 9, 9));
    for (index, at) in records.iter().enumerate() {
        let mut altered = lines.clone();
        let text = String::from_utf8(altered[*at].clone()).unwrap();
        altered[*at] = text.replace("remove", "delete").into_bytes();
        let error = export(&altered.concat(), &trust).unwrap_err();
        assert_eq!(error.seq(), Some(seq(index as u64 + 1)));
        assert!(matches!(
            error,
            VerifyError::Record {
                fault: RecordFault::NotInLog,
                ..
            }
        ));
    }
    // With the block's hashes altered as well, the block's proof fails.
    let Ok(Line::Block(mut block)) = serde_json::from_slice::<Line>(&lines[1]) else {
        panic!("the second line is no block");
    };
    block.hashes[4] = block.hashes[3];
    let mut altered = lines.clone();
    altered[1] = serde_json::to_vec(&Line::Block(block)).unwrap();
    altered[1].push(b'\n');
    let error = export(&altered.concat(), &trust).unwrap_err();
    assert!(matches!(error, VerifyError::Block { first } if first == seq(1)));
}

#[test]
fn a_truncated_tail_is_named() {
    let world = World::with_records(&[6]);
    let trust = world.trust();
    let (lines, records) = lines(&world.export(0, 1, 6, 6));
    let mut without_tail = lines.clone();
    without_tail.drain(records[4]..lines.len() - 1);
    assert_eq!(
        refusal(export(&without_tail.concat(), &trust)),
        "record 5: it is missing"
    );
    let without_trailer = lines[..lines.len() - 1].concat();
    assert_eq!(
        refusal(export(&without_trailer, &trust)),
        "after record 6: the trailer is missing"
    );
    let mut followed = lines.concat();
    followed.extend(b"x");
    assert_eq!(
        refusal(export(&followed, &trust)),
        "after record 6: something follows"
    );
}

/// A byte for ever, and how many were taken.
struct Endless(u64);

impl Read for Endless {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        to.fill(b'x');
        self.0 += to.len() as u64;
        Ok(to.len())
    }
}

#[test]
fn a_line_without_an_end_is_not_read_for_ever() {
    let world = World::with_records(&[3]);
    let whole = world.export(0, 1, 3, 3);
    let (lines, _) = lines(&whole);
    for begin in [0, 1, 3, lines.len()] {
        let mut endless = Endless(0);
        let reader = lines[..begin].concat();
        let reader = BufReader::new(reader.as_slice().chain(&mut endless));
        assert!(verify::export(reader, &world.trust(), None).is_err());
        assert!(endless.0 <= 2 * LINE_BYTES_MAX as u64, "{}", endless.0);
    }
}

#[test]
fn swapped_tenants_are_noticed() {
    let world = World::with_records(&[3, 3]);
    let own = TrustFile {
        tenant: Some(world.tenants[0].id.clone()),
        ..world.trust_file()
    };
    let own = Trust::new(own).unwrap();
    // Another tenant's export, passed off as one's own.
    let others = world.export(1, 1, 3, 3);
    assert!(refusal(export(&others, &own)).contains("the trust file names another tenant"));
    // The same with the name changed: the head is bound to the tenant.
    let renamed = String::from_utf8(others).unwrap().replace("t_1", "t_0");
    assert!(refusal(export(renamed.as_bytes(), &own)).contains("its binding is another one"));
    // One's own evidence with the records of another.
    let mut receipt = world.receipt(1, 2);
    receipt.evidence = world.evidence(0);
    let foreign = verify::receipt(&receipt, &own, None);
    assert_eq!(
        refusal(foreign),
        "record 2: it was altered, or is not in the log"
    );
    // A log into which another tenant's record was put.
    let mut mixed = World::with_records(&[3, 3]);
    let stray = mixed.tenants[1].records[0].clone();
    mixed.tenants[0].log.append(stray.leaf_hash());
    mixed.tenants[0].records.push(stray);
    mixed.close_epoch();
    let mut receipt = mixed.receipt(1, 1);
    receipt.proof = mixed.tenants[0]
        .log
        .prove(Ask::Inclusion { index: 3, size: 4 });
    receipt.seq = seq(4);
    receipt.evidence = mixed.evidence(0);
    assert_eq!(
        refusal(verify::receipt(&receipt, &mixed.trust(), None)),
        "record 4: it belongs to another tenant or environment"
    );
}

#[test]
fn an_old_checkpoint_and_a_fork_are_noticed() {
    let mut world = World::with_records(&[3]);
    let trust = world.trust();
    let old = world.export(0, 1, 3, 3);
    let old_known = trust.checkpoint(world.note()).unwrap();
    world.record(0, 1);
    world.close_epoch();
    let known = trust.checkpoint(world.note()).unwrap();
    let replayed = verify::export(old.as_slice(), &trust, Some(&known));
    assert!(matches!(
        replayed,
        Err(VerifyError::Replayed { found: 1, known: 2 })
    ));
    let same = verify::export(world.export(0, 1, 4, 4).as_slice(), &trust, Some(&known));
    assert_eq!(same.unwrap().continuity, Continuity::Same);

    // A newer one says whether it continues the known one.
    let mut receipt = world.receipt(0, 4);
    let verified = |receipt: &Receipt| {
        verify::receipt(receipt, &trust, Some(&old_known)).map(|found| found.anchored.continuity)
    };
    assert_eq!(verified(&receipt).unwrap(), Continuity::NotShown);
    let proof = world.epochs.prove(Ask::Consistency { old: 1, size: 2 });
    receipt.evidence.since = Some(Since { size: 1, proof });
    assert_eq!(verified(&receipt).unwrap(), Continuity::Extends);

    // The same key signs another history.
    let mut fork = World::with_records(&[2]);
    fork.record(0, 1);
    fork.close_epoch();
    let forked = verify::export(fork.export(0, 1, 3, 3).as_slice(), &trust, Some(&known));
    assert!(matches!(forked, Err(VerifyError::Forked { size: 2 })));
    let mut receipt = fork.receipt(0, 1);
    let proof = fork.epochs.prove(Ask::Consistency { old: 1, size: 2 });
    receipt.evidence.since = Some(Since { size: 1, proof });
    assert!(matches!(
        verified(&receipt),
        Err(VerifyError::Forked { size: 2 })
    ));
}

#[test]
fn only_a_trusted_key_is_believed() {
    let world = World::with_records(&[2]);
    let bytes = world.export(0, 1, 2, 2);
    let trusting = |keys: Vec<String>| {
        Trust::new(TrustFile {
            keys,
            ..world.trust_file()
        })
        .unwrap()
    };
    let (ours, other) = (
        world.signers.verifier_keys()[0].clone(),
        signers(9).verifier_keys()[0].clone(),
    );
    let wrong = export(&bytes, &trusting(vec![other.clone()]));
    assert!(matches!(
        wrong,
        Err(VerifyError::Checkpoint(NoteRefused::Unsigned))
    ));
    // After a rotation the trust file names both keys, and old exports still verify.
    assert!(export(&bytes, &trusting(vec![other, ours])).is_ok());
}

#[test]
fn a_pinned_slot_is_kept() {
    let world = World::with_records(&[2, 2]);
    let pinned = TrustFile {
        slot: Some(0),
        ..world.trust_file()
    };
    let trust = Trust::new(pinned).unwrap();
    assert!(export(&world.export(0, 1, 2, 2), &trust).is_ok());
    let other = export(&world.export(1, 1, 2, 2), &trust);
    assert!(refusal(other).contains("the trust file names another slot"));
}

#[test]
fn shown_values_are_the_recorded_ones() {
    let world = World::with_records(&[2]);
    let mut receipt = world.receipt(0, 1);
    let opening = receipt.opened.values_mut().next().unwrap();
    opening.value.push('x');
    let changed = refusal(verify::receipt(&receipt, &world.trust(), None));
    assert_eq!(
        changed,
        "record 1: the value of actor.id is not the one that was recorded"
    );
}
