//! What a caller does here, and the least role for it.

use identity::{Action, Role};

identity::action!(RegisterThread, "chat.thread.register", Member);
identity::action!(KeepSnippets, "chat.thread.snippets", Member);
identity::action!(ReadThread, "chat.thread.read", Viewer);
identity::action!(OpenStream, "chat.stream.open", Viewer);
identity::action!(OpenCanvasStream, "canvas.stream.open", Viewer);
identity::action!(IssueTicket, "realtime.ticket.issue", Viewer);

/// The action `chat.message.post`.
///
/// The message is itself a durable event that names who, what and the request,
/// so that one record after it is enough (`docs/adr/0007-recording.md`).
#[derive(Debug)]
pub enum PostMessage {}
impl Action for PostMessage {
    const NAME: &'static str = "chat.message.post";
    const ROLE: Role = Role::Member;
    const OUTCOME_ONLY: bool = true;
}

/// The action `canvas.tool.post`, recorded as [`PostMessage`] is.
#[derive(Debug)]
pub enum PostToolEvent {}
impl Action for PostToolEvent {
    const NAME: &'static str = "canvas.tool.post";
    const ROLE: Role = Role::Member;
    const OUTCOME_ONLY: bool = true;
}
