//! What commands touch, and what others have written meanwhile.
//!
//! A command may be carried out on a later state than the one it was made for when nothing that it
//! touches was written in between:
//!
//! | command | touches | writes |
//! | --- | --- | --- |
//! | create | the id; that the parent exists; the place of the sibling it is put next to | the id, the parent's children |
//! | update | that the node exists; each property it names | each property it names |
//! | move | that the node and the new parent exist; its place; the sibling's place | its place, the children of both parents |
//! | delete | everything of everything in it: existence, place, properties, children | the existence of all that goes, the parent's children |
//!
//! Two nodes made in one parent do not disturb each other. A node that was changed, or got something
//! put into it, is not deleted by someone who has not seen that.

use std::collections::BTreeMap;

use identity::UserId;
use serde::{Deserialize, Serialize};

use super::{Carried, Change, Command, CommandId, NodeId, Position, PropName};

/// A command that would overwrite what others did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The command.
    pub cmd_id: CommandId,
    /// The node.
    pub node: NodeId,
    /// The properties, if it is about those.
    pub props: Vec<PropName>,
    /// The last commit that wrote there.
    pub by_rev: u64,
    /// Whose it is.
    pub actor: UserId,
}

/// What was written by commits that a client has not seen.
#[derive(Debug, Default)]
pub struct Missed(BTreeMap<NodeId, Written>);

/// The last write of each part of a node.
#[derive(Debug, Default)]
struct Written {
    life: Option<By>,
    place: Option<By>,
    children: Option<By>,
    props: BTreeMap<PropName, By>,
}

#[derive(Debug, Clone)]
struct By {
    rev: u64,
    actor: UserId,
}

/// A part of the canvas on which a command relies.
enum Touch<'a> {
    Life(&'a NodeId),
    Place(&'a NodeId),
    Prop(&'a NodeId, &'a PropName),
    All(&'a NodeId),
}

impl Touch<'_> {
    const fn node(&self) -> &NodeId {
        match self {
            Self::Life(node) | Self::Place(node) | Self::Prop(node, _) | Self::All(node) => node,
        }
    }
}

impl Missed {
    /// Takes note of a later commit.
    pub fn note(&mut self, rev: u64, actor: &UserId, change: &Change) {
        let by = By {
            rev,
            actor: actor.clone(),
        };
        match change {
            Change::Create(made) => {
                self.of(&made.node).life = Some(by.clone());
                self.children(made.parent.as_ref(), by);
            }
            Change::Update { node, set, unset } => {
                let written = self.of(node);
                for name in set.keys().chain(unset) {
                    written.props.insert(name.clone(), by.clone());
                }
            }
            Change::Move { node, from, to } => {
                self.of(node).place = Some(by.clone());
                self.children(from.parent.as_ref(), by.clone());
                self.children(to.parent.as_ref(), by);
            }
            Change::Delete {
                parent, removed, ..
            } => {
                for node in removed {
                    self.of(node).life = Some(by.clone());
                }
                self.children(parent.as_ref(), by);
            }
        }
    }

    fn of(&mut self, node: &NodeId) -> &mut Written {
        self.0.entry(node.clone()).or_default()
    }

    fn children(&mut self, parent: Option<&NodeId>, by: By) {
        if let Some(parent) = parent {
            self.of(parent).children = Some(by);
        }
    }

    /// The conflicts of a command that was carried out on the later state.
    #[must_use]
    pub fn conflicts(&self, carried: &Carried) -> Vec<Conflict> {
        let near = carried.near.iter().map(Touch::Place);
        let touches: Vec<Touch<'_>> = match &carried.effective.change {
            Change::Create(made) => {
                let parent = made.parent.iter().map(Touch::Life);
                parent
                    .chain([Touch::Life(&made.node)])
                    .chain(near)
                    .collect()
            }
            Change::Update { node, set, unset } => of_update(node, set.keys().chain(unset)),
            Change::Move { node, to, .. } => {
                let parent = to.parent.iter().map(Touch::Life);
                let own = [Touch::Life(node), Touch::Place(node)];
                parent.chain(own).chain(near).collect()
            }
            Change::Delete { removed, .. } => removed.iter().map(Touch::All).collect(),
        };
        self.overlaps(&carried.effective.cmd_id, &touches)
    }

    /// The conflicts of a command that could not be carried out on the later state.
    #[must_use]
    pub fn conflicts_of_failed(&self, cmd_id: &CommandId, command: &Command) -> Vec<Conflict> {
        let touches = match command {
            Command::Create {
                node,
                parent,
                position,
                ..
            } => {
                let parent = parent.iter().map(Touch::All);
                parent
                    .chain([Touch::Life(node)])
                    .chain(beside(position))
                    .collect()
            }
            Command::Update { node, set, unset } => of_update(node, set.keys().chain(unset)),
            Command::Move {
                node,
                parent,
                position,
            } => {
                // Whatever happened to the parent may be why it failed: it may lie in the node now.
                let parent = parent.iter().flatten().map(Touch::All);
                let own = [Touch::Life(node), Touch::Place(node)];
                parent.chain(own).chain(beside(position)).collect()
            }
            Command::Delete { node } => vec![Touch::All(node)],
        };
        self.overlaps(cmd_id, &touches)
    }

    fn overlaps(&self, cmd_id: &CommandId, touches: &[Touch<'_>]) -> Vec<Conflict> {
        let mut found: BTreeMap<&NodeId, (Vec<PropName>, &By)> = BTreeMap::new();
        for touch in touches {
            let Some(written) = self.0.get(touch.node()) else {
                continue;
            };
            for (name, by) in written.under(touch) {
                let (props, latest) = found.entry(touch.node()).or_insert((Vec::new(), by));
                props.extend(name.cloned());
                if by.rev > latest.rev {
                    *latest = by;
                }
            }
        }
        let conflict = |(node, (props, by)): (&NodeId, (Vec<PropName>, &By))| Conflict {
            cmd_id: cmd_id.clone(),
            node: node.clone(),
            props,
            by_rev: by.rev,
            actor: by.actor.clone(),
        };
        found.into_iter().map(conflict).collect()
    }
}

impl Written {
    /// The writes of what is touched, with the property if it is one.
    fn under<'a>(&'a self, touch: &Touch<'_>) -> Vec<(Option<&'a PropName>, &'a By)> {
        let whole = |by: &'a Option<By>| by.iter().map(|by| (None, by));
        match touch {
            Touch::Life(_) => whole(&self.life).collect(),
            // A sibling that is gone has no place either.
            Touch::Place(_) => whole(&self.life).chain(whole(&self.place)).collect(),
            Touch::Prop(_, name) => {
                let written = self.props.get_key_value(*name);
                written
                    .map(|(name, by)| (Some(name), by))
                    .into_iter()
                    .collect()
            }
            Touch::All(_) => {
                let parts = [&self.life, &self.place, &self.children];
                let props = self.props.iter().map(|(name, by)| (Some(name), by));
                parts.into_iter().flat_map(whole).chain(props).collect()
            }
        }
    }
}

fn of_update<'a>(node: &'a NodeId, names: impl Iterator<Item = &'a PropName>) -> Vec<Touch<'a>> {
    let props = names.map(|name| Touch::Prop(node, name));
    std::iter::once(Touch::Life(node)).chain(props).collect()
}

fn beside(position: &Position) -> Option<Touch<'_>> {
    match position {
        Position::After(node) | Position::Before(node) => Some(Touch::Place(node)),
        Position::First | Position::Last => None,
    }
}
