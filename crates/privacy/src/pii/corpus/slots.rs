//! What the names in braces of a template stand for.

use super::{super::Kind, chance::Chance, near, numbers, online, phones, secrets};

/// A name, the kind of personal data it stands for, and what makes one.
type Slot = (&'static str, Option<Kind>, fn(&mut Chance) -> String);

const SLOTS: &[Slot] = &[
    ("email", Some(Kind::Email), online::email),
    ("phone", Some(Kind::Phone), phones::phone),
    ("phone_said", Some(Kind::Phone), phones::phone_said),
    ("card", Some(Kind::Card), numbers::card),
    ("iban", Some(Kind::Iban), numbers::iban),
    ("ssn", Some(Kind::Ssn), numbers::ssn),
    ("ssn_bare", Some(Kind::Ssn), numbers::ssn_bare),
    ("nhs", Some(Kind::Nhs), numbers::nhs),
    ("nhs_bare", Some(Kind::Nhs), numbers::nhs_bare),
    ("ip", Some(Kind::Ip), online::ip),
    ("ipv4", Some(Kind::Ip), online::ipv4),
    ("ipv6", Some(Kind::Ip), online::ipv6),
    ("mac", Some(Kind::Mac), online::mac),
    ("credentials", Some(Kind::Credentials), online::credentials),
    ("jwt", Some(Kind::Jwt), secrets::jwt),
    ("pem", Some(Kind::PrivateKey), secrets::pem),
    ("key", Some(Kind::ApiKey), secrets::api_key),
    ("crypto", Some(Kind::Crypto), secrets::crypto),
    ("name", None, online::first),
    ("bad_card", None, near::bad_card),
    ("no_issuer", None, near::no_issuer),
    ("imei", None, near::imei),
    ("bad_iban", None, near::bad_iban),
    ("bad_ssn", None, near::bad_ssn),
    ("bad_nhs", None, near::bad_nhs),
    ("uuid", None, near::uuid),
    ("hex", None, near::hex),
    ("order", None, near::order),
    ("version", None, near::version),
    ("date", None, near::date),
    ("stamp", None, near::stamp),
    ("price", None, near::price),
    ("no_phone", None, near::no_phone),
    ("no_ip", None, near::no_ip),
    ("no_email", None, near::no_email),
    ("no_secret", None, near::no_secret),
    ("no_mac", None, near::no_mac),
    ("digits", None, near::digits),
    ("glued", None, near::glued),
];

/// The slot that stands, in braces, at the start of `text`, and how long it is.
pub(super) fn slot_at(text: &str) -> Option<(&'static Slot, usize)> {
    let name = text.strip_prefix('{')?.split('}').next()?;
    let slot = SLOTS.iter().find(|(known, ..)| *known == name)?;
    Some((slot, name.len() + 2))
}
