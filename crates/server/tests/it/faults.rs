//! What the suite of faults shares: backends behind a network that fails, people who post, people who follow.
//!
//! Start at [`Plant`] and [`Talk`]. Nothing here waits for less than a minute for what comes by itself.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use testkit::{FaultProxy, RedisServer};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::{AbortHandle, JoinHandle},
    time::Instant,
};

use crate::{
    client::{Caller, Reply, Request, send},
    process::Server,
    recipes::succeed,
    several::Cloud,
    streams::{Sse, SseEvent},
};

/// What comes by itself comes in this time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks, and two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// The backends of the profile `cloud`, and the ways to them.
pub(crate) struct Plant {
    pub(crate) cloud: Cloud,
    pub(crate) redis: FaultProxy,
    pub(crate) firestore: FaultProxy,
    pub(crate) s3: FaultProxy,
}

impl Plant {
    pub(crate) async fn start() -> Self {
        let mut cloud = Cloud::start().await;
        let firestore: SocketAddr = cloud.firestore.parse().unwrap();
        let s3: SocketAddr = cloud.s3.url.trim_start_matches("http://").parse().unwrap();
        let redis = SocketAddr::from(([127, 0, 0, 1], cloud.redis.port()));
        let plant = [redis, firestore, s3].map(FaultProxy::to);
        let [redis_way, firestore_way, s3_way] = plant;
        let (redis_way, firestore_way, s3_way) =
            (redis_way.await, firestore_way.await, s3_way.await);
        for arg in &mut cloud.args {
            for (backend, way) in [
                (redis, &redis_way),
                (firestore, &firestore_way),
                (s3, &s3_way),
            ] {
                *arg = arg.replace(&backend.to_string(), &way.address().to_string());
            }
        }
        Self {
            cloud,
            redis: redis_way,
            firestore: firestore_way,
            s3: s3_way,
        }
    }
}

/// Says one command to a Redis; the first line of its answer.
pub(crate) async fn redis(server: &RedisServer, command: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap();
    let command = format!("{command}\r\n");
    connection.write_all(command.as_bytes()).await.unwrap();
    let mut line = String::new();
    let mut answer = BufReader::new(connection);
    answer.read_line(&mut line).await.unwrap();
    line.trim().to_owned()
}

/// Somebody with a tenant of their own.
pub(crate) async fn stranger(server: &Server) -> Caller {
    let body = json!({
        "email": "bob@south.example", "password": "correct horse battery", "tenant_name": "South",
    });
    let signed_up = Request::new("POST", "/auth/signup").json(&body);
    let signed_up = succeed(server, &Caller::default(), signed_up).await;
    let [token, tenant, project] = ["/access_token", "/tenant/id", "/project/id"]
        .map(|at| signed_up.pointer(at).and_then(Value::as_str).unwrap());
    Caller::new(token, tenant, project)
}

