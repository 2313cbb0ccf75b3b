//! A canvas as a stranger would keep it from the log alone: JSON values, searched and sorted anew
//! for each question, and hashes by the letter of `docs/canvas.md`. Nothing of the crate is used
//! but the form of commits on the wire.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Oracle {
    pub(crate) nodes: BTreeMap<String, Arc<Value>>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Oracle {
    pub(crate) fn of(nodes: &Value) -> Self {
        let nodes = nodes["nodes"].as_array().unwrap().iter();
        Self {
            nodes: nodes
                .map(|node| (text(&node["id"]), Arc::new(node.clone())))
                .collect(),
        }
    }

    /// Does what a commit on the wire says.
    pub(crate) fn apply(&mut self, commit: &Value) {
        for command in commit["commands"].as_array().unwrap() {
            let args = &command["args"];
            let node = text(&args["node"]);
            match command["kind"].as_str().unwrap() {
                "node.create" => {
                    assert!(!self.nodes.contains_key(&node), "{node} is made twice");
                    let made = json!({"id": node, "order": args["order"], "parent": args["parent"],
                        "props": args["props"], "type": args["type"]});
                    self.nodes.insert(node, Arc::new(made));
                }
                "node.update" => {
                    let found = Arc::make_mut(self.nodes.get_mut(&node).unwrap());
                    let props = found["props"].as_object_mut().unwrap();
                    for name in args["unset"].as_array().unwrap() {
                        props.remove(name.as_str().unwrap());
                    }
                    for (name, value) in args["set"].as_object().unwrap() {
                        props.insert(name.clone(), value.clone());
                    }
                }
                "node.move" => {
                    let found = Arc::make_mut(self.nodes.get_mut(&node).unwrap());
                    assert_eq!(found["parent"], args["from"]["parent"]);
                    assert_eq!(found["order"], args["from"]["order"]);
                    found["parent"] = args["parent"].clone();
                    found["order"] = args["order"].clone();
                }
                "node.delete" => {
                    for gone in args["removed"].as_array().unwrap() {
                        self.nodes.remove(gone.as_str().unwrap()).unwrap();
                    }
                }
                kind => panic!("{kind}"),
            }
        }
    }

    /// That it is a tree whose siblings have places of their own.
    pub(crate) fn check(&self) {
        let mut places = std::collections::BTreeSet::new();
        for (id, node) in &self.nodes {
            assert!(
                places.insert((text(&node["parent"]), text(&node["order"]))),
                "{id} shares its place"
            );
            let (mut above, mut steps) = (node["parent"].clone(), 0);
            while let Some(parent) = above.as_str() {
                above = self.nodes.get(parent).expect("a parent exists")["parent"].clone();
                steps += 1;
                assert!(steps <= self.nodes.len(), "{id} lies in itself");
            }
        }
    }

    pub(crate) fn hash(&self) -> String {
        let canonical = |node: &Value| serde_json_canonicalizer::to_vec(node).unwrap();
        let mut hashes: Vec<Vec<u8>> = self
            .nodes
            .values()
            .map(|node| sha(0, &canonical(node)))
            .collect();
        hashes.sort();
        let buckets = (0..=255_u8).flat_map(|first| {
            let of = hashes.iter().filter(|hash| hash[0] == first);
            sha(1, &of.flatten().copied().collect::<Vec<u8>>())
        });
        hex(&sha(2, &buckets.collect::<Vec<u8>>()))
    }
}

fn sha(what: u8, bytes: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update([what]);
    hash.update(bytes);
    hash.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that a commit on the wire must have.
pub(crate) fn commit_hash(commit: &Value) -> String {
    let mut bare = commit.clone();
    bare.as_object_mut().unwrap().remove("commit_hash");
    hex(&sha(3, &serde_json_canonicalizer::to_vec(&bare).unwrap()))
}
