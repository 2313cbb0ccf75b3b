//! What could not be recorded where it belongs, kept on the local disk until it can.
//!
//! One line of JSON per record, synced before it counts. A torn last line is
//! what a crash left of a record that never counted, and is cut off.
//!
//! **Invariant:** while records of a log wait here, later ones of that log wait
//! behind them, so that their order is kept.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_STANDARD};
use identity::{Env, TenantId, UserId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{LogId, subjects::Provisional};
use crate::seal::{KEY_ID_BYTES, KeyId};

/// Most bytes that wait; further records are refused, which is counted and logged.
pub const SPOOL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A record that waits.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) log: LogId,
    pub(super) body: Vec<u8>,
    pub(super) keys: Vec<Provisional>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    tenant: TenantId,
    env: Env,
    body: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<LineKey>,
}

#[derive(Serialize, Deserialize)]
struct LineKey {
    subject: UserId,
    wrapped: String,
}

/// The spool's file and what is known of it.
pub(super) struct Spool {
    path: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
    /// Records that wait, for a look without the lock.
    waiting: AtomicU64,
}

struct State {
    file: File,
    bytes: u64,
    by_log: HashMap<LogId, u64>,
}

impl Spool {
    /// Opens the spool, or makes an empty one.
    ///
    /// # Errors
    /// When the file cannot be opened, or something in its middle cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<Arc<Self>> {
        Self::with_room(path, SPOOL_BYTES_MAX)
    }

    fn with_room(path: &Path, bytes_max: u64) -> io::Result<Arc<Self>> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = options.open(path)?;
        let (lines, bytes) = read(&mut file)?;
        file.set_len(bytes)?;
        let mut by_log = HashMap::new();
        for waiting in &lines {
            *by_log.entry(waiting.log.clone()).or_default() += 1;
        }
        let count = lines.len() as u64;
        metrics::gauge!("tenantry_audit_spooled").set(count as f64);
        Ok(Arc::new(Self {
            path: path.to_owned(),
            bytes_max,
            state: Mutex::new(State {
                file,
                bytes,
                by_log,
            }),
            waiting: AtomicU64::new(count),
        }))
    }

    /// Whether records of `log` wait.
    pub(super) fn holds(&self, log: &LogId) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 && self.state.lock().by_log.contains_key(log)
    }

    /// Whether records of any log of `tenant` wait.
    pub(super) fn holds_of(&self, tenant: &TenantId) -> bool {
        let waits = |log: &LogId| log.tenant == *tenant;
        self.len() > 0 && self.state.lock().by_log.keys().any(waits)
    }

    /// How many records wait.
    pub(super) fn len(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Keeps a record, durably when this returns. Blocks.
    ///
    /// # Errors
    /// When the disk refuses, or the spool is full.
    pub(super) fn keep(&self, waiting: &Waiting) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line::from(waiting))?;
        line.push(b'\n');
        let mut state = self.state.lock();
        if state.bytes + line.len() as u64 > self.bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the spool is full",
            ));
        }
        let written = state.file.write_all(&line);
        if let Err(error) = written.and_then(|()| state.file.sync_data()) {
            // Half a line would hide the lines after it.
            state.file.set_len(state.bytes)?;
            return Err(error);
        }
        state.bytes += line.len() as u64;
        *state.by_log.entry(waiting.log.clone()).or_default() += 1;
        self.count(1);
        Ok(())
    }

    /// All that waits, in order. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn waiting(&self) -> io::Result<Vec<Waiting>> {
        let mut file = File::open(&self.path)?;
        Ok(read(&mut file)?.0)
    }

    /// Forgets the first records: for each that waits, `recorded` says whether it is
    /// where it belongs now. Blocks.
    ///
    /// # Errors
    /// When the file cannot be rewritten; then all of them wait still, and are
    /// recognised when they are recorded again.
    pub(super) fn forget(&self, recorded: &[bool]) -> io::Result<()> {
        let mut state = self.state.lock();
        let (all, _) = read(&mut File::open(&self.path)?)?;
        let done = |at: usize| recorded.get(at).copied().unwrap_or(false);
        let left: Vec<_> = all
            .iter()
            .enumerate()
            .filter(|(at, _)| !done(*at))
            .map(|(_, waiting)| waiting)
            .collect();
        let replacement = self.path.with_added_extension("new");
        let mut file = File::create(&replacement)?;
        let mut bytes = 0;
        for waiting in &left {
            let mut line = serde_json::to_vec(&Line::from(*waiting))?;
            line.push(b'\n');
            file.write_all(&line)?;
            bytes += line.len() as u64;
        }
        file.sync_all()?;
        std::fs::rename(&replacement, &self.path)?;
        sync_folder(&self.path)?;
        let mut options = OpenOptions::new();
        state.file = options.read(true).append(true).open(&self.path)?;
        state.bytes = bytes;
        state.by_log.clear();
        for waiting in &left {
            *state.by_log.entry(waiting.log.clone()).or_default() += 1;
        }
        let count = left.len() as u64;
        self.waiting.store(count, Ordering::Release);
        metrics::gauge!("tenantry_audit_spooled").set(count as f64);
        Ok(())
    }

    fn count(&self, more: u64) {
        let count = self.waiting.fetch_add(more, Ordering::AcqRel) + more;
        metrics::gauge!("tenantry_audit_spooled").set(count as f64);
    }
}

