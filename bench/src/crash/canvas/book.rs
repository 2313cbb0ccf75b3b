//! The books of one canvas: its log, checked from its first commit on.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use canvas::{
    Commit,
    model::{Digest, Node, State},
};

use super::load::Acked;

/// What the books show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Acknowledged batches that are not where they were acknowledged.
    pub(super) lost: Vec<String>,
    /// Batches that were carried out more than once.
    pub(super) repeated: Vec<String>,
    /// Commits that someone saw, and that are not there.
    pub(super) ahead: Vec<String>,
    /// What does not fit the chain, and what nobody sent.
    pub(super) wrong: Vec<String>,
}

impl Findings {
    /// Whether there are none.
    pub(super) fn is_sound(&self) -> bool {
        self.all().next().is_none()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        let Self {
            lost,
            repeated,
            ahead,
            wrong,
        } = self;
        lost.iter().chain(repeated).chain(ahead).chain(wrong)
    }

    /// Adds what another round found.
    pub(super) fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.repeated.extend(other.repeated);
        self.ahead.extend(other.ahead);
        self.wrong.extend(other.wrong);
    }
}

/// A commit that someone was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) rev: u64,
    pub(super) commit_hash: String,
}

/// A batch, by its client and its id.
type Name = (String, String);

/// What is known of a canvas.
#[derive(Default)]
pub(super) struct Book {
    state: State,
    /// Of every commit, the first one first: its batch, its hash, and that of its state.
    log: Vec<(Name, Digest, Digest)>,
    revs: BTreeMap<Name, u64>,
}

impl Book {
    /// The last revision that was checked.
    pub(super) fn rev(&self) -> u64 {
        self.log.len() as u64
    }

    /// Enters the commits that follow: each has to fit the one before, and to make the state that it says.
    pub(super) fn enter(&mut self, commits: &[Commit], findings: &mut Findings) {
        for commit in commits {
            let before = self.log.last().map_or(Digest::ZERO, |(_, hash, _)| *hash);
            let follows = commit.follows(self.rev(), &before);
            let mut changes = commit.commands.iter().map(|command| &command.change);
            let performed = changes.try_for_each(|change| self.state.perform(change));
            let makes = performed.is_ok() && self.state.hash() == commit.state_hash;
            if !follows || !makes {
                let wrong = format!("commit {} does not fit the one before", commit.rev);
                findings.wrong.push(wrong);
            }
            let name = (commit.client_id.to_string(), commit.batch_id.to_string());
            if let Some(first) = self.revs.insert(name.clone(), commit.rev) {
                let repeated = format!("{name:?} made {first} and {}", commit.rev);
                findings.repeated.push(repeated);
            }
            self.log.push((name, commit.hash(), commit.state_hash));
        }
    }

    /// Compares what was acknowledged with the log.
    pub(super) fn check_acked(&self, acked: &[Acked], findings: &mut Findings) {
        for Acked {
            batch,
            rev,
            state_hash,
        } in acked
        {
            let found = self.at(*rev);
            let is_there = found.is_some_and(|((client, id), _, state)| {
                (client, id) == (&batch.client, &batch.id) && state.to_string() == *state_hash
            });
            if !is_there {
                let lost = format!("{batch:?} was acknowledged at {rev}; there is {found:?}");
                findings.lost.push(lost);
            }
        }
    }

    /// Nobody may have been told of what is not in the log, or of anything twice or out of order.
    pub(super) fn check_seen(&self, seen: &[Seen], findings: &mut Findings) {
        for (one, next) in seen.iter().zip(seen.iter().skip(1)) {
            if next.rev != one.rev + 1 {
                let wrong = format!("{} was told after {}", next.rev, one.rev);
                findings.wrong.push(wrong);
            }
        }
        for Seen { rev, commit_hash } in seen {
            let found = self.at(*rev);
            if found.is_none_or(|(_, hash, _)| hash.to_string() != *commit_hash) {
                let ahead = format!("{commit_hash} was seen at {rev}; there is {found:?}");
                findings.ahead.push(ahead);
            }
        }
    }

    /// All that is in the log was acknowledged to someone.
    pub(super) fn check_owned(&self, acked: &[Acked], findings: &mut Findings) {
        let acked = acked.iter();
        let owned: BTreeSet<(&str, &str)> = acked
            .map(|one| (one.batch.client.as_str(), one.batch.id.as_str()))
            .collect();
        for ((client, id), ..) in &self.log {
            if !owned.contains(&(client.as_str(), id.as_str())) {
                let wrong = format!("nobody was told of the batch {id} of {client}");
                findings.wrong.push(wrong);
            }
        }
    }

    /// Compares the canvas as it is shown with the one that the log makes.
    ///
    /// # Errors
    /// When the nodes that are shown are no canvas.
    pub(super) fn check_head(
        &mut self,
        rev: u64,
        state_hash: &str,
        nodes: Vec<Node>,
        findings: &mut Findings,
    ) -> Result<()> {
        let shown = State::of(nodes)?.hash();
        let made = self.state.hash();
        if rev != self.rev() || state_hash != made.to_string() || shown != made {
            let head = self.rev();
            let wrong = format!("{state_hash} is shown at {rev}, and {head} makes {made}");
            findings.wrong.push(wrong);
        }
        Ok(())
    }

