//! Where an asset is: its documents, its object, and the note that it has to be looked after.

use identity::{AssetId, Env, Scope, SystemAuthority, TenantId};
use serde::{Serialize, de::DeserializeOwned};
use store::{Batch, DocKey, Documents, ObjectKey, Partition, StoreError, Versioned};

use super::{Area, Asset, Facts, Filename};
use crate::{
    NexusError,
    keys::{decode, encode},
};

/// The partition of registered assets, by id: records that name an asset refer to it.
pub const ASSETS: &str = "assets";
/// The partition of uploads that were promised and are not registered, by id.
const UPLOADS: &str = "asset_uploads";
/// The partition of lists: copies of assets, by what they are looked for.
const LISTS: &str = "asset_lists";

/// The partitions of one tenant and environment.
pub(super) struct Home {
    assets: Partition,
    uploads: Partition,
    lists: Partition,
}

impl Home {
    pub(super) fn of(scope: &Scope) -> Self {
        Self {
            assets: Partition::in_scope(scope, ASSETS),
            uploads: Partition::in_scope(scope, UPLOADS),
            lists: Partition::in_scope(scope, LISTS),
        }
    }

    /// The same, for the process itself.
    pub(super) fn of_env(authority: &SystemAuthority, tenant: &TenantId, env: Env) -> Self {
        let partition = |kind| Partition::of_env(authority, tenant, env, kind);
        Self {
            assets: partition(ASSETS),
            uploads: partition(UPLOADS),
            lists: partition(LISTS),
        }
    }

    /// Where a registered asset is.
    pub(super) fn asset(&self, id: &AssetId) -> DocKey {
        DocKey::new(&self.assets, id.as_str())
    }

    /// Where the promise of an upload is.
    pub(super) fn upload(&self, id: &AssetId) -> DocKey {
        DocKey::new(&self.uploads, id.as_str())
    }

    /// Where the lists are.
    pub(super) const fn lists(&self) -> &Partition {
        &self.lists
    }

    /// Puts a registered asset, and its copies in the lists that show it.
    pub(super) fn put(&self, batch: Batch, asset: &Asset) -> Result<Batch, NexusError> {
        let value = encode(asset)?;
        let batch = batch.put(&self.asset(&asset.id), value.clone());
        let copies = self.copies(asset).into_iter();
        Ok(copies.fold(batch, |batch, copy| batch.put(&copy, value.clone())))
    }

    /// Deletes a registered asset, and its copies.
    pub(super) fn delete(&self, batch: Batch, asset: &Asset) -> Batch {
        let batch = batch.delete(&self.asset(&asset.id));
        let copies = self.copies(asset).into_iter();
        copies.fold(batch, |batch, copy| batch.delete(&copy))
    }

    fn copies(&self, asset: &Asset) -> Vec<DocKey> {
        let Asset { id, facts, .. } = asset;
        let copy = |list: String| DocKey::new(&self.lists, format!("{list}{id}"));
        let mut copies = vec![copy(list_of_all(facts.area))];
        if facts.area == Area::Media {
            copies.push(copy(list_of_kind(&facts.kind)));
        }
        if let Some(parent) = &facts.parent {
            copies.push(copy(list_of_children(parent, Some(&facts.kind))));
        }
        copies
    }
}

/// What the ids of all assets of an area begin with, in the lists.
pub(super) fn list_of_all(area: Area) -> String {
    format!("{}/", area.in_keys())
}

/// The same for media of one kind.
pub(super) fn list_of_kind(kind: &super::Kind) -> String {
    format!("kind/{kind}/")
}

/// The same for everything that was made from something.
pub(super) const LIST_OF_ARTIFACTS: &str = "child/";

/// The same for what was made from `parent`, of one kind or of all.
pub(super) fn list_of_children(parent: &super::Parent, kind: Option<&super::Kind>) -> String {
    match kind {
        Some(kind) => format!("{LIST_OF_ARTIFACTS}{parent}/{kind}/"),
        None => format!("{LIST_OF_ARTIFACTS}{parent}/"),
    }
}

/// The key of an asset's object.
pub(super) fn object(
    scope: &Scope,
    area: Area,
    id: &AssetId,
    filename: &Filename,
) -> Result<ObjectKey, NexusError> {
    let key = ObjectKey::in_scope(scope, area.in_keys(), id, filename.as_str());
    key.map_err(unkeyed)
}

/// The key of the object that `facts` speak of.
pub(super) fn object_of(
    scope: &Scope,
    id: &AssetId,
    facts: &Facts,
) -> Result<ObjectKey, NexusError> {
    object(scope, facts.area, id, &facts.filename)
}

/// A safe file name that is no part of a key is a fault of ours.
pub(super) fn unkeyed(error: store::InvalidFilename) -> NexusError {
    StoreError::Corrupt(error.to_string()).into()
}

/// Reads a document.
pub(super) async fn read<T: DeserializeOwned>(
    documents: &dyn Documents,
    key: &DocKey,
) -> Result<Option<Versioned<T>>, NexusError> {
    let document = documents.get(key).await?;
    document
        .map(|document| {
            Ok(Versioned {
                value: decode(&document)?,
                version: document.version,
            })
        })
        .transpose()
}

/// Puts a document.
pub(super) fn put<T: Serialize>(
    batch: Batch,
    key: &DocKey,
    value: &T,
) -> Result<Batch, NexusError> {
    Ok(batch.put(key, encode(value)?))
}
