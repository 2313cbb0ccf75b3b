//! What a canvas, and a batch of commands, may hold.

/// Most nodes of a canvas.
pub const NODES_MAX: usize = 20_000;
/// Most bytes of all nodes of a canvas, in their canonical form: a snapshot fits into one batch
/// of the store.
pub const STATE_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Most nodes on the way from the top to a node, itself included.
pub const DEPTH_MAX: usize = 64;
/// Most bytes of one node, in its canonical form.
pub const NODE_BYTES_MAX: usize = 64 * 1024;
/// Most properties of one node.
pub const PROPS_MAX: usize = 256;
/// Most lists and objects within each other in one property.
pub const PROP_DEPTH_MAX: usize = 32;
/// Most commands of a batch.
pub const BATCH_COMMANDS_MAX: usize = 1_000;
/// Most bytes of what the commands of one batch did: a commit fits into a document of the store.
pub const COMMIT_BYTES_MAX: usize = 448 * 1024;