/// A renamed file is durable once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// The whole lines of a file, and how many bytes they have.
fn read(file: &mut File) -> io::Result<(Vec<Waiting>, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut all, mut bytes) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        let length = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok((all, bytes));
        }
        let line: Line = serde_json::from_slice(&line)?;
        all.push(Waiting::try_from(line)?);
        bytes += length as u64;
    }
}

impl From<&Waiting> for Line {
    fn from(waiting: &Waiting) -> Self {
        let keys = waiting.keys.iter().map(|made| LineKey {
            subject: made.subject.clone(),
            wrapped: BASE64_STANDARD.encode(&made.wrapped),
        });
        Self {
            tenant: waiting.log.tenant.clone(),
            env: waiting.log.env,
            body: BASE64_STANDARD.encode(&waiting.body),
            keys: keys.collect(),
        }
    }
}

impl TryFrom<Line> for Waiting {
    type Error = io::Error;

    fn try_from(line: Line) -> io::Result<Self> {
        let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(io::Error::other);
        let key = |key: LineKey| {
            let wrapped = bytes(&key.wrapped)?;
            let id = wrapped.first_chunk::<KEY_ID_BYTES>().copied();
            Ok(Provisional {
                subject: key.subject,
                key: KeyId(id.ok_or(io::ErrorKind::InvalidData)?),
                wrapped,
            })
        };
        Ok(Self {
            log: LogId {
                tenant: line.tenant,
                env: line.env,
            },
            body: bytes(&line.body)?,
            keys: line.keys.into_iter().map(key).collect::<io::Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(env: Env, body: &str) -> Waiting {
        Waiting {
            log: LogId {
                tenant: "t_a".parse().unwrap(),
                env,
            },
            body: body.as_bytes().to_vec(),
            keys: vec![Provisional {
                subject: "u_a".parse().unwrap(),
                key: KeyId([7; KEY_ID_BYTES]),
                wrapped: vec![7; 60],
            }],
        }
    }

    fn bodies(spool: &Spool) -> Vec<String> {
        let all = spool.waiting().unwrap().into_iter();
        all.map(|one| String::from_utf8(one.body).unwrap())
            .collect()
    }

    #[test]
    fn what_waits_survives_in_order_and_is_forgotten_piece_by_piece() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let (dev, prod) = (Env::Dev, Env::Prod);
        let spool = Spool::open(&path).unwrap();
        for (env, body) in [(dev, "1"), (prod, "2"), (dev, "3")] {
            spool.keep(&waiting(env, body)).unwrap();
        }
        drop(spool);
        let spool = Spool::open(&path).unwrap();
        assert_eq!(bodies(&spool), ["1", "2", "3"]);
        assert!(spool.holds(&waiting(prod, "").log));
        spool.forget(&[false, true]).unwrap();
        assert_eq!(
            (bodies(&spool), spool.len()),
            (vec!["1".into(), "3".into()], 2)
        );
        assert!(!spool.holds(&waiting(prod, "").log) && spool.holds(&waiting(dev, "").log));
        spool.keep(&waiting(prod, "4")).unwrap();
        spool.forget(&[true, true]).unwrap();
        assert_eq!(bodies(&Spool::open(&path).unwrap()), ["4"]);
    }

    #[test]
    fn a_full_spool_refuses_and_keeps_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let spool = Spool::open(&path).unwrap();
        spool.keep(&waiting(Env::Dev, "1")).unwrap();
        let one = std::fs::metadata(&path).unwrap().len();
        let spool = Spool::with_room(&path, 2 * one).unwrap();
        spool.keep(&waiting(Env::Dev, "2")).unwrap();
        let full = spool.keep(&waiting(Env::Dev, "3")).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert_eq!(
            (bodies(&spool), spool.len()),
            (vec!["1".into(), "2".into()], 2)
        );
        spool.forget(&[true]).unwrap();
        spool.keep(&waiting(Env::Dev, "3")).unwrap();
        assert_eq!(bodies(&spool), ["2", "3"]);
    }

    #[test]
    fn a_torn_line_never_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let spool = Spool::open(&path).unwrap();
        spool.keep(&waiting(Env::Dev, "1")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        spool.keep(&waiting(Env::Dev, "2")).unwrap();
        drop(spool);
        let both = std::fs::read(&path).unwrap();
        for cut in whole.len()..both.len() {
            std::fs::write(&path, &both[..cut]).unwrap();
            let spool = Spool::open(&path).unwrap();
            assert_eq!(bodies(&spool), ["1"], "{cut}");
            spool.keep(&waiting(Env::Dev, "3")).unwrap();
            assert_eq!(bodies(&spool), ["1", "3"], "{cut}");
        }
    }

    #[test]
    fn a_damaged_line_is_an_error_and_not_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        std::fs::write(&path, b"{\"tenant\":\n").unwrap();
        assert!(Spool::open(&path).is_err());
    }
}
