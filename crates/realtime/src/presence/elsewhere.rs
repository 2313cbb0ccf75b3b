//! Members whose sockets are on other nodes, and what other nodes are told of those here.
//!
//! Each node announces its own members, again before the lease of an announcement ends. A node that dies says
//! nothing more, and its members are gone when their leases are.

use std::{sync::Arc, time::Duration};

use identity::UserId;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Member, Presence, STATE_BYTES_MAX, STATES_BYTES_MAX};

/// How long an announcement holds.
const LEASE: Duration = Duration::from_secs(15);
/// Nodes on which one member is believed to be; more are not counted.
const NODES_MAX: usize = 64;

/// That a member is on another node.
pub(super) struct Away {
    /// Which.
    node: u64,
    /// The end of the lease.
    until: Instant,
}

/// A member here, as other nodes are told.
pub(crate) struct Announced {
    pub(crate) user: UserId,
    pub(crate) state: Option<Arc<RawValue>>,
}

/// What other nodes are to be told.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) here: Vec<Announced>,
    pub(crate) gone: Vec<UserId>,
}

impl Member {
    /// Whether they are there: on this node, within the grace, or on another.
    pub(super) fn is_there(&mut self, now: Instant) -> bool {
        self.away.retain(|away| away.until > now);
        self.sockets > 0 || self.gone_at.is_some_and(|at| at > now) || !self.away.is_empty()
    }
}

impl Presence {
    /// A member is on `node`, as that node says.
    pub(crate) fn here_on(
        &mut self,
        node: u64,
        user: &UserId,
        state: Option<Box<RawValue>>,
        now: Instant,
    ) {
        let until = now + LEASE;
        let member = self.member(user);
        member.away.retain(|away| away.node != node);
        if member.away.len() < NODES_MAX {
            member.away.push(Away { node, until });
        }
        if !member.told {
            self.changed.insert(user.clone());
        }
        self.ends.insert((until, user.clone()));
        if let Some(state) = state {
            self.take_state(user, state);
        }
    }

    /// A state that was taken on another node; one for which there is no room here is not shown.
    fn take_state(&mut self, user: &UserId, state: Box<RawValue>) {
        let Some(member) = self.members.get_mut(user) else {
            return;
        };
        let known = member.state.as_ref().map_or("", |state| state.get());
        let bytes = self.state_bytes - known.len() + state.get().len();
        let fits = state.get().len() <= STATE_BYTES_MAX && bytes <= STATES_BYTES_MAX;
        if fits && known != state.get() {
            self.state_bytes = bytes;
            member.state = Some(state.into());
            self.changed.insert(user.clone());
        }
    }

    /// A member is not on `node` any more, after the grace of that node.
    pub(crate) fn gone_from(&mut self, node: u64, user: &UserId, now: Instant) {
        if let Some(member) = self.members.get_mut(user) {
            member.away.retain(|away| away.node != node);
            self.ends.insert((now, user.clone()));
        }
    }

    /// Notes that other nodes are to be told of `user`.
    pub(super) fn note(&mut self, user: &UserId) {
        if self.shared {
            self.news.insert(user.clone());
        }
    }

    /// From now on changes here are noted for other nodes; all who are here now are news.
    pub(crate) fn share(&mut self) {
        self.shared = true;
        let here = self.members.iter().filter(|(_, member)| member.sockets > 0);
        self.news.extend(here.map(|(user, _)| user.clone()));
    }

    /// What other nodes are to be told since they were told last. Who may still come back is not gone yet.
    pub(crate) fn take_news(&mut self, now: Instant) -> News {
        let mut news = News::default();
        for user in std::mem::take(&mut self.news) {
            match self.members.get(&user) {
                Some(member) if member.sockets > 0 => news.here.push(Announced {
                    state: member.state.clone(),
                    user,
                }),
                Some(member) if member.gone_at.is_some_and(|at| at > now) => {
                    self.news.insert(user);
                }
                _ => news.gone.push(user),
            }
        }
        news
    }

    /// Whether others are still to be told something.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Whether there is nobody on this node, and nothing that others are still to be told.
    pub(crate) fn ends_sharing(&mut self) -> bool {
        let over = self.sockets == 0 && self.news.is_empty();
        self.shared &= !over;
        over
    }

    /// Whether changes here are noted for other nodes.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }
}
