//! SEO: what search engines and previews are told of a page of a surface.

use identity::SurfaceId;
use serde::{Deserialize, Serialize};

use super::{Publishable, publication::check_page};
use crate::{
    Body, Invalid,
    checks::{address, line, optional_line},
};

/// Engines show about 60 characters of a title and 160 of a description.
const TITLE_BYTES_MAX: usize = 300;
const DESCRIPTION_BYTES_MAX: usize = 1000;
const WORD_BYTES_MAX: usize = 64;
const WEB: [&str; 2] = ["https", "http"];

identity::action!(ReadSeo, "nexus.seo.read", Viewer);
identity::action!(CreateSeo, "nexus.seo.create", Member);
identity::action!(UpdateSeo, "nexus.seo.update", Member);
identity::action!(DeleteSeo, "nexus.seo.delete", Member);
identity::action!(PublishSeo, "nexus.seo.publish", Member);

/// What is told of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Seo {
    /// The page, such as `/pricing`: a path of at most 300 bytes. It never changes.
    pub page: String,
    /// The surface; that of `X-Surface-Id`, or all, unless said. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub surface_id: Option<SurfaceId>,
    /// One line, at most 300 bytes.
    #[serde(default)]
    pub title: String,
    /// One line, at most 1,000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The one address of the page, `https` or `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canonical_url: Option<String>,
    /// What robots may do; everything unless said.
    #[serde(default)]
    pub robots: Robots,
    /// What previews show (the Open Graph protocol).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_graph: Option<OpenGraph>,
}

/// What robots may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Robots {
    /// List the page.
    pub index: bool,
    /// Follow its links.
    pub follow: bool,
    /// Keep a copy for readers.
    pub archive: bool,
    /// Show a part of it.
    pub snippet: bool,
}

impl Default for Robots {
    fn default() -> Self {
        Self {
            index: true,
            follow: true,
            archive: true,
            snippet: true,
        }
    }
}

/// What previews show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct OpenGraph {
    /// One line, at most 300 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// One line, at most 1,000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Such as `website` or `article`, at most 64 bytes.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The address of the page, `https` or `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The address of an image, `https` or `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What the site is called: one line, at most 300 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_name: Option<String>,
    /// Such as `en_GB`, at most 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

impl Publishable for Seo {
    const KIND: &'static str = "seo";
    const ID_PREFIX: &'static str = "so";

    type Read = ReadSeo;
    type Create = CreateSeo;
    type Update = UpdateSeo;
    type Delete = DeleteSeo;
    type Publish = PublishSeo;

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

impl Body for Seo {
    fn check(&self) -> Result<(), Invalid> {
        check_page("/page", &self.page)?;
        optional_line("/title", &self.title, TITLE_BYTES_MAX)?;
        said(
            "/description",
            self.description.as_ref(),
            DESCRIPTION_BYTES_MAX,
        )?;
        if let Some(url) = &self.canonical_url {
            address("/canonical_url", url, &WEB)?;
        }
        self.open_graph.as_ref().map_or(Ok(()), OpenGraph::check)
    }
}

impl OpenGraph {
    fn check(&self) -> Result<(), Invalid> {
        for (pointer, value, bytes_max) in [
            ("/open_graph/title", &self.title, TITLE_BYTES_MAX),
            (
                "/open_graph/description",
                &self.description,
                DESCRIPTION_BYTES_MAX,
            ),
            ("/open_graph/type", &self.kind, WORD_BYTES_MAX),
            ("/open_graph/site_name", &self.site_name, TITLE_BYTES_MAX),
            ("/open_graph/locale", &self.locale, WORD_BYTES_MAX),
        ] {
            said(pointer, value.as_ref(), bytes_max)?;
        }
        for (pointer, url) in [
            ("/open_graph/url", &self.url),
            ("/open_graph/image", &self.image),
        ] {
            if let Some(url) = url {
                address(pointer, url, &WEB)?;
            }
        }
        Ok(())
    }
}

fn said(pointer: &str, value: Option<&String>, bytes_max: usize) -> Result<(), Invalid> {
    value.map_or(Ok(()), |value| line(pointer, value, bytes_max))
}
