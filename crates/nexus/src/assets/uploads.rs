//! Uploads: promised, and then registered.

use std::time::Duration;

use gatechain::{CommitRefused, Permit};
use identity::{AssetId, Scope, Timestamp};
use store::{Batch, DocKey, ObjectHead, PresignedPost, UploadPromise, Versioned};

use super::{
    ANCESTORS_MAX, Asset, Assets, Facts, Kind, Parent, Presign, Register, Shelf, Upload,
    care::{Note, UNREGISTERED_KEPT},
    place::{self, Home},
};
use crate::{Invalid, NexusError};

/// How long a form may be used to begin an upload.
pub const UPLOAD_LIFE: Duration = Duration::from_secs(60 * 60);

/// An upload that may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned {
    /// The id of the asset that it becomes.
    pub id: AssetId,
    /// The key of its object.
    pub key: String,
    /// The form that uploads it.
    pub form: PresignedPost,
}

/// A registered upload.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// The asset.
    pub asset: Asset,
    /// Whether it was registered before.
    pub duplicate: bool,
}

/// What comes of a request to register.
enum Registration {
    New(Box<(Batch, Asset)>),
    Before(Box<Asset>),
}

/// A parent as it was found, so that it is still there when its child is written.
pub(super) struct Found {
    key: DocKey,
    version: store::Version,
    /// The ancestors of its child: itself, and its own.
    pub(super) line: Vec<AssetId>,
}

impl Found {
    /// The batch, which expects the parent still to be there.
    pub(super) fn expected(&self, batch: Batch) -> Batch {
        batch.expect_version(&self.key, self.version)
    }
}

impl Assets {
    /// Opens an upload: a form that the store itself holds to what was promised.
    ///
    /// What is not registered within a day is deleted.
    ///
    /// # Errors
    /// [`NexusError::Invalid`] for an upload that is too large or has no such parent,
    /// [`NexusError::Denied`], [`NexusError::Store`].
    pub async fn presign<S: Shelf>(
        &self,
        scope: &Scope,
        permit: Permit<Presign<S>>,
    ) -> Result<Presigned, NexusError> {
        let facts = self.promised::<S>(scope, &permit.mutation().upload)?;
        let home = Home::of(scope);
        self.parent(&home, facts.parent.as_ref()).await?;
        let id = AssetId::generate(&*self.deps.entropy);
        let key = place::object_of(scope, &id, &facts)?;
        let promise = UploadPromise {
            content_type: facts.content_type.to_string(),
            size: facts.size,
            sha256: facts.sha256.map(|checksum| checksum.0),
        };
        let blobs = self.blobs(S::AREA);
        let form = blobs.presign_post(&key, &promise, UPLOAD_LIFE).await?;
        let noted = self
            .note(&Note::of(scope, &id, &facts), swept_at(&facts))
            .await?;
        let place = home.upload(&id);
        let batch = Batch::new()
            .expect_version(&noted.key, noted.version)
            .expect_absent(&place);
        permit.commit(place::put(batch, &place, &facts)?).await?;
        Ok(Presigned {
            id,
            key: key.to_string(),
            form,
        })
    }

    fn promised<S: Shelf>(&self, scope: &Scope, upload: &Upload) -> Result<Facts, NexusError> {
        let most = self.deps.upload_bytes_max;
        if upload.size > most {
            return Err(Invalid::new("/size", format!("must be at most {most} bytes")).into());
        }
        let kind = upload.kind.clone();
        Ok(Facts {
            area: S::AREA,
            filename: upload.filename.clone(),
            content_type: upload.content_type.clone(),
            size: upload.size,
            sha256: upload.sha256,
            kind: kind.unwrap_or_else(|| Kind::from(&upload.content_type)),
            parent: upload.parent.clone().map(Parent::Asset),
            meta: upload.meta.clone(),
            project: scope.project().clone(),
            created_by: scope.user().clone(),
            created_at: self.deps.clock.now(),
        })
    }

