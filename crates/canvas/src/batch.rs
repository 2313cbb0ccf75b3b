//! Batches of commands, as a client sends them; valid from birth.

use std::collections::BTreeSet;

use serde_json::{Value, value::RawValue};

use crate::{
    CanvasError, Mode,
    model::{AgentName, BATCH_COMMANDS_MAX, BatchId, ClientId, Command, CommandId, Digest, Kind},
};

/// What names a request to change a canvas, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The client.
    pub client_id: ClientId,
    /// The batch; unique among those of the user and client.
    pub batch_id: BatchId,
}

/// A command as it was sent.
#[derive(Debug)]
pub struct Sent {
    /// Its id, unique in its batch.
    pub cmd_id: CommandId,
    /// `node.create`, `node.update`, `node.move` or `node.delete`.
    pub kind: String,
    /// What the kind asks for.
    pub args: Box<RawValue>,
}

/// Commands that are carried out together, or not at all.
#[derive(Debug, Clone)]
pub struct CommandBatch {
    pub(crate) identity: Identity,
    /// Who sends it on behalf of the user.
    pub(crate) agent: Option<AgentName>,
    pub(crate) base_rev: u64,
    pub(crate) epoch: Option<u64>,
    pub(crate) mode: Mode,
    pub(crate) commands: Vec<(CommandId, Command)>,
    pub(crate) fingerprint: Digest,
    /// Of what was sent.
    pub(crate) bytes: usize,
}

impl CommandBatch {
    /// A batch that was made for the revision `base_rev`.
    ///
    /// # Errors
    /// [`CanvasError::CommandInvalid`] names the command.
    pub fn new(
        identity: Identity,
        base_rev: u64,
        epoch: Option<u64>,
        mode: Mode,
        sent: Vec<Sent>,
    ) -> Result<Self, CanvasError> {
        if sent.is_empty() || sent.len() > BATCH_COMMANDS_MAX {
            let why = format!("a batch has 1 to {BATCH_COMMANDS_MAX} commands");
            return Err(CanvasError::invalid(None, why));
        }
        let mut parts = vec![
            format!("{base_rev} {epoch:?} {mode}").into_bytes(),
            identity.client_id.as_str().into(),
            identity.batch_id.as_str().into(),
        ];
        let (mut seen, mut commands) = (BTreeSet::new(), Vec::with_capacity(sent.len()));
        for Sent { cmd_id, kind, args } in sent {
            let invalid = |why: String| CanvasError::invalid(Some(&cmd_id), why);
            if !seen.insert(cmd_id.clone()) {
                return Err(invalid("comes twice in its batch".to_owned()));
            }
            let known: Kind = serde_json::from_value(Value::from(kind.as_str()))
                .map_err(|_| invalid(format!("there is no kind {kind:?}")))?;
            let command = Command::parse(known, args.get()).map_err(|e| invalid(e.to_string()))?;
            let args = canonical(args.get()).map_err(invalid)?;
            parts.extend([cmd_id.as_str().into(), kind.into_bytes(), args]);
            commands.push((cmd_id, command));
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Ok(Self {
            fingerprint: Digest::of_parts(&parts),
            bytes: parts.iter().map(|part| part.len()).sum(),
            identity,
            agent: None,
            base_rev,
            epoch,
            mode,
            commands,
        })
    }

    /// The same batch, sent by an agent for another revision. What it is known by does not change.
    #[must_use]
    pub(crate) fn by(&self, agent: &AgentName, base_rev: u64, epoch: Option<u64>) -> Self {
        Self {
            agent: Some(agent.clone()),
            base_rev,
            epoch,
            ..self.clone()
        }
    }

    /// How many commands there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Never: a batch has a command at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// The same arguments have the same text, however they were spaced.
fn canonical(args: &str) -> Result<Vec<u8>, String> {
    let value: Value = serde_json::from_str(args).map_err(|error| error.to_string())?;
    serde_json_canonicalizer::to_vec(&value).map_err(|error| error.to_string())
}
