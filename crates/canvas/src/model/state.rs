//! The state of a canvas: a tree of nodes.
//!
//! A copy shares what does not change, so it costs microseconds, whatever the state holds.
//!
//! **Invariant:** every parent exists, nothing lies in itself, and no two siblings have one
//! [`Order`].

use std::{cmp::Ordering, sync::Arc};

use super::{Change, Digest, Node, NodeId, Order, Place, hash::Buckets, sorted::Sorted};

/// A tree of nodes.
#[derive(Debug, Clone, Default)]
pub struct State {
    nodes: Sorted<NodeId, Arc<Node>>,
    siblings: Sorted<Slot, ()>,
    hashes: Buckets,
    bytes: usize,
}

/// Where a node is among all; siblings lie together, in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) parent: Option<NodeId>,
    pub(super) order: Order,
    pub(super) node: NodeId,
}

impl Slot {
    pub(super) fn of(node: &Node) -> Self {
        Self {
            parent: node.parent().cloned(),
            order: node.order().clone(),
            node: node.id().clone(),
        }
    }
}

/// A change does not fit the state that it is said to have been made for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node {0} is not as the log says")]
pub struct Damaged(pub NodeId);

impl State {
    /// The state of these nodes, in any order.
    ///
    /// # Errors
    /// [`Damaged`] when a parent is missing.
    pub fn of(nodes: impl IntoIterator<Item = Node>) -> Result<Self, Damaged> {
        let mut state = Self::default();
        for node in nodes {
            state.put(node);
        }
        let orphan = state.nodes().find(|node| !state.has_place(node.parent()));
        match orphan {
            Some(orphan) => Err(Damaged(orphan.id().clone())),
            None => Ok(state),
        }
    }

    /// A node.
    #[must_use]
    pub fn get(&self, id: &NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(id)
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().map(|(_, node)| node)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all nodes in their canonical form.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The hash; how it is made is in [`Digest`]'s module. Costs what has changed since the last.
    pub fn hash(&mut self) -> Digest {
        self.hashes.root()
    }

    /// The nodes directly in `parent` (or at the top), in their order.
    pub fn children<'a>(
        &'a self,
        parent: Option<&'a NodeId>,
    ) -> impl Iterator<Item = &'a NodeId> + 'a {
        let from = self
            .siblings
            .from(move |slot| slot.parent.as_ref().cmp(&parent));
        from.take_while(move |(slot, ())| slot.parent.as_ref() == parent)
            .map(|(slot, ())| &slot.node)
    }

    /// Does what a log says was done.
    ///
    /// # Errors
    /// [`Damaged`] when it does not fit; then the state is to be thrown away.
    pub fn perform(&mut self, change: &Change) -> Result<(), Damaged> {
        match change {
            Change::Create(made) => {
                let node = made.to_node();
                if self.get(&made.node).is_some() || !self.has_place(node.parent()) {
                    return Err(Damaged(made.node.clone()));
                }
                self.put(node);
            }
            Change::Update { node, set, unset } => {
                let found = self.get(node).ok_or_else(|| Damaged(node.clone()))?;
                let changed = found.with(set, unset);
                self.put(changed);
            }
            Change::Move { node, to, .. } => {
                let found = self.get(node).ok_or_else(|| Damaged(node.clone()))?;
                let changed = found.at(to.parent.clone(), to.order.clone());
                if !self.has_place(changed.parent()) {
                    return Err(Damaged(node.clone()));
                }
                self.put(changed);
            }
            Change::Delete { removed, .. } => {
                for node in removed {
                    self.take(node).ok_or_else(|| Damaged(node.clone()))?;
                }
            }
        }
        Ok(())
    }

    /// Sets a node, in place of the one with its id.
    pub(super) fn put(&mut self, node: Node) {
        let node = Arc::new(node);
        self.hashes.insert(*node.hash());
        self.bytes += node.bytes();
        self.siblings.insert(Slot::of(&node), ());
        if let Some(old) = self.nodes.insert(node.id().clone(), Arc::clone(&node)) {
            self.bytes -= old.bytes();
            if old.hash() != node.hash() {
                self.hashes.remove(old.hash());
            }
            let slot = Slot::of(&old);
            if slot != Slot::of(&node) {
                self.siblings.remove(&slot);
            }
        }
    }

