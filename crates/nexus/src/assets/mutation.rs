//! What is gated: opening an upload, registering what was uploaded, deleting it.
//!
//! Asking for a form is gated too: whoever holds it writes to the store without asking again.

use std::marker::PhantomData;

use gatechain::{Mutation, PayloadHash};
use identity::AssetId;

use super::{Checksum, ContentType, Filename, Kind, Meta, Shelf};

/// A file that is to be uploaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// What it is called.
    pub filename: Filename,
    /// Its media type.
    pub content_type: ContentType,
    /// Its size in bytes, exactly.
    pub size: u64,
    /// The SHA-256 of its bytes, where the store shall hold the client to it.
    pub sha256: Option<Checksum>,
    /// What sort of thing it is; its media type says, unless this does.
    pub kind: Option<Kind>,
    /// The asset that it was made from.
    pub parent: Option<AssetId>,
    /// What else is said of it.
    pub meta: Meta,
}

/// Opening an upload to the shelf `S`.
#[derive(Debug, Clone)]
pub struct Presign<S> {
    pub(super) upload: Upload,
    payload: Option<PayloadHash>,
    shelf: PhantomData<fn() -> S>,
}

/// Registering an uploaded file of the shelf `S`.
#[derive(Debug, Clone)]
pub struct Register<S> {
    pub(super) id: AssetId,
    payload: Option<PayloadHash>,
    shelf: PhantomData<fn() -> S>,
}

/// Deleting a file of the shelf `S`, or calling its upload off.
#[derive(Debug, Clone)]
pub struct Remove<S> {
    pub(super) id: AssetId,
    shelf: PhantomData<fn() -> S>,
}

impl<S> Presign<S> {
    /// Opens an upload; `payload` is the hash of the body that asks for it.
    #[must_use]
    pub const fn new(upload: Upload, payload: Option<PayloadHash>) -> Self {
        Self {
            upload,
            payload,
            shelf: PhantomData,
        }
    }
}

impl<S> Register<S> {
    /// Registers an upload; `payload` is the hash of the body that asks for it.
    #[must_use]
    pub const fn new(id: AssetId, payload: Option<PayloadHash>) -> Self {
        Self {
            id,
            payload,
            shelf: PhantomData,
        }
    }
}

impl<S> Remove<S> {
    /// Deletes a file.
    #[must_use]
    pub const fn new(id: AssetId) -> Self {
        Self {
            id,
            shelf: PhantomData,
        }
    }
}

impl<S: Shelf> Mutation for Presign<S> {
    type Action = S::Presign;
    const KIND: &'static str = S::KIND;

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.payload
    }
}

impl<S: Shelf> Mutation for Register<S> {
    type Action = S::Register;
    const KIND: &'static str = S::KIND;

    fn target(&self) -> Option<&str> {
        Some(self.id.as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        self.payload
    }
}

impl<S: Shelf> Mutation for Remove<S> {
    type Action = S::Delete;
    const KIND: &'static str = S::KIND;
    const BARE: bool = true;

    fn target(&self) -> Option<&str> {
        Some(self.id.as_str())
    }

    fn payload_sha256(&self) -> Option<PayloadHash> {
        PayloadHash::of_nothing()
    }
}
