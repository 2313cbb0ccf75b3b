//! Undoing: the commands that take a commit back, made for the state as it is now.
//!
//! **Invariant:** what somebody has changed since is left alone. A part is taken back only where
//! the canvas is still as the commit left it.

use serde::{Deserialize, Serialize};

use super::{
    Change, CommandId, Effective, Node, NodeId, Place, PropName, State,
    effective::Made,
    limits::{DEPTH_MAX, NODES_MAX},
    node::Props,
};

/// What undoing a commit does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// What was done on the state.
    pub effective: Vec<Effective>,
    /// What was left alone.
    pub skipped: Vec<Skipped>,
}

/// A part of a commit that is not taken back, because it is not any more as the commit left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The command.
    pub cmd_id: CommandId,
    /// The node.
    pub node: NodeId,
    /// The properties, if it is about those.
    pub props: Vec<PropName>,
}

impl State {
    /// Takes back, on this state, what `commands` did to the state `before`.
    pub fn undo(&mut self, before: &Self, commands: &[Effective]) -> Undo {
        let mut left = before.clone();
        let mut steps = Vec::with_capacity(commands.len());
        for command in commands {
            let was = left.clone();
            // A commit fits the state before it; one that did not would only be skipped below.
            let _ = left.perform(&command.change);
            steps.push((was, command, left.clone()));
        }
        let mut undo = Undo::default();
        for (was, command, left) in steps.iter().rev() {
            let (changes, props) = self.inverse(was, &command.change, left);
            let nothing = changes.is_empty();
            for change in changes {
                if self.perform(&change).is_ok() {
                    undo.effective.push(Effective {
                        cmd_id: command.cmd_id.clone(),
                        change,
                    });
                }
            }
            if nothing || !props.is_empty() {
                undo.skipped.push(Skipped {
                    cmd_id: command.cmd_id.clone(),
                    node: command.change.node().clone(),
                    props,
                });
            }
        }
        undo
    }

    /// What takes `change` back, and the properties that are left alone.
    fn inverse(&self, was: &Self, change: &Change, left: &Self) -> (Vec<Change>, Vec<PropName>) {
        match change {
            Change::Create(made) => (self.unmake(&made.node, left), Vec::new()),
            Change::Update { node, set, unset } => {
                let names: Vec<&PropName> = set.keys().chain(unset).collect();
                self.reset(node, &names, was, left)
            }
            Change::Move { node, from, to } => (self.move_back(node, from, to), Vec::new()),
            Change::Delete { removed, .. } => (self.remake(removed, was), Vec::new()),
        }
    }

    fn unmake(&self, node: &NodeId, left: &Self) -> Vec<Change> {
        let same = |now: &Node| left.get(node).is_some_and(|left| left.hash() == now.hash());
        match self.get(node) {
            Some(now) if same(now) && self.children(Some(node)).next().is_none() => {
                vec![Change::Delete {
                    node: node.clone(),
                    parent: now.parent().cloned(),
                    removed: vec![node.clone()],
                }]
            }
            _ => Vec::new(),
        }
    }

    fn reset(
        &self,
        node: &NodeId,
        names: &[&PropName],
        was: &Self,
        left: &Self,
    ) -> (Vec<Change>, Vec<PropName>) {
        let (Some(now), Some(was), Some(left)) = (self.get(node), was.get(node), left.get(node))
        else {
            return (Vec::new(), Vec::new());
        };
        let untouched = |name: &PropName| now.props().get(name) == left.props().get(name);
        let (ours, theirs): (Vec<&PropName>, Vec<&PropName>) =
            names.iter().copied().partition(|name| untouched(name));
        let theirs = theirs.into_iter().cloned().collect();
        let (mut set, mut unset) = (Props::new(), Vec::new());
        for name in ours {
            match was.props().get(name) {
                Some(value) => drop(set.insert(name.clone(), value.clone())),
                None => unset.push(name.clone()),
            }
        }
        unset.sort();
        let changes = !(set.is_empty() && unset.is_empty());
        if !changes || self.fits(&now.with(&set, &unset), now.bytes()).is_err() {
            return (Vec::new(), theirs);
        }
        let node = node.clone();
        (vec![Change::Update { node, set, unset }], theirs)
    }

    fn move_back(&self, node: &NodeId, from: &Place, to: &Place) -> Vec<Change> {
        let Some(now) = self.get(node).filter(|now| Place::of(now) == *to) else {
            return Vec::new();
        };
        if self.may_move(node, from.parent.as_ref()).is_err() {
            return Vec::new();
        }
        let Some(order) = self.free_order(from, node) else {
            return Vec::new();
        };
        let back = Place {
            order,
            parent: from.parent.clone(),
        };
        let moved = now.at(back.parent.clone(), back.order.clone());
        if self.fits(&moved, now.bytes()).is_err() {
            return Vec::new();
        }
        vec![Change::Move {
            node: node.clone(),
            from: to.clone(),
            to: back,
        }]
    }

    /// Everything that was removed, or nothing.
    fn remake(&self, removed: &[NodeId], was: &Self) -> Vec<Change> {
        let gone: Vec<&Node> = removed
            .iter()
            .filter_map(|id| was.get(id))
            .map(AsRef::as_ref)
            .collect();
        let Some(top) = gone.first() else {
            return Vec::new();
        };
        let free = removed.iter().all(|id| self.get(id).is_none());
        let heights = was.subtree(top.id());
        let height = heights.iter().map(|(_, depth)| *depth).max().unwrap_or(1);
        let bytes: usize = gone.iter().map(|node| node.bytes()).sum();
        let fits = self.len() + gone.len() <= NODES_MAX
            && self.depth(top.parent()) + height <= DEPTH_MAX
            && self.bytes() + bytes <= super::limits::STATE_BYTES_MAX;
        if !free || !fits || !self.has_place(top.parent()) {
            return Vec::new();
        }
        let Some(order) = self.free_order(&Place::of(top), top.id()) else {
            return Vec::new();
        };
        let first = std::iter::once(Made::of(top, order));
        let rest = gone.iter().skip(1);
        let rest = rest.map(|node| Made::of(node, node.order().clone()));
        first.chain(rest).map(Change::Create).collect()
    }
}

impl Change {
    /// The node that it is about.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        match self {
            Self::Create(made) => &made.node,
            Self::Update { node, .. } | Self::Move { node, .. } | Self::Delete { node, .. } => node,
        }
    }
}
