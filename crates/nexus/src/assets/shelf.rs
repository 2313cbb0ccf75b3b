//! The two shelves on which a tenant's files are: raw storage and media.

use identity::Action;

use super::{Area, Facts};

/// A shelf: where its files are, and what may be done with them by whom.
pub trait Shelf: Send + Sync + 'static {
    /// What it is called: by the routing registry, and by the flag that puts its gates in
    /// shadow mode.
    const KIND: &'static str;
    /// Where its files are.
    const AREA: Area;

    /// Looking at files, and reading them.
    type Read: Action;
    /// Asking for a form with which a file is uploaded.
    type Presign: Action;
    /// Registering an uploaded file.
    type Register: Action;
    /// Deleting a file.
    type Delete: Action;

    /// Whether it shows a file.
    fn shows(facts: &Facts) -> bool {
        facts.area == Self::AREA
    }
}

/// Files as they came.
#[derive(Debug)]
pub enum RawStorage {}

/// Assets with kinds and lineage, and the artifacts that were made from them.
#[derive(Debug)]
pub enum Media {}

identity::action!(
    /// Looking at raw storage, and reading from it.
    ReadRawStorage, "nexus.raw_storage.read", Viewer
);
identity::action!(
    /// Asking for a form with which a file is uploaded to raw storage.
    PresignRawStorage, "nexus.raw_storage.presign", Member
);
identity::action!(
    /// Registering an uploaded file of raw storage.
    RegisterRawStorage, "nexus.raw_storage.register", Member
);
identity::action!(
    /// Deleting a file of raw storage.
    DeleteRawStorage, "nexus.raw_storage.delete", Member
);
identity::action!(
    /// Looking at media, and reading it.
    ReadMedia, "nexus.media.read", Viewer
);
identity::action!(
    /// Asking for a form with which media is uploaded.
    PresignMedia, "nexus.media.presign", Member
);
identity::action!(
    /// Registering uploaded media.
    RegisterMedia, "nexus.media.register", Member
);
identity::action!(
    /// Deleting media.
    DeleteMedia, "nexus.media.delete", Member
);

impl Shelf for RawStorage {
    const KIND: &'static str = "raw_storage";
    const AREA: Area = Area::Raw;
    type Read = ReadRawStorage;
    type Presign = PresignRawStorage;
    type Register = RegisterRawStorage;
    type Delete = DeleteRawStorage;
}

impl Shelf for Media {
    const KIND: &'static str = "media";
    const AREA: Area = Area::Media;
    type Read = ReadMedia;
    type Presign = PresignMedia;
    type Register = RegisterMedia;
    type Delete = DeleteMedia;
}
