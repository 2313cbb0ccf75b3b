//! What commands did: the form in which changes are logged, told and done again.
//!
//! An effective command names everything: the place that was found, what was removed. So it can be
//! done again, and its footprint be known, without looking at the state that it was made for.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::SerializeStruct};
use serde_json::value::RawValue;

use super::{CommandId, Kind, Node, NodeId, NodeType, Order, PropName, node::Props};

/// A command as it was carried out: `{"args","cmd_id","kind"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The command.
    pub cmd_id: CommandId,
    /// What it did.
    pub change: Change,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A node was made.
    Create(Made),
    /// Properties were set and removed.
    Update {
        /// The node.
        node: NodeId,
        /// The new values.
        set: Props,
        /// The names that are gone.
        unset: Vec<PropName>,
    },
    /// A node, with all in it, went elsewhere.
    Move {
        /// The node.
        node: NodeId,
        /// Where it was.
        from: Place,
        /// Where it is.
        to: Place,
    },
    /// A node was removed, with all in it.
    Delete {
        /// The node.
        node: NodeId,
        /// What it lay in.
        parent: Option<NodeId>,
        /// All that are gone, `node` first, each after what it lay in.
        removed: Vec<NodeId>,
    },
}

/// A node that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its id.
    pub node: NodeId,
    /// Its place among its siblings.
    pub order: Order,
    /// What it lies in; `null` at the top.
    pub parent: Option<NodeId>,
    /// Its properties.
    pub props: Props,
    /// What it is.
    pub r#type: NodeType,
}

impl Made {
    pub(super) fn of(node: &Node, order: Order) -> Self {
        Self {
            node: node.id().clone(),
            order,
            parent: node.parent().cloned(),
            props: node.props().clone(),
            r#type: node.kind().clone(),
        }
    }

    pub(super) fn to_node(&self) -> Node {
        Node::new(
            self.node.clone(),
            self.r#type.clone(),
            self.parent.clone(),
            self.order.clone(),
            self.props.clone().into(),
        )
    }
}

/// A place in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The place among siblings.
    pub order: Order,
    /// What it is in; `null` at the top.
    pub parent: Option<NodeId>,
}

impl Place {
    pub(super) fn of(node: &Node) -> Self {
        Self {
            order: node.order().clone(),
            parent: node.parent().cloned(),
        }
    }
}

impl Change {
    /// The kind of command that does this.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Create(_) => Kind::Create,
            Self::Update { .. } => Kind::Update,
            Self::Move { .. } => Kind::Move,
            Self::Delete { .. } => Kind::Delete,
        }
    }
}

// The arguments, their members in the order of RFC 8785.

#[derive(Serialize, Deserialize)]
struct UpdateArgs<'a> {
    node: std::borrow::Cow<'a, NodeId>,
    set: std::borrow::Cow<'a, Props>,
    unset: std::borrow::Cow<'a, [PropName]>,
}

#[derive(Serialize, Deserialize)]
struct MoveArgs<'a> {
    from: std::borrow::Cow<'a, Place>,
    node: std::borrow::Cow<'a, NodeId>,
    order: std::borrow::Cow<'a, Order>,
    parent: std::borrow::Cow<'a, Option<NodeId>>,
}

#[derive(Serialize, Deserialize)]
struct DeleteArgs<'a> {
    node: std::borrow::Cow<'a, NodeId>,
    parent: std::borrow::Cow<'a, Option<NodeId>>,
    removed: std::borrow::Cow<'a, [NodeId]>,
}

impl Serialize for Effective {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::borrow::Cow::Borrowed;
        let mut object = serializer.serialize_struct("Effective", 3)?;
        match &self.change {
            Change::Create(made) => object.serialize_field("args", made)?,
            Change::Update { node, set, unset } => object.serialize_field(
                "args",
                &UpdateArgs {
                    node: Borrowed(node),
                    set: Borrowed(set),
                    unset: Borrowed(unset),
                },
            )?,
            Change::Move { node, from, to } => object.serialize_field(
                "args",
                &MoveArgs {
                    from: Borrowed(from),
                    node: Borrowed(node),
                    order: Borrowed(&to.order),
                    parent: Borrowed(&to.parent),
                },
            )?,
            Change::Delete {
                node,
                parent,
                removed,
            } => object.serialize_field(
                "args",
                &DeleteArgs {
                    node: Borrowed(node),
                    parent: Borrowed(parent),
                    removed: Borrowed(removed),
                },
            )?,
        }
        object.serialize_field("cmd_id", &self.cmd_id)?;
        object.serialize_field("kind", &self.change.kind())?;
        object.end()
    }
}

impl<'de> Deserialize<'de> for Effective {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Read {
            args: Box<RawValue>,
            cmd_id: CommandId,
            kind: Kind,
        }
        let Read { args, cmd_id, kind } = Read::deserialize(deserializer)?;
        let change = change_of(kind, args.get()).map_err(D::Error::custom)?;
        Ok(Self { cmd_id, change })
    }
}

fn change_of(kind: Kind, args: &str) -> Result<Change, serde_json::Error> {
    Ok(match kind {
        Kind::Create => Change::Create(serde_json::from_str(args)?),
        Kind::Update => {
            let UpdateArgs { node, set, unset } = serde_json::from_str(args)?;
            Change::Update {
                node: node.into_owned(),
                set: set.into_owned(),
                unset: unset.into_owned(),
            }
        }
        Kind::Move => {
            let args: MoveArgs<'_> = serde_json::from_str(args)?;
            Change::Move {
                node: args.node.into_owned(),
                from: args.from.into_owned(),
                to: Place {
                    order: args.order.into_owned(),
                    parent: args.parent.into_owned(),
                },
            }
        }
        Kind::Delete => {
            let args: DeleteArgs<'_> = serde_json::from_str(args)?;
            Change::Delete {
                node: args.node.into_owned(),
                parent: args.parent.into_owned(),
                removed: args.removed.into_owned(),
            }
        }
    })
}
