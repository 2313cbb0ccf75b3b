//! Packs: an ordered set of what belongs together.

use std::{collections::BTreeSet, str::FromStr};

use identity::AssetId;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    Atom, Body, Card, Id, Indexed, Invalid, Model, Reference, Referent, Run, Writing,
    checks::{count, line, tags, text},
};

const TITLE_BYTES_MAX: usize = 300;
const DESCRIPTION_BYTES_MAX: usize = 16 * 1024;
const ITEMS_MAX: usize = 200;

identity::action!(ReadPacks, "nexus.packs.read", Viewer);
identity::action!(CreatePack, "nexus.packs.create", Member);
identity::action!(UpdatePack, "nexus.packs.update", Member);
identity::action!(DeletePack, "nexus.packs.delete", Member);

/// A pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Pack {
    /// One line, at most 300 bytes.
    pub title: String,
    /// At most 16 KiB.
    #[serde(default)]
    pub description: String,
    /// The ids of at most 200 cards, atoms, runs and assets, in their order, each once.
    #[serde(default)]
    #[cfg_attr(feature = "http", schema(value_type = Vec<String>))]
    pub items: Vec<PackItem>,
    /// At most 50 different ones of at most 64 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// What a pack can hold; the id says of which kind it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "String")]
pub enum PackItem {
    /// A card.
    Card(Id<Card>),
    /// An atom.
    Atom(Id<Atom>),
    /// A run.
    Run(Id<Run>),
    /// An asset.
    Asset(AssetId),
}

/// A text is no id of what a pack can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the id of a card, an atom, a run or an asset")]
pub struct InvalidItem;

impl PackItem {
    /// Its id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Card(id) => id.as_str(),
            Self::Atom(id) => id.as_str(),
            Self::Run(id) => id.as_str(),
            Self::Asset(id) => id.as_str(),
        }
    }

    fn referent(&self) -> Referent<'_> {
        let kind = match self {
            Self::Card(_) => Card::KIND,
            Self::Atom(_) => Atom::KIND,
            Self::Run(_) => Run::KIND,
            Self::Asset(id) => return Referent::Asset(id),
        };
        let id = self.as_str();
        Referent::Record { kind, id }
    }
}

impl FromStr for PackItem {
    type Err = InvalidItem;

    fn from_str(text: &str) -> Result<Self, InvalidItem> {
        let card = text.parse().map(Self::Card).ok();
        let atom = || text.parse().map(Self::Atom).ok();
        let run = || text.parse().map(Self::Run).ok();
        let asset = || text.parse().map(Self::Asset).ok();
        let item = card.or_else(atom).or_else(run).or_else(asset);
        item.ok_or(InvalidItem)
    }
}

impl TryFrom<SmolStr> for PackItem {
    type Error = InvalidItem;

    fn try_from(text: SmolStr) -> Result<Self, InvalidItem> {
        text.parse()
    }
}

impl From<PackItem> for String {
    fn from(item: PackItem) -> Self {
        item.as_str().to_owned()
    }
}

impl Model for Pack {
    const KIND: &'static str = "packs";
    const ID_PREFIX: &'static str = "pk";
    const SEARCHED: bool = true;

    type Read = ReadPacks;
    type Create = CreatePack;
    type Update = UpdatePack;
    type Delete = DeletePack;
    type Body = Self;

    fn written(body: Self, _: Option<&Self>, _: &Writing<'_>) -> Result<Self, Invalid> {
        Ok(body)
    }

    fn body(&self) -> Self {
        self.clone()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let items = self.items.iter().enumerate();
        let references = items.map(|(at, item)| Reference {
            pointer: format!("/items/{at}"),
            to: item.referent(),
        });
        references.collect()
    }

    fn indexed(&self) -> Indexed<'_> {
        Indexed {
            title: self.title.as_str().into(),
            body: self.description.as_str().into(),
            tags: (&self.tags).into(),
        }
    }
}

impl Body for Pack {
    fn check(&self) -> Result<(), Invalid> {
        line("/title", &self.title, TITLE_BYTES_MAX)?;
        text("/description", &self.description, DESCRIPTION_BYTES_MAX)?;
        count("/items", self.items.len(), ITEMS_MAX)?;
        let mut seen = BTreeSet::new();
        for (at, item) in self.items.iter().enumerate() {
            if !seen.insert(item.as_str()) {
                return Err(Invalid::new(format!("/items/{at}"), "is there twice"));
            }
        }
        tags(&self.tags)
    }
}
