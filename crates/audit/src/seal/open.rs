//! Opening: the personal values of a record, for those who hold the keys.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{KeyId, SubjectKey, boxes};
use crate::{Field, Leaf, LeafError, Opening, Record};

/// What opening a record gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// The values and salts; each agrees with the leaf.
    pub fields: BTreeMap<Field, Opening>,
    /// The fields that no key opens any more.
    pub erased: Vec<Field>,
}

/// Why a record cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The leaf is not one.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The sealed part was altered, or belongs to another leaf.
    #[error("the personal values of the record were altered")]
    Altered,
    /// A value does not agree with the leaf's commitment.
    #[error("the value of {0} is not the one that was recorded")]
    Differs(Field),
    /// A value is given for a field that the leaf does not commit to.
    #[error("the record has no personal field {0}")]
    Unknown(Field),
}

/// Opens what `keys` can open. A box whose key is not in `keys` counts as erased.
///
/// # Errors
/// As [`OpenError`] says; a missing key is no error.
pub fn open(record: &Record, keys: &HashMap<KeyId, Arc<SubjectKey>>) -> Result<Opened, OpenError> {
    let leaf = Leaf::parse(&record.leaf)?;
    let bound_to = boxes::bound_to(record.leaf_hash());
    let mut fields = BTreeMap::new();
    let mut all_opened = true;
    for sealed in boxes::parse(&record.sealed).map_err(|_| OpenError::Altered)? {
        let Some(key) = keys.get(&sealed.key) else {
            all_opened = false;
            continue;
        };
        let content = key
            .decrypt(sealed.nonce, &bound_to, sealed.ciphertext)
            .ok_or(OpenError::Altered)?;
        let values: BTreeMap<Field, Opening> =
            serde_json::from_slice(&content).map_err(|_| OpenError::Altered)?;
        fields.extend(values);
    }
    check_openings(&leaf, &fields)?;
    let committed = leaf.commitments();
    let erased: Vec<Field> = committed
        .into_keys()
        .filter(|field| !fields.contains_key(field))
        .collect();
    if all_opened && !erased.is_empty() {
        return Err(OpenError::Altered);
    }
    Ok(Opened { fields, erased })
}

/// Checks that each value is the one that `leaf` commits to.
///
/// # Errors
/// [`OpenError::Differs`] or [`OpenError::Unknown`], with the first field that fails.
pub fn check_openings(leaf: &Leaf, fields: &BTreeMap<Field, Opening>) -> Result<(), OpenError> {
    let committed = leaf.commitments();
    for (field, opening) in fields {
        match committed.get(field) {
            None => return Err(OpenError::Unknown(field.clone())),
            Some(made) if *made != opening.commitment(field) => {
                return Err(OpenError::Differs(field.clone()));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