    /// Finds the asset that another was made from; `None` when it was made from no asset.
    pub(super) async fn parent(
        &self,
        home: &Home,
        parent: Option<&Parent>,
    ) -> Result<Option<Found>, NexusError> {
        let Some(id) = parent.and_then(Parent::asset) else {
            return Ok(None);
        };
        let invalid = |why: String| NexusError::from(Invalid::new("/parent_asset_id", why));
        let key = home.asset(id);
        let found = place::read::<Asset>(&*self.deps.documents, &key).await?;
        let found = found.ok_or_else(|| invalid("there is no such registered asset".to_owned()))?;
        let mut line = vec![id.clone()];
        line.extend(found.value.ancestors);
        if line.len() > ANCESTORS_MAX {
            return Err(invalid(format!("has {ANCESTORS_MAX} ancestors already")));
        }
        Ok(Some(Found {
            key,
            version: found.version,
            line,
        }))
    }

    /// Registers an upload whose object is there as promised; asked again, gives the same.
    ///
    /// # Errors
    /// [`NexusError::NotFound`] for what is foreign, unknown or swept,
    /// [`NexusError::ObjectMissing`], [`NexusError::ObjectMismatch`], [`NexusError::Invalid`]
    /// when its parent was deleted meanwhile, [`NexusError::Denied`], [`NexusError::Store`].
    pub async fn register<S: Shelf>(
        &self,
        scope: &Scope,
        permit: Permit<Register<S>>,
    ) -> Result<Registered, NexusError> {
        let id = permit.mutation().id.clone();
        let before = |asset| Registered {
            asset,
            duplicate: true,
        };
        let (batch, asset) = match self.registration::<S>(scope, &id).await? {
            Registration::New(new) => *new,
            // The permit is dropped, and gives back what it reserved.
            Registration::Before(asset) => return Ok(before(*asset)),
        };
        match permit.commit(batch).await {
            Ok(_) => Ok(Registered {
                asset,
                duplicate: false,
            }),
            // Another request was faster, or the sweep, or who deleted it or its parent.
            Err(CommitRefused::Conflict(_)) => match self.registration::<S>(scope, &id).await? {
                Registration::Before(asset) => Ok(before(*asset)),
                Registration::New(_) => Err(NexusError::Contended),
            },
            Err(refused) => Err(refused.into()),
        }
    }

    /// What registers an upload, or the asset that it became before.
    async fn registration<S: Shelf>(
        &self,
        scope: &Scope,
        id: &AssetId,
    ) -> Result<Registration, NexusError> {
        let (home, documents) = (Home::of(scope), &*self.deps.documents);
        let upload = home.upload(id);
        // In this order: registering moves it from the one to the other.
        let Some(promised) = place::read::<Facts>(documents, &upload).await? else {
            let asset = self.find::<S>(scope, id).await?;
            let asset = asset.ok_or(NexusError::NotFound)?;
            return Ok(Registration::Before(Box::new(asset)));
        };
        let Versioned {
            value: facts,
            version,
        } = promised;
        if !S::shows(&facts) {
            return Err(NexusError::NotFound);
        }
        let key = place::object_of(scope, id, &facts)?;
        let head = self.blobs(facts.area).head(&key).await?;
        let head = head.ok_or(NexusError::ObjectMissing)?;
        compare(&facts, &head)?;
        let parent = self.parent(&home, facts.parent.as_ref()).await?;
        let asset = Asset {
            id: id.clone(),
            facts,
            ancestors: parent
                .as_ref()
                .map(|found| found.line.clone())
                .unwrap_or_default(),
            etag: head.etag,
            registered_at: self.deps.clock.now(),
        };
        let batch = Batch::new()
            .expect_version(&upload, version)
            .expect_absent(&home.asset(id))
            .delete(&upload);
        let batch = match &parent {
            Some(found) => found.expected(batch),
            None => batch,
        };
        let batch = home.put(batch, &asset)?;
        Ok(Registration::New(Box::new((batch, asset))))
    }
}

/// When an upload is swept, unless it was registered; no upload of its form lasts longer.
pub(super) fn swept_at(facts: &Facts) -> Timestamp {
    facts.created_at.plus(UNREGISTERED_KEPT)
}

/// Whether an object is what was promised.
fn compare(facts: &Facts, head: &ObjectHead) -> Result<(), NexusError> {
    let mismatch = |what: &'static str| Err(NexusError::ObjectMismatch(what));
    if head.size != facts.size {
        return mismatch("size");
    }
    if head.content_type != facts.content_type.as_str() {
        return mismatch("content_type");
    }
    match (facts.sha256, head.sha256) {
        (Some(promised), Some(found)) if promised.0 != found => mismatch("sha256"),
        // Where the store keeps no checksum it has checked the upload against it.
        _ => Ok(()),
    }
}
