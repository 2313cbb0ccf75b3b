//! Carrying out a command: it changes the state, or says why not and changes nothing.

use super::{
    Change, Command, CommandId, Effective, NodeId, Order, Place, Position, PropName, State,
    effective::Made,
    limits::{DEPTH_MAX, NODE_BYTES_MAX, NODES_MAX, PROPS_MAX, STATE_BYTES_MAX},
    node::{Node, Props},
    state::Slot,
};

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// What it did.
    pub effective: Effective,
    /// The sibling by which its place was found.
    pub(super) near: Option<NodeId>,
}

/// Why a command cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// There is no such node.
    #[error("there is no node {0}")]
    UnknownNode(NodeId),
    /// The id is taken.
    #[error("there is a node {0} already")]
    DuplicateNode(NodeId),
    /// A node would lie in itself.
    #[error("{0} would lie in itself")]
    Cycle(NodeId),
    /// The sibling lies elsewhere.
    #[error("{0} does not lie there")]
    NoSibling(NodeId),
    /// There are too many nodes.
    #[error("a canvas has at most {NODES_MAX} nodes")]
    TooManyNodes,
    /// The tree would be too deep.
    #[error("a canvas is at most {DEPTH_MAX} nodes deep")]
    TooDeep,
    /// The node would be too large.
    #[error("a node has at most {NODE_BYTES_MAX} bytes and {PROPS_MAX} properties")]
    NodeTooLarge,
    /// The canvas would be too large.
    #[error("the nodes of a canvas have at most {STATE_BYTES_MAX} bytes")]
    CanvasTooLarge,
    /// So many nodes were put at this place, each next to the last, that there is no key between
    /// them any more; moving one of the two neighbours makes room.
    #[error("there is no room left at this place; move one of its neighbours first")]
    OrderExhausted,
}

impl State {
    /// Carries out a command.
    ///
    /// # Errors
    /// [`Reason`]; then nothing has changed.
    pub fn carry_out(&mut self, cmd_id: &CommandId, command: &Command) -> Result<Carried, Reason> {
        let (change, near) = match command {
            Command::Create {
                node,
                kind,
                parent,
                position,
                props,
            } => {
                let order = self.order_at(parent.as_ref(), position, None);
                self.may_create(node, parent.as_ref())?;
                let made = Made {
                    node: node.clone(),
                    order: order?,
                    parent: parent.clone(),
                    props: props.clone(),
                    r#type: kind.clone(),
                };
                self.fits(&made.to_node(), 0)?;
                (Change::Create(made), position.near())
            }
            Command::Update { node, set, unset } => (self.update(node, set, unset)?, None),
            Command::Move {
                node,
                parent,
                position,
            } => (
                self.move_to(node, parent.as_ref(), position)?,
                position.near(),
            ),
            Command::Delete { node } => (self.delete(node)?, None),
        };
        // What was just found in this state fits it.
        self.perform(&change)
            .map_err(|damaged| Reason::UnknownNode(damaged.0))?;
        Ok(Carried {
            effective: Effective {
                cmd_id: cmd_id.clone(),
                change,
            },
            near: near.cloned(),
        })
    }

    /// Whether a node may be made there.
    pub(super) fn may_create(&self, node: &NodeId, parent: Option<&NodeId>) -> Result<(), Reason> {
        if self.get(node).is_some() {
            return Err(Reason::DuplicateNode(node.clone()));
        }
        if let Some(parent) = parent
            && self.get(parent).is_none()
        {
            return Err(Reason::UnknownNode(parent.clone()));
        }
        if self.len() >= NODES_MAX {
            return Err(Reason::TooManyNodes);
        }
        if self.depth(parent) >= DEPTH_MAX {
            return Err(Reason::TooDeep);
        }
        Ok(())
    }

    /// Whether `node` may take the place of a node of `before` bytes.
    pub(super) fn fits(&self, node: &Node, before: usize) -> Result<(), Reason> {
        if node.bytes() > NODE_BYTES_MAX || node.props().len() > PROPS_MAX {
            return Err(Reason::NodeTooLarge);
        }
        if self.bytes() - before + node.bytes() > STATE_BYTES_MAX {
            return Err(Reason::CanvasTooLarge);
        }
        Ok(())
    }

