//! Registered assets: found, listed, read.

use std::{sync::Arc, time::Duration};

use gatechain::GateChain;
use identity::{AssetId, Clock, Entropy, Scope, SystemAuthority};
use store::{Blobs, Disposition, Documents, ObjectKey, Page, PageRequest, PresignedUrl};

use super::{
    Area, Asset, Kind, Lineage, Parent, Shelf,
    place::{self, Home},
};
use crate::{NexusError, keys::decode};

/// How long the URL of an asset's bytes may be used.
pub const CONTENT_LIFE: Duration = Duration::from_secs(5 * 60);
/// The largest upload unless configured otherwise: what S3 takes in one request, 5 GiB.
pub const UPLOAD_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// What [`Assets`] stands on.
pub struct AssetsDeps {
    /// Where it is known what there is.
    pub documents: Arc<dyn Documents>,
    /// Where the objects of raw storage are.
    pub raw: Arc<dyn Blobs>,
    /// Where the objects of media are.
    pub media: Arc<dyn Blobs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub entropy: Arc<dyn Entropy>,
    /// The authority of the process: what nobody registered is swept for all tenants.
    pub authority: SystemAuthority,
    /// The largest upload, in bytes.
    pub upload_bytes_max: u64,
}

/// The files of all tenants.
pub struct Assets {
    pub(super) deps: AssetsDeps,
    /// Knows the databases of tenants that are not in everyone's.
    pub(super) gates: Option<GateChain>,
}

/// What a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only what was made from this.
    pub parent: Option<Parent>,
    /// Only things of this kind.
    pub kind: Option<Kind>,
}

impl Assets {
    /// The files in `deps`. Run [`Assets::tend`] in a task of its own.
    #[must_use]
    pub const fn new(deps: AssetsDeps) -> Self {
        Self { deps, gates: None }
    }

    /// The same where tenants may be in databases of their own, which `gates` knows.
    #[must_use]
    pub fn across(self, gates: GateChain) -> Self {
        Self {
            gates: Some(gates),
            ..self
        }
    }

    pub(super) fn blobs(&self, area: Area) -> &dyn Blobs {
        match area {
            Area::Raw => &*self.deps.raw,
            Area::Media => &*self.deps.media,
        }
    }

    /// One registered asset of the shelf, or `None`: foreign, unknown, deleted and
    /// unregistered ones are alike.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn find<S: Shelf>(
        &self,
        scope: &Scope,
        id: &AssetId,
    ) -> Result<Option<Asset>, NexusError> {
        let key = Home::of(scope).asset(id);
        let found = place::read::<Asset>(&*self.deps.documents, &key).await?;
        let asset = found.map(|found| found.value);
        Ok(asset.filter(|asset| S::shows(&asset.facts)))
    }

    /// The key of a registered asset's object.
    ///
    /// # Errors
    /// [`NexusError::Store`] when it has none, which is a fault of ours.
    pub fn key(scope: &Scope, asset: &Asset) -> Result<ObjectKey, NexusError> {
        place::object_of(scope, &asset.id, &asset.facts)
    }

    /// One page of the registered assets of a shelf that `filter` lets through.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn list<S: Shelf>(
        &self,
        scope: &Scope,
        filter: &Filter,
        page: &PageRequest,
    ) -> Result<Page<Asset>, NexusError> {
        let list = match (&filter.parent, &filter.kind) {
            (Some(parent), kind) => place::list_of_children(parent, kind.as_ref()),
            (None, Some(kind)) => place::list_of_kind(kind),
            (None, None) => place::list_of_all(S::AREA),
        };
        self.page(scope, &list, page).await
    }

    /// One page of the media that was made from something: from `parent`, or from anything.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn artifacts(
        &self,
        scope: &Scope,
        parent: Option<&Parent>,
        page: &PageRequest,
    ) -> Result<Page<Asset>, NexusError> {
        let list = match parent {
            Some(parent) => place::list_of_children(parent, None),
            None => place::LIST_OF_ARTIFACTS.to_owned(),
        };
        self.page(scope, &list, page).await
    }

    async fn page(
        &self,
        scope: &Scope,
        list: &str,
        page: &PageRequest,
    ) -> Result<Page<Asset>, NexusError> {
        let home = Home::of(scope);
        let documents = &*self.deps.documents;
        let page = page.read_prefixed(documents, home.lists(), list).await?;
        page.try_map(|document| decode(&document))
    }

    /// A URL at which the bytes of an asset can be read for five minutes.
    ///
    /// # Errors
    /// [`NexusError::ObjectMissing`] when the object is not there, or not the one that was
    /// registered any more; [`NexusError::Store`].
    pub async fn content(&self, scope: &Scope, asset: &Asset) -> Result<PresignedUrl, NexusError> {
        let facts = &asset.facts;
        let key = Self::key(scope, asset)?;
        let blobs = self.blobs(facts.area);
        // A form can be used again while it lasts; what it then stores nobody has checked.
        let head = blobs.head(&key).await?;
        if head.is_none_or(|head| head.etag != asset.etag || head.size != facts.size) {
            return Err(NexusError::ObjectMissing);
        }
        let disposition = Disposition {
            filename: facts.filename.to_string(),
            content_type: facts.content_type.to_string(),
        };
        let url = blobs.presign_get(&key, &disposition, CONTENT_LIFE).await;
        Ok(url?)
    }

    /// An asset of media, and what it descends from.
    ///
    /// # Errors
    /// [`NexusError::Store`].
    pub async fn lineage(&self, scope: &Scope, asset: Asset) -> Result<Lineage, NexusError> {
        let home = Home::of(scope);
        let ancestors = asset.ancestors.iter().map(|id| {
            let key = home.asset(id);
            async move {
                let found = place::read::<Asset>(&*self.deps.documents, &key).await?;
                Ok::<_, NexusError>((id.clone(), found.map(|found| found.value)))
            }
        });
        let ancestors = futures_util::future::try_join_all(ancestors).await?;
        Ok(Lineage { asset, ancestors })
    }
}
