//! `redact-core`, with the recognisers of the kinds that we have too.
//!
//! As it is published it runs all of its patterns whatever kinds are asked
//! for. So it is measured twice: as it is, without its search for secrets by
//! entropy, which we have nothing like; and through its own registry with a
//! recogniser that holds only its patterns of comparable kinds.

use std::sync::Arc;

use anyhow::Result;
use privacy::pii::{Finding, Kind};
use redact_core::{
    AnalyzerEngine, EntityType, Recognizer, RecognizerRegistry, RecognizerResult,
    engine::AnalyzerEngineBuilder,
    recognizers::{pattern::PatternRecognizer, validate_entity},
};

use super::peer_patterns::{Pattern, patterns};

pub(super) const NAME: &str = "redact-core";

/// The published recogniser.
pub(super) struct Peer {
    engine: AnalyzerEngine,
    entities: Vec<EntityType>,
}

impl Peer {
    /// As it is published.
    ///
    /// # Errors
    /// When its patterns do not compile.
    pub(super) fn published() -> Result<Self> {
        Self::with(Arc::new(PatternRecognizer::new()))
    }

    /// With its patterns of comparable kinds alone.
    ///
    /// # Errors
    /// When its patterns do not compile.
    pub(super) fn comparable() -> Result<Self> {
        Self::with(Arc::new(Comparable::new()?))
    }

    fn with(recognizer: Arc<dyn Recognizer>) -> Result<Self> {
        let mut registry = RecognizerRegistry::new();
        registry.add_recognizer(recognizer);
        let engine = AnalyzerEngineBuilder::new().with_recognizer_registry(registry);
        Ok(Self {
            engine: engine.build(),
            entities: Comparable::new()?.entities,
        })
    }

    /// What it finds of the comparable kinds.
    ///
    /// # Errors
    /// When it fails.
    pub(super) fn find(&self, text: &str) -> Result<Vec<Finding>> {
        let found = self
            .engine
            .analyze_with_entities(text, &self.entities, None)?;
        let finding = |result: RecognizerResult| Finding {
            kind: kind(&result.entity_type),
            start: result.start,
            end: result.end,
        };
        Ok(found.detected_entities.into_iter().map(finding).collect())
    }
}

fn kind(entity: &EntityType) -> Kind {
    match entity {
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
        _ => Kind::ApiKey,
    }
}

/// Its patterns of comparable kinds, run and validated as its own recogniser does it.
#[derive(Debug)]
struct Comparable {
    patterns: Vec<Pattern>,
    entities: Vec<EntityType>,
}

impl Comparable {
    fn new() -> Result<Self> {
        let patterns = patterns()?;
        let mut entities = Vec::new();
        for pattern in &patterns {
            if !entities.contains(&pattern.entity) {
                entities.push(pattern.entity.clone());
            }
        }
        Ok(Self { patterns, entities })
    }
}

/// The score of a match that its checks confirm; it tells apart what overlaps.
const SCORE: f32 = 0.8;

impl Recognizer for Comparable {
    fn name(&self) -> &'static str {
        "comparable"
    }

    fn supported_entities(&self) -> &[EntityType] {
        &self.entities
    }

    fn analyze(&self, text: &str, _language: &str) -> Result<Vec<RecognizerResult>> {
        let mut results = Vec::new();
        for Pattern { entity, regex } in &self.patterns {
            for captures in regex.captures_iter(text) {
                let Some(matched) = captures.get(1).or_else(|| captures.get(0)) else {
                    continue;
                };
                let score = SCORE * validate_entity(entity, matched.as_str());
                if score >= 0.5 {
                    let (start, end) = (matched.start(), matched.end());
                    let result = RecognizerResult::new(entity.clone(), start, end, score, NAME);
                    results.push(result.with_text(text));
                }
            }
        }
        Ok(results)
    }

    fn supports_language(&self, _language: &str) -> bool {
        true
    }
}
