//! Raw storage and media: files that a tenant's people upload straight to the store.
//!
//! Start at [`Assets`]. A client asks for a form ([`Assets::presign`]) that the store itself
//! holds to the promised name, type, size and checksum; uploads with it; and registers
//! ([`Assets::register`]) what the store then has. Only registered assets are seen, listed
//! and named by others. [`Shelf`] is what raw storage and media differ in.
//!
//! **Invariant:** an asset is registered in one batch that takes its promise away, so it is
//! either promised or registered, whoever is stopped where.
//!
//! **Invariant:** no object outlives its asset: what might is noted durably before it can,
//! and looked after when it is due ([`Assets::tend`]).

mod artifact;
mod asset;
mod care;
mod content_type;
mod deletion;
mod filename;
mod mutation;
mod place;
mod service;
mod shelf;
mod uploads;
mod words;

pub use artifact::NewArtifact;
pub use asset::{ANCESTORS_MAX, Area, Asset, Facts, InvalidParent, Lineage, Parent};
pub use care::{CARE, Tended, UNREGISTERED_KEPT, noted_tenant};
pub use content_type::{ContentType, InvalidContentType};
pub use filename::{Filename, GIVEN_NAME_BYTES_MAX, InvalidFilename};
pub use mutation::{Presign, Register, Remove, Upload};
pub use place::ASSETS;
pub use service::{Assets, AssetsDeps, CONTENT_LIFE, Filter, UPLOAD_BYTES_MAX};
pub use shelf::{
    DeleteMedia, DeleteRawStorage, Media, PresignMedia, PresignRawStorage, RawStorage, ReadMedia,
    ReadRawStorage, RegisterMedia, RegisterRawStorage, Shelf,
};
pub use uploads::{Presigned, Registered, UPLOAD_LIFE};
pub use words::{Checksum, InvalidChecksum, InvalidKind, InvalidMeta, Kind, META_BYTES_MAX, Meta};
