//! A thread that is written to and followed while things fail, and what must be so afterwards.

use std::time::Duration;

use serde_json::Value;

use crate::{
    client::{Caller, Request},
    faults::{Follower, Message, Nodes, Writer},
    process::Server,
    recipes::succeed,
    streams::{post, thread},
};

/// The thread; every tenant has one of this name.
pub(crate) const THREAD: &str = "th_talk";
/// Between two messages.
const PACE: Duration = Duration::from_millis(10);

/// One tenant's: somebody posts all the time, and some follow.
pub(crate) struct Talk {
    pub(crate) writer: Writer,
    pub(crate) caller: Caller,
    first: Message,
    /// One on each server, and one who changes the server.
    followers: Vec<Follower>,
}

impl Talk {
    /// Posts go through all `servers` in turn. There is a follower on each, and one who changes the server.
    pub(crate) async fn begin(servers: &[&Server], caller: &Caller, name: &str) -> Self {
        thread(servers[0], caller, THREAD).await;
        let first = post(servers[0], caller, THREAD, &[name]).await.remove(0);
        let mut followers = Vec::new();
        for follows in servers.iter().map(std::slice::from_ref).chain([servers]) {
            followers.push(Follower::start(&Nodes::of(follows), caller, THREAD, &first).await);
        }
        Self {
            writer: Writer::start(&Nodes::of(servers), caller, THREAD, name, PACE),
            caller: caller.clone(),
            first: (first, name.to_owned()),
            followers,
        }
    }

    /// How often the streams of those who stay on their server were opened.
    pub(crate) fn opened(&self) -> Vec<usize> {
        let staying = self.followers.iter().take(self.followers.len() - 1);
        staying.map(|follower| follower.heard().opened).collect()
    }

    /// Ends it, and looks whether everybody heard what was acknowledged, all of it, once, in order, and nothing else.
    pub(crate) async fn end(self, servers: &[&Server]) {
        let acked = self.writer.stop().await;
        for follower in &self.followers {
            let heard = follower.hears(acked.len()).await;
            assert_eq!(heard, acked);
            assert_eq!(follower.heard().gaps, [""; 0]);
        }
        let mut all = vec![self.first];
        all.extend(acked);
        for server in servers {
            assert_eq!(messages(server, &self.caller, THREAD).await, all);
        }
    }
}

/// Every message of a thread.
pub(crate) async fn messages(server: &Server, caller: &Caller, thread: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/chat/threads/{thread}/messages?limit=1000{after}");
        let page = succeed(server, caller, Request::new("GET", path)).await;
        let text = |item: &Value, at: &str| item.pointer(at).unwrap().as_str().unwrap().to_owned();
        let items = page["items"].as_array().unwrap().iter();
        messages.extend(items.map(|item| (text(item, "/id"), text(item, "/data/text"))));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return messages,
        }
    }
}
