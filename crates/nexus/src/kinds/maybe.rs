//! Maybes: a member's own scratch notes, which nobody else finds.

use serde::{Deserialize, Serialize};

use crate::{
    Body, Invalid, Model, Writing,
    checks::{line, tags, text},
};

const TITLE_BYTES_MAX: usize = 300;
const TEXT_BYTES_MAX: usize = 64 * 1024;

identity::action!(ReadMaybes, "nexus.maybes.read", Viewer);
identity::action!(CreateMaybe, "nexus.maybes.create", Member);
identity::action!(UpdateMaybe, "nexus.maybes.update", Member);
identity::action!(DeleteMaybe, "nexus.maybes.delete", Member);

/// A scratch note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Maybe {
    /// One line, at most 300 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// At most 64 KiB.
    #[serde(default)]
    pub text: String,
    /// At most 50 different ones of at most 64 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether it is to be shown first.
    #[serde(default)]
    pub pinned: bool,
}

impl Model for Maybe {
    const KIND: &'static str = "maybes";
    const ID_PREFIX: &'static str = "mb";
    const PERSONAL: bool = true;

    type Read = ReadMaybes;
    type Create = CreateMaybe;
    type Update = UpdateMaybe;
    type Delete = DeleteMaybe;
    type Body = Self;

    fn written(body: Self, _: Option<&Self>, _: &Writing<'_>) -> Result<Self, Invalid> {
        Ok(body)
    }

    fn body(&self) -> Self {
        self.clone()
    }
}

impl Body for Maybe {
    fn check(&self) -> Result<(), Invalid> {
        if let Some(title) = &self.title {
            line("/title", title, TITLE_BYTES_MAX)?;
        } else if self.text.is_empty() {
            return Err(Invalid::new("/text", "is missing, and so is a title"));
        }
        text("/text", &self.text, TEXT_BYTES_MAX)?;
        tags(&self.tags)
    }
}
