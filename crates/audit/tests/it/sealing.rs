//! Sealing, opening and erasure.

use std::{collections::HashMap, sync::Arc};

use identity::{Env, UserId};
use proptest::prelude::*;
use tenantry_audit::{
    Field, LEAF_BYTES_MAX, Leaf, LeafError, OpenError, Record,
    event::PERSONAL_VALUE_BYTES_MAX,
    leaf::METADATA_LEVELS_MAX,
    seal::{KeyId, SealError, SubjectKey, SubjectKeys, key_ids, open, seal},
};
use testkit::SeededEntropy;

use crate::world::event;

fn keys(entropy: &SeededEntropy) -> SubjectKeys {
    ["u_1", "u_target"]
        .into_iter()
        .map(|user| {
            let user: UserId = user.parse().unwrap();
            (user, Arc::new(SubjectKey::generate(entropy)))
        })
        .collect()
}

fn by_id(keys: &SubjectKeys) -> HashMap<KeyId, Arc<SubjectKey>> {
    let keys = keys.values();
    keys.map(|key| (key.id(), Arc::clone(key))).collect()
}

fn sealed(keys: &SubjectKeys, entropy: &SeededEntropy) -> Record {
    let tenant = "t_a".parse().unwrap();
    let event = event(&tenant, Env::Prod, &"u_1".parse().unwrap(), 1);
    seal(&event, keys, entropy).unwrap()
}

#[test]
fn personal_values_are_in_neither_part_and_open_with_the_keys() {
    let entropy = SeededEntropy::new(1);
    let keys = keys(&entropy);
    let record = sealed(&keys, &entropy);
    let body = record.encode().unwrap();
    for value in ["u_1", "u_target", "example.test"] {
        let found = body
            .windows(value.len())
            .any(|part| part == value.as_bytes());
        assert!(!found, "{value} is in the stored record");
    }
    let opened = open(&record, &by_id(&keys)).unwrap();
    let value = |field: &str| {
        opened.fields[&field.parse::<Field>().unwrap()]
            .value
            .clone()
    };
    assert_eq!(value("actor.id"), "u_1");
    assert_eq!(value("target.id"), "u_target");
    assert_eq!(value("personal.email"), "u_1@example.test");
    assert!(opened.erased.is_empty());
}

#[test]
fn without_its_key_a_subject_is_erased_and_the_others_are_not() {
    let entropy = SeededEntropy::new(1);
    let mut keys = keys(&entropy);
    let record = sealed(&keys, &entropy);
    assert_eq!(key_ids(&record.sealed).unwrap().len(), 2);
    keys.remove(&"u_1".parse::<UserId>().unwrap());
    let opened = open(&record, &by_id(&keys)).unwrap();
    let shown: Vec<String> = opened.fields.keys().map(ToString::to_string).collect();
    let erased: Vec<String> = opened.erased.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["target.id"]);
    assert_eq!(erased, ["actor.id", "personal.email"]);
}

#[test]
fn a_sealed_part_belongs_to_one_leaf() {
    let entropy = SeededEntropy::new(1);
    let keys = keys(&entropy);
    let (one, other) = (sealed(&keys, &entropy), sealed(&keys, &entropy));
    let mixed = Record {
        leaf: one.leaf.clone(),
        sealed: other.sealed,
    };
    assert_eq!(open(&mixed, &by_id(&keys)), Err(OpenError::Altered));
    let none = Record {
        sealed: Vec::new(),
        ..one
    };
    assert_eq!(open(&none, &by_id(&keys)), Err(OpenError::Altered));
}

#[test]
fn a_flipped_bit_of_the_sealed_part_never_gives_another_value() {
    let entropy = SeededEntropy::new(1);
    let keys = keys(&entropy);
    let record = sealed(&keys, &entropy);
    let whole = open(&record, &by_id(&keys)).unwrap();
    for at in 0..record.sealed.len() {
        let mut flipped = record.clone();
        flipped.sealed[at] ^= 1;
        // A flipped key id reads as a key that is gone; the stored body's checksum finds that one.
        if let Ok(opened) = open(&flipped, &by_id(&keys)) {
            assert!(
                opened
                    .fields
                    .iter()
                    .all(|(field, value)| whole.fields[field] == *value)
            );
            assert!(!opened.erased.is_empty());
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_never_cut() {
    let entropy = SeededEntropy::new(1);
    let keys = keys(&entropy);
    let tenant = "t_a".parse().unwrap();
    let fits = event(&tenant, Env::Prod, &"u_1".parse().unwrap(), 1);

    let mut large = fits.clone();
    large
        .metadata
        .insert("x".to_owned(), "y".repeat(LEAF_BYTES_MAX).into());
    let refused = seal(&large, &keys, &entropy);
    assert!(matches!(
        refused,
        Err(SealError::Leaf(LeafError::TooLarge { .. }))
    ));

    let mut long = fits.clone();
    long.personal[0].value = "x".repeat(PERSONAL_VALUE_BYTES_MAX + 1);
    assert!(matches!(
        seal(&long, &keys, &entropy),
        Err(SealError::Personal(_))
    ));

    let mut twice = fits.clone();
    twice.personal.push(twice.personal[0].clone());
    assert!(matches!(
        seal(&twice, &keys, &entropy),
        Err(SealError::Personal(_))
    ));

    let nobody = SubjectKeys::new();
    assert_eq!(seal(&fits, &nobody, &entropy), Err(SealError::KeyMissing));
}

#[test]
fn what_could_not_be_read_back_is_not_recorded() {
    let entropy = SeededEntropy::new(1);
    let keys = keys(&entropy);
    let nested = |levels: usize| {
        let tenant = "t_a".parse().unwrap();
        let mut event = event(&tenant, Env::Prod, &"u_1".parse().unwrap(), 1);
        let value = (2..levels).fold(serde_json::json!([]), |inner, _| [inner].into());
        event.metadata = serde_json::Map::from_iter([("x".to_owned(), value)]);
        seal(&event, &keys, &entropy)
    };
    let deepest = nested(METADATA_LEVELS_MAX).unwrap();
    assert!(Leaf::parse(&deepest.leaf).is_ok());
    for levels in [METADATA_LEVELS_MAX + 1, 200] {
        let refused = nested(levels);
        assert!(matches!(
            refused,
            Err(SealError::Leaf(LeafError::Malformed(_)))
        ));
    }
}

#[test]
fn a_leaf_reads_back_and_is_written_alike() {
    let entropy = SeededEntropy::new(1);
    let record = sealed(&keys(&entropy), &entropy);
    let leaf = Leaf::parse(&record.leaf).unwrap();
    assert_eq!(leaf.encode().unwrap(), record.leaf);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Leaf::parse(&bytes);
        let _ = key_ids(&bytes);
        let record = Record { leaf: bytes.clone(), sealed: bytes };
        let _ = open(&record, &HashMap::new());
    }

    #[test]
    fn a_damaged_leaf_is_read_or_refused(at in 0_usize..400, byte in any::<u8>()) {
        let entropy = SeededEntropy::new(1);
        let mut leaf = sealed(&keys(&entropy), &entropy).leaf;
        let at = at % leaf.len();
        leaf[at] = byte;
        if let Ok(read) = Leaf::parse(&leaf) {
            prop_assert!(read.encode().is_ok());
        }
    }
}
