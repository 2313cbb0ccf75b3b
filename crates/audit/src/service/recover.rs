//! Taking up the work: what is stored must agree with what was signed.

use std::{collections::HashMap, io, path::PathBuf, sync::Arc};

use store::{Listing, StoreError};

use super::{
    Audit, LogId, anchor,
    integrate::checked,
    layout::Layout,
    logs::Log,
    publisher::{Published, StoredEpoch},
    stored::StoredHead,
};
use crate::{
    Checkpoint, Epoch, Hash, Heads, Phase, Trust, TrustError, TrustFile,
    log::{Ask, Frontier, LogState},
};

/// Why the audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenAuditError {
    /// The store does not answer, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The spool cannot be opened.
    #[error("the audit spool {0}: {1}")]
    Spool(PathBuf, #[source] io::Error),
    /// The anchor cannot be read.
    #[error("the audit anchor {0}: {1}")]
    Anchor(PathBuf, #[source] io::Error),
    /// A former key is malformed.
    #[error(transparent)]
    Key(#[from] TrustError),
}

/// An epoch, the log of epochs up to it, and its note; or why they are not to be believed.
pub(super) type ReadEpoch = Result<(Epoch, LogState, String), String>;

/// A log with records that are not integrated, or with open intents.
pub(super) type Unfinished = (Arc<Log>, StoredHead);

impl Audit {
    /// See [`Audit::open`].
    pub(super) async fn recover(&self) -> Result<(), OpenAuditError> {
        self.take_over().await?;
        metrics::gauge!("tenantry_audit_leader").set(1.0);
        let unfinished = self.resume().await?;
        let spooled = self.spooled_ends().await?;
        for (log, head) in unfinished {
            let ended = spooled.get(&log.id).map_or(&[][..], Vec::as_slice);
            let open = |seq: u64| !ended.contains(&seq);
            self.close_orphans(&log, head, open).await?;
        }
        Ok(())
    }

    /// Takes up the work of whoever had it before: the store is read, and must agree with what was
    /// signed. Nothing is unfinished when this process is frozen, or has been taken over from.
    pub(super) async fn resume(&self) -> Result<Vec<Unfinished>, OpenAuditError> {
        self.take_suspicion();
        let latest = self.documents.get(&self.layout.latest_epoch()).await?;
        let anchored = self.anchored(&self.trust()?)?;
        let mut resumed = None;
        match &latest {
            None => {
                if anchored.is_some() {
                    self.suspect("the anchor tells of epochs, the store has none");
                }
            }
            Some(latest) => {
                let read = self.read_epoch(&self.trust()?, &latest.value)?;
                match read {
                    Ok((epoch, log, note)) => {
                        self.check_epoch(&epoch, &log, anchored.as_ref()).await?;
                        resumed = Some((epoch, log, note, latest.version));
                    }
                    Err(why) => self.suspect(format!("the last epoch: {why}")),
                }
            }
        }
        let number = resumed.as_ref().map_or(0, |(epoch, ..)| epoch.number);
        self.check_last(number).await?;
        let found = self.find_heads(number).await?;
        if let Some((epoch, log, note, version)) = resumed {
            let heads = Heads::new(found.told);
            if heads.slots() != epoch.slots || heads.root() != epoch.heads {
                self.suspect(format!("the stored heads are not those of epoch {number}"));
            }
            let published = Published {
                heads,
                log,
                epoch: Some(epoch),
                version: Some(version),
            };
            self.publisher.resume(published, &note);
        }
        if let Some(why) = self.take_suspicion() {
            self.contradicted(why).await?;
            return Ok(Vec::new());
        }
        self.publisher.await_epoch(found.waiting);
        Ok(found.unfinished)
    }

    /// Notes what the store should not say. It counts once it is known that no other node has
    /// changed the store meanwhile.
    pub(super) fn suspect(&self, why: impl Into<String>) {
        let why = why.into();
        tracing::warn!(why, "the audit log is not as it should be");
        // The first reason stands.
        self.suspicion.lock().get_or_insert(why);
    }

    pub(super) fn take_suspicion(&self) -> Option<String> {
        self.suspicion.lock().take()
    }

    /// The last epoch, signed in the name of this log or of one that it succeeds.
    pub(super) fn read_epoch(&self, own: &Trust, stored: &[u8]) -> Result<ReadEpoch, TrustError> {
        let mut read = read_epoch(own, stored);
        for predecessor in &self.config.predecessors {
            if read.is_err() {
                let trust = Trust::new(predecessor.clone())?;
                // The fault in our own name is the one to be told.
                read = read_epoch(&trust, stored).or(read);
            }
        }
        Ok(read)
    }

    /// The intents whose outcomes wait in the spool, by log.
    pub(super) async fn spooled_ends(&self) -> Result<HashMap<LogId, Vec<u64>>, OpenAuditError> {
        let spool = Arc::clone(&self.spool);
        let waiting = tokio::task::spawn_blocking(move || spool.waiting()).await;
        let waiting = waiting.unwrap_or_else(|error| Err(io::Error::other(error)));
        let waiting =
            waiting.map_err(|error| OpenAuditError::Spool(self.config.spool.clone(), error))?;
        let mut ends: HashMap<LogId, Vec<u64>> = HashMap::new();
        for one in waiting {
            let said = checked(&one.log, &one.body.into());
            if let Ok(Phase::Outcome { intent, .. }) = said.map(|(_, leaf)| leaf.phase) {
                ends.entry(one.log).or_default().push(intent.get());
            }
        }
        Ok(ends)
    }

    pub(super) fn trust(&self) -> Result<Trust, TrustError> {
        let signers = self.publisher.signers();
        let mut keys = signers.verifier_keys().to_vec();
        keys.extend(self.config.former_keys.iter().cloned());
        Trust::new(TrustFile {
            origin: signers.origin().to_string(),
            keys,
            tenant: None,
            env: None,
            slot: None,
        })
    }

    pub(super) fn anchored(&self, trust: &Trust) -> Result<Option<Checkpoint>, OpenAuditError> {
        let Some(path) = &self.config.anchor else {
            return Ok(None);
        };
        let read = anchor::read(path);
        let note = read.map_err(|error| OpenAuditError::Anchor(path.clone(), error))?;
        let Some(note) = note else {
            return Ok(None);
        };
        match trust.checkpoint(&note) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(why) => {
                self.suspect(format!("the anchor: {why}"));
                Ok(None)
            }
        }
    }

    /// Suspects the store unless the last epoch stands at the end of the log of epochs, and that
    /// log continues the anchored one.
    pub(super) async fn check_epoch(
        &self,
        epoch: &Epoch,
        log: &LogState,
        anchored: Option<&Checkpoint>,
    ) -> Result<(), OpenAuditError> {
        let last = Ask::Leaves {
            from: epoch.number.saturating_sub(1),
            to: epoch.number,
        };
        if self.epoch_hashes(log, last).await? != Some(vec![epoch.leaf_hash()]) {
            let number = epoch.number;
            self.suspect(format!(
                "epoch {number} is not the one in the log of epochs"
            ));
        }
        let copy = self.layout.epoch_leaf(epoch.number);
        let copy = self.documents.get(&copy).await?;
        if copy.is_none_or(|copy| copy.value != epoch.encode()) {
            self.suspect(format!("the leaf of epoch {} was altered", epoch.number));
        }
        let Some(anchored) = anchored else {
            return Ok(());
        };
        let (size, stored) = (anchored.size, log.size());
        if size > stored {
            self.suspect(format!(
                "the anchor tells of epoch {size}, the store ends with {stored}: it is an old copy"
            ));
            return Ok(());
        }
        let hashes = self.epoch_hashes(log, Ask::Frontier { size }).await?;
        let then = hashes.and_then(|hashes| Frontier::from_parts(size, hashes));
        if then.is_none_or(|then| then.root() != anchored.root) {
            self.suspect("the log of epochs is not the one that the anchor tells of");
        }
        Ok(())
    }

    /// What the log of epochs answers; `None` when it is damaged.
    async fn epoch_hashes(
        &self,
        log: &LogState,
        ask: Ask,
    ) -> Result<Option<Vec<Hash>>, StoreError> {
        match self.prove_epochs(log, ask).await {
            Err(StoreError::Corrupt(_)) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Suspects the store if an epoch after `last` is stored: the last one was replaced by an old one.
    async fn check_last(&self, last: u64) -> Result<(), StoreError> {
        let after = self.layout.epoch_leaf(last).id;
        let listing = Listing {
            prefix: Layout::epoch_leaves().to_owned(),
            after: Some(after),
            limit: 1,
        };
        let later = self.documents.list(&self.layout.epochs(), &listing).await?;
        if !later.is_empty() {
            self.suspect(format!(
                "epoch {last} is the last one, and later ones are stored"
            ));
        }
        Ok(())
    }
}

/// The last epoch, if it is what its note says.
fn read_epoch(trust: &Trust, stored: &[u8]) -> ReadEpoch {
    let stored: StoredEpoch = postcard::from_bytes(stored).map_err(|error| error.to_string())?;
    let epoch = Epoch::parse(&stored.leaf).map_err(|error| error.to_string())?;
    let log = LogState::decode(&stored.log).map_err(|error| error.to_string())?;
    let checkpoint = trust
        .checkpoint(&stored.note)
        .map_err(|error| error.to_string())?;
    if checkpoint.size != log.size() || checkpoint.root != log.root() || log.size() != epoch.number
    {
        return Err("it is not what its note says".to_owned());
    }
    Ok((epoch, log, stored.note))
}
