//! The entity tag of a bulk evaluation.
//!
//! **Invariant:** whatever an evaluation depends on is in the tag, so a 304 is never stale:
//! the tenant and its place, the versions of both layers, how many schedules have begun or
//! ended, and the whole context.

use actix_web::{
    HttpRequest,
    http::header::{self, EntityTag, Header, IfNoneMatch},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{Context, Layers};

/// Bytes of the digest that the tag shows.
const TAG_BYTES: usize = 18;

/// The tag of what `layers` evaluate to for `context`.
pub(super) fn tag(layers: &Layers<'_>, context: &Context) -> EntityTag {
    let Layers {
        system,
        tenant,
        place,
        now,
    } = layers;
    let mut hash = Sha256::new();
    for text in [place.tenant, place.env, place.project, place.mode] {
        feed(&mut hash, text.as_bytes());
    }
    for layer in [system, tenant] {
        hash.update(layer.version().to_le_bytes());
        hash.update((layer.phase(*now) as u64).to_le_bytes());
    }
    match context.targeting_key() {
        Some(key) => feed(&mut hash, key.as_bytes()),
        None => hash.update(u64::MAX.to_le_bytes()),
    }
    // Writing a map of texts to memory does not fail; if it did, no two tags would be alike.
    let attributes = serde_json::to_vec(context.attributes());
    feed(
        &mut hash,
        &attributes.unwrap_or_else(|_| now.unix_ms().to_le_bytes().into()),
    );
    let digest = hash.finalize();
    let shown = digest.get(..TAG_BYTES).unwrap_or(&digest);
    EntityTag::new_strong(BASE64_URL_SAFE_NO_PAD.encode(shown))
}

fn feed(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// Whether the client has what `tag` names (RFC 9110, section 13.1.2). `*` names nothing
/// that it has.
pub(super) fn known(req: &HttpRequest, tag: &EntityTag) -> bool {
    if !req.headers().contains_key(header::IF_NONE_MATCH) {
        return false;
    }
    match IfNoneMatch::parse(req) {
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|one| one.weak_eq(tag)),
        Ok(IfNoneMatch::Any) | Err(_) => false,
    }
}
