//! What is recognised, and where it was found.

/// A class of personal data or secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An email address (RFC 5321, RFC 6531).
    Email,
    /// A telephone number (E.164, and national forms).
    Phone,
    /// A payment card number (ISO/IEC 7812).
    Card,
    /// An international bank account number (ISO 13616).
    Iban,
    /// A US Social Security number.
    Ssn,
    /// A UK NHS number.
    Nhs,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A hardware address (EUI-48, EUI-64).
    Mac,
    /// User and password of a URL (RFC 3986, section 3.2.1).
    Credentials,
    /// A signed or encrypted token in compact form (RFC 7519).
    Jwt,
    /// A private key in PEM form (RFC 7468).
    PrivateKey,
    /// A key or token of a well-known service.
    ApiKey,
    /// An address of Bitcoin or Ethereum.
    Crypto,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 13] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Iban,
        Self::Ssn,
        Self::Nhs,
        Self::Ip,
        Self::Mac,
        Self::Credentials,
        Self::Jwt,
        Self::PrivateKey,
        Self::ApiKey,
        Self::Crypto,
    ];

    /// What stands in the text in its place.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "<EMAIL>",
            Self::Phone => "<PHONE>",
            Self::Card => "<CARD>",
            Self::Iban => "<IBAN>",
            Self::Ssn => "<SSN>",
            Self::Nhs => "<NHS>",
            Self::Ip => "<IP>",
            Self::Mac => "<MAC>",
            Self::Credentials => "<CREDENTIALS>",
            Self::Jwt => "<JWT>",
            Self::PrivateKey => "<PRIVATE_KEY>",
            Self::ApiKey => "<API_KEY>",
            Self::Crypto => "<CRYPTO>",
        }
    }

    /// The name, in lower case, for metrics and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ssn => "ssn",
            Self::Nhs => "nhs",
            Self::Ip => "ip",
            Self::Mac => "mac",
            Self::Credentials => "credentials",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private_key",
            Self::ApiKey => "api_key",
            Self::Crypto => "crypto",
        }
    }
}

/// One piece of personal data in a text.
///
/// `start` and `end` are byte offsets on character boundaries, `start < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_the_names_in_angle_brackets() {
        for kind in Kind::ALL {
            let name = kind.as_str().to_ascii_uppercase();
            assert_eq!(kind.placeholder(), format!("<{name}>"));
        }
    }
}
