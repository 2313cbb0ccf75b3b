//! What is edited as a draft, and shown as it was when it was last published.

use identity::{Action, SurfaceId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{Body, Invalid, Model, Record, Reference, Referent, Writing, checks::line};

const PAGE_BYTES_MAX: usize = 300;

/// What can be a draft: something for one page of one surface.
pub trait Publishable: Body + PartialEq {
    /// As [`Model::KIND`].
    const KIND: &'static str;
    /// As [`Model::ID_PREFIX`].
    const ID_PREFIX: &'static str;

    /// As [`Model::Read`].
    type Read: Action;
    /// As [`Model::Create`].
    type Create: Action;
    /// As [`Model::Update`].
    type Update: Action;
    /// As [`Model::Delete`].
    type Delete: Action;
    /// Making the draft what is published.
    type Publish: Action;

    /// The page that it is for.
    fn page(&self) -> &str;
    /// The surface that the page is on; that of the request, or all, unless said.
    fn surface(&self) -> Option<&SurfaceId>;
    /// The same for the page on another surface.
    #[must_use]
    fn on(self, surface: Option<SurfaceId>) -> Self;
}

/// A draft, and the edition that is published of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "B: Publishable")]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Publication<B> {
    /// The draft.
    #[serde(flatten)]
    pub draft: B,
    /// What is published; null when nothing is.
    pub published: Option<Edition<B>>,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "B: Publishable")]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Edition<B> {
    /// The draft as it was then.
    pub content: B,
    /// The revision of the record that published it.
    pub revision: u64,
    /// When.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub published_at: Timestamp,
    /// By whom.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub published_by: UserId,
}

impl<B: Publishable> Publication<B> {
    pub(crate) fn published(&self, writing: &Writing<'_>) -> Self {
        let edition = Edition {
            content: self.draft.clone(),
            revision: writing.revision,
            published_at: writing.now,
            published_by: writing.scope.user().clone(),
        };
        Self {
            draft: self.draft.clone(),
            published: Some(edition),
        }
    }

    /// The slot of what is for `page` on `surface`.
    #[must_use]
    pub fn slot_of(page: &str, surface: Option<&SurfaceId>) -> String {
        // Ids of surfaces have no `/`, and none is `-`.
        format!("{}/{page}", surface.map_or("-", SurfaceId::as_str))
    }
}

impl<B: Publishable> Record<Publication<B>> {
    /// The record as it was published: the draft is the edition's, and so are the revision,
    /// the time and the user of the last change. `None` when nothing is published.
    #[must_use]
    pub fn as_published(self) -> Option<Self> {
        let edition = self.value.published.clone()?;
        Some(Self {
            revision: edition.revision,
            updated_at: edition.published_at,
            updated_by: edition.published_by.clone(),
            value: Publication {
                draft: edition.content.clone(),
                published: Some(edition),
            },
            ..self
        })
    }
}

impl<B: Publishable> Model for Publication<B> {
    const KIND: &'static str = B::KIND;
    const ID_PREFIX: &'static str = B::ID_PREFIX;

    type Read = B::Read;
    type Create = B::Create;
    type Update = B::Update;
    type Delete = B::Delete;
    type Body = B;

    fn written(body: B, before: Option<&Self>, writing: &Writing<'_>) -> Result<Self, Invalid> {
        let surface = match before {
            Some(before) => before.draft.surface(),
            None => writing.scope.context().surface(),
        };
        let named = body.surface().or(surface).cloned();
        let draft = body.on(named);
        if let Some(before) = before {
            if draft.page() != before.draft.page() {
                return Err(Invalid::new("/page", "never changes"));
            }
            if draft.surface() != surface {
                return Err(Invalid::new("/surface_id", "never changes"));
            }
        }
        let published = before.and_then(|before| before.published.clone());
        Ok(Self { draft, published })
    }

    fn body(&self) -> B {
        self.draft.clone()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let surface = self.draft.surface().map(|surface| Reference {
            pointer: "/surface_id".to_owned(),
            to: Referent::Surface(surface),
        });
        surface.into_iter().collect()
    }

    fn slot(&self) -> Option<String> {
        Some(Self::slot_of(self.draft.page(), self.draft.surface()))
    }
}

/// Refuses what is no name of a page.
pub(crate) fn check_page(pointer: &str, page: &str) -> Result<(), Invalid> {
    line(pointer, page, PAGE_BYTES_MAX)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let dots = page.split('/').any(|part| part == "." || part == "..");
    if page.bytes().all(allowed) && !dots {
        return Ok(());
    }
    let why = "must be a path of A-Z a-z 0-9 - . _ ~ /, without . and .. as parts";
    Err(Invalid::new(pointer, why))
}
