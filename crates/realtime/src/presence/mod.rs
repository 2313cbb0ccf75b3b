//! Presence: who follows a thread over a WebSocket, and what they show of themselves.
//!
//! A member is a user, whatever the number of their sockets and the nodes these are on. Changes are
//! gathered for a moment and told once, in one frame for all. A member who is
//! gone for less than the grace has not left.
//!
//! **Invariant:** a roster is what was told so far; the changes after its
//! version make the present. Members listed, bytes of states and changes kept
//! are bounded; members beyond that are counted alone.

mod elsewhere;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use identity::UserId;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

pub(crate) use elsewhere::News;

use crate::frames::text_frame;

/// Largest state of one member, in bytes.
pub const STATE_BYTES_MAX: usize = 4096;
/// States of one thread, together, in bytes.
const STATES_BYTES_MAX: usize = 256 * 1024;
/// Members that are named; the others are counted.
const LISTED_MAX: usize = 1000;
/// Changes are gathered for this long.
const GATHER: Duration = Duration::from_millis(100);
/// Frames kept for sockets that are not quick; who misses more gets a new roster.
const CHANGES_MAX: usize = 32;

/// A state is too large, or the thread has no room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a state has at most {STATE_BYTES_MAX} bytes, all of a thread {STATES_BYTES_MAX}")]
pub(crate) struct StateRefused;

/// A member, as told to others.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Shown {
    user_id: UserId,
    state: Option<Arc<RawValue>>,
}

#[derive(Default)]
struct Member {
    /// On this node.
    sockets: usize,
    state: Option<Arc<RawValue>>,
    /// Whether the others were told.
    told: bool,
    /// The end of the grace, when the last socket on this node is gone.
    gone_at: Option<Instant>,
    /// The other nodes on which they are.
    away: Vec<elsewhere::Away>,
}

/// Members who were told of, and the version of that knowledge.
pub(crate) struct Roster {
    pub(crate) version: u64,
    pub(crate) members: Arc<Vec<Shown>>,
    pub(crate) count: usize,
}

/// One change, or a whole new roster for who missed too many.
pub(crate) struct Update {
    pub(crate) version: u64,
    pub(crate) change: Arc<Change>,
}

/// What others are told at once.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Change {
    op: &'static str,
    joined: Vec<Shown>,
    left: Vec<UserId>,
    updated: Vec<Shown>,
    count: usize,
    /// Set when `joined` is everyone, because changes were missed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
    #[serde(skip)]
    shared: Bytes,
}