    fn take(&mut self, id: &NodeId) -> Option<Arc<Node>> {
        let node = self.nodes.remove(id)?;
        self.hashes.remove(node.hash());
        self.bytes -= node.bytes();
        self.siblings.remove(&Slot::of(&node));
        Some(node)
    }

    /// Whether something may lie in `parent`.
    pub(super) fn has_place(&self, parent: Option<&NodeId>) -> bool {
        parent.is_none_or(|parent| self.get(parent).is_some())
    }

    /// How many nodes there are from the top to `node`, itself included; 0 for the top.
    pub(super) fn depth(&self, node: Option<&NodeId>) -> usize {
        self.way_up(node).count()
    }

    /// The node and those that it lies in, up to the top.
    pub(super) fn way_up<'a>(
        &'a self,
        node: Option<&'a NodeId>,
    ) -> impl Iterator<Item = &'a NodeId> + 'a {
        let parent = |id: &&'a NodeId| self.get(id).and_then(|node| node.parent());
        std::iter::successors(node, parent)
    }

    /// The node and everything in it, each after what it lies in, with its depth from 1.
    pub(super) fn subtree(&self, node: &NodeId) -> Vec<(NodeId, usize)> {
        let mut found = vec![(node.clone(), 1)];
        let mut at = 0;
        while let Some((next, depth)) = found.get(at).cloned() {
            let children = self.children(Some(&next)).cloned();
            found.extend(children.map(|child| (child, depth + 1)));
            at += 1;
        }
        found
    }

    /// The last of the nodes directly in `parent`, other than `except`.
    pub(super) fn last_in(
        &self,
        parent: Option<&NodeId>,
        except: Option<&NodeId>,
    ) -> Option<&Slot> {
        let beyond = |slot: &Slot| match slot.parent.as_ref().cmp(&parent) {
            Ordering::Greater => Ordering::Greater,
            Ordering::Less | Ordering::Equal => Ordering::Less,
        };
        let (last, ()) = self.siblings.before(beyond)?;
        if Some(&last.node) == except {
            return self.sibling_before(last, None);
        }
        (last.parent.as_ref() == parent).then_some(last)
    }

    /// The sibling before `slot`, other than `except`.
    pub(super) fn sibling_before(&self, slot: &Slot, except: Option<&NodeId>) -> Option<&Slot> {
        let (before, ()) = self.siblings.before(|one| one.cmp(slot))?;
        if Some(&before.node) == except {
            return self.sibling_before(before, None);
        }
        (before.parent == slot.parent).then_some(before)
    }

    /// The sibling after `slot`, other than `except`.
    pub(super) fn sibling_after(&self, slot: &Slot, except: Option<&NodeId>) -> Option<&Slot> {
        let mut from = self
            .siblings
            .from(|one| one.cmp(slot))
            .map(|(slot, ())| slot);
        let after = from.find(|one| *one != slot && Some(&one.node) != except)?;
        (after.parent == slot.parent).then_some(after)
    }

    /// A key that is free for `node` in `parent`: `wanted`, or the next after it.
    pub(super) fn free_order(&self, place: &Place, node: &NodeId) -> Option<Order> {
        let wanted = Slot {
            parent: place.parent.clone(),
            order: place.order.clone(),
            node: node.clone(),
        };
        let same = |slot: &Slot| (&slot.parent, &slot.order).cmp(&(&wanted.parent, &wanted.order));
        let mut from = self.siblings.from(same).map(|(slot, ())| slot);
        let mut others = from
            .by_ref()
            .take_while(|slot| slot.parent == wanted.parent)
            .filter(|slot| slot.node != *node);
        match others.next() {
            Some(first) if first.order == wanted.order => {
                let high = others.next().map(|slot| &slot.order);
                Order::between(Some(&wanted.order), high)
            }
            _ => Some(wanted.order.clone()),
        }
    }
}
