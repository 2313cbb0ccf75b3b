//! The file of one object: its bytes, then what is known of them, then how long that is.
//!
//! A file is written beside the others under a name that nothing reads, and gets its own name
//! when it is whole, checked and on disk.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, SeekFrom},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};

/// Ends every file; another layout gets another mark.
const MARK: [u8; 8] = *b"tenantO1";
/// The mark, and the length of the facts before it as a big-endian number.
const TAIL_BYTES: u64 = 12;
/// Largest facts, in bytes of JSON: a key of 1 KiB and a media type fit well.
const FACTS_BYTES_MAX: u32 = 64 * 1024;

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Its key, for people who look into the folder.
    pub(super) key: String,
    /// Its media type.
    pub(super) content_type: Option<String>,
    /// Its SHA-256, in base64.
    pub(super) sha256: String,
    /// Its bytes.
    pub(super) size: u64,
    /// What its sender wanted to be kept with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// Why an object was not written.
#[derive(Debug)]
pub(super) enum NotWritten {
    /// Whoever sends it stopped.
    Body(String),
    /// There is more of it than an object may have.
    TooLarge,
    /// The disk did not take it.
    Disk(io::Error),
}

impl From<io::Error> for NotWritten {
    fn from(cause: io::Error) -> Self {
        Self::Disk(cause)
    }
}

/// A file that is being written; it is removed unless it is placed.
pub(super) struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    /// Begins a file, which must not exist.
    pub(super) async fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .await?;
        Ok(Self { path, file })
    }

    /// Writes the object's bytes; their number, and their SHA-256 in base64.
    pub(super) async fn fill<B, E>(
        &mut self,
        mut body: B,
        bytes_max: u64,
    ) -> Result<(u64, String), NotWritten>
    where
        B: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::fmt::Display,
    {
        let (mut size, mut hash) = (0, Sha256::new());
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|cause| NotWritten::Body(cause.to_string()))?;
            size += chunk.len() as u64;
            if size > bytes_max {
                return Err(NotWritten::TooLarge);
            }
            hash.update(&chunk);
            self.file.write_all(&chunk).await?;
        }
        Ok((size, BASE64_STANDARD.encode(hash.finalize())))
    }

    /// Ends the file, makes it durable, and gives it its name.
    ///
    /// With `only_new` a file of that name stays as it is; `false` if there was one.
    pub(super) async fn place(
        mut self,
        facts: &Facts,
        at: &Path,
        only_new: bool,
    ) -> io::Result<bool> {
        let mut tail = serde_json::to_vec(facts)?;
        let length = u32::try_from(tail.len()).map_err(io::Error::other)?;
        tail.extend(length.to_be_bytes());
        tail.extend(MARK);
        self.file.write_all(&tail).await?;
        self.file.sync_all().await?;
        let folder = at.parent().unwrap_or(at);
        tokio::fs::create_dir_all(folder).await?;
        let placed = if only_new {
            // A link is made or not, whoever else makes one at the same moment.
            match tokio::fs::hard_link(&self.path, at).await {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => false,
                linked => linked.map(|()| true)?,
            }
        } else {
            tokio::fs::rename(&self.path, at).await.map(|()| true)?
        };
        for folder in [Some(folder), folder.parent()].into_iter().flatten() {
            File::open(folder).await?.sync_all().await?;
        }
        Ok(placed)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Opens an object; `None` if there is none. The file then stands at its first byte.
pub(super) async fn open(path: &Path) -> io::Result<Option<(File, Facts)>> {
    let mut file = match File::open(path).await {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let damaged = || io::Error::new(ErrorKind::InvalidData, "the file of an object is damaged");
    let end = file.metadata().await?.len();
    let tail_at = end.checked_sub(TAIL_BYTES).ok_or_else(damaged)?;
    file.seek(SeekFrom::Start(tail_at)).await?;
    let length = file.read_u32().await?;
    let mut mark = [0; MARK.len()];
    file.read_exact(&mut mark).await?;
    let size = tail_at.checked_sub(length.into()).ok_or_else(damaged)?;
    if mark != MARK || length > FACTS_BYTES_MAX {
        return Err(damaged());
    }
    file.seek(SeekFrom::Start(size)).await?;
    let mut facts = vec![0; length as usize];
    file.read_exact(&mut facts).await?;
    let facts: Facts = serde_json::from_slice(&facts).map_err(|_| damaged())?;
    if facts.size != size {
        return Err(damaged());
    }
    file.rewind().await?;
    Ok(Some((file, facts)))
}
