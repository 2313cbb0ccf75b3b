//! Intents that nobody will conclude any more: each is closed, once.

use std::collections::BTreeMap;

use serde_json::Map;
use store::{Cursor, READ_EVENTS_MAX, Read, StoreError};

use super::{
    Audit,
    integrate::{checked, note_phase},
    logs::Log,
    stored::StoredHead,
};
use crate::{Actor, DatasetEvent, Hash, Label, Leaf, Outcome, Phase, Seq, Training};

/// Intents without an outcome, with what they say where it was read.
type Open = BTreeMap<u64, Option<Leaf>>;

impl Audit {
    /// Closes those intents without an outcome that `left` names: nobody is left who knows how
    /// they ended.
    pub(super) async fn close_orphans(
        &self,
        log: &Log,
        head: StoredHead,
        left: impl Fn(u64) -> bool,
    ) -> Result<(), StoreError> {
        for (seq, leaf) in self.open_intents(log, head).await? {
            if left(seq) {
                let leaf = self.intent_at(log, seq, leaf).await?;
                // Who should have told the other nodes of it is gone.
                if leaf.action == Label::subject_erased() {
                    self.tell_erased(&log.id.tenant).await?;
                }
                self.conclude(log, seq, leaf, Outcome::Unknown).await;
            }
        }
        Ok(())
    }

    /// Closes intents that came from the spool: whoever made them was never told their
    /// seqs, and recorded how they ended as an event. `outcome` says how, if it is known.
    pub(super) async fn close_spooled(
        &self,
        log: &Log,
        mut spooled: BTreeMap<u64, (Leaf, Option<Outcome>)>,
    ) -> Result<(), StoreError> {
        let head = self.head_of(log).await?;
        for seq in self.open_intents(log, head).await?.into_keys() {
            if let Some((leaf, outcome)) = spooled.remove(&seq) {
                let outcome = outcome.unwrap_or(Outcome::Unknown);
                self.conclude(log, seq, leaf, outcome).await;
            }
        }
        Ok(())
    }

    /// The intents that no record in the log concludes.
    async fn open_intents(&self, log: &Log, head: StoredHead) -> Result<Open, StoreError> {
        let mut seq = head.state.size();
        let mut open = head.open;
        let mut leaves = BTreeMap::new();
        let epoch = self.events.bounds(&log.records).await?.epoch;
        loop {
            let after = Some(Cursor { epoch, seq });
            let read = self.events.read(&log.records, after, READ_EVENTS_MAX);
            let Read::Page { events, .. } = read.await? else {
                break;
            };
            let Some(last) = events.last() else {
                break;
            };
            seq = last.cursor.seq;
            for event in &events {
                let seq = event.cursor.seq;
                match checked(&log.id, &event.body) {
                    Ok((_, leaf)) => {
                        note_phase(&mut open, seq, &leaf.phase);
                        if leaf.phase == Phase::Intent {
                            leaves.insert(seq, leaf);
                        }
                    }
                    Err(why) => self.freeze(format!("{} at seq {seq}: {why}", log.id)),
                }
            }
        }
        let open = open.into_iter();
        Ok(open.map(|seq| (seq, leaves.remove(&seq))).collect())
    }

    async fn intent_at(&self, log: &Log, seq: u64, leaf: Option<Leaf>) -> Result<Leaf, StoreError> {
        if let Some(leaf) = leaf {
            return Ok(leaf);
        }
        let missing = || StoreError::Corrupt(format!("{} has no intent at seq {seq}", log.id));
        let epoch = self.events.bounds(&log.records).await?.epoch;
        let before = seq.checked_sub(1).ok_or_else(missing)?;
        let after = Cursor { epoch, seq: before };
        let Read::Page { events, .. } = self.events.read(&log.records, Some(after), 1).await?
        else {
            return Err(missing());
        };
        let event = events.first().filter(|event| event.cursor.seq == seq);
        let said = checked(&log.id, &event.ok_or_else(missing)?.body);
        let leaf = said
            .map_err(|why| StoreError::Corrupt(format!("{}: {why}", log.id)))?
            .1;
        if leaf.phase == Phase::Intent {
            Ok(leaf)
        } else {
            Err(missing())
        }
    }

    async fn conclude(&self, log: &Log, seq: u64, leaf: Leaf, outcome: Outcome) {
        let Ok(intent) = Seq::try_from(seq) else {
            return;
        };
        let event = DatasetEvent {
            tenant: log.id.tenant.clone(),
            env: log.id.env,
            project: leaf.project,
            time: self.clock.now(),
            actor: Actor::System(Label::recovery()),
            action: leaf.action,
            target: None,
            phase: Phase::Outcome { intent, outcome },
            request_id: leaf.request_id,
            traceparent: leaf.traceparent,
            training: Training {
                allowed: false,
                ..leaf.training
            },
            idempotency: self.nodes.is_some().then(|| once(log, seq)),
            repeated: 1,
            metadata: Map::new(),
            personal: Vec::new(),
        };
        let recorded = self.write(&event).await;
        tracing::info!(log = %log.id, seq, ?recorded, "an intent is closed");
    }
}

/// Two nodes that close an intent, one after the other has stood still, close it once.
fn once(log: &Log, seq: u64) -> Hash {
    let (tenant, env) = (log.id.tenant.as_str(), log.id.env.as_str());
    Hash::of(&[
        b"tenantry-audit/orphan/v1\n",
        tenant.as_bytes(),
        &[0],
        env.as_bytes(),
        &seq.to_be_bytes(),
    ])
}
