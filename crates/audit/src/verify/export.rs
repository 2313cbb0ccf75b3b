//! A range of a log, line by line, in bounded memory.

use std::{collections::VecDeque, io::BufRead, io::Read};

use identity::{Env, TenantId};
use sha2::{Digest, Sha256};

use super::{RecordFault, VerifyError, evidence, receipt::content};
use crate::{
    Anchored, Checkpoint, Continuity, Epoch, Evidence, Hash, Seq, Trust,
    export::{
        BLOCK_RECORDS_MAX, Block, EXPORT_FORMAT, ExportedRecord, Header, LINE_BYTES_MAX, Line,
        Trailer,
    },
    log::{Frontier, verify_consistency},
};

/// What a verified export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose log.
    pub tenant: TenantId,
    /// Of which environment.
    pub env: Env,
    /// The first record.
    pub from: Seq,
    /// The last record; `from - 1` if there is none.
    pub to: u64,
    /// How many records there are.
    pub records: u64,
    /// How many of them show personal values, each the recorded one.
    pub opened: u64,
    /// How many of them have values that were erased.
    pub erased: u64,
    /// How many records the log has under the checkpoint.
    pub log_size: u64,
    /// The epoch that says so.
    pub epoch: Epoch,
    /// The checkpoint that the epoch is under.
    pub checkpoint: Checkpoint,
    /// How that relates to the checkpoint that was known.
    pub continuity: Continuity,
}

impl Report {
    /// Whether the export holds the whole log as of its checkpoint.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.from == Seq::FIRST && self.to == self.log_size
    }
}

/// Checks an export against `trust`, and against a newer checkpoint if one is `known`.
///
/// Reads to the end, one line at a time.
///
/// # Errors
/// As [`VerifyError`] says, with the first record at which something is wrong.
pub fn export(
    reader: impl BufRead,
    trust: &Trust,
    known: Option<&Checkpoint>,
) -> Result<Report, VerifyError> {
    let mut lines = Lines {
        reader,
        digest: Sha256::new(),
        line: Vec::new(),
    };
    let Some(Line::Header(header)) = lines.next(0)? else {
        return Err(VerifyError::Malformed("the header is missing".to_owned()));
    };
    lines.accept();
    let mut export = Export::start(*header, trust, known)?;
    loop {
        match lines.next(export.next - 1)? {
            Some(Line::Block(block)) => export.block(block)?,
            Some(Line::Record(record)) => export.record(&record)?,
            Some(Line::Trailer(trailer)) => {
                export.trailer(&trailer, lines.digest(), trust)?;
                lines.end(trailer, export.next - 1)?;
                return Ok(export.report());
            }
            Some(Line::Header(_)) => return Err(export.missing()),
            None => return Err(export.truncated()),
        }
        lines.accept();
    }
}

struct Export {
    header: Header,
    anchored: Anchored,
    /// The log up to the end of the present block.
    frontier: Frontier,
    /// The leaf hashes of the records of the block that are still to come.
    expected: VecDeque<Hash>,
    next: u64,
    opened: u64,
    erased: u64,
}

impl Export {
    fn start(
        header: Header,
        trust: &Trust,
        known: Option<&Checkpoint>,
    ) -> Result<Self, VerifyError> {
        let malformed = |why: &str| VerifyError::Malformed(why.to_owned());
        if header.format != EXPORT_FORMAT {
            return Err(malformed("its format is unknown"));
        }
        let anchored = evidence(&header.evidence, trust, known)?;
        let before = header.from.index();
        if header.to < before || header.to > anchored.head.size {
            return Err(malformed("its range is not in the log"));
        }
        let frontier = Frontier::from_parts(before, header.frontier.clone())
            .ok_or_else(|| malformed("its frontier does not fit"))?;
        Ok(Self {
            next: header.from.get(),
            header,
            anchored,
            frontier,
            expected: VecDeque::new(),
            opened: 0,
            erased: 0,
        })
    }

    /// Takes the leaf hashes of a block, after showing that the log has them.
    fn block(&mut self, block: Block) -> Result<(), VerifyError> {
        let head = &self.anchored.head;
        let end = self.next - 1 + block.hashes.len() as u64;
        if !self.expected.is_empty() || self.next > self.header.to {
            return Err(self.missing());
        }
        let at = self.fault_at();
        let refused = VerifyError::Block { first: at };
        let count = (1..=BLOCK_RECORDS_MAX).contains(&block.hashes.len());
        if block.first != at || !count || end > self.header.to {
            return Err(refused);
        }
        for hash in &block.hashes {
            self.frontier.push(*hash);
        }
        let root = self.frontier.root();
        verify_consistency(end, root, head.size, head.root, &block.proof).map_err(|_| refused)?;
        self.expected = block.hashes.into();
        Ok(())
    }

