//! Proofs and signed notes against other implementations: `ct-merkle`, and Go's `x/mod/sumdb`.

use base64::{Engine, prelude::BASE64_STANDARD};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use serde_json::{Value, json};
use sha2::Sha256;
use tenantry_audit::{
    Checkpoint, Hash, Heads, Origin, Signers, Trust, TrustFile,
    log::{Ask, StoredTiles, verify_consistency, verify_inclusion},
    signer::generate_secret,
};
use testkit::SeededEntropy;

use crate::{
    stranger::{accepts, go},
    world::{Log, ORIGIN, World},
};

/// Every tree of 1 to this many leaves; more than one full tile of 256.
const SIZES: u64 = 300;

fn leaf(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

/// The inclusion proof of leaf `n`, or the consistency proof from `n + 1` leaves.
type Question = fn(n: u64, size: u64) -> Ask;

const INCLUSION: Question = |index, size| Ask::Inclusion { index, size };
const CONSISTENCY: Question = |n, size| Ask::Consistency { old: n + 1, size };

/// All proofs of one kind that there are in `log` as it was at `size`.
fn proofs(log: &Log, question: Question, size: u64) -> Vec<Vec<Hash>> {
    let stored: StoredTiles = log.tiles.iter().cloned().collect();
    let prove = |n| log.state.prove(question(n, size), &stored).unwrap();
    (0..size).map(prove).collect()
}

/// Gives all proofs of one kind, at every size, to ct-merkle and to Go: `theirs` makes the same.
fn at_every_size(
    question: Question,
    name: &str,
    theirs: fn(&MemoryBackedTree<Sha256, [u8; 8]>, usize) -> Vec<u8>,
) {
    let mut log = Log::default();
    let mut tree = MemoryBackedTree::new();
    let (input, count) = lines((1..=SIZES).map(|size| {
        log.append(Hash::of_leaf(&leaf(size - 1)));
        tree.push(leaf(size - 1));
        let root = log.state.root();
        assert_eq!(root.as_bytes()[..], tree.root().as_bytes()[..]);
        let proofs = proofs(&log, question, size);
        let proofs = proofs.iter().enumerate().map(|(n, proof)| {
            let proof = bytes(proof);
            assert_eq!(proof, theirs(&tree, n), "{n} of {size}");
            BASE64_STANDARD.encode(proof)
        });
        json!({"tree": {"size": size, "root": root, name: proofs.collect::<Vec<_>>()}})
    }));
    assert_eq!(accepts(&mut go(), &input).trim(), count.to_string());
}

#[test]
fn inclusion_proofs_of_every_size_are_those_of_ct_merkle_and_hold_in_go() {
    at_every_size(INCLUSION, "inclusion", |tree, index| {
        tree.prove_inclusion(index).as_bytes().to_vec()
    });
}

#[test]
fn consistency_proofs_of_every_size_are_those_of_ct_merkle_and_hold_in_go() {
    at_every_size(CONSISTENCY, "consistency", |tree, n| {
        let size = usize::try_from(tree.len()).unwrap();
        tree.prove_consistency(size - n - 1).as_bytes().to_vec()
    });
}

fn bytes(proof: &[Hash]) -> Vec<u8> {
    let hashes: Vec<&[u8]> = proof.iter().map(|hash| &hash.as_bytes()[..]).collect();
    hashes.concat()
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    let (hashes, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    hashes.iter().copied().map(Hash::from_bytes).collect()
}

#[test]
fn the_tree_of_heads_proves_every_slot_as_ct_merkle_does() {
    let mut theirs = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    let mut heads = Heads::new(Vec::new());
    for slots in 1..=SIZES {
        theirs.push(leaf(slots - 1));
        let added = heads.prepare(&[(slots - 1, Hash::of_leaf(&leaf(slots - 1)))]);
        heads.apply(added.unwrap()).unwrap();
        assert_eq!(heads.root().as_bytes()[..], theirs.root().as_bytes()[..]);
        for (slot, index) in (0..slots).zip(0..) {
            let expected = theirs.prove_inclusion(index);
            assert_eq!(bytes(&heads.prove(slot).unwrap()), expected.as_bytes());
        }
    }
}

#[test]
fn a_proof_is_the_same_whenever_it_is_asked_for() {
    let mut then = Log::default();
    let mut now = Log::default();
    (0..SIZES).for_each(|n| now.append(Hash::of_leaf(&leaf(n))));
    for size in 1..=SIZES {
        then.append(Hash::of_leaf(&leaf(size - 1)));
        if size % 37 == 1 || [255, 256, 257].contains(&size) {
            for question in [INCLUSION, CONSISTENCY] {
                assert_eq!(proofs(&then, question, size), proofs(&now, question, size));
            }
        }
    }
}

/// A proof with something wrong with it, in each way that keeps it a list of hashes.
fn altered(proof: &[Hash], at: usize) -> Vec<Vec<Hash>> {
    let mut longer = proof.to_vec();
    longer.push(Hash::EMPTY);
    let mut all = vec![longer];
    if !proof.is_empty() {
        let at = at % proof.len();
        let (mut flipped, mut shorter) = (proof.to_vec(), proof.to_vec());
        let mut bytes = *flipped[at].as_bytes();
        bytes[at % bytes.len()] ^= 1;
        flipped[at] = Hash::from_bytes(bytes);
        shorter.remove(at);
        all.extend([flipped, shorter]);
    }
    if proof.len() > 1 {
        let mut turned = proof.to_vec();
        turned.rotate_left(1);
        all.push(turned);
    }
    all
}

#[test]
fn at_every_size_proofs_of_ct_merkle_hold_and_altered_ones_do_not() {
    let mut theirs = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    let mut roots = vec![Hash::EMPTY];
    for size in 1..=SIZES {
        theirs.push(leaf(size - 1));
        let root = Hash::from_bytes((*theirs.root().as_bytes()).into());
        roots.push(root);
        for (index, at) in (0..size).zip(0..) {
            let proof = hashes(theirs.prove_inclusion(at).as_bytes());
            let hash = Hash::of_leaf(&leaf(index));
            let holds = |index, root, proof: &[Hash]| {
                verify_inclusion(hash, index, size, root, proof).is_ok()
            };
            assert!(holds(index, root, &proof));
            assert!(!holds(index + 1, root, &proof) && !holds(index ^ 1, root, &proof));
            assert!(!holds(index, roots[at], &proof));
            let wrong = altered(&proof, at);
            assert!(wrong.iter().all(|wrong| !holds(index, root, wrong)));
        }
        for (old, at) in (1..=size).zip(1..) {
            let additions = usize::try_from(size - old).unwrap();
            let proof = hashes(theirs.prove_consistency(additions).as_bytes());
            let holds = |before, root, proof: &[Hash]| {
                verify_consistency(old, before, size, root, proof).is_ok()
            };
            assert!(holds(roots[at], root, &proof));
            assert!(
                !holds(roots[at - 1], root, &proof) && !holds(roots[at], roots[at - 1], &proof)
            );
            let wrong = altered(&proof, at);
            assert!(wrong.iter().all(|wrong| !holds(roots[at], root, wrong)));
        }
    }
}

/// What Go is to check, one JSON object a line.
fn lines(values: impl Iterator<Item = Value>) -> (Vec<u8>, usize) {
    let mut count = 0;
    let lines = values.inspect(|_| count += 1).flat_map(|value| {
        let mut line = value.to_string();
        line.push('\n');
        line.into_bytes()
    });
    (lines.collect(), count)
}

#[test]
fn go_signs_the_same_notes_and_judges_each_flipped_byte_alike() {
    let origin: Origin = ORIGIN.parse().unwrap();
    let secret = |seed| generate_secret(&origin, &SeededEntropy::new(seed)).unwrap();
    let secrets = [secret(2), secret(3)];
    let checkpoint = Checkpoint {
        origin: origin.clone(),
        size: 7,
        root: Hash::of_leaf(b"7"),
    };
    let mut cases = Vec::new();
    for count in 1..=secrets.len() {
        let texts: Vec<&str> = secrets[..count].iter().map(|text| text.as_str()).collect();
        let keys: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let signers = Signers::from_secrets(origin.clone(), &keys).unwrap();
        let (note, trusted) = (
            signers.sign_checkpoint(&checkpoint).unwrap(),
            signers.verifier_keys(),
        );
        let trust = Trust::new(TrustFile {
            keys: trusted.to_vec(),
            ..World::new(0).trust_file()
        });
        let trust = trust.unwrap();
        for wrong in flipped(&note) {
            let found = trust.checkpoint(&wrong);
            // With two signatures, one whose key was made unknown leaves the other.
            let accepted = found.is_ok_and(|found| found == checkpoint && count == 2);
            cases.push(json!({"note": {"note": wrong, "trusted": trusted, "accepted": accepted}}));
        }
        cases.push(
            json!({"note": {"note": note, "trusted": trusted, "accepted": true,
            "text": checkpoint.text(), "secrets": texts}}),
        );
    }
    let (input, count) = lines(cases.into_iter());
    assert_eq!(accepts(&mut go(), &input).trim(), count.to_string());
}

/// The note with each byte flipped in turn, where that leaves text.
fn flipped(note: &str) -> impl Iterator<Item = String> {
    (0..note.len()).filter_map(|at| {
        let mut bytes = note.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8(bytes).ok()
    })
}

#[test]
fn each_flipped_byte_of_a_note_with_one_signature_is_refused() {
    let world = World::with_records(&[1]);
    let (trust, note) = (world.trust(), world.note());
    assert!(trust.checkpoint(note).is_ok());
    for (at, wrong) in flipped(note).enumerate() {
        assert!(trust.checkpoint(&wrong).is_err(), "byte {at}");
    }
}
