//! Receipts and exports: what shows a stranger that a record is in its log.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use identity::Scope;
use store::StoreError;

use super::{
    Audit, LogId, ReadError,
    leaves::Leaves,
    logs::Log,
    publisher::Told,
    stored::{Said, StoredHead},
};
use crate::{
    Evidence, ExportWriter, Hash, Receipt, Seq, Since,
    export::BLOCK_RECORDS_MAX,
    log::{Ask, LogState, StoredTiles, Tile},
};

/// How long a receipt waits for the epoch that covers its record.
const EPOCH_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often evidence is put together again because an epoch was closed meanwhile.
const TRIES_MAX: usize = 8;

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The record cannot be read, or its proof cannot be made.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no such record.
    #[error("there is no such record")]
    NotFound,
    /// No checkpoint covers the record yet; try again in a moment.
    #[error("no checkpoint covers the record yet")]
    NotYet,
    /// The checkpoint that the reader names is not known here.
    #[error("there is no checkpoint of that size")]
    UnknownCheckpoint,
}

impl From<StoreError> for ProofError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}

/// A log as the last checkpoint tells of it.
struct Vouched {
    log: Arc<Log>,
    /// At least as new as what was told.
    state: LogState,
    said: Said,
    evidence: Evidence,
}

impl Audit {
    /// The receipt of the record at `seq`. `since` is the size of a checkpoint that the
    /// reader knows, to be shown that the present one continues it.
    ///
    /// # Errors
    /// [`ProofError`].
    pub async fn receipt(
        &self,
        scope: &Scope,
        seq: Seq,
        since: Option<u64>,
    ) -> Result<Receipt, ProofError> {
        let entry = self.entry(scope, seq).await?.ok_or(ProofError::NotFound)?;
        let vouched = self.covering(scope, seq.get(), since).await?;
        let ask = Ask::Inclusion {
            index: seq.index(),
            size: vouched.said.size,
        };
        let proof = self.prove(&vouched.log, &vouched.state, ask).await?;
        let leaf = String::from_utf8(entry.bytes).map_err(|_| ProofError::NotFound)?;
        let mut receipt = Receipt::new(seq, leaf, proof, vouched.evidence);
        receipt.opened = entry.opened.fields;
        Ok(receipt)
    }

    /// What the last checkpoint says of the scope's log, once it covers `seq`.
    async fn covering(
        &self,
        scope: &Scope,
        seq: u64,
        since: Option<u64>,
    ) -> Result<Vouched, ProofError> {
        let log = self.logs.find(&LogId::of(scope)).await?;
        let log = log.ok_or(ProofError::NotFound)?;
        let mut notes = self.publisher.notes();
        let covered = async {
            loop {
                notes.borrow_and_update();
                let vouched = self.vouch(&log, since).await?;
                if let Some(vouched) = vouched.filter(|vouched| vouched.said.size >= seq) {
                    return Ok(vouched);
                }
                self.catch_up().await;
                if notes.changed().await.is_err() {
                    return Err(ProofError::NotYet);
                }
            }
        };
        tokio::time::timeout(EPOCH_WAIT_MAX, covered)
            .await
            .unwrap_or(Err(ProofError::NotYet))
    }

    /// What the last checkpoint says of a log; `None` if it does not know it.
    async fn vouch(
        &self,
        log: &Arc<Log>,
        since: Option<u64>,
    ) -> Result<Option<Vouched>, ProofError> {
        for _ in 0..TRIES_MAX {
            let head = self.head_of(log).await?;
            let Some(told) = self.publisher.told(log.slot.into()) else {
                return Ok(None);
            };
            let Some(said) = head.said_in(told.epoch.number) else {
                return Ok(None);
            };
            // The epoch may be newer than the head that was read.
            if told.holds(&head.leaf(&said)) {
                let evidence = self.evidence(&head, &said, told, since).await?;
                return Ok(Some(Vouched {
                    log: Arc::clone(log),
                    state: head.state,
                    said,
                    evidence,
                }));
            }
            // The node that leads may have closed an epoch since.
            self.catch_up().await;
        }
        Err(ProofError::NotYet)
    }

    async fn evidence(
        &self,
        head: &StoredHead,
        said: &Said,
        told: Told,
        since: Option<u64>,
    ) -> Result<Evidence, ProofError> {
        let size = told.log.size();
        let included = Ask::Inclusion {
            index: told.epoch.number - 1,
            size,
        };
        let epoch_proof = self.prove_epochs(&told.log, included).await?;
        let whose = (head.log.tenant.clone(), head.log.env, head.salt);
        let evidence = Evidence::new(
            whose,
            (&head.leaf(said), told.proof),
            (&told.epoch, epoch_proof),
            told.note.to_string(),
        );
        let mut evidence = evidence.ok_or(ProofError::NotYet)?;
        if let Some(old) = since {
            if !(1..=size).contains(&old) {
                return Err(ProofError::UnknownCheckpoint);
            }
            let proof = self.prove_epochs(&told.log, Ask::Consistency { old, size });
            evidence.since = Some(Since {
                size: old,
                proof: proof.await?,
            });
        }
        Ok(evidence)
    }

