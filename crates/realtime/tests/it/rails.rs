//! The rails that clients follow: what holds on one holds on each, so that tests run on both.

/// A rail, and what its tests use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rail {
    pub(crate) name: &'static str,
    /// The ids of an object that tests talk to, and of another.
    pub(crate) one: &'static str,
    pub(crate) other: &'static str,
    /// Where something is posted to the first.
    pub(crate) posts: &'static str,
    /// The action of that, and the type of what says no other.
    pub(crate) post: &'static str,
    pub(crate) kind: &'static str,
    /// The code of the refusal of what is foreign.
    pub(crate) denied: &'static str,
}

pub(crate) const CHAT: Rail = Rail {
    name: "chat",
    one: "th_1",
    other: "th_2",
    posts: "/chat/threads/th_1/messages",
    post: "chat.message.post",
    kind: "chat.message",
    denied: "thread_access_denied",
};

pub(crate) const CANVAS: Rail = Rail {
    name: "canvas",
    one: "cv_1",
    other: "cv_2",
    posts: "/sse/canvas/cv_1",
    post: "canvas.tool.post",
    kind: "tool.event",
    denied: "canvas_access_denied",
};

pub(crate) const RAILS: [Rail; 2] = [CHAT, CANVAS];

impl Rail {
    /// The path of a stream of the first object.
    pub(crate) fn stream(&self, transport: &str) -> String {
        format!("/{transport}/{}/{}", self.name, self.one)
    }

    pub(crate) fn sse(&self) -> String {
        self.stream("sse")
    }

    pub(crate) fn ws(&self) -> String {
        self.stream("ws")
    }

    /// The action of opening, renewing or closing a stream.
    pub(crate) fn action(&self, what: &str) -> String {
        format!("{}.stream.{what}", self.name)
    }

    /// What asks for a ticket to the first object.
    pub(crate) fn asks(&self) -> String {
        format!(r#"{{"rail":"{}","id":"{}"}}"#, self.name, self.one)
    }
}