    fn record(&mut self, record: &ExportedRecord) -> Result<(), VerifyError> {
        let seq = self.fault_at();
        let at = |fault| VerifyError::Record { seq, fault };
        if record.seq != seq {
            return Err(at(RecordFault::Order(record.seq)));
        }
        let bytes = record.leaf.as_bytes();
        if self.expected.pop_front() != Some(Hash::of_leaf(bytes)) {
            return Err(at(RecordFault::NotInLog));
        }
        let leaf = content(bytes, &record.opened, &self.header.evidence).map_err(at)?;
        let committed = leaf.commitments();
        for field in &record.erased {
            if !committed.contains_key(field) || record.opened.contains_key(field) {
                return Err(at(RecordFault::Erased(field.clone())));
            }
        }
        self.opened += u64::from(!record.opened.is_empty());
        self.erased += u64::from(!record.erased.is_empty());
        self.next += 1;
        Ok(())
    }

    fn trailer(&self, found: &Trailer, sha256: Hash, trust: &Trust) -> Result<(), VerifyError> {
        if self.next <= self.header.to {
            return Err(self.missing());
        }
        let records = self.next - self.header.from.get();
        let wrong = |what| VerifyError::Trailer {
            last: self.next - 1,
            what,
        };
        if found.records != records || found.sha256 != sha256 {
            return Err(wrong("the trailer does not cover what is before it"));
        }
        let text = trust
            .signed_text(&found.note)
            .map_err(VerifyError::TrailerNote)?;
        if text != Trailer::text(trust.origin(), records, sha256) {
            return Err(wrong("the signature is of another export"));
        }
        Ok(())
    }

    /// The record that is expected next, for errors.
    fn fault_at(&self) -> Seq {
        Seq::try_from(self.next).unwrap_or(self.header.from)
    }

    fn missing(&self) -> VerifyError {
        VerifyError::Record {
            seq: self.fault_at(),
            fault: RecordFault::Missing,
        }
    }

    fn truncated(&self) -> VerifyError {
        if self.next <= self.header.to {
            return self.missing();
        }
        VerifyError::Trailer {
            last: self.next - 1,
            what: "the trailer is missing",
        }
    }

    fn report(self) -> Report {
        let Evidence { tenant, env, .. } = self.header.evidence;
        Report {
            tenant,
            env,
            from: self.header.from,
            to: self.header.to,
            records: self.next - self.header.from.get(),
            opened: self.opened,
            erased: self.erased,
            log_size: self.anchored.head.size,
            epoch: self.anchored.epoch,
            checkpoint: self.anchored.checkpoint,
            continuity: self.anchored.continuity,
        }
    }
}

/// The lines of an export, each no longer than [`LINE_BYTES_MAX`].
struct Lines<R> {
    reader: R,
    digest: Sha256,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line, `None` at the end; `last` is the record before it, for errors.
    fn next(&mut self, last: u64) -> Result<Option<Line>, VerifyError> {
        self.line.clear();
        let most = LINE_BYTES_MAX as u64;
        let read = self
            .reader
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        let line = match self.line.strip_suffix(b"\n") {
            Some(line) => serde_json::from_slice(line).ok(),
            None => None,
        };
        line.map(Some).ok_or(VerifyError::Trailer {
            last,
            what: "a line cannot be read",
        })
    }

    /// Counts the present line as one that the trailer covers.
    fn accept(&mut self) {
        self.digest.update(&self.line);
    }

    fn digest(&self) -> Hash {
        Hash::from_bytes(self.digest.clone().finalize().into())
    }

    /// Checks that the present line is `trailer` in its one spelling, and that nothing follows it.
    fn end(&mut self, trailer: Trailer, last: u64) -> Result<(), VerifyError> {
        let same = Line::Trailer(trailer).encode().as_ref() == Some(&self.line);
        if same && self.reader.fill_buf()?.is_empty() {
            return Ok(());
        }
        Err(VerifyError::Trailer {
            last,
            what: "something follows",
        })
    }
}
