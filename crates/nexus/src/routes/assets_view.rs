//! Uploads and assets as JSON.

use identity::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::Page;
use utoipa::ToSchema;

use crate::{
    NexusError,
    assets::{
        Asset, Assets, Checksum, ContentType, Filename, Kind, Lineage, Meta, Parent, Presigned,
        Upload,
    },
};

/// A file that is to be uploaded to raw storage.
#[derive(Deserialize, ToSchema)]
pub struct RawUpload {
    /// What it is called. It is made safe: the key has the name under which it is kept.
    #[schema(value_type = String)]
    filename: Filename,
    /// Its media type.
    #[schema(value_type = String)]
    content_type: ContentType,
    /// Its size in bytes, exactly.
    size: u64,
    /// The SHA-256 of its bytes as 64 hexadecimal digits; the store then holds the upload to it.
    #[schema(value_type = Option<String>)]
    sha256: Option<Checksum>,
}

/// A file that is to be uploaded to media.
#[derive(Deserialize, ToSchema)]
pub struct MediaUpload {
    /// What it is called. It is made safe: the key has the name under which it is kept.
    #[schema(value_type = String)]
    filename: Filename,
    /// Its media type.
    #[schema(value_type = String)]
    content_type: ContentType,
    /// Its size in bytes, exactly.
    size: u64,
    /// The SHA-256 of its bytes as 64 hexadecimal digits; the store then holds the upload to it.
    #[schema(value_type = Option<String>)]
    sha256: Option<Checksum>,
    /// What sort of thing it is; what precedes the slash in its media type unless said.
    #[schema(value_type = Option<String>)]
    kind: Option<Kind>,
    /// The registered asset that it was made from.
    #[schema(value_type = Option<String>)]
    parent_asset_id: Option<identity::AssetId>,
    /// What else is said of it: an object of at most 16 KiB, nested in at most 8 levels.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    meta: Meta,
}

impl From<RawUpload> for Upload {
    fn from(raw: RawUpload) -> Self {
        Self {
            filename: raw.filename,
            content_type: raw.content_type,
            size: raw.size,
            sha256: raw.sha256,
            kind: None,
            parent: None,
            meta: Meta::default(),
        }
    }
}

impl From<MediaUpload> for Upload {
    fn from(media: MediaUpload) -> Self {
        Self {
            filename: media.filename,
            content_type: media.content_type,
            size: media.size,
            sha256: media.sha256,
            kind: media.kind,
            parent: media.parent_asset_id,
            meta: media.meta,
        }
    }
}

/// An upload that may begin.
#[derive(Serialize, ToSchema)]
pub(super) struct PresignedView {
    asset_id: String,
    key: String,
    upload: FormView,
    expires_at: String,
}

/// A form: send its fields as they are, and the file last, as `file`.
#[derive(Serialize, ToSchema)]
struct FormView {
    /// `POST`.
    method: &'static str,
    url: String,
    /// Names and values.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
}

impl From<Presigned> for PresignedView {
    fn from(presigned: Presigned) -> Self {
        let form = presigned.form;
        let fields = form.fields.into_iter();
        Self {
            asset_id: presigned.id.to_string(),
            key: presigned.key,
            upload: FormView {
                method: "POST",
                url: form.url,
                fields: fields.map(|(name, value)| (name, value.into())).collect(),
            },
            expires_at: form.expires_at.to_string(),
        }
    }
}

/// Which upload is to be registered.
#[derive(Deserialize, ToSchema)]
pub struct RegisterBody {
    /// Its id, as presigning gave it.
    #[schema(value_type = String)]
    pub(super) asset_id: identity::AssetId,
}

/// A registered file.
#[derive(Serialize, ToSchema)]
pub(super) struct FileView {
    asset_id: String,
    key: String,
    filename: String,
    content_type: String,
    size: u64,
    sha256: Option<String>,
    project_id: String,
    created_by: String,
    created_at: String,
    registered_at: String,
}

/// A registered asset of media.
#[derive(Serialize, ToSchema)]
pub(super) struct MediaView {
    #[serde(flatten)]
    file: FileView,
    kind: String,
    /// The asset that it was made from.
    parent_asset_id: Option<String>,
    /// The canvas that it was made from.
    parent_canvas_id: Option<String>,
    #[schema(value_type = Object)]
    meta: Meta,
}

/// How an asset of a shelf is shown.
pub(super) trait View: Serialize + Sized {
    /// The view of an asset of the scope.
    ///
    /// # Errors
    /// When it has no key, which is a fault of ours.
    fn of(scope: &Scope, asset: Asset) -> Result<Self, NexusError>;
}

impl View for FileView {
    fn of(scope: &Scope, asset: Asset) -> Result<Self, NexusError> {
        let key = Assets::key(scope, &asset)?;
        let Asset {
            id,
            facts,
            registered_at,
            ..
        } = asset;
        Ok(Self {
            asset_id: id.to_string(),
            key: key.to_string(),
            filename: facts.filename.to_string(),
            content_type: facts.content_type.to_string(),
            size: facts.size,
            sha256: facts.sha256.map(|checksum| checksum.to_string()),
            project_id: facts.project.to_string(),
            created_by: facts.created_by.to_string(),
            created_at: facts.created_at.to_string(),
            registered_at: registered_at.to_string(),
        })
    }
}

impl View for MediaView {
    fn of(scope: &Scope, asset: Asset) -> Result<Self, NexusError> {
        let facts = &asset.facts;
        let parent = facts.parent.as_ref();
        Ok(Self {
            kind: facts.kind.to_string(),
            parent_asset_id: parent.and_then(Parent::asset).map(ToString::to_string),
            parent_canvas_id: parent.and_then(Parent::canvas).map(ToString::to_string),
            meta: facts.meta.clone(),
            file: FileView::of(scope, asset)?,
        })
    }
}

/// A page of files.
#[derive(Serialize, ToSchema)]
pub(super) struct Files<V> {
    items: Vec<V>,
    /// What to send as `after` for the next page; null on the last. `Link: rel="next"` says it too.
    pub(super) next: Option<String>,
}

impl<V: View> Files<V> {
    pub(super) fn of(scope: &Scope, page: Page<Asset>) -> Result<Self, NexusError> {
        let next = page.next();
        let items = page.items.into_iter();
        let items = items
            .map(|asset| V::of(scope, asset))
            .collect::<Result<_, _>>()?;
        Ok(Self { items, next })
    }
}

/// What an asset descends from.
#[derive(Serialize, ToSchema)]
pub(super) struct LineageView {
    asset: MediaView,
    /// Its parent first; at most 32.
    ancestors: Vec<AncestorView>,
}

/// An ancestor.
#[derive(Serialize, ToSchema)]
struct AncestorView {
    asset_id: String,
    /// Whether it was deleted.
    deleted: bool,
    asset: Option<MediaView>,
}

impl LineageView {
    pub(super) fn of(scope: &Scope, lineage: Lineage) -> Result<Self, NexusError> {
        let ancestors = lineage.ancestors.into_iter().map(|(id, asset)| {
            let asset = asset.map(|asset| MediaView::of(scope, asset)).transpose()?;
            Ok::<_, NexusError>(AncestorView {
                asset_id: id.to_string(),
                deleted: asset.is_none(),
                asset,
            })
        });
        Ok(Self {
            ancestors: ancestors.collect::<Result<_, _>>()?,
            asset: MediaView::of(scope, lineage.asset)?,
        })
    }
}
