//! Seeking in a replay of 100,000 commits: any revision is one keyframe and fewer than 200 commits away.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use canvas::{
    Actor, Commit, Mode,
    model::{Command, CommandId, Digest, Kind, State},
    replay::{self, Replay, SEGMENT_REVISIONS_MAX},
};
use identity::Timestamp;
use serde_json::json;

use super::{SUBJECT, apply::filled};
use crate::{stats::Latencies, table::Row};

const COMMITS: u64 = 100_000;
/// Milliseconds between two of them.
const APART_MS: i64 = 100;
const NODES: usize = 100;
const SEEKS: u64 = 500;

/// Measures; nothing of this waits for a disk.
///
/// # Errors
/// When the replay is not what it should be.
pub(super) fn measure() -> Result<Vec<Row>> {
    eprintln!("canvas: a replay of {COMMITS} commits");
    let making = Instant::now();
    let (bytes, hashes) = made()?;
    let made_in = making.elapsed();
    let opening = Instant::now();
    let replay = Replay::open(&bytes)?;
    let opened_in = opening.elapsed();
    let (mut by_rev, mut by_time, mut furthest) = (Latencies::new(), Latencies::new(), 0);
    for n in 0..SEEKS {
        // Steps over all of it, none of them the size of a segment.
        let rev = n * 48_611 % (COMMITS + 1);
        furthest = furthest.max(distance(&replay, rev)?);
        let started = Instant::now();
        let mut frame = replay.at(rev)?;
        by_rev.record(started.elapsed());
        let wanted = hashes.get(usize::try_from(rev)?);
        ensure!(
            Some(&frame.state.hash()) == wanted,
            "revision {rev} is another"
        );
        let started = Instant::now();
        let found = replay.at_time(time_of(rev))?;
        by_time.record(started.elapsed());
        ensure!(found.rev == rev, "at its time there is {}", found.rev);
    }
    ensure!(
        furthest < SEGMENT_REVISIONS_MAX,
        "{furthest} commits to read"
    );
    let checking = Instant::now();
    replay.verify()?;
    let seek = |what: &str, latencies: &Latencies| {
        let (p50, p99) = (latencies.quantile_ms(0.5), latencies.quantile_ms(0.99));
        let what = format!("seek {what} among {COMMITS} commits");
        let detail = format!("p99 {p99:.2} ms, one keyframe and at most {furthest} commits");
        Row::new(SUBJECT, what, format!("{p50:.2} ms"), detail)
    };
    let s = |time: Duration| time.as_secs_f64();
    Ok(vec![
        Row::new(
            SUBJECT,
            format!("a replay of {COMMITS} commits"),
            format!("{:.1} MiB", bytes.len() as f64 / 1_048_576.0),
            format!(
                "{} segments; made in {:.1} s, opened in {:.1} ms, every commit checked in {:.1} s",
                replay.segments().len(),
                s(made_in),
                s(opened_in) * 1e3,
                s(checking.elapsed())
            ),
        ),
        seek("a revision", &by_rev),
        seek("a time", &by_time),
    ])
}

/// How many commits are read after the keyframe.
fn distance(replay: &Replay<'_>, rev: u64) -> Result<u64> {
    let mut segments = replay.segments().iter();
    let found = segments.find(|one| (one.first_rev..=one.last_rev).contains(&rev));
    let found = found.with_context(|| format!("no segment has {rev}"))?;
    Ok(rev - found.first_rev)
}

fn time_of(rev: u64) -> Timestamp {
    let rev = i64::try_from(rev).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(1_700_000_000_000 + rev * APART_MS)
}

/// The file, and the hash of the state of every revision.
fn made() -> Result<(Vec<u8>, Vec<Digest>)> {
    let mut state = State::default();
    let mut hashes = vec![state.hash()];
    let first = commit_of_all(&mut state)?;
    let mut prev = first.hash();
    hashes.push(first.state_hash);
    let rest = (2..=COMMITS).map(|rev| {
        let commit = next(&mut state, rev, prev)?;
        prev = commit.hash();
        hashes.push(commit.state_hash);
        anyhow::Ok(commit)
    });
    let commits = std::iter::once(Ok(first)).chain(rest);
    let commits = commits.collect::<Result<Vec<Commit>>>()?;
    let bytes = replay::record("cv_seek".parse()?, &commits)?;
    Ok((bytes, hashes))
}

/// The first commit, which makes all nodes.
fn commit_of_all(state: &mut State) -> Result<Commit> {
    let mut commit = empty(1, Digest::ZERO)?;
    for node in filled(NODES)?.nodes() {
        let args = json!({"node": node.id(), "type": node.kind(), "parent": node.parent()});
        commit
            .commands
            .push(carried(state, Kind::Create, &args.to_string())?);
    }
    commit.state_hash = state.hash();
    Ok(commit.sealed())
}

fn next(state: &mut State, rev: u64, prev: Digest) -> Result<Commit> {
    let mut commit = empty(rev, prev)?;
    let node = format!("n{}", rev % NODES as u64);
    let args = json!({"node": node, "set": {"x": rev % 1009, "y": rev % 977}});
    commit
        .commands
        .push(carried(state, Kind::Update, &args.to_string())?);
    commit.state_hash = state.hash();
    Ok(commit.sealed())
}

fn carried(state: &mut State, kind: Kind, args: &str) -> Result<canvas::model::Effective> {
    let id: CommandId = "k".parse()?;
    let carried = state.carry_out(&id, &Command::parse(kind, args)?);
    Ok(carried.map_err(|why| anyhow!("{args}: {why}"))?.effective)
}

fn empty(rev: u64, prev_hash: Digest) -> Result<Commit> {
    Ok(Commit {
        actor: Actor {
            agent: None,
            user_id: "u_bench".parse()?,
        },
        at: time_of(rev),
        base_rev: rev - 1,
        batch_id: rev.to_string().parse()?,
        client_id: "c".parse()?,
        commands: Vec::new(),
        commit_hash: None,
        epoch: 1,
        mode: Some(Mode::Strict),
        prev_hash,
        rebased_over: Vec::new(),
        request_id: format!("request-{rev}"),
        restores: None,
        rev,
        state_hash: prev_hash,
        traceparent: format!("00-{rev:032x}-{rev:016x}-01"),
        undoes: None,
    })
}
