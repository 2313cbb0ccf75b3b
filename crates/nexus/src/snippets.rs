//! Snippets: what was said in threads whose owners want it to be found again.
//!
//! **Invariant:** a snippet is kept without personal data, passes the gates as every record
//! does, and is found in the project of its thread alone.

use gatechain::{Credentials, GateChain};
use identity::{Scope, ThreadId};
use privacy::pii;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    Body, Create, IdempotencyKey, Indexed, Invalid, Model, Nexus, NexusError, Writing, checks::text,
};

/// Longest text of a snippet, in bytes; of a longer one the beginning is kept.
const TEXT_BYTES_MAX: usize = 16 * 1024;

identity::action!(ReadSnippets, "nexus.snippets.read", Viewer);
identity::action!(KeepSnippet, "nexus.snippets.create", Member);

/// What was said in a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// The thread.
    pub thread_id: ThreadId,
    /// Names the message in its thread.
    pub event: String,
    /// What was said, without personal data.
    pub text: String,
}

impl Model for Snippet {
    const KIND: &'static str = "snippets";
    const ID_PREFIX: &'static str = "sn";
    const SEARCHED: bool = true;
    const OF_PROJECT: bool = true;

    type Read = ReadSnippets;
    type Create = KeepSnippet;
    // Nobody changes one.
    type Update = KeepSnippet;
    type Delete = KeepSnippet;
    type Body = Self;

    fn written(body: Self, _: Option<&Self>, _: &Writing<'_>) -> Result<Self, Invalid> {
        Ok(body)
    }

    fn body(&self) -> Self {
        self.clone()
    }

    fn indexed(&self) -> Indexed<'_> {
        Indexed {
            body: self.text.as_str().into(),
            tags: vec![self.thread_id.to_string(), self.event.clone()].into(),
            ..Indexed::default()
        }
    }
}

impl Body for Snippet {
    fn check(&self) -> Result<(), Invalid> {
        text("/text", &self.text, TEXT_BYTES_MAX)
    }
}

/// Keeps snippets.
pub struct Snippets {
    nexus: Nexus,
    gates: GateChain,
}

impl Snippets {
    /// Keeps them among the records of `nexus`, behind `gates`.
    #[must_use]
    pub const fn new(nexus: Nexus, gates: GateChain) -> Self {
        Self { nexus, gates }
    }

    /// Keeps what the message `event` of a thread says, once: `data` is a text, or has one
    /// called `text`. Whatever else it is, nothing is kept.
    ///
    /// # Errors
    /// [`NexusError::Denied`], [`NexusError::Store`].
    pub async fn keep(
        &self,
        scope: &Scope,
        thread: &ThreadId,
        event: &str,
        data: &RawValue,
    ) -> Result<(), NexusError> {
        let Some(said) = said(data) else {
            return Ok(());
        };
        let key = IdempotencyKey::parse(&format!("{thread}/{event}"));
        let create = Create::<Snippet> {
            value: Snippet {
                thread_id: thread.clone(),
                event: event.to_owned(),
                text: kept(&said),
            },
            key,
            payload: None,
        };
        let admitted = self.gates.admit(scope, create, Credentials::default());
        let permit = admitted.await.map_err(NexusError::Denied)?;
        self.nexus.records().create(scope, permit).await.map(drop)
    }
}

/// What a message says, if it says something in words.
fn said(data: &RawValue) -> Option<String> {
    let said = match serde_json::from_str(data.get()).ok()? {
        Value::String(said) => said,
        Value::Object(mut fields) => match fields.remove("text")? {
            Value::String(said) => said,
            _ => return None,
        },
        _ => return None,
    };
    (!said.trim().is_empty()).then_some(said)
}

/// What is kept of it.
fn kept(said: &str) -> String {
    // Stripped as a whole, so that nothing personal is cut in two.
    let mut kept = pii::strip(said).into_owned();
    kept.retain(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    kept.truncate(kept.floor_char_boundary(TEXT_BYTES_MAX));
    kept
}
