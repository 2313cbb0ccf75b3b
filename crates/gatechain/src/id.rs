//! Ids that nobody can guess.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use identity::Entropy;
use smol_str::{SmolStr, format_smolstr};

/// Random bytes of an id: 20 characters.
const ID_BYTES: usize = 15;

/// `prefix` and 20 random characters.
pub(crate) fn random_id(prefix: &str, entropy: &dyn Entropy) -> SmolStr {
    let mut bytes = [0; ID_BYTES];
    entropy.fill(&mut bytes);
    format_smolstr!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
