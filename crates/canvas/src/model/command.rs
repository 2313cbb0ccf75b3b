//! Commands, as clients send them.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::{Json, NodeId, NodeType, PropName, limits::PROPS_MAX, members::Members, node::Props};

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Makes a node.
    #[serde(rename = "node.create")]
    Create,
    /// Sets and removes properties.
    #[serde(rename = "node.update")]
    Update,
    /// Moves a node, with all in it.
    #[serde(rename = "node.move")]
    Move,
    /// Removes a node, with all in it.
    #[serde(rename = "node.delete")]
    Delete,
}

/// A command, its arguments in order; whether it can be carried out depends on the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes a node.
    Create {
        /// The id that it gets.
        node: NodeId,
        /// What it is.
        kind: NodeType,
        /// What it lies in; `None` at the top.
        parent: Option<NodeId>,
        /// Where there.
        position: Position,
        /// Its properties.
        props: Props,
    },
    /// Sets and removes properties.
    Update {
        /// The node.
        node: NodeId,
        /// The new values.
        set: Props,
        /// The names that go.
        unset: Vec<PropName>,
    },
    /// Moves a node, with all in it.
    Move {
        /// The node.
        node: NodeId,
        /// What it is to lie in; `None` for where it lies, `Some(None)` for the top.
        parent: Option<Option<NodeId>>,
        /// Where there.
        position: Position,
    },
    /// Removes a node, with all in it.
    Delete {
        /// The node.
        node: NodeId,
    },
}

/// A place among siblings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// After all others.
    Last,
    /// Before all others.
    First,
    /// Right after this one.
    After(NodeId),
    /// Right before this one.
    Before(NodeId),
}

/// The arguments of a command are not as its kind has them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCommand(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateArgs {
    node: NodeId,
    r#type: NodeType,
    #[serde(default)]
    parent: Option<NodeId>,
    #[serde(default, deserialize_with = "present")]
    after: Option<Option<NodeId>>,
    #[serde(default)]
    before: Option<NodeId>,
    #[serde(default)]
    props: Members<PropName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateArgs {
    node: NodeId,
    #[serde(default)]
    set: Members<PropName>,
    #[serde(default)]
    unset: Vec<PropName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveArgs {
    node: NodeId,
    #[serde(default, deserialize_with = "present")]
    parent: Option<Option<NodeId>>,
    #[serde(default, deserialize_with = "present")]
    after: Option<Option<NodeId>>,
    #[serde(default)]
    before: Option<NodeId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteArgs {
    node: NodeId,
}

/// Tells `null` from absence.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<NodeId>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl Command {
    /// Reads the arguments of a command.
    ///
    /// # Errors
    /// [`InvalidCommand`] says what is wrong with them.
    pub fn parse(kind: Kind, args: &str) -> Result<Self, InvalidCommand> {
        match kind {
            Kind::Create => {
                let args: CreateArgs = read(args)?;
                Ok(Self::Create {
                    node: args.node,
                    kind: args.r#type,
                    parent: args.parent,
                    position: position(args.after, args.before)?,
                    props: props(args.props)?,
                })
            }
            Kind::Update => update(read(args)?),
            Kind::Move => {
                let args: MoveArgs = read(args)?;
                Ok(Self::Move {
                    node: args.node,
                    parent: args.parent,
                    position: position(args.after, args.before)?,
                })
            }
            Kind::Delete => {
                let DeleteArgs { node } = read(args)?;
                Ok(Self::Delete { node })
            }
        }
    }

    /// The node that it is about.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        match self {
            Self::Create { node, .. }
            | Self::Update { node, .. }
            | Self::Move { node, .. }
            | Self::Delete { node } => node,
        }
    }
}

fn read<T: DeserializeOwned>(args: &str) -> Result<T, InvalidCommand> {
    // A list would be taken for the members in their order.
    if !args.trim_start().starts_with('{') {
        return Err(InvalidCommand("args must be an object".to_owned()));
    }
    serde_json::from_str(args).map_err(|error| InvalidCommand(error.to_string()))
}

