//! One batch, carried out once or not at all, with an answer that says which.
//!
//! A commit that nobody answered may have been carried out, or may be carried out later, when its
//! request arrives. Whoever only looks at the documents cannot tell: another may have written them
//! since. So each commit creates a **receipt** under a token of its own, on the condition that there
//! is none:
//! - sent again, it fails if it was carried out before, and the receipt tells so and when;
//! - if it was not, and its expectations do not hold any more, a **seal** takes the receipt's place
//!   before the conflict is told, so that nothing that is still under way can be carried out.
//!
//! Receipts end after [`RECEIPT_LIFE`], longer than any try can be under way.

use std::{collections::HashMap, time::Duration};

use gcloud_sdk::google::firestore::v1::{CommitResponse, Document as Stored};
use store::{Batch, CommitError, DocKey, Expect, StoreError, Version};
use tonic::Code;

use crate::{
    answer::{Damaged, Fault},
    documents::Core,
    names::Token,
    plan::{Ended, Plan, receipt},
    record::{ENDING, ENDS, SEALED, State, UpdateTime, is_true},
    tries::{OPERATION_WAIT_MAX, Tries},
    wire,
};

/// How long receipts are kept.
const RECEIPT_LIFE: Duration = Duration::from_secs(60 * 60);

/// What became of a batch: its version, or the first document that is not as expected.
type Outcome = Result<Version, DocKey>;

/// A batch on its way.
pub(crate) struct Commit<'a> {
    core: &'a Core,
    batch: &'a Batch,
    plan: Plan<'a>,
    token: Token,
    receipt: String,
    tries: Tries<'a>,
    ended: Ended,
    /// The expectations are compared with what is stored before the next try.
    look_first: bool,
    /// What the conflict was for which a seal was sent.
    refused: Option<DocKey>,
}

impl<'a> Commit<'a> {
    /// The way of a batch; `None` when it is empty.
    pub(crate) fn of(core: &'a Core, batch: &'a Batch) -> Option<Self> {
        let written = batch.writes().first().map(|(key, _)| key);
        let home = written.or_else(|| batch.expectations().first().map(|(key, _)| key))?;
        let mut token = Token([0; 16]);
        core.entropy.fill(&mut token.0);
        let plan = Plan::of(batch);
        let now = core.clock.now();
        let known = |(key, expect): &(DocKey, Expect)| match expect {
            Expect::Absent => true,
            Expect::Version(version) => core.ends.lives(key, *version, now),
        };
        // The service compares states and knows nothing of their ends.
        let look_first = plan.contradicts_itself() || !batch.expectations().iter().all(known);
        Some(Self {
            core,
            batch,
            plan,
            token,
            receipt: core.names.receipt(&home.partition, token),
            tries: Tries::within(OPERATION_WAIT_MAX, &*core.entropy),
            ended: Ended::new(),
            look_first,
            refused: None,
        })
    }

    /// Tries until it is known what became of the batch.
    ///
    /// # Errors
    /// As [`store::Documents::commit`]; [`StoreError::Unavailable`] says whether it may have been applied.
    pub(crate) async fn carry_out(mut self) -> Result<Version, CommitError> {
        loop {
            let fault = match self.attempt().await {
                Ok(outcome) => return outcome.map_err(CommitError::Conflict),
                Err(fault) => fault,
            };
            if let Err(fault) = self.tries.pause(fault).await {
                return Err(self.failed(&fault).into());
            }
        }
    }

    async fn attempt(&mut self) -> Result<Outcome, Fault> {
        if self.look_first
            && let Some(outcome) = self.look().await?
        {
            return Ok(outcome);
        }
        self.look_first = true;
        match self.send().await {
            Ok(answer) => self.done(&answer).map(Ok),
            // A version of a time that has not come, which nobody was given, is invalid to the service.
            Err(fault @ (Fault::Unmet | Fault::Refused(Code::InvalidArgument))) => {
                let outcome = self.look().await?;
                // All holds: something changed in between, or has ended, which is known now.
                self.look_first = false;
                outcome.ok_or(fault)
            }
            Err(fault) => Err(fault),
        }
    }

