//! Several nodes that share their engines behave as one.
//!
//! [`Cloud`] has real backends: a Redis, Google's Firestore emulator, an S3 endpoint. [`Cloud::nodes`] starts
//! servers over them, each a process with its own port, data folder and spool.

pub(crate) mod followers;

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{FirestoreEmulator, RedisServer};

use crate::{
    backends::{Backends, Objects},
    client::{Caller, Request, send},
    process::{Server, serve_of},
    recipes::{bootstrap, succeed},
    removal::member,
    streams::{Sse, Ws, post, thread},
    telemetry::page,
};

/// The backends of the profile `cloud`, for as long as a test needs them.
pub(crate) struct Cloud {
    pub(crate) redis: RedisServer,
    /// Where Firestore is, `address:port`.
    pub(crate) firestore: String,
    _emulator: Option<FirestoreEmulator>,
    pub(crate) s3: Objects,
    /// Objects and secrets.
    pub(crate) folder: TempDir,
    /// What `init` is told of them.
    pub(crate) args: Vec<String>,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let own = tokio::task::spawn_blocking(Backends::own).await.unwrap();
        Self {
            args: own.args(),
            firestore: own.firestore().to_owned(),
            redis: own.redis.unwrap(),
            _emulator: own.emulator,
            s3: own.s3.unwrap(),
            folder: own.folder,
        }
    }

    /// Nodes of one installation over them, whose configuration goes on with `more`. The first one has a resident
    /// (`Caller::resident(&nodes[0], 0)`), whom the others know as well. A node that is dropped is killed.
    pub(crate) async fn nodes<const N: usize>(&self, more: &str) -> [Server; N] {
        let mut nodes = vec![serve_of(&self.args, more).await];
        for _ in 1..N {
            nodes.push(nodes[0].another());
        }
        nodes.try_into().ok().expect("as many as were started")
    }
}

