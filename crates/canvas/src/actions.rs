//! What a caller does here, and the least role for it.

use identity::{Action, Role};

identity::action!(CreateCanvas, "canvas.create", Member);
identity::action!(ReadCanvas, "canvas.read", Viewer);
identity::action!(ReadCanvasAudit, "canvas.audit.read", Member);
identity::action!(MakePreview, "canvas.preview", Member);
identity::action!(MakeReplay, "canvas.replay", Member);
identity::action!(CancelRun, "canvas.run.cancel", Member);
identity::action!(RunAgent, "canvas.run", Member);
identity::action!(RestoreCanvas, "canvas.restore", Member);
identity::action!(UndoBatch, "canvas.undo", Member);

/// The action `canvas.command`.
///
/// A commit is itself a durable record that names who, what and the request, so that one record
/// after it is enough (`docs/adr/0007-recording.md`).
#[derive(Debug)]
pub enum SendCommands {}

impl Action for SendCommands {
    const NAME: &'static str = "canvas.command";
    const ROLE: Role = Role::Member;
    const OUTCOME_ONLY: bool = true;
}