    fn at(&self, rev: u64) -> Option<&(Name, Digest, Digest)> {
        let at = usize::try_from(rev.checked_sub(1)?).ok()?;
        self.log.get(at)
    }
}

#[cfg(test)]
mod tests {
    use canvas::{Actor, Mode, model::Command, model::Kind};
    use identity::Timestamp;

    use super::{super::load::Batch, *};

    /// A log of `batches`, each of which makes a node.
    fn log(batches: &[&str]) -> Vec<Commit> {
        let (mut state, mut prev) = (State::default(), Digest::ZERO);
        let numbered = batches.iter().zip(1..);
        let commits = numbered.map(|(batch, rev)| {
            let args = format!(r#"{{"node":"n{rev}","type":"t"}}"#);
            let command = Command::parse(Kind::Create, &args).unwrap();
            let carried = state.carry_out(&"1".parse().unwrap(), &command).unwrap();
            let commit = Commit {
                actor: Actor {
                    agent: None,
                    user_id: "u_1".parse().unwrap(),
                },
                at: Timestamp::from_unix_ms(0),
                base_rev: rev - 1,
                batch_id: batch.parse().unwrap(),
                client_id: "c".parse().unwrap(),
                commands: vec![carried.effective],
                commit_hash: None,
                epoch: 1,
                mode: Some(Mode::Strict),
                prev_hash: prev,
                rebased_over: Vec::new(),
                request_id: "r".to_owned(),
                restores: None,
                rev,
                state_hash: state.hash(),
                traceparent: "00".to_owned(),
                undoes: None,
            };
            let commit = commit.sealed();
            prev = commit.hash();
            commit
        });
        commits.collect()
    }

    fn acked(commit: &Commit) -> Acked {
        Acked {
            batch: Batch::named("c", commit.batch_id.as_str()),
            rev: commit.rev,
            state_hash: commit.state_hash.to_string(),
        }
    }

    fn seen(commit: &Commit) -> Seen {
        Seen {
            rev: commit.rev,
            commit_hash: commit.hash().to_string(),
        }
    }

    /// What is found, as `[lost, repeated, ahead, wrong]`, when `told` was told and `kept` is kept.
    fn found(told: &[Commit], kept: &[Commit]) -> [usize; 4] {
        let (mut book, mut findings) = (Book::default(), Findings::default());
        let acked: Vec<Acked> = told.iter().map(acked).collect();
        let seen: Vec<Seen> = told.iter().map(seen).collect();
        book.enter(kept, &mut findings);
        book.check_acked(&acked, &mut findings);
        book.check_seen(&seen, &mut findings);
        book.check_owned(&acked, &mut findings);
        let Findings {
            lost,
            repeated,
            ahead,
            wrong,
        } = findings;
        [lost, repeated, ahead, wrong].map(|found| found.len())
    }

    #[test]
    fn a_log_that_is_whole_is_sound() {
        let log = log(&["a", "b", "c"]);
        assert_eq!(found(&log, &log), [0; 4]);
        let mut book = Book::default();
        book.enter(&log, &mut Findings::default());
        let (nodes, hash) = (book.state.nodes(), book.state.clone().hash().to_string());
        let nodes: Vec<Node> = nodes.map(|node| (**node).clone()).collect();
        for (rev, hash, nodes, wrong) in [
            (3, hash.as_str(), nodes.clone(), 0),
            (2, hash.as_str(), nodes.clone(), 1),
            (3, "00", nodes.clone(), 1),
            (3, hash.as_str(), Vec::new(), 1),
        ] {
            let mut findings = Findings::default();
            book.check_head(rev, hash, nodes, &mut findings).unwrap();
            assert_eq!(findings.wrong.len(), wrong);
        }
    }

    #[test]
    fn what_was_told_and_is_gone_is_lost_and_was_ahead() {
        let log = log(&["a", "b", "c"]);
        assert_eq!(found(&log, &log[..2]), [1, 0, 1, 0]);
    }

    #[test]
    fn what_was_done_twice_and_what_nobody_sent_are_found() {
        let twice = log(&["a", "a"]);
        assert_eq!(found(&twice[..1], &twice), [0, 1, 0, 0]);
        let more = log(&["a", "b"]);
        assert_eq!(found(&more[..1], &more), [0, 0, 0, 1]);
    }

    #[test]
    fn what_is_told_twice_or_left_out_is_wrong() {
        let log = log(&["a", "b", "c"]);
        let mut book = Book::default();
        book.enter(&log, &mut Findings::default());
        for (told, wrong) in [([0, 1, 2], 0), ([0, 1, 1], 1), ([0, 2, 1], 2)] {
            let mut findings = Findings::default();
            let told = told.map(|at: usize| seen(&log[at]));
            book.check_seen(&told, &mut findings);
            assert_eq!(findings.wrong.len(), wrong);
        }
        let mut findings = Findings::default();
        book.check_seen(&[seen(&log[0]), seen(&log[2])], &mut findings);
        assert_eq!(findings.wrong.len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_wrong() {
        let mut bent = log(&["a", "b"]);
        bent[1].base_rev = 0;
        assert_eq!(found(&log(&["a", "b"]), &bent), [0, 0, 0, 1]);
        let log = log(&["a", "b", "c"]);
        let dropped = [log[0].clone(), log[2].clone()];
        assert_eq!(found(&dropped, &dropped), [1, 0, 1, 2]);
    }
}