/// A figure of a server's metrics: `name`, with its labels if it has some. What was never counted is 0.
pub(crate) async fn figure(server: &Server, name: &str) -> f64 {
    let page = page(server).await;
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let found = lines.filter(|(series, _)| *series == name);
    found.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// Waits until a figure is more than `than`.
pub(crate) async fn until_more(server: &Server, name: &str, than: f64) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while figure(server, name).await <= than {
        let late = tokio::time::Instant::now() >= deadline;
        assert!(!late, "{name} is still {than}: {}", page(server).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Does `change`, and returns once `server` has heard of a change about that.
async fn heard(server: &Server, about: &str, change: impl Future<Output = Value>) -> Value {
    let name = format!("tenantry_nodes_heard_total{{about=\"{about}\"}}");
    let before = figure(server, &name).await;
    let changed = change.await;
    until_more(server, &name, before).await;
    changed
}

/// Two nodes that hear each other, and the resident whom both know.
async fn two(cloud: &Cloud) -> ([Server; 2], Caller) {
    let nodes: [Server; 2] = cloud.nodes("").await;
    for node in &nodes {
        until_more(node, "tenantry_nodes_hearing", 0.0).await;
    }
    let ada = Caller::resident(&nodes[0], 0);
    (nodes, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_on_one_node_is_refused_on_another_and_their_streams_end_there() {
    let cloud = Cloud::start().await;
    let ([one, two], ada) = two(&cloud).await;
    thread(&two, &ada, "th_1").await;
    let (user, carol) = member(&two, &ada, "member").await;
    let carol = ada.clone().bearer(carol["access_token"].as_str().unwrap());
    let mut ws = Ws::open(&two, &carol, "/ws/chat/th_1").await;
    let list = Request::new("GET", "/chat/threads");
    succeed(&two, &carol, list.clone()).await;
    let remove = Request::new("DELETE", format!("/control/members/{user}"));
    heard(&two, "member", succeed(&one, &ada, remove)).await;
    // At once: what the node remembers of her for two seconds counts no more.
    let refused = send(&two, &carol, &list).await.outcome();
    assert_eq!(refused, (403, "tenant_forbidden".to_owned()));
    assert_eq!(ws.closed().await, 4403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_on_one_node_holds_on_another_as_soon_as_it_is_heard_of() {
    let cloud = Cloud::start().await;
    let ([one, two], ada) = two(&cloud).await;
    let get = |path: &str| Request::new("GET", path);
    let put = |path: &str, body: Value| Request::new("PUT", path).json(&body);

    let explain =
        Request::new("POST", "/gates/explain").json(&json!({"action": "nexus.cards.write"}));
    let verdict = |told: &Value| told["verdict"].clone();
    let before = succeed(&two, &ada, explain.clone()).await;
    let switch = put(
        "/gates/kill-switches/all",
        json!({"action": "nexus.*", "reason": "a test"}),
    );
    heard(&two, "gates", succeed(&one, &ada, switch)).await;
    let after = succeed(&two, &ada, explain).await;
    assert_ne!(verdict(&before), verdict(&after), "{before} {after}");

    let evaluate = Request::new("POST", "/ofrep/v1/evaluate/flags/f")
        .json(&json!({"context": {"targetingKey": "k"}}));
    let flag = |on: &str| {
        put(
            "/flags/f",
            json!({"variants": {"on": true, "off": false}, "default_variant": on}),
        )
    };
    heard(&two, "flags", succeed(&one, &ada, flag("off"))).await;
    assert_eq!(succeed(&two, &ada, evaluate.clone()).await["value"], false);
    heard(&two, "flags", succeed(&one, &ada, flag("on"))).await;
    assert_eq!(succeed(&two, &ada, evaluate).await["value"], true);

    let prefs = get("/privacy/train-prefs");
    let says = |training: &str| put("/privacy/train-prefs/tenant", json!({"training": training}));
    for training in ["allow", "deny"] {
        heard(&two, "train_prefs", succeed(&one, &ada, says(training))).await;
        let told = succeed(&two, &ada, prefs.clone()).await;
        assert_eq!(told["levels"]["tenant"]["training"], training, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_was_away_makes_nodes_forget_everything() {
    let cloud = Cloud::start().await;
    let ([one, two], ada) = two(&cloud).await;
    let forgotten = "tenantry_nodes_forgotten_total";
    let before = figure(&two, forgotten).await;
    cloud.redis.kill();
    let says = json!({"training": "allow"});
    let unheard = Request::new("PUT", "/privacy/train-prefs/tenant").json(&says);
    succeed(&one, &ada, unheard).await;
    until_more(&one, "tenantry_nodes_untold_total", 0.0).await;
    cloud.redis.revive();
    until_more(&two, forgotten, before).await;
    let told = succeed(&two, &ada, Request::new("GET", "/privacy/train-prefs")).await;
    assert_eq!(told["levels"]["tenant"]["training"], "allow", "{told}");
}

/// Messages of a thread, as a node shows them.
async fn held(node: &Server, caller: &Caller) -> usize {
    let list = Request::new("GET", "/chat/threads/th_1/messages");
    let list = succeed(node, caller, list).await;
    list["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_set_on_one_node_is_followed_by_another_as_soon_as_it_is_heard_of() {
    let cloud = Cloud::start().await;
    let ([one, two], ada) = two(&cloud).await;
    let operator = bootstrap(&one).await;
    thread(&two, &ada, "th_1").await;
    post(&two, &ada, "th_1", &["before"]).await;
    // What is there already is known on the other node for two seconds more, unless it is told.
    assert_eq!(held(&two, &ada).await, 1);
    let row = json!({
        "resource_kind": "chat_bus", "tenant": one.facts.tenants[0], "env": "*", "backend": "redis",
        "config": {"url": cloud.redis.url(), "prefix": "elsewhere"},
    });
    let set = Request::new("POST", "/control/routes").json(&row);
    let row = heard(&two, "routes", succeed(&one, &operator, set)).await;
    assert_eq!(held(&two, &ada).await, 0, "{row}");
    let after = post(&two, &ada, "th_1", &["after"]).await;
    assert_eq!(held(&one, &ada).await, 1);
    let id = row["id"].as_str().unwrap();
    let remove = Request::new("DELETE", format!("/control/routes/{id}"));
    heard(&two, "routes", succeed(&one, &operator, remove)).await;
    let list = Request::new("GET", "/chat/threads/th_1/messages");
    let list = succeed(&two, &ada, list).await;
    assert_eq!(list["items"][0]["data"]["text"], "before", "{list}");
    assert_ne!(list["items"][0]["id"], json!(after[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_on_one_node_is_followed_on_another() {
    let cloud = Cloud::start().await;
    let [one, two] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    thread(&one, &ada, "th_1").await;
    let mut elsewhere = Sse::open(&two, &ada, "/sse/chat/th_1").await;
    let ids = post(&one, &ada, "th_1", &["a", "b"]).await;
    assert_eq!(elsewhere.messages(2).await, ids);
    let resumed = format!("/sse/chat/th_1?last_event_id={}", ids[0]);
    let mut back = Sse::open(&one, &ada, &resumed).await;
    assert_eq!(back.messages(1).await, ids[1..]);
}
