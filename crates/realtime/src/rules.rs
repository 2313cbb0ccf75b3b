//! What differs from rail to rail. All else is the same code.

use identity::{Action, Role};

use crate::{InvalidMessage, OpenCanvasStream, OpenStream, PostMessage, PostToolEvent};

/// The rail of threads.
pub const CHAT: &str = "chat";
/// The rail of canvases.
pub const CANVAS: &str = "canvas";

/// The rules of one rail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Its name in routing, paths, tickets and metrics.
    pub(crate) rail: &'static str,
    /// What routing calls the object of a stream.
    pub(crate) object: &'static str,
    /// The actions under which streams and messages are recorded.
    pub(crate) opens: &'static str,
    pub(crate) closes: &'static str,
    pub(crate) renews: &'static str,
    pub(crate) posts: &'static str,
    /// The least role to follow a stream, and to post.
    pub(crate) follower: Role,
    pub(crate) speaker: Role,
    /// The type of a message that does not say its own.
    default_type: &'static str,
    /// What the types of clients' messages begin with.
    types: &'static str,
    /// Where a message is posted with a request: before the object's id, and after it.
    place: (&'static str, &'static str),
    /// Whether its sockets take gestures.
    pub(crate) gestures: bool,
}

/// The rules of threads.
pub(crate) static CHAT_RULES: Rules = Rules {
    rail: CHAT,
    object: "thread_id",
    opens: OpenStream::NAME,
    closes: "chat.stream.close",
    renews: "chat.stream.renew",
    posts: PostMessage::NAME,
    follower: OpenStream::ROLE,
    speaker: PostMessage::ROLE,
    default_type: "chat.message",
    types: "",
    place: ("/chat/threads/", "/messages"),
    gestures: false,
};

/// The rules of canvases: what clients say there is of tools. Commits and artifacts are told by the
/// server alone, so that no client can tell one that was not made.
pub(crate) static CANVAS_RULES: Rules = Rules {
    rail: CANVAS,
    object: "canvas_id",
    opens: OpenCanvasStream::NAME,
    closes: "canvas.stream.close",
    renews: "canvas.stream.renew",
    posts: PostToolEvent::NAME,
    follower: OpenCanvasStream::ROLE,
    speaker: PostToolEvent::ROLE,
    default_type: "tool.event",
    types: "tool.",
    place: ("/sse/canvas/", ""),
    gestures: true,
};

impl Rules {
    /// The type of a client's message.
    ///
    /// # Errors
    /// [`InvalidMessage::Rail`] when clients do not say such here.
    pub(crate) fn type_of<'a>(&self, said: Option<&'a str>) -> Result<&'a str, InvalidMessage> {
        match said {
            None => Ok(self.default_type),
            Some(kind) if kind.starts_with(self.types) => Ok(kind),
            Some(_) => Err(InvalidMessage::Rail(self.types)),
        }
    }

    /// Where a message to `object` is posted with a request, as the target of its record.
    pub(crate) fn posted_to(&self, object: &str) -> String {
        let (before, after) = self.place;
        format!("{before}{object}{after}")
    }
}
