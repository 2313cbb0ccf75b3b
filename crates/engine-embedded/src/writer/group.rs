//! One group: one transaction, one fsync, then the answers.

use rusqlite::Connection;
use store::{AppendError, Appended, CommitError, ImportError, StoreError, Version};
use tokio::{sync::oneshot, time::Instant};

use super::{Command, Writer};
use crate::error::Fault;

/// What a command will be told once the group is durable.
enum Answer {
    Commit(
        oneshot::Sender<Result<Version, CommitError>>,
        Result<Version, CommitError>,
    ),
    Append(
        oneshot::Sender<Result<Appended, AppendError>>,
        Result<Appended, AppendError>,
    ),
    Import(
        oneshot::Sender<Result<(), ImportError>>,
        Result<(), ImportError>,
    ),
    Done(oneshot::Sender<Result<(), StoreError>>),
}

impl Answer {
    /// Sends it. Whoever asked may be gone; the work is done all the same.
    fn send(self) {
        match self {
            Self::Commit(reply, answer) => drop(reply.send(answer)),
            Self::Append(reply, answer) => drop(reply.send(answer)),
            Self::Import(reply, answer) => drop(reply.send(answer)),
            Self::Done(reply) => drop(reply.send(Ok(()))),
        }
    }

    fn refuse(self, error: StoreError) {
        match self {
            Self::Commit(reply, _) => drop(reply.send(Err(error.into()))),
            Self::Append(reply, _) => drop(reply.send(Err(error.into()))),
            Self::Import(reply, _) => drop(reply.send(Err(error.into()))),
            Self::Done(reply) => drop(reply.send(Err(error))),
        }
    }
}

impl Command {
    fn refuse(self, error: StoreError) {
        match self {
            Self::Commit { reply, .. } => drop(reply.send(Err(error.into()))),
            Self::Append { reply, .. } => drop(reply.send(Err(error.into()))),
            Self::Import { reply, .. } => drop(reply.send(Err(error.into()))),
            Self::Renew { reply, .. } | Self::Erase { reply, .. } | Self::Trim { reply, .. } => {
                drop(reply.send(Err(error)));
            }
        }
    }
}

impl Writer {
    /// Applies `commands` as one durable group and answers each.
    pub(super) fn commit(&mut self, commands: &mut Vec<Command>) {
        if let Some(why) = self.shared.condition.failed() {
            let error = StoreError::ReadOnly(why.to_owned());
            commands
                .drain(..)
                .for_each(|command| command.refuse(error.clone()));
            return;
        }
        let started = Instant::now();
        metrics::histogram!("tenantry_engine_commit_group_size").record(commands.len() as f64);
        let mut answers = Vec::with_capacity(commands.len());
        let mut waiting = commands.drain(..);
        let outcome = self.transact(|writer| {
            writer.events.index(&writer.connection, false)?;
            waiting
                .by_ref()
                .try_for_each(|command| writer.apply(command, &mut answers))?;
            writer.events.write(&writer.connection)
        });
        match outcome {
            Ok(()) => answers.into_iter().for_each(Answer::send),
            Err(fault) => {
                let error = StoreError::from(fault);
                for answer in answers {
                    answer.refuse(error.clone());
                }
                waiting.for_each(|command| command.refuse(error.clone()));
            }
        }
        metrics::histogram!("tenantry_engine_commit_seconds").record(started.elapsed());
    }

    /// Indexes what is not indexed yet.
    pub(super) fn index_all(&mut self) {
        if self.shared.condition.failed().is_none() {
            // A failure was noted; the events stay to be indexed after the next opening.
            let _ = self.transact(|writer| writer.events.index(&writer.connection, true));
        }
    }

    /// Does a bounded piece of upkeep; says whether more waits.
    pub(super) fn keep_up(&mut self) -> bool {
        if self.shared.condition.failed().is_some() {
            return false;
        }
        let now = self.shared.clock.now();
        let step = self.transact(|writer| writer.upkeep.step(&writer.connection, now));
        step.unwrap_or(false)
    }

    /// Runs `work` in a transaction that is durable when this returns `Ok`.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let outcome = run(&self.connection, "BEGIN IMMEDIATE")
            .and_then(|()| work(self))
            .and_then(|done| run(&self.connection, "COMMIT").map(|()| done));
        match &outcome {
            Ok(_) => {
                self.events.settle();
                self.documents.settle();
            }
            Err(fault) => {
                if !self.connection.is_autocommit() {
                    // SQLite undoes an open transaction by itself if this fails too.
                    let _ = run(&self.connection, "ROLLBACK");
                }
                self.events.forget();
                self.documents.forget();
                if let Fault::Lasting(why) = fault {
                    self.shared.condition.fail(why);
                }
            }
        }
        outcome
    }

    /// Does one command, and notes what it will be told, also when the group fails with it.
    fn apply(&mut self, command: Command, answers: &mut Vec<Answer>) -> Result<(), Fault> {
        let (connection, now) = (&self.connection, self.shared.clock.now());
        match command {
            Command::Commit { batch, reply } => {
                let applied = self.documents.apply(connection, &batch, now);
                let applied = applied.map(|done| done.map_err(CommitError::Conflict));
                let (answer, outcome) = split(applied);
                answers.push(Answer::Commit(reply, answer));
                outcome
            }
            Command::Append {
                stream,
                event,
                reply,
            } => {
                let (answer, outcome) = split(self.events.append(connection, stream, event));
                answers.push(Answer::Append(reply, answer));
                outcome
            }
            Command::Import {
                stream,
                after,
                events,
                reply,
            } => {
                let imported = self.events.import(connection, &stream, after, events);
                let (answer, outcome) = split(imported);
                answers.push(Answer::Import(reply, answer));
                outcome
            }
            Command::Renew {
                stream,
                epoch,
                reply,
            } => {
                answers.push(Answer::Done(reply));
                self.events.renew(connection, stream, epoch)
            }
            Command::Erase {
                stream,
                next,
                reply,
            } => {
                answers.push(Answer::Done(reply));
                self.events.erase(connection, stream, next)
            }
            Command::Trim {
                stream,
                up_to,
                reply,
            } => {
                answers.push(Answer::Done(reply));
                self.events.trim(connection, &stream, up_to)
            }
        }
    }
}

/// Parts what one command is told from whether the group goes on.
fn split<T, E: From<StoreError>>(
    applied: Result<Result<T, E>, Fault>,
) -> (Result<T, E>, Result<(), Fault>) {
    match applied {
        Ok(answer) => (answer, Ok(())),
        Err(fault) => (Err(StoreError::from(fault.clone()).into()), Err(fault)),
    }
}

fn run(connection: &Connection, sql: &str) -> Result<(), Fault> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
