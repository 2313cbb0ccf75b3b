//! What a store tells of an object, and what a copy tells of the object that it was made from.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use store::{ObjectCopy, ObjectHead, ObjectKey, StoreError};

/// Under which a copy keeps the tag of its object, so that it is known by the same one: stores make tags each in their
/// own way. No form allows such a field, so what is uploaded has a tag of its own.
const ETAG: &str = "tenantry-etag";
/// Under which it keeps the SHA-256, for stores that keep none.
const SHA256: &str = "tenantry-sha256";

/// The answer of a store.
pub(crate) struct Told {
    pub(crate) size: Option<i64>,
    pub(crate) content_type: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) metadata: Option<HashMap<String, String>>,
}

impl Told {
    /// What it says of the object.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it has no size.
    pub(crate) fn head(self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        let size = self.size.and_then(|size| u64::try_from(size).ok());
        let mut kept = self.metadata.unwrap_or_default();
        let own = self.sha256.as_deref().and_then(whole_hash);
        Ok(ObjectHead {
            size: size.ok_or_else(|| StoreError::Corrupt(format!("{key} has no size")))?,
            content_type: self.content_type.unwrap_or_default(),
            sha256: own.or_else(|| kept.get(SHA256).and_then(|text| whole_hash(text))),
            etag: kept.remove(ETAG).or(self.etag).unwrap_or_default(),
        })
    }
}

/// What is kept with a copy.
pub(crate) fn metadata(copy: &ObjectCopy) -> HashMap<String, String> {
    HashMap::from([
        (ETAG.to_owned(), copy.etag.clone()),
        (SHA256.to_owned(), BASE64_STANDARD.encode(copy.sha256)),
    ])
}

/// The hash of a whole object; that of one which was sent in parts is of another kind.
pub(crate) fn whole_hash(text: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}
