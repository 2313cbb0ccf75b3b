//! The pure core: what a canvas is, and what commands do to it.
//!
//! Start at [`State`] and [`State::carry_out`]. No clock, no chance, no order of a hash map: the
//! same commands make the same state, to the byte, wherever they are carried out.

mod apply;
mod command;
mod effective;
mod footprint;
mod hash;
mod invert;
mod json;
mod limits;
mod members;
mod names;
mod node;
mod order;
mod sorted;
mod state;

pub use apply::{Carried, Reason};
pub use command::{Command, InvalidCommand, Kind, Position};
pub use effective::{Change, Effective, Place};
pub use footprint::{Conflict, Missed};
pub use hash::{Digest, InvalidDigest};
pub use invert::{Skipped, Undo};
pub use json::{InvalidJson, Json};
pub use limits::*;
pub use names::{AgentName, BatchId, ClientId, CommandId, InvalidName, NodeId, NodeType, PropName};
pub use node::Node;
pub use order::Order;
pub use state::{Damaged, State};
