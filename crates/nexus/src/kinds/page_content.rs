//! Page content: what a page of a surface says.

use identity::SurfaceId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Publishable, publication::check_page};
use crate::{
    Body, Invalid,
    checks::{json, optional_line, text},
};

const TITLE_BYTES_MAX: usize = 300;
/// The draft and the published edition are one document of at most 512 KiB.
const BODY_BYTES_MAX: usize = 96 * 1024;
const FIELDS_BYTES_MAX: usize = 48 * 1024;

identity::action!(ReadPageContent, "nexus.page_content.read", Viewer);
identity::action!(CreatePageContent, "nexus.page_content.create", Member);
identity::action!(UpdatePageContent, "nexus.page_content.update", Member);
identity::action!(DeletePageContent, "nexus.page_content.delete", Member);
identity::action!(PublishPageContent, "nexus.page_content.publish", Member);

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PageContent {
    /// The page, such as `/pricing`: a path of at most 300 bytes. It never changes.
    pub page: String,
    /// The surface; that of `X-Surface-Id`, or all, unless said. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub surface_id: Option<SurfaceId>,
    /// One line, at most 300 bytes.
    #[serde(default)]
    pub title: String,
    /// Markdown (CommonMark), at most 96 KiB. It is kept as it is; whoever shows it sanitises it.
    #[serde(default)]
    pub body: String,
    /// Further parts of the page by name, at most 48 KiB.
    #[serde(default)]
    #[cfg_attr(feature = "http", schema(value_type = Object))]
    pub fields: Map<String, Value>,
}

impl Publishable for PageContent {
    const KIND: &'static str = "page_content";
    const ID_PREFIX: &'static str = "pc";

    type Read = ReadPageContent;
    type Create = CreatePageContent;
    type Update = UpdatePageContent;
    type Delete = DeletePageContent;
    type Publish = PublishPageContent;

    fn page(&self) -> &str {
        &self.page
    }

    fn surface(&self) -> Option<&SurfaceId> {
        self.surface_id.as_ref()
    }

    fn on(self, surface_id: Option<SurfaceId>) -> Self {
        Self { surface_id, ..self }
    }
}

impl Body for PageContent {
    fn check(&self) -> Result<(), Invalid> {
        check_page("/page", &self.page)?;
        optional_line("/title", &self.title, TITLE_BYTES_MAX)?;
        text("/body", &self.body, BODY_BYTES_MAX)?;
        json("/fields", &self.fields, FIELDS_BYTES_MAX)
    }
}
