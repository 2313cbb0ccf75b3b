//! Nodes: what a canvas is made of.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Digest, Json, NodeId, NodeType, Order, PropName};

/// The properties of a node.
pub(crate) type Props = BTreeMap<PropName, Json>;

/// A node of the tree.
///
/// Serialised it is its canonical JSON, `{"id","order","parent","props","type"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    id: NodeId,
    kind: NodeType,
    parent: Option<NodeId>,
    order: Order,
    props: Arc<Props>,
    hash: Digest,
    bytes: usize,
}

/// The members in the order of RFC 8785.
#[derive(Serialize)]
struct Canonical<'a> {
    id: &'a NodeId,
    order: &'a Order,
    parent: Option<&'a NodeId>,
    props: &'a Props,
    r#type: &'a NodeType,
}

#[derive(Deserialize)]
struct Read {
    id: NodeId,
    order: Order,
    parent: Option<NodeId>,
    props: Props,
    r#type: NodeType,
}

impl Node {
    pub(super) fn new(
        id: NodeId,
        kind: NodeType,
        parent: Option<NodeId>,
        order: Order,
        props: Arc<Props>,
    ) -> Self {
        let mut node = Self {
            id,
            kind,
            parent,
            order,
            props,
            hash: Digest::ZERO,
            bytes: 0,
        };
        // Names and canonical values can always be written.
        let text = serde_json::to_vec(&node).unwrap_or_default();
        node.hash = Digest::of_node(&text);
        node.bytes = text.len();
        node
    }

    /// The same node elsewhere.
    pub(super) fn at(&self, parent: Option<NodeId>, order: Order) -> Self {
        let (id, kind) = (self.id.clone(), self.kind.clone());
        Self::new(id, kind, parent, order, Arc::clone(&self.props))
    }

    /// The same node with other properties.
    pub(super) fn with(&self, set: &Props, unset: &[PropName]) -> Self {
        let mut props = (*self.props).clone();
        props.retain(|name, _| !unset.contains(name));
        props.extend(
            set.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let (id, kind) = (self.id.clone(), self.kind.clone());
        Self::new(
            id,
            kind,
            self.parent.clone(),
            self.order.clone(),
            props.into(),
        )
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.id
    }
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> &NodeType {
        &self.kind
    }
    /// The node that it lies in; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<&NodeId> {
        self.parent.as_ref()
    }
    /// Its place among its siblings.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }
    /// Its properties.
    #[must_use]
    pub fn props(&self) -> &BTreeMap<PropName, Json> {
        &self.props
    }
    /// The hash of its canonical JSON.
    #[must_use]
    pub fn hash(&self) -> &Digest {
        &self.hash
    }
    /// The bytes of its canonical JSON.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let canonical = Canonical {
            id: &self.id,
            order: &self.order,
            parent: self.parent.as_ref(),
            props: &self.props,
            r#type: &self.kind,
        };
        canonical.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read {
            id,
            order,
            parent,
            props,
            r#type,
        } = Read::deserialize(deserializer)?;
        Ok(Self::new(id, r#type, parent, order, props.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_written_in_its_canonical_form() {
        let value = Json::parse(r#"{"b":[1.50,"\u0001é"],"a":null}"#).unwrap();
        let props: Props = [
            ("x.y".parse().unwrap(), value),
            ("A_".parse().unwrap(), Json::parse("-0").unwrap()),
        ]
        .into();
        let order = Order::between(None, None).unwrap();
        let node = Node::new(
            "n-1".parse().unwrap(),
            "shape.rect".parse().unwrap(),
            None,
            order,
            props.into(),
        );
        let text = serde_json::to_string(&node).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text, serde_json_canonicalizer::to_string(&value).unwrap());
        assert_eq!(serde_json::from_str::<Node>(&text).unwrap(), node);
        assert_eq!(node.bytes(), text.len());
    }
}
