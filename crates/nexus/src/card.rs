//! Cards: a piece of content that people read.

use serde::{Deserialize, Serialize};

use crate::{
    Body, Id, Indexed, Invalid, Model, Reference, Referent, Writing,
    checks::{address, count, line, tags, text},
};

const TITLE_BYTES_MAX: usize = 300;
const BODY_BYTES_MAX: usize = 256 * 1024;
const LINKS_MAX: usize = 100;
const REL_BYTES_MAX: usize = 64;

identity::action!(
    /// Reading cards.
    ReadCards, "nexus.cards.read", Viewer
);
identity::action!(
    /// Making a card.
    CreateCard, "nexus.cards.create", Member
);
identity::action!(
    /// Changing a card.
    UpdateCard, "nexus.cards.update", Member
);
identity::action!(
    /// Deleting a card, and restoring it.
    DeleteCard, "nexus.cards.delete", Member
);

/// What a card is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CardKind {
    /// Something noted.
    #[default]
    Note,
    /// Something to be done.
    Task,
    /// Something that others said.
    Quote,
    /// Something decided.
    Decision,
    /// Something to be answered.
    Question,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Card {
    /// One line, at most 300 bytes.
    pub title: String,
    /// What it is for.
    #[serde(default)]
    pub kind: CardKind,
    /// Markdown (CommonMark), at most 256 KiB. It is kept as it is; whoever shows it sanitises it.
    #[serde(default)]
    pub body: String,
    /// At most 50 different ones of at most 64 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
    /// At most 100.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// Where a card points to: an address, or another card of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The relation (RFC 8288), such as `related` or `source`.
    pub rel: String,
    /// An `https`, `http` or `mailto` address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
    /// Another card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub card_id: Option<Id<Card>>,
}

impl Model for Card {
    const KIND: &'static str = "cards";
    const ID_PREFIX: &'static str = "cd";
    const SEARCHED: bool = true;

    type Read = ReadCards;
    type Create = CreateCard;
    type Update = UpdateCard;
    type Delete = DeleteCard;
    type Body = Self;

    fn written(body: Self, _: Option<&Self>, _: &Writing<'_>) -> Result<Self, Invalid> {
        Ok(body)
    }

    fn body(&self) -> Self {
        self.clone()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let links = self.links.iter().enumerate();
        let cards = links.filter_map(|(at, link)| Some((at, link.card_id.as_ref()?)));
        cards
            .map(|(at, card)| Reference {
                pointer: format!("/links/{at}/card_id"),
                to: Referent::Record {
                    kind: Self::KIND,
                    id: card.as_str(),
                },
            })
            .collect()
    }

    fn indexed(&self) -> Indexed<'_> {
        Indexed {
            title: self.title.as_str().into(),
            body: self.body.as_str().into(),
            tags: (&self.tags).into(),
        }
    }
}

impl Body for Card {
    fn check(&self) -> Result<(), Invalid> {
        line("/title", &self.title, TITLE_BYTES_MAX)?;
        text("/body", &self.body, BODY_BYTES_MAX)?;
        tags(&self.tags)?;
        count("/links", self.links.len(), LINKS_MAX)?;
        let mut links = self.links.iter().enumerate();
        links.try_for_each(|(at, link)| link.check(&format!("/links/{at}")))
    }
}

impl Link {
    fn check(&self, pointer: &str) -> Result<(), Invalid> {
        line(&format!("{pointer}/rel"), &self.rel, REL_BYTES_MAX)?;
        match (&self.href, &self.card_id) {
            (Some(href), None) => address(
                &format!("{pointer}/href"),
                href,
                &["https", "http", "mailto"],
            ),
            (None, Some(_)) => Ok(()),
            _ => Err(Invalid::new(pointer, "has either an href or a card_id")),
        }
    }
}
