//! Making a replay of commits that one holds: what the server gave can be made again from its log, and
//! compared to the byte.

use identity::CanvasId;

use super::{Header, Recorder};
use crate::{CanvasError, Commit, model::State};

/// The replay of a whole log, from revision 0 on. `commits` are all of them, in order.
///
/// # Errors
/// [`CanvasError::ReplayTooLarge`]; [`CanvasError::Store`] when the commits are no log.
pub fn record(canvas: CanvasId, commits: &[Commit]) -> Result<Vec<u8>, CanvasError> {
    let (epoch, to) = commits.last().map_or((1, 0), |last| (last.epoch, last.rev));
    let header = Header::new(canvas, epoch, 0, to);
    let mut recorder = Recorder::begin(&header, State::default(), None)?;
    for (at, commit) in commits.iter().enumerate() {
        if commit.rev != at as u64 + 1 {
            return Err(CanvasError::damaged(format!(
                "commit {} is out of order",
                commit.rev
            )));
        }
        let restored = commit
            .restores
            .map(|rev| state_of(commits, rev))
            .transpose()?;
        recorder.push(commit, restored)?;
    }
    let (bytes, _) = recorder.finish()?;
    Ok(bytes)
}

/// The state that the commits up to `rev` make.
fn state_of(commits: &[Commit], rev: u64) -> Result<State, CanvasError> {
    let first = |commits: &'_ [Commit], count: u64| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        count.min(commits.len())
    };
    let mut upto = commits.get(..first(commits, rev)).unwrap_or_default();
    let mut parts = Vec::new();
    // A restore takes over the state of a revision before it.
    while let Some(at) = upto.iter().rposition(|commit| commit.restores.is_some()) {
        let (before, since) = upto.split_at(at);
        let restored = since.first().and_then(|commit| commit.restores);
        parts.push(since.get(1..).unwrap_or_default());
        upto = before
            .get(..first(before, restored.unwrap_or(0)))
            .unwrap_or_default();
    }
    parts.push(upto);
    let mut state = State::default();
    for commit in parts.into_iter().rev().flatten() {
        commit
            .perform_on(&mut state)
            .map_err(CanvasError::damaged)?;
    }
    Ok(state)
}
