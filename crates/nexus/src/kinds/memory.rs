//! Memory: what was kept for a user from one of their sessions, for a time.

use std::time::Duration;

use identity::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Body, GroupMax, Indexed, Invalid, Model, Writing,
    checks::{name, tags, text},
};

const SESSION_BYTES_MAX: usize = 128;
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// How long it is kept unless the client says.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long it can be kept.
const KEPT_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

identity::action!(ReadMemory, "nexus.memory.read", Viewer);
identity::action!(CreateMemory, "nexus.memory.create", Member);
identity::action!(UpdateMemory, "nexus.memory.update", Member);
identity::action!(DeleteMemory, "nexus.memory.delete", Member);

/// What a client writes of a memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct MemoryBody {
    /// The session of the user, by the client's name for it: at most 128 of `A-Z a-z 0-9 . _ : -`.
    /// It never changes.
    pub session_id: String,
    /// At most 16 KiB.
    pub text: String,
    /// At most 50 different ones of at most 64 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it ends: at most 366 days ahead; in 30 days unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub expires_at: Option<Timestamp>,
}

/// A memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Memory {
    /// The session of the user.
    pub session_id: String,
    /// What is remembered.
    pub text: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// From then on it does not exist.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub expires_at: Timestamp,
}

impl Model for Memory {
    const KIND: &'static str = "memory";
    const ID_PREFIX: &'static str = "mm";
    const PERSONAL: bool = true;
    const SEARCHED: bool = true;
    const GROUP_MAX: Option<GroupMax> = Some(GroupMax {
        records: 200,
        bytes: 512 * 1024,
    });

    type Read = ReadMemory;
    type Create = CreateMemory;
    type Update = UpdateMemory;
    type Delete = DeleteMemory;
    type Body = MemoryBody;

    fn written(
        body: MemoryBody,
        before: Option<&Self>,
        writing: &Writing<'_>,
    ) -> Result<Self, Invalid> {
        if before.is_some_and(|before| before.session_id != body.session_id) {
            return Err(Invalid::new("/session_id", "never changes"));
        }
        let expires_at = body.expires_at.unwrap_or(writing.now.plus(KEPT));
        if expires_at <= writing.now {
            return Err(Invalid::new("/expires_at", "is past"));
        }
        if expires_at > writing.now.plus(KEPT_MAX) {
            return Err(Invalid::new("/expires_at", "is more than 366 days ahead"));
        }
        Ok(Self {
            session_id: body.session_id,
            text: body.text,
            tags: body.tags,
            expires_at,
        })
    }

    fn body(&self) -> MemoryBody {
        MemoryBody {
            session_id: self.session_id.clone(),
            text: self.text.clone(),
            tags: self.tags.clone(),
            expires_at: Some(self.expires_at),
        }
    }

    fn group(&self) -> Option<&str> {
        Some(&self.session_id)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }

    fn indexed(&self) -> Indexed<'_> {
        Indexed {
            body: self.text.as_str().into(),
            tags: (&self.tags).into(),
            ..Indexed::default()
        }
    }
}

impl Body for MemoryBody {
    fn check(&self) -> Result<(), Invalid> {
        check_session("/session_id", &self.session_id)?;
        if self.text.is_empty() {
            return Err(Invalid::new("/text", "must not be empty"));
        }
        text("/text", &self.text, TEXT_BYTES_MAX)?;
        tags(&self.tags)
    }
}

/// Refuses what is no name of a session.
pub(crate) fn check_session(pointer: &str, session: &str) -> Result<(), Invalid> {
    name(pointer, session, SESSION_BYTES_MAX)
}
