//! What an asset is: a stored object, what was promised of it, and what it was made from.

use std::{fmt, str::FromStr};

use identity::{AssetId, CanvasId, ProjectId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Checksum, ContentType, Filename, Kind, Meta};

/// The most ancestors that an asset may have.
pub const ANCESTORS_MAX: usize = 32;

/// Where an asset is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Raw storage: files as they came.
    Raw,
    /// Media: assets with kinds and lineage.
    Media,
}

impl Area {
    /// The part of its objects' keys after the environment.
    #[must_use]
    pub const fn in_keys(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Media => "media_v2",
        }
    }
}

/// What an asset was made from.
///
/// It is fixed when the asset is promised, before the asset has an id that others could
/// name. So an asset is younger than its parent, and there are no cycles.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub enum Parent {
    /// Another asset.
    Asset(AssetId),
    /// A canvas; whoever names it has verified the access to it.
    Canvas(CanvasId),
}

/// A text names neither an asset nor a canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the id of an asset or of a canvas")]
pub struct InvalidParent;

impl Parent {
    /// The asset, if it is one.
    #[must_use]
    pub const fn asset(&self) -> Option<&AssetId> {
        match self {
            Self::Asset(id) => Some(id),
            Self::Canvas(_) => None,
        }
    }

    /// The canvas, if it is one.
    #[must_use]
    pub const fn canvas(&self) -> Option<&CanvasId> {
        match self {
            Self::Asset(_) => None,
            Self::Canvas(id) => Some(id),
        }
    }
}

impl FromStr for Parent {
    type Err = InvalidParent;

    fn from_str(text: &str) -> Result<Self, InvalidParent> {
        let asset = text.parse().map(Self::Asset).ok();
        let canvas = || text.parse().map(Self::Canvas).ok();
        asset.or_else(canvas).ok_or(InvalidParent)
    }
}

impl TryFrom<SmolStr> for Parent {
    type Error = InvalidParent;

    fn try_from(text: SmolStr) -> Result<Self, InvalidParent> {
        text.parse()
    }
}

impl From<Parent> for SmolStr {
    fn from(parent: Parent) -> Self {
        match parent {
            Parent::Asset(id) => id.into(),
            Parent::Canvas(id) => id.into(),
        }
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asset(id) => id.fmt(f),
            Self::Canvas(id) => id.fmt(f),
        }
    }
}

/// What is known of an asset before its bytes are there; nothing of it ever changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Where it is kept.
    pub area: Area,
    /// What it is called.
    pub filename: Filename,
    /// Its media type.
    pub content_type: ContentType,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, where it was promised or is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Checksum>,
    /// What sort of thing it is.
    pub kind: Kind,
    /// What it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// What else its maker says of it.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
    /// The project in which it was promised.
    pub project: ProjectId,
    /// Who promised it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
}

/// A registered asset: its object was found as promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asset {
    /// Its id.
    pub id: AssetId,
    /// What was promised.
    #[serde(flatten)]
    pub facts: Facts,
    /// The assets it descends from, its parent first; fixed when it was registered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<AssetId>,
    /// The store's tag of the bytes that were registered.
    pub etag: String,
    /// When it was registered.
    pub registered_at: Timestamp,
}

/// The line that an asset comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Lineage {
    /// The asset.
    pub asset: Asset,
    /// Its ancestors, its parent first; `None` stands for those that were deleted.
    pub ancestors: Vec<(AssetId, Option<Asset>)>,
}