    /// Answers `ask` about the log of epochs.
    pub(super) async fn prove_epochs(
        &self,
        log: &LogState,
        ask: Ask,
    ) -> Result<Vec<Hash>, StoreError> {
        let corrupt = |why: &dyn std::fmt::Display| StoreError::Corrupt(format!("epochs: {why}"));
        let mut tiles = StoredTiles::default();
        for id in log.needs(ask).map_err(|why| corrupt(&why))? {
            let stored = self.documents.get(&self.layout.epoch_tile(id)).await?;
            if let Some(tile) = stored.and_then(|stored| Tile::decode(id, &stored.value)) {
                tiles.insert(tile);
            }
        }
        log.prove(ask, &tiles).map_err(|why| corrupt(&why))
    }

    /// Sees to it that the scope's log has a record `seq`, so that it is worth waiting for.
    async fn reaches(&self, scope: &Scope, seq: u64) -> Result<(), ProofError> {
        let log = self.logs.find(&LogId::of(scope)).await?;
        let log = log.ok_or(ProofError::NotFound)?;
        match self.events.bounds(&log.records).await?.head {
            head if seq <= head => Ok(()),
            _ => Err(ProofError::NotFound),
        }
    }

    /// The records `from` to `to` of the scope's log with all proofs, as JSON lines that
    /// verify offline; `to` is what the last checkpoint covers, when absent.
    ///
    /// # Errors
    /// [`ProofError`] before the first byte; a failure later ends the stream early, and
    /// what was sent does not verify.
    pub async fn export(
        self: &Arc<Self>,
        scope: &Scope,
        from: Seq,
        to: Option<u64>,
        since: Option<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ProofError>>, ProofError> {
        if let Some(to) = to {
            self.reaches(scope, to).await?;
        }
        let vouched = self.covering(scope, to.unwrap_or(1), since).await?;
        let to = to.unwrap_or(vouched.said.size);
        if to < from.index() {
            return Err(ProofError::NotFound);
        }
        let oldest = self.head_of(&vouched.log).await?.oldest();
        if from.get() < oldest {
            return Err(ReadError::Removed { oldest }.into());
        }
        let ask = Ask::Frontier { size: from.index() };
        let frontier = self.prove(&vouched.log, &vouched.state, ask).await?;
        let started = ExportWriter::start(from, to, frontier, vouched.evidence.clone());
        let (writer, header) = started.map_err(unwritable)?;
        let export = Export {
            audit: Arc::clone(self),
            vouched,
            writer,
            next: from.get(),
            to,
        };
        let first = stream::iter([Ok(Bytes::from(header))]);
        let rest = stream::try_unfold(Some(export), |export| async {
            match export {
                Some(export) => export.step().await.map(Some),
                None => Ok(None),
            }
        });
        Ok(first.chain(rest).boxed())
    }
}

fn unwritable(error: impl std::fmt::Display) -> ProofError {
    StoreError::Corrupt(format!("an export: {error}")).into()
}

/// An export that is being written.
struct Export {
    audit: Arc<Audit>,
    vouched: Vouched,
    writer: ExportWriter,
    next: u64,
    to: u64,
}

impl Export {
    /// The next block, or the trailer, and what is left.
    async fn step(mut self) -> Result<(Bytes, Option<Self>), ProofError> {
        if self.next > self.to {
            let trailer = self.writer.finish(self.audit.publisher.signers());
            return Ok((trailer.map_err(unwritable)?.into(), None));
        }
        let (log, state) = (Arc::clone(&self.vouched.log), &self.vouched.state);
        let after = self.next - 1;
        let end = self.to.min(after + BLOCK_RECORDS_MAX as u64);
        let leaves = Ask::Leaves {
            from: after,
            to: end,
        };
        let hashes = self.audit.prove(&log, state, leaves).await?;
        let since = Ask::Consistency {
            old: end,
            size: self.vouched.said.size,
        };
        let proof = self.audit.prove(&log, state, since).await?;
        let mut bytes = self.writer.block(hashes, proof).map_err(unwritable)?;
        let held = &mut Leaves::new(&log, state);
        while self.next <= end {
            let limit = usize::try_from(end + 1 - self.next).unwrap_or(BLOCK_RECORDS_MAX);
            let after = self.next - 1;
            let entries = self.audit.entries_after(held, after, limit).await?;
            if entries.is_empty() {
                return Err(self.audit.missing(&log, self.next).await.into());
            }
            for entry in entries {
                let line = self.writer.record(entry.seq, entry.bytes, entry.opened);
                bytes.extend(line.map_err(unwritable)?);
                self.next += 1;
            }
        }
        Ok((bytes.into(), Some(self)))
    }
}