    async fn send(&self) -> Result<CommitResponse, Fault> {
        let ends = self.core.clock.now().plus(RECEIPT_LIFE);
        let receipt = receipt(self.receipt.clone(), ends, false);
        let names = &self.core.names;
        let writes = self.plan.writes(names, self.token, &self.ended);
        self.write(std::iter::once(receipt).chain(writes).collect())
            .await
    }

    async fn write(&self, writes: Vec<wire::Write>) -> Result<CommitResponse, Fault> {
        let request = wire::CommitRequest {
            database: self.core.names.database().to_owned(),
            writes,
        };
        let deadline = self.tries.deadline();
        self.core.connection.commit(request, deadline).await
    }

    fn done(&self, answer: &CommitResponse) -> Result<Version, Fault> {
        // The receipt is the first of the writes, and all were made at one time.
        let result = answer.write_results.first();
        let updated = result.and_then(|result| result.update_time.as_ref());
        self.version(UpdateTime::of(updated)?)
    }

    /// The version of what was put then.
    fn version(&self, updated: UpdateTime) -> Result<Version, Fault> {
        let version = updated.version(self.plan.something_ends());
        for (key, end) in self.plan.puts() {
            self.core.ends.note(key, version, end);
        }
        Ok(version)
    }

    /// Looks what became of the batch; `None` when nothing did and its expectations hold.
    async fn look(&mut self) -> Result<Option<Outcome>, Fault> {
        let names = &self.core.names;
        let mut asked: Vec<String> = self
            .plan
            .expected()
            .map(|key| names.document(key))
            .collect();
        if self.tries.any_lost() {
            asked.push(self.receipt.clone());
        }
        if asked.is_empty() {
            return Ok(None);
        }
        let deadline = self.tries.deadline();
        let fields = [ENDS, ENDING, SEALED];
        let found = self.core.read(asked, Some(&fields), deadline).await?;
        if let Some(receipt) = found.get(&self.receipt) {
            return self.receipted(receipt).map(Some);
        }
        match self.compare(&found)? {
            None => Ok(None),
            Some(key) if self.tries.any_lost() => self.seal(key).await.map(Some),
            Some(key) => Ok(Some(Err(key))),
        }
    }

    /// What a receipt tells, or the seal in its place.
    fn receipted(&self, receipt: &Stored) -> Result<Outcome, Fault> {
        if is_true(receipt, SEALED) {
            return self.refused.clone().map(Err).ok_or(Fault::Damaged);
        }
        let updated = UpdateTime::of(receipt.update_time.as_ref())?;
        self.version(updated).map(Ok)
    }

    /// The first document that is not as expected; notes those that have ended.
    fn compare(&mut self, found: &HashMap<String, Stored>) -> Result<Option<DocKey>, Damaged> {
        let now = self.core.clock.now();
        self.ended.clear();
        for (key, expect) in self.batch.expectations() {
            let stored = found.get(&self.core.names.document(key));
            let state = stored.map(State::of).transpose()?;
            let living = state.filter(|state| state.lives(now));
            let holds = match expect {
                Expect::Absent => living.is_none(),
                Expect::Version(version) => living.is_some_and(|it| it.version == *version),
            };
            if !holds {
                return Ok(Some(key.clone()));
            }
            if let (None, Some(ended)) = (living, state) {
                self.ended.insert(key.clone(), ended.updated);
            }
        }
        Ok(None)
    }

    /// Keeps a try that is still under way from being carried out, so that a conflict is one for good.
    async fn seal(&mut self, key: DocKey) -> Result<Outcome, Fault> {
        self.refused = Some(key.clone());
        let ends = self.core.clock.now().plus(RECEIPT_LIFE);
        let seal = receipt(self.receipt.clone(), ends, true);
        self.write(vec![seal]).await?;
        Ok(Err(key))
    }

    fn failed(&self, fault: &Fault) -> StoreError {
        match self.core.failed(fault) {
            StoreError::Unavailable(why) if self.tries.any_lost() => {
                StoreError::Unavailable(format!("{why}; whether it was done is not known"))
            }
            error => error,
        }
    }
}
