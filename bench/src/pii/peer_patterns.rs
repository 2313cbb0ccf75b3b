//! The patterns of `redact-core` 0.12.7 for the kinds that we have too.
//!
//! Copied from its `recognizers/pattern.rs` (copyright 2026 Censgate LLC,
//! Apache-2.0), which keeps them to itself. Left out are its patterns of kinds
//! that we do not recognise, such as names of domains, hashes, postcodes and licences.

use anyhow::Result;
use redact_core::EntityType;
use regex::Regex;

/// One pattern, ready to run.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) entity: EntityType,
    pub(super) regex: Regex,
}

/// All of them.
///
/// # Errors
/// When one is no pattern.
pub(super) fn patterns() -> Result<Vec<Pattern>> {
    let compiled = |(entity, regex): &(EntityType, &str)| {
        let regex = Regex::new(regex)?;
        let entity = entity.clone();
        Ok(Pattern { entity, regex })
    };
    PATTERNS.iter().map(compiled).collect()
}

const PATTERNS: &[(EntityType, &str)] = &[
    (
        EntityType::EmailAddress,
        r"(?:^|[^A-Za-z0-9._%+-])([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,})(?:[^A-Za-z0-9]|$)",
    ),
    (
        EntityType::PhoneNumber,
        r"\(\d{3}\)[-.\s]?\d{3}[-.\s]?\d{4}\b|\b\d{3}[-.\s]\d{3}[-.\s]?\d{4}\b",
    ),
    (
        EntityType::CreditCard,
        r"(?:^|[^0-9A-Za-z])((?:\d[ \-]?){12,18}\d)(?:[^0-9]|$)",
    ),
    (EntityType::UsSsn, r"\b\d{3}-\d{2}-\d{4}\b"),
    (
        EntityType::IpAddress,
        r"\b(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\b",
    ),
    (
        EntityType::MacAddress,
        r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b",
    ),
    (EntityType::UkNhs, r"\b(?:\d{3}\s?\d{3}\s?\d{4}|\d{10})\b"),
    (
        EntityType::IbanCode,
        r"(?:^|[^A-Z0-9])([A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]){11,30})(?:[^A-Z0-9]|$)",
    ),
    (
        EntityType::BtcAddress,
        r"\b(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25,62}\b",
    ),
    (EntityType::EthAddress, r"\b0x[a-fA-F0-9]{40}\b"),
    (
        EntityType::UkPhoneNumber,
        r"\b(?:0[1-3]\d{2,3}\s?\d{3}\s?\d{4}|0[1-3]\d{2,3}\s?\d{6,7})\b",
    ),
    (EntityType::UkMobileNumber, r"\b07\d{3}\s?\d{3}\s?\d{3}\b"),
    (
        EntityType::CryptoWallet,
        r"\b[LMr3][a-km-zA-HJ-NP-Z1-9]{25,34}\b",
    ),
    (
        EntityType::PrivateKey,
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?-----END (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    ),
    (
        EntityType::JwtToken,
        r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",
    ),
    (
        EntityType::AwsAccessKey,
        r"\b(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[0-9A-Z]{16}\b",
    ),
    (
        EntityType::AwsAccessKey,
        r"\b(ABSK[A-Za-z0-9+/]{109,269}={0,2})(?:\s|$|[^A-Za-z0-9+/=])",
    ),
    (
        EntityType::AwsAccessKey,
        r"\bbedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t\b",
    ),
    (
        EntityType::GithubToken,
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
    ),
    (EntityType::GitlabToken, r"\bglpat-[A-Za-z0-9_-]{20}\b"),
    (
        EntityType::GitlabToken,
        r"\bglpat-[0-9a-zA-Z_-]{27,300}\.[0-9a-z]{2}[0-9a-z]{7}\b",
    ),
    (
        EntityType::GitlabToken,
        r"\bglcbt-[0-9a-zA-Z]{1,5}_[0-9a-zA-Z_-]{20}\b",
    ),
    (EntityType::GitlabToken, r"\bglagent-[A-Za-z0-9_-]{50}\b"),
    (EntityType::GitlabToken, r"\bgloas-[A-Za-z0-9_-]{64}\b"),
    (EntityType::GitlabToken, r"\bgldt-[A-Za-z0-9_-]{20}\b"),
    (EntityType::GitlabToken, r"\bglft-[A-Za-z0-9_-]{20}\b"),
    (EntityType::GitlabToken, r"\bglptt-[0-9a-fA-F]{40}\b"),
    (
        EntityType::SlackToken,
        r"\bxox[baprs]-[A-Za-z0-9-]{10,72}\b",
    ),
    (
        EntityType::StripeApiKey,
        r"\b(?:sk|rk)_(?:live|test)_[0-9a-zA-Z]{24,99}\b",
    ),
    (EntityType::GoogleApiKey, r"\bAIza[0-9A-Za-z_-]{35}"),
    (
        EntityType::OpenAiApiKey,
        r"\bsk-(?:proj-[A-Za-z0-9_-]{40,}|[A-Za-z0-9]{32,})",
    ),
    (
        EntityType::AnthropicApiKey,
        r"\bsk-ant-(?:api03-)?[A-Za-z0-9_-]{24,}",
    ),
    (EntityType::NpmToken, r"\bnpm_[A-Za-z0-9]{36}\b"),
    (
        EntityType::PyPiToken,
        r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}",
    ),
    (
        EntityType::SendGridApiKey,
        r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    ),
    (EntityType::TwilioApiKey, r"\bSK[0-9a-fA-F]{32}\b"),
    (
        EntityType::TelegramBotToken,
        r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}",
    ),
    (
        EntityType::HashicorpVaultToken,
        r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}",
    ),
    (
        EntityType::DatabaseConnectionString,
        r"\b(?:mongodb(?:\+srv)?|postgres(?:ql)?|mysql|mariadb|redis|amqp|mssql)://[^:@/\s]+:[^@/\s]+@[^\s/]+(?:/[^\s?#]*)?(?:\?[^\s#]*)?",
    ),
    (
        EntityType::HuggingFaceToken,
        r"\b(?:hf_|api_org_)[A-Za-z]{34}\b",
    ),
    (
        EntityType::DatabricksToken,
        r"\bdapi[0-9a-fA-F]{32}(?:-\d)?\b",
    ),
    (
        EntityType::DigitalOceanToken,
        r"\bdo[por]_v1_[0-9a-fA-F]{64}\b",
    ),
    (
        EntityType::NotionApiKey,
        r"\bntn_[0-9]{11}[A-Za-z0-9]{35}\b",
    ),
    (EntityType::PerplexityApiKey, r"\bpplx-[A-Za-z0-9]{48}\b"),
];