impl Change {
    fn new(count: usize) -> Self {
        Self {
            op: "presence",
            joined: Vec::new(),
            left: Vec::new(),
            updated: Vec::new(),
            count,
            reset: false,
            shared: Bytes::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty() && self.updated.is_empty()
    }

    fn render(&self) -> Bytes {
        text_frame(&serde_json::to_vec(self).unwrap_or_default())
    }

    fn names(&self, user: &UserId) -> bool {
        let told = self.joined.iter().chain(&self.updated);
        told.map(|shown| &shown.user_id)
            .chain(&self.left)
            .any(|named| named == user)
    }

    /// The frame for `user`, without themselves; `None` if nothing is left.
    pub(crate) fn frame_for(&self, user: &UserId) -> Option<Bytes> {
        if !self.names(user) {
            return Some(self.shared.clone());
        }
        let mut own = self.clone();
        own.joined.retain(|shown| shown.user_id != *user);
        own.updated.retain(|shown| shown.user_id != *user);
        own.left.retain(|left| left != user);
        (own.reset || !own.is_empty()).then(|| own.render())
    }
}

/// The members of one thread.
pub(crate) struct Presence {
    grace: Duration,
    members: HashMap<UserId, Member>,
    changed: HashSet<UserId>,
    flush_at: Option<Instant>,
    state_bytes: usize,
    version: u64,
    changes: VecDeque<Arc<Change>>,
    roster: Option<Arc<Vec<Shown>>>,
    /// When the grace or a lease of someone ends.
    ends: BTreeSet<(Instant, UserId)>,
    /// Sockets on this node.
    sockets: usize,
    /// Whether other nodes are told, and of whom they are still to be told.
    shared: bool,
    news: HashSet<UserId>,
    /// Members who were named, and the number that was told last.
    listed: usize,
    told_count: usize,
}

impl Presence {
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            grace,
            members: HashMap::new(),
            changed: HashSet::new(),
            flush_at: None,
            state_bytes: 0,
            version: 0,
            changes: VecDeque::new(),
            roster: None,
            ends: BTreeSet::new(),
            sockets: 0,
            shared: false,
            news: HashSet::new(),
            listed: 0,
            told_count: 0,
        }
    }

    /// One more socket of `user`.
    pub(crate) fn join(&mut self, user: &UserId) {
        let member = self.member(user);
        member.sockets += 1;
        member.gone_at = None;
        let (first, told) = (member.sockets == 1, member.told);
        self.sockets += 1;
        if !told {
            self.changed.insert(user.clone());
        }
        if first {
            self.note(user);
        }
    }

    fn member(&mut self, user: &UserId) -> &mut Member {
        self.members.entry(user.clone()).or_default()
    }

    /// One socket of `user` less; without any they leave after the grace.
    pub(crate) fn part(&mut self, user: &UserId, now: Instant) {
        if let Some(member) = self.members.get_mut(user) {
            member.sockets = member.sockets.saturating_sub(1);
            self.sockets = self.sockets.saturating_sub(1);
            if member.sockets == 0 {
                member.gone_at = Some(now + self.grace);
                self.ends.insert((now + self.grace, user.clone()));
                self.note(user);
            }
        }
    }

    /// Another state of `user`.
    pub(crate) fn show(&mut self, user: &UserId, state: Box<RawValue>) -> Result<(), StateRefused> {
        let Some(member) = self.members.get_mut(user) else {
            return Ok(());
        };
        let before = member.state.as_ref().map_or(0, |state| state.get().len());
        let bytes = self.state_bytes - before + state.get().len();
        if state.get().len() > STATE_BYTES_MAX || bytes > STATES_BYTES_MAX {
            return Err(StateRefused);
        }
        self.state_bytes = bytes;
        member.state = Some(state.into());
        self.changed.insert(user.clone());
        self.note(user);
        Ok(())
    }

    /// What was told so far.
    pub(crate) fn roster(&mut self) -> Roster {
        let members = &self.members;
        let roster = self.roster.get_or_insert_with(|| {
            let told = members.iter().filter(|(_, member)| member.told);
            Arc::new(told.map(|(user, member)| shown(user, member)).collect())
        });
        Roster {
            version: self.version,
            members: roster.clone(),
            count: self.members.len(),
        }
    }

    /// When there is something to tell, if there is.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Instant> {
        if !self.changed.is_empty() {
            self.flush_at.get_or_insert(now + GATHER);
        }
        let ends = self.ends.first().map(|(at, _)| *at);
        self.flush_at.into_iter().chain(ends).min()
    }

    /// Tells what is due; says whether there is a new change.
    pub(crate) fn flush(&mut self, now: Instant) -> bool {
        let mut change = Change::new(0);
        self.expire(now, &mut change);
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush_at = None;
            self.gather(&mut change);
        }
        change.count = self.members.len();
        if change.is_empty() && change.count == self.told_count {
            return false;
        }
        self.told_count = change.count;
        change.shared = change.render();
        self.version += 1;
        self.roster = None;
        self.changes.push_back(Arc::new(change));
        if self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
        true
    }

    /// Members whose grace is over and whose leases have ended have left.
    fn expire(&mut self, now: Instant, change: &mut Change) {
        while self.ends.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, user)) = self.ends.pop_first()
        {
            let there = |member: &mut Member| member.is_there(now);
            if self.members.get_mut(&user).is_none_or(there) {
                // They came back, or never left another node.
                continue;
            }
            let Some(member) = self.members.remove(&user) else {
                continue;
            };
            self.changed.remove(&user);
            self.state_bytes -= member.state.as_ref().map_or(0, |state| state.get().len());
            if member.told {
                self.listed -= 1;
                change.left.push(user);
            }
        }
    }

    fn gather(&mut self, change: &mut Change) {
        for user in std::mem::take(&mut self.changed) {
            let Some(member) = self.members.get_mut(&user) else {
                continue;
            };
            if member.told {
                change.updated.push(shown(&user, member));
            } else if self.listed < LISTED_MAX {
                member.told = true;
                self.listed += 1;
                change.joined.push(shown(&user, member));
            }
        }
    }

    /// The change that follows version `seen`.
    pub(crate) fn after(&mut self, seen: u64) -> Option<Update> {
        let behind = self
            .version
            .checked_sub(seen)
            .filter(|behind| *behind > 0)?;
        let kept = self.changes.len() as u64;
        if let Some(index) = kept.checked_sub(behind) {
            let change = self.changes.get(usize::try_from(index).ok()?)?;
            return Some(Update {
                version: seen + 1,
                change: change.clone(),
            });
        }
        let roster = self.roster();
        let mut change = Change::new(roster.count);
        change.joined = roster.members.to_vec();
        change.reset = true;
        change.shared = change.render();
        Some(Update {
            version: self.version,
            change: Arc::new(change),
        })
    }
}

fn shown(user: &UserId, member: &Member) -> Shown {
    Shown {
        user_id: user.clone(),
        state: member.state.clone(),
    }
}

#[cfg(test)]
mod tests;
