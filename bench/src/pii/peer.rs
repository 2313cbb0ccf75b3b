//! `redact-core`, a published recogniser, as it is.
//!
//! It runs all of its patterns whatever kinds are asked for, among them kinds that
//! we do not have. Its search for secrets by entropy is left out, because we have
//! nothing like it.

use std::sync::Arc;

use anyhow::Result;
use privacy::pii::{Finding, Kind};
use redact_core::{
    AnalyzerEngine, EntityType, Recognizer as _, RecognizerRegistry, RecognizerResult,
    engine::AnalyzerEngineBuilder, recognizers::pattern::PatternRecognizer,
};

pub(super) const NAME: &str = "redact-core";

/// The published recogniser.
pub(super) struct Peer {
    engine: AnalyzerEngine,
    entities: Vec<EntityType>,
}

impl Peer {
    /// With its patterns alone.
    pub(super) fn new() -> Self {
        let recognizer = PatternRecognizer::new();
        let supported = recognizer.supported_entities().iter();
        let entities = supported.filter(|entity| kind(entity).is_some());
        let entities = entities.cloned().collect();
        let mut registry = RecognizerRegistry::new();
        registry.add_recognizer(Arc::new(recognizer));
        let engine = AnalyzerEngineBuilder::new().with_recognizer_registry(registry);
        Self {
            engine: engine.build(),
            entities,
        }
    }

    /// What it finds of the comparable kinds.
    ///
    /// # Errors
    /// When it fails.
    pub(super) fn find(&self, text: &str) -> Result<Vec<Finding>> {
        let found = self
            .engine
            .analyze_with_entities(text, &self.entities, None)?;
        let finding = |result: RecognizerResult| {
            Some(Finding {
                kind: kind(&result.entity_type)?,
                start: result.start,
                end: result.end,
            })
        };
        let found = found.detected_entities.into_iter();
        Ok(found.filter_map(finding).collect())
    }
}

/// Our kind for its one; `None` for those that we do not have.
fn kind(entity: &EntityType) -> Option<Kind> {
    Some(match entity {
        EntityType::EmailAddress => Kind::Email,
        EntityType::PhoneNumber | EntityType::UkPhoneNumber | EntityType::UkMobileNumber => {
            Kind::Phone
        }
        EntityType::CreditCard => Kind::Card,
        EntityType::IbanCode => Kind::Iban,
        EntityType::UsSsn => Kind::Ssn,
        EntityType::UkNhs => Kind::Nhs,
        EntityType::IpAddress => Kind::Ip,
        EntityType::MacAddress => Kind::Mac,
        EntityType::DatabaseConnectionString => Kind::Credentials,
        EntityType::JwtToken => Kind::Jwt,
        EntityType::PrivateKey => Kind::PrivateKey,
        EntityType::BtcAddress | EntityType::EthAddress | EntityType::CryptoWallet => Kind::Crypto,
        EntityType::AnthropicApiKey
        | EntityType::AwsAccessKey
        | EntityType::DatabricksToken
        | EntityType::DigitalOceanToken
        | EntityType::GithubToken
        | EntityType::GitlabToken
        | EntityType::GoogleApiKey
        | EntityType::HashicorpVaultToken
        | EntityType::HuggingFaceToken
        | EntityType::NotionApiKey
        | EntityType::NpmToken
        | EntityType::OpenAiApiKey
        | EntityType::PerplexityApiKey
        | EntityType::PyPiToken
        | EntityType::SendGridApiKey
        | EntityType::SlackToken
        | EntityType::StripeApiKey
        | EntityType::TelegramBotToken
        | EntityType::TwilioApiKey => Kind::ApiKey,
        _ => return None,
    })
}
