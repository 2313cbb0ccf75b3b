//! Atoms: what an operation made of a part of an asset.

use identity::AssetId;
use serde::{Deserialize, Serialize};

use crate::{
    Body, Indexed, Invalid, Model, Reference, Referent, Writing,
    checks::{line, name, tags, text},
};

const OPERATION_BYTES_MAX: usize = 64;
const CONTENT_BYTES_MAX: usize = 128 * 1024;
const VECTOR_NAME_BYTES_MAX: usize = 128;
const DIMENSIONS_MAX: u32 = 65_536;

identity::action!(ReadAtoms, "nexus.atoms.read", Viewer);
identity::action!(CreateAtom, "nexus.atoms.create", Member);
identity::action!(UpdateAtom, "nexus.atoms.update", Member);
identity::action!(DeleteAtom, "nexus.atoms.delete", Member);

/// An atom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Atom {
    /// The asset that it was made from.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub asset_id: AssetId,
    /// What made it, such as `extract.text` or `embed`: at most 64 of `A-Z a-z 0-9 . _ : -`.
    pub operation: String,
    /// Its text, at most 128 KiB; either this or `vector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Where its vector is; either this or `content`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorRef>,
    /// At most 50 different ones of at most 64 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A vector in an index of vectors; what it names is not looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct VectorRef {
    /// The index.
    pub index: String,
    /// The vector's id there.
    pub id: String,
    /// The model that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many dimensions it has, 1 to 65,536.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
}

impl Model for Atom {
    const KIND: &'static str = "atoms";
    const ID_PREFIX: &'static str = "at";
    const SEARCHED: bool = true;

    type Read = ReadAtoms;
    type Create = CreateAtom;
    type Update = UpdateAtom;
    type Delete = DeleteAtom;
    type Body = Self;

    fn written(body: Self, _: Option<&Self>, _: &Writing<'_>) -> Result<Self, Invalid> {
        Ok(body)
    }

    fn body(&self) -> Self {
        self.clone()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        vec![Reference {
            pointer: "/asset_id".to_owned(),
            to: Referent::Asset(&self.asset_id),
        }]
    }

    fn indexed(&self) -> Indexed<'_> {
        Indexed {
            title: self.operation.as_str().into(),
            body: self.content.as_deref().unwrap_or_default().into(),
            tags: (&self.tags).into(),
        }
    }
}

impl Body for Atom {
    fn check(&self) -> Result<(), Invalid> {
        name("/operation", &self.operation, OPERATION_BYTES_MAX)?;
        match (&self.content, &self.vector) {
            (Some(content), None) => text("/content", content, CONTENT_BYTES_MAX)?,
            (None, Some(vector)) => vector.check()?,
            _ => return Err(Invalid::new("", "has either a content or a vector")),
        }
        tags(&self.tags)
    }
}

impl VectorRef {
    fn check(&self) -> Result<(), Invalid> {
        line("/vector/index", &self.index, VECTOR_NAME_BYTES_MAX)?;
        line("/vector/id", &self.id, VECTOR_NAME_BYTES_MAX)?;
        if let Some(model) = &self.model {
            line("/vector/model", model, VECTOR_NAME_BYTES_MAX)?;
        }
        let dimensions = self.dimensions.unwrap_or(1);
        if (1..=DIMENSIONS_MAX).contains(&dimensions) {
            return Ok(());
        }
        let why = format!("must be 1 to {DIMENSIONS_MAX}");
        Err(Invalid::new("/vector/dimensions", why))
    }
}
