//! What a kind of record is.

use std::borrow::Cow;

use identity::{Action, AppId, AssetId, Scope, SurfaceId, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

/// A kind of record: its fields, and what they may hold.
///
/// Stored values are JSON objects. They evolve by fields with serde defaults.
pub trait Model:
    Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// What the kind is called in the store, in actions and in flags, such as `cards`.
    const KIND: &'static str;
    /// What its ids begin with: one or two letters.
    const ID_PREFIX: &'static str;
    /// Whether its records are found by who made them, and by nobody else, whatever their role.
    const PERSONAL: bool = false;
    /// The limits of each [group](Model::group); `None` for kinds without groups.
    const GROUP_MAX: Option<GroupMax> = None;
    /// Whether the search finds its records in the project in which they were made alone.
    const OF_PROJECT: bool = false;
    /// Whether the search finds records of this kind, by what [`Model::indexed`] gives.
    const SEARCHED: bool = false;

    /// Reading records.
    type Read: Action;
    /// Making one.
    type Create: Action;
    /// Changing one.
    type Update: Action;
    /// Deleting one, and restoring it.
    type Delete: Action;
    /// What clients write; often the model itself.
    type Body: Body;

    /// What is stored when a client writes `body` in place of `before`, or anew.
    ///
    /// # Errors
    /// The first field that may not become so.
    fn written(
        body: Self::Body,
        before: Option<&Self>,
        writing: &Writing<'_>,
    ) -> Result<Self, Invalid>;

    /// What of it a client wrote: that which a merge patch is applied to.
    fn body(&self) -> Self::Body;

    /// What else it names. What it did not name before has to be there, in the same tenant
    /// and environment, when it is written.
    fn references(&self) -> Vec<Reference<'_>> {
        Vec::new()
    }

    /// A place that one record of the kind takes at most; it never changes.
    fn slot(&self) -> Option<String> {
        None
    }

    /// The group of its user's records to which it belongs; it never changes. Names have no `/`.
    fn group(&self) -> Option<&str> {
        None
    }

    /// When it ends by itself, if it does.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }

    /// What the search finds it by.
    fn indexed(&self) -> Indexed<'_> {
        Indexed::default()
    }
}

/// What a client writes of a record.
pub trait Body:
    Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static
{
    /// Refuses values that a record may not hold. Every value that is stored was checked.
    ///
    /// # Errors
    /// The first field that is not acceptable.
    fn check(&self) -> Result<(), Invalid>;
}

/// How large a group of records may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMax {
    /// Most records, at most 900.
    pub records: usize,
    /// Most bytes of all their values, as JSON.
    pub bytes: usize,
}

/// Under which circumstances a record is written.
#[derive(Debug, Clone, Copy)]
pub struct Writing<'a> {
    /// Who writes, and where.
    pub scope: &'a Scope,
    /// When.
    pub now: Timestamp,
    /// The revision that is made.
    pub revision: u64,
}

/// What a record is found by: its words, and its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexed<'a> {
    /// What it is called; its words weigh more.
    pub title: Cow<'a, str>,
    /// What it says.
    pub body: Cow<'a, str>,
    /// Its tags, each as a whole.
    pub tags: Cow<'a, [String]>,
}

/// Something that a record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What.
    pub to: Referent<'a>,
}

/// What a record can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referent<'a> {
    /// A record that everyone in the tenant may find.
    Record {
        /// Its kind.
        kind: &'static str,
        /// Its id.
        id: &'a str,
    },
    /// An asset that was registered.
    Asset(&'a AssetId),
    /// A surface of the tenant.
    Surface(&'a SurfaceId),
    /// An app of the tenant.
    App(&'a AppId),
}

/// A value is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {why}")]
pub struct Invalid {
    /// Where, as a JSON pointer into the body.
    pub pointer: String,
    /// Why, for people.
    pub why: String,
}

impl Invalid {
    /// A value at `pointer` is not acceptable.
    pub(crate) fn new(pointer: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            why: why.into(),
        }
    }
}
