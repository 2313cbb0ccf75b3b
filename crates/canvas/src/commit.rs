//! Commits: what was done, by whom, in a chain of hashes.

use std::fmt;

use identity::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::model::{AgentName, BatchId, ClientId, Damaged, Digest, Effective, State};

/// How a batch meets commits that its client has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is refused.
    Strict,
    /// It is carried out on top of them, if it touches nothing that they wrote.
    Rebase,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Rebase => "rebase",
        })
    }
}

/// Who made a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The agent that did it on behalf of the user, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The user.
    pub user_id: UserId,
}

/// One step from a revision to the next.
///
/// Its members are in the order of RFC 8785, so that it is serialised in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Who made it.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
    /// The revision that its client had seen.
    pub base_rev: u64,
    /// The batch.
    pub batch_id: BatchId,
    /// The client.
    pub client_id: ClientId,
    /// What was done, in order.
    pub commands: Vec<Effective>,
    /// The hash of everything else here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_hash: Option<Digest>,
    /// The epoch; a restore begins one.
    pub epoch: u64,
    /// How its client wanted to meet others' commits; absent for an undo and a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The hash of the commit before; zeros for the first.
    pub prev_hash: Digest,
    /// The commits after `base_rev` that it was put on top of.
    pub rebased_over: Vec<u64>,
    /// The request.
    pub request_id: String,
    /// The revision whose state this one takes over, if it is a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// The revision that it makes.
    pub rev: u64,
    /// The hash of the state that it makes.
    pub state_hash: Digest,
    /// The trace.
    pub traceparent: String,
    /// The commit that it takes back, if it is an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
}

impl Commit {
    /// The commit with its hash.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.commit_hash = Some(self.compute_hash());
        self
    }

    /// The hash of everything but `commit_hash`.
    #[must_use]
    pub fn compute_hash(&self) -> Digest {
        let bare = Self {
            commit_hash: None,
            ..self.clone()
        };
        // Names, numbers and canonical values can always be written.
        Digest::of_commit(&serde_json::to_vec(&bare).unwrap_or_default())
    }

    /// The hash that it carries.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.commit_hash.unwrap_or(Digest::ZERO)
    }

    /// Does on `state` what it did; a restore does nothing.
    ///
    /// # Errors
    /// [`Damaged`] when it does not fit; then the state is to be thrown away.
    pub(crate) fn perform_on(&self, state: &mut State) -> Result<(), Damaged> {
        let changes = self.commands.iter().map(|command| &command.change);
        changes
            .into_iter()
            .try_for_each(|change| state.perform(change))
    }

    /// Whether it is whole, and comes right after the commit `rev` whose hash is `prev`.
    #[must_use]
    pub fn follows(&self, rev: u64, prev: &Digest) -> bool {
        self.rev == rev + 1
            && self.prev_hash == *prev
            && self.commit_hash == Some(self.compute_hash())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Command, Kind};

    #[test]
    fn a_commit_is_written_in_its_canonical_form() {
        let mut state = State::default();
        let mut commands = Vec::new();
        for (at, (kind, args)) in [
            (
                Kind::Create,
                r#"{"node":"a","type":"t","props":{"z":{"y":[1,"é"],"b":2.5}}}"#,
            ),
            (Kind::Create, r#"{"node":"b","type":"t"}"#),
            (Kind::Update, r#"{"node":"a","set":{"x":1},"unset":["z"]}"#),
            (Kind::Move, r#"{"node":"b","parent":"a"}"#),
            (Kind::Delete, r#"{"node":"a"}"#),
        ]
        .into_iter()
        .enumerate()
        {
            let command = Command::parse(kind, args).unwrap();
            let id = format!("c{at}").parse().unwrap();
            commands.push(state.carry_out(&id, &command).unwrap().effective);
        }
        let commit = Commit {
            actor: Actor {
                agent: Some("layout.bot".parse().unwrap()),
                user_id: "u_1".parse().unwrap(),
            },
            at: Timestamp::from_unix_ms(0),
            base_rev: 0,
            batch_id: "b1".parse().unwrap(),
            client_id: "c1".parse().unwrap(),
            commands,
            commit_hash: None,
            epoch: 1,
            mode: Some(Mode::Rebase),
            prev_hash: Digest::ZERO,
            rebased_over: vec![1, 2],
            request_id: "r".to_owned(),
            restores: Some(1),
            rev: 1,
            state_hash: state.hash(),
            traceparent: "00".to_owned(),
            undoes: Some(1),
        }
        .sealed();
        let text = serde_json::to_string(&commit).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text, serde_json_canonicalizer::to_string(&value).unwrap());
        let read: Commit = serde_json::from_str(&text).unwrap();
        assert_eq!(read, commit);
        assert!(read.follows(0, &Digest::ZERO) && !read.follows(1, &Digest::ZERO));
        let forged = Commit {
            base_rev: 1,
            ..commit
        };
        assert!(!forged.follows(0, &Digest::ZERO));
    }
}