fn position(
    after: Option<Option<NodeId>>,
    before: Option<NodeId>,
) -> Result<Position, InvalidCommand> {
    match (after, before) {
        (None, None) => Ok(Position::Last),
        (Some(None), None) => Ok(Position::First),
        (Some(Some(node)), None) => Ok(Position::After(node)),
        (None, Some(node)) => Ok(Position::Before(node)),
        (Some(_), Some(_)) => Err(InvalidCommand("say after or before, not both".to_owned())),
    }
}

fn props(members: Members<PropName>) -> Result<Props, InvalidCommand> {
    if members.0.len() > PROPS_MAX {
        return Err(InvalidCommand(format!(
            "a node has at most {PROPS_MAX} properties"
        )));
    }
    let parsed = members.0.into_iter().map(|(name, value)| {
        let value = Json::parse(value.get())
            .map_err(|error| InvalidCommand(format!("the property {name}: {error}")))?;
        Ok((name, value))
    });
    parsed.collect()
}

fn update(args: UpdateArgs) -> Result<Command, InvalidCommand> {
    let set = props(args.set)?;
    let unset: BTreeSet<PropName> = args.unset.iter().cloned().collect();
    if unset.len() != args.unset.len() || unset.iter().any(|name| set.contains_key(name)) {
        return Err(InvalidCommand(
            "a property is set or unset, once".to_owned(),
        ));
    }
    if set.is_empty() && unset.is_empty() {
        return Err(InvalidCommand("nothing is set or unset".to_owned()));
    }
    if unset.len() > PROPS_MAX {
        return Err(InvalidCommand(format!(
            "a node has at most {PROPS_MAX} properties"
        )));
    }
    Ok(Command::Update {
        node: args.node,
        set,
        unset: unset.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_the_kind_and_no_others() {
        for (kind, good) in [
            (Kind::Create, r#"{"node":"a","type":"t"}"#),
            (
                Kind::Create,
                r#"{"node":"a","type":"t","parent":null,"after":null,"props":{"x":1}}"#,
            ),
            (Kind::Update, r#"{"node":"a","set":{"x":null}}"#),
            (Kind::Update, r#"{"node":"a","unset":["x"]}"#),
            (Kind::Move, r#"{"node":"a","before":"b"}"#),
            (Kind::Delete, r#"{"node":"a"}"#),
        ] {
            assert!(Command::parse(kind, good).is_ok(), "{good}");
        }
        for (kind, bad) in [
            (Kind::Create, r#"{"node":"a"}"#),
            (Kind::Create, r#"{"node":"a","type":"t","colour":1}"#),
            (
                Kind::Create,
                r#"{"node":"a","type":"t","props":{"x":1,"x":2}}"#,
            ),
            (Kind::Create, r#"{"node":"a","node":"b","type":"t"}"#),
            (
                Kind::Create,
                r#"{"node":"a","type":"t","props":{"x":1e400}}"#,
            ),
            (Kind::Create, r#"{"node":"a","type":"t","props":[1]}"#),
            (Kind::Create, r#"["a","t"]"#),
            (Kind::Update, r#"{"node":"a"}"#),
            (Kind::Update, r#"{"node":"a","set":{"x":1},"unset":["x"]}"#),
            (Kind::Update, r#"{"node":"a","unset":["x","x"]}"#),
            (Kind::Move, r#"{"node":"a","before":"b","after":"c"}"#),
            (Kind::Delete, r#"{"node":"a b"}"#),
            (Kind::Delete, r#"{"node":"a","set":{}}"#),
        ] {
            assert!(Command::parse(kind, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn null_is_not_absence() {
        let top = Command::parse(Kind::Move, r#"{"node":"a","parent":null}"#).unwrap();
        let stays = Command::parse(Kind::Move, r#"{"node":"a","after":null}"#).unwrap();
        assert!(matches!(
            top,
            Command::Move {
                parent: Some(None),
                position: Position::Last,
                ..
            }
        ));
        assert!(matches!(
            stays,
            Command::Move {
                parent: None,
                position: Position::First,
                ..
            }
        ));
    }
}
