//! A canvas that several people and agents edit at once.
//!
//! Start at [`CanvasService::submit`]: a batch of commands is carried out on the state of a canvas,
//! once, and becomes a [`Commit`]; or the answer says why not, and holds all that the client needs
//! to be where the canvas is ([`Recovery`]). What commands do is in [`model`], which is pure. Who owns a
//! canvas is known to `realtime`, whose rail tells of every commit.
//!
//! **Invariant:** a commit is durable before anyone hears of it, and every durable commit is told, in
//! order, once. Who makes it does not wait for that.
//!
//! **Invariant:** a batch is carried out at most once, however often and wherever it is sent.
//!
//! **Invariant:** the state of a revision is made from the commits up to it and nothing else.

mod actions;
mod announce;
mod batch;
mod commit;
mod error;
mod exports;
pub mod model;
pub mod preview;
pub mod replay;
#[cfg(feature = "http")]
mod routes;
mod runs;
mod service;
mod stored;

pub use actions::{
    CancelRun, CreateCanvas, MakePreview, MakeReplay, ReadCanvas, ReadCanvasAudit, RestoreCanvas,
    RunAgent, SendCommands, UndoBatch,
};
pub use batch::{CommandBatch, Identity, Sent};
pub use commit::{Actor, Commit, Mode};
pub use error::{CanvasError, Elsewhere, Elsewise};
pub use exports::{Exports, PREVIEW_KIND, PreviewOf, REPLAY_CONTENT_TYPE, REPLAY_KIND, ReplayOf};
#[cfg(feature = "http")]
pub use routes::{OwnCanvas, PreviewBody, ReplayBody, RunBody, openapi, routes};
pub use runs::{
    Failed, Heading, INTERRUPTED, InvalidRunId, LEASE, Plan, RUN_NAME_BYTES_MAX, RUN_STEPS_MAX,
    RUN_WAIT_MAX, Run, RunId, RunOf, Runs, RunsDeps, STEP_WAIT_MAX, SentStep,
};
pub use service::{
    Applied, CanvasConfig, CanvasDeps, CanvasService, CommitPage, MadeReplay, Played, Recovery,
    ReplayRange, Restore, Seek, Snapshot, Undoing, View, Way,
};
pub use stored::{RECEIPT_LIFE, Version};