    fn update(&self, node: &NodeId, set: &Props, unset: &[PropName]) -> Result<Change, Reason> {
        let found = self
            .get(node)
            .ok_or_else(|| Reason::UnknownNode(node.clone()))?;
        self.fits(&found.with(set, unset), found.bytes())?;
        Ok(Change::Update {
            node: node.clone(),
            set: set.clone(),
            unset: unset.to_vec(),
        })
    }

    fn move_to(
        &self,
        node: &NodeId,
        parent: Option<&Option<NodeId>>,
        position: &Position,
    ) -> Result<Change, Reason> {
        let found = self
            .get(node)
            .ok_or_else(|| Reason::UnknownNode(node.clone()))?;
        let parent = parent.map_or(found.parent(), Option::as_ref);
        self.may_move(node, parent)?;
        let order = self.order_at(parent, position, Some(node))?;
        let to = Place {
            order,
            parent: parent.cloned(),
        };
        self.fits(
            &found.at(to.parent.clone(), to.order.clone()),
            found.bytes(),
        )?;
        Ok(Change::Move {
            node: node.clone(),
            from: Place::of(found),
            to,
        })
    }

    /// Whether a node, with all in it, may lie in `parent`.
    pub(super) fn may_move(&self, node: &NodeId, parent: Option<&NodeId>) -> Result<(), Reason> {
        if let Some(parent) = parent
            && self.get(parent).is_none()
        {
            return Err(Reason::UnknownNode(parent.clone()));
        }
        if self.way_up(parent).any(|above| above == node) {
            return Err(Reason::Cycle(node.clone()));
        }
        let above = self.depth(parent);
        let was_above = self.depth(Some(node)).saturating_sub(1);
        // Nothing gets deeper by moving up, so then there is no need to look.
        if above > was_above {
            let subtree = self.subtree(node);
            let height = subtree.iter().map(|(_, depth)| *depth).max().unwrap_or(1);
            if above + height > DEPTH_MAX {
                return Err(Reason::TooDeep);
            }
        }
        Ok(())
    }

    fn delete(&self, node: &NodeId) -> Result<Change, Reason> {
        let found = self
            .get(node)
            .ok_or_else(|| Reason::UnknownNode(node.clone()))?;
        let removed = self.subtree(node).into_iter().map(|(id, _)| id);
        Ok(Change::Delete {
            node: node.clone(),
            parent: found.parent().cloned(),
            removed: removed.collect(),
        })
    }

    /// The key of a place in `parent`, for a node that may be there already.
    fn order_at(
        &self,
        parent: Option<&NodeId>,
        position: &Position,
        moving: Option<&NodeId>,
    ) -> Result<Order, Reason> {
        let sibling = |id: &NodeId| {
            let found = self
                .get(id)
                .filter(|node| node.parent() == parent && Some(id) != moving);
            found
                .map(|node| Slot::of(node))
                .ok_or_else(|| Reason::NoSibling(id.clone()))
        };
        let (low, high) = match position {
            Position::Last => (self.last_in(parent, moving).cloned(), None),
            Position::First => {
                let mut children = self.children(parent).filter(|id| Some(*id) != moving);
                let first = children.next().and_then(|id| self.get(id));
                (None, first.map(|node| Slot::of(node)))
            }
            Position::After(id) => {
                let low = sibling(id)?;
                let high = self.sibling_after(&low, moving).cloned();
                (Some(low), high)
            }
            Position::Before(id) => {
                let high = sibling(id)?;
                (self.sibling_before(&high, moving).cloned(), Some(high))
            }
        };
        let (low, high) = (low.map(|slot| slot.order), high.map(|slot| slot.order));
        Order::between(low.as_ref(), high.as_ref()).ok_or(Reason::OrderExhausted)
    }
}

impl Position {
    fn near(&self) -> Option<&NodeId> {
        match self {
            Self::After(node) | Self::Before(node) => Some(node),
            Self::First | Self::Last => None,
        }
    }
}