/// Asks again and again until the answer is `wanted`; on the way it may only be what heals: 503 with `Retry-After`.
pub(crate) async fn eventually(
    server: &Server,
    caller: &Caller,
    request: &Request,
    wanted: impl Fn(&Reply) -> bool,
) -> Reply {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = send(server, caller, request).await;
        if wanted(&reply) {
            return reply;
        }
        assert!(Instant::now() < deadline, "{request:?}: {reply:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether it was done.
pub(crate) fn done(reply: &Reply) -> bool {
    (200..300).contains(&reply.status)
}

/// Whether it is refused because a backend is away, as the contract says it.
pub(crate) fn away(reply: &Reply) -> bool {
    let away = reply.outcome() == (503, "backend_unavailable".to_owned());
    assert!(!away || reply.header("retry-after").is_some(), "{reply:?}");
    away
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// A message: its cursor and its text.
pub(crate) type Message = (String, String);

/// Nodes as clients know them, who take one after the other; they may be gone.
#[derive(Clone)]
pub(crate) struct Nodes {
    urls: Vec<String>,
    client: reqwest::Client,
}

impl Nodes {
    pub(crate) fn of(servers: &[&Server]) -> Self {
        Self {
            urls: servers
                .iter()
                .map(|server| server.facts.url.clone())
                .collect(),
            // A stream is as long as it is, so it has no timeout.
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }
}

/// Posts to a thread until told to stop, each message until it is acknowledged.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    acked: Arc<Mutex<Vec<Message>>>,
    refused: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Through `nodes` in turn, with a pause after each message.
    pub(crate) fn start(
        nodes: &Nodes,
        caller: &Caller,
        thread: &str,
        name: &str,
        pause: Duration,
    ) -> Self {
        let (nodes, caller) = (nodes.clone(), caller.clone());
        let (path, name) = (format!("/chat/threads/{thread}/messages"), name.to_owned());
        let stop = Arc::<AtomicBool>::default();
        let (acked, refused) = (
            Arc::<Mutex<Vec<Message>>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let (stopped, into, count) = (Arc::clone(&stop), Arc::clone(&acked), Arc::clone(&refused));
        let task = tokio::spawn(async move {
            let mut turn = 0;
            for n in 0.. {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let text = format!("{name} {n}");
                let deadline = Instant::now() + PATIENCE;
                let id = loop {
                    turn += 1;
                    let url = format!("{}{path}", nodes.urls[turn % nodes.urls.len()]);
                    let why = match say(nodes.client.post(url), &caller, &text).await {
                        Ok(id) => break id,
                        Err(why) => why,
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                    assert!(Instant::now() < deadline, "{text} is never taken: {why}");
                    tokio::time::sleep(PAUSE).await;
                };
                into.lock().push((id, text));
                tokio::time::sleep(pause).await;
            }
        });
        Self {
            stop,
            acked,
            refused,
            task,
        }
    }

    /// Messages that were acknowledged so far.
    pub(crate) fn acked(&self) -> usize {
        self.acked.lock().len()
    }

    /// Waits until it was refused once more.
    pub(crate) async fn until_refused(&self) {
        let before = self.refused.load(Ordering::SeqCst);
        let refused = || self.refused.load(Ordering::SeqCst) > before || self.task.is_finished();
        until("a refusal", refused).await;
    }

    /// Waits until some more were acknowledged.
    pub(crate) async fn until_on(&self) {
        let before = self.acked();
        let on = || self.acked() > before + 5 || self.task.is_finished();
        until("a writer goes on", on).await;
    }

    /// Lets it end its message; all that were acknowledged, in order.
    pub(crate) async fn stop(self) -> Vec<Message> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        std::mem::take(&mut self.acked.lock())
    }
}

/// Posts one message under its text as key; why not, when it is refused because something is away.
async fn say(mut request: RequestBuilder, caller: &Caller, text: &str) -> Result<String, String> {
    for (name, value) in caller.headers() {
        request = request.header(name, value);
    }
    let request = request
        .header("idempotency-key", text.replace(' ', "-"))
        .header("content-type", "application/json")
        .timeout(PATIENCE)
        .body(json!({"data": {"text": text}}).to_string());
    // A node that was killed answers nothing.
    let gone = |error: reqwest::Error| error.to_string();
    let answer = request.send().await.map_err(gone)?;
    let (status, retry) = (
        answer.status().as_u16(),
        answer.headers().contains_key("retry-after"),
    );
    let body = answer.text().await.map_err(gone)?;
    if status == 503 {
        assert!(retry, "{body}");
        return Err(body);
    }
    assert_eq!(status, 201, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    Ok(body["id"].as_str().unwrap().to_owned())
}

/// What somebody heard who follows a thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<Message>,
    /// The reasons of gaps.
    pub(crate) gaps: Vec<String>,
    /// How often the stream was opened.
    pub(crate) opened: usize,
    /// Why it was not opened the last time.
    pub(crate) refused: String,
}

/// Follows a thread as a browser does: when its stream ends it opens another one with its cursor.
pub(crate) struct Follower {
    heard: Arc<Mutex<Heard>>,
    task: AbortHandle,
}

impl Follower {
    /// From the cursor on, on the first of `nodes`, and on the next whenever a stream ends. Returns when it is open.
    pub(crate) async fn start(nodes: &Nodes, caller: &Caller, thread: &str, from: &str) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let follow = follow(
            nodes.clone(),
            caller.clone(),
            format!("/sse/chat/{thread}"),
            from.to_owned(),
            Arc::clone(&heard),
        );
        let task = tokio::spawn(follow).abort_handle();
        let follower = Self { heard, task };
        follower.opened(1).await;
        follower
    }

    /// Waits until a stream was opened so often.
    pub(crate) async fn opened(&self, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.heard.lock().opened < times {
            assert!(Instant::now() < deadline, "{}", self.heard.lock().refused);
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().clone()
    }

    /// Waits until it heard as many messages, and says which.
    pub(crate) async fn hears(&self, count: usize) -> Vec<Message> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heard = self.heard();
            if heard.messages.len() >= count {
                return heard.messages;
            }
            assert!(Instant::now() < deadline, "{count} of {heard:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    nodes: Nodes,
    caller: Caller,
    path: String,
    from: String,
    heard: Arc<Mutex<Heard>>,
) {
    let mut cursor = from;
    for url in nodes.urls.iter().cycle() {
        let mut request = nodes.client.get(format!("{url}{path}"));
        for (name, value) in caller.headers() {
            request = request.header(name, value);
        }
        let answer = request.header("last-event-id", &cursor).send().await;
        let mut pause = PAUSE;
        match answer {
            Ok(response) if response.status() == 200 => {
                heard.lock().opened += 1;
                let mut stream = Sse::of(response);
                while let Some(event) = stream.read().await {
                    take(&event, &heard);
                    cursor = event.id.unwrap_or(cursor);
                }
            }
            refused => {
                // A thousand who would not wait as they are told to would be a load of their own.
                pause = refused.as_ref().map_or(PAUSE, told_to_wait);
                heard.lock().refused = format!("{refused:?}");
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// How long whoever is refused is to wait.
fn told_to_wait(refused: &Response) -> Duration {
    let told = refused.headers().get("retry-after");
    let seconds = told.and_then(|told| told.to_str().ok()?.parse().ok());
    seconds.map_or(PAUSE, Duration::from_secs)
}

fn take(event: &SseEvent, heard: &Mutex<Heard>) {
    let said = event.json();
    let mut heard = heard.lock();
    match event.event.as_str() {
        "message" => {
            let id = event.id.clone().expect("a message has an id");
            let text = said["data"]["text"].as_str().expect("it has a text");
            heard.messages.push((id, text.to_owned()));
        }
        "gap" => heard.gaps.push(said["reason"].as_str().unwrap().to_owned()),
        _ => {}
    }
}
