//! Traces, as a collector gets them: one from the request to the fan-out, and nothing about anyone in it.

use serde_json::json;

use crate::{
    backends::on_cloud,
    client::{Caller, Reply, Request, send},
    otlp::{Collector, attribute, hex},
    process::{Server, serve},
    streams::{Sse, Ws, thread},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const MESSAGES: &str = "/chat/threads/th_1/messages";
const POSTED: &str = "POST /chat/threads/{thread_id}/messages";

async fn traced(collector: &Collector, ratio: f64) -> Server {
    let endpoint = &collector.endpoint;
    serve(&format!(
        "[telemetry]\nendpoint = {endpoint:?}\nsample_ratio = {ratio:?}\n"
    ))
    .await
}

fn with_parent(caller: &Caller, flags: &str) -> Caller {
    caller
        .clone()
        .and("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"))
}

async fn post(server: &Server, caller: &Caller, text: &str) -> Reply {
    let request = Request::new("POST", MESSAGES).json(&json!({"data": {"text": text}}));
    let reply = send(server, caller, &request).await;
    assert_eq!(reply.status, 201, "{}", reply.visible());
    reply
}

#[tokio::test]
async fn one_trace_goes_from_the_request_to_the_fan_out() {
    let collector = Collector::start().await;
    let server = traced(&collector, 0.0).await;
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let mut follower = Sse::open(&server, &ada, "/sse/chat/th_1").await;

    let reply = post(&server, &with_parent(&ada, "01"), "hello").await;
    let event = follower.next().await.expect("the message").json();

    let names = [
        POSTED,
        "guard",
        "publish chat",
        "events append",
        "fan_out chat",
    ];
    let trace = collector.trace(TRACE, &names).await;
    let request = trace.only(POSTED);
    assert_eq!(
        hex(&request.parent_span_id),
        PARENT,
        "it continues the caller's span"
    );
    assert_eq!(
        attribute(request, "http.response.status_code").as_deref(),
        Some("201")
    );
    assert_eq!(
        attribute(request, "http.route").as_deref(),
        Some("/chat/threads/{thread_id}/messages")
    );
    assert_eq!(
        attribute(request, "http.request.method").as_deref(),
        Some("POST")
    );
    assert_eq!(trace.path(trace.only("guard")), ["guard", POSTED]);
    assert_eq!(
        trace.path(trace.only("publish chat")),
        ["publish chat", POSTED]
    );
    assert_eq!(
        trace.path(trace.only("fan_out chat")),
        ["fan_out chat", POSTED]
    );
    let published = |span: &&_| trace.path(span) == ["events append", "publish chat", POSTED];
    let appended = trace
        .0
        .iter()
        .find(published)
        .expect("the append of the message");
    let engine = if on_cloud() { "redis" } else { "embedded" };
    assert_eq!(attribute(appended, "engine").as_deref(), Some(engine));

    // The event names the server's own span, so that whoever goes on with it continues the trace.
    let ours = format!("00-{TRACE}-{}-01", hex(&request.span_id));
    assert_eq!(event["meta"]["traceparent"], json!(ours));
    // The answer names what the caller sent.
    let sent = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(reply.header("traceparent"), Some(sent.as_str()));
}

#[tokio::test]
async fn each_gate_is_a_span_of_a_gated_write() {
    let collector = Collector::start().await;
    let server = traced(&collector, 0.0).await;
    let ada = with_parent(&Caller::resident(&server, 0), "01");
    let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "a"}));
    assert_eq!(send(&server, &ada, &card).await.status, 201);

    let gates = [
        "kill_switch",
        "firearms",
        "strategy_lock",
        "approval",
        "kpi",
        "temperature",
        "budget",
    ];
    let gates = gates.map(|gate| format!("gate {gate}"));
    let mut names: Vec<&str> = gates.iter().map(String::as_str).collect();
    names.extend(["POST /nexus/cards", "documents commit"]);
    let trace = collector.trace(TRACE, &names).await;
    for gate in &gates {
        assert_eq!(
            trace.path(trace.only(gate)),
            [gate, "gates", "POST /nexus/cards"]
        );
    }
    let written = |span: &&_| trace.path(span) == ["documents commit", "POST /nexus/cards"];
    assert!(trace.0.iter().any(|span| written(&span)), "{trace:?}");
}

#[tokio::test]
async fn a_message_over_a_socket_is_in_the_trace_that_opened_it() {
    let collector = Collector::start().await;
    let server = traced(&collector, 0.0).await;
    let ada = with_parent(&Caller::resident(&server, 0), "01");
    thread(&server, &ada, "th_1").await;
    let mut ws = Ws::open(&server, &ada, "/ws/chat/th_1").await;
    ws.send(json!({"op": "publish", "ref": "1", "data": 1}))
        .await;
    ws.next_op("event").await;
    let names = ["GET /ws/chat/{thread_id}", "publish chat", "fan_out chat"];
    let trace = collector.trace(TRACE, &names).await;
    for name in ["publish chat", "fan_out chat"] {
        assert_eq!(
            trace.path(trace.only(name)),
            [name, "GET /ws/chat/{thread_id}"]
        );
    }
}

#[tokio::test]
async fn the_caller_decides_what_is_kept_and_otherwise_the_ratio() {
    let collector = Collector::start().await;
    let all = traced(&collector, 1.0).await;
    let ada = Caller::resident(&all, 0);
    thread(&all, &ada, "th_1").await;
    // A parent that is not kept.
    let reply = post(&all, &with_parent(&ada, "00"), "unseen").await;
    assert_eq!(
        reply.header("traceparent"),
        Some(format!("00-{TRACE}-{PARENT}-00").as_str())
    );
    let listed = send(&all, &ada, &Request::new("GET", MESSAGES))
        .await
        .json();
    let unkept = listed["items"][0]["meta"]["traceparent"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        unkept.starts_with(&format!("00-{TRACE}-")) && unkept.ends_with("-00"),
        "{unkept}"
    );
    assert!(!unkept.contains(PARENT), "{unkept}");
    // Parents that are none: a trace of the server's own begins.
    for bad in [
        "",
        "00-0-0-01",
        "junk",
        &format!("00-{TRACE}-{PARENT}-01-x"),
    ] {
        let reply = post(&all, &ada.clone().and("traceparent", bad), "seen").await;
        let told = reply.header("traceparent").expect("a trace").to_owned();
        let parts: Vec<&str> = told.split('-').collect();
        assert!(told.ends_with("-01") && parts[1] != TRACE, "{told}");
        let trace = collector.trace(parts[1], &[POSTED]).await;
        let request = trace.only(POSTED);
        assert_eq!(
            hex(&request.span_id),
            parts[2],
            "the answer names the span of the request"
        );
        assert!(request.parent_span_id.is_empty());
    }
    assert!(!collector.text().contains("unseen"));
    // What is not kept would have come before what was kept later.
    assert!(!collector.came(TRACE), "{:?}", collector.names());
}

/// The caller, who asks for privacy now, in a trace of another state.
fn in_private(ada: &Caller) -> Caller {
    let private = Caller::default()
        .and(
            "traceparent",
            format!("00-{}-{PARENT}-01", TRACE.replace('0', "1")),
        )
        .and("tracestate", "vendor=of-the-private")
        .and("sec-gpc", "1");
    ada.headers()
        .iter()
        .filter(|(name, _)| name != "tracestate")
        .fold(private, |caller, (name, value)| {
            caller.and(name, value.clone())
        })
}

#[tokio::test]
async fn nothing_that_a_caller_sent_leaves_with_a_trace() {
    let collector = Collector::start().await;
    let secrets = tempfile::tempdir().unwrap();
    let key = secrets.path().join("key");
    std::fs::write(&key, "key-of-the-collector\n").unwrap();
    let endpoint = &collector.endpoint;
    let server = serve(&format!(
        "[telemetry]\nendpoint = {endpoint:?}\nsample_ratio = 1.0\nheaders = {{ x-api-key = \"file:{}\" }}\n",
        key.display()
    ))
    .await;
    let ada = Caller::resident(&server, 0)
        .and("x-request-id", "ada.lovelace.1815")
        .and("tracestate", "vendor=ada-of-north");
    thread(&server, &ada, "th_secret").await;
    let open = with_parent(&ada, "01");
    let private = in_private(&ada);
    let message = |path: &str| {
        Request::new("POST", path).json(&json!({"data": {"mail": "bob@south.example"}}))
    };
    let mut told = Vec::new();
    for caller in [&ada, &open, &private] {
        for path in [
            "/chat/threads/th_secret/messages?note=ada@north.example",
            "/chat/threads/th_unknown/messages",
            "/nowhere/ada@north.example",
        ] {
            told.push(send(&server, caller, &message(path)).await);
        }
        let odd = Request::new("PROPFIND", "/chat/threads/th_secret/messages");
        send(&server, caller, &odd).await;
        let card = Request::new("POST", "/nexus/cards").json(&json!({"title": "of Ada"}));
        send(&server, caller, &card).await;
    }
    let last = told
        .last()
        .and_then(|reply| reply.header("traceparent"))
        .expect("a trace");
    let last = last.split('-').nth(1).expect("an id");
    collector.trace(last, &["POST /nexus/cards"]).await;
    collector.counted("tenantry_telemetry_spans_total").await;

    let text = collector.text();
    let facts = &server.facts;
    let ids = [&facts.tenants[0], &facts.projects[0], &facts.tokens[0]].map(String::as_str);
    let sent = [
        "ada@",
        "ada.lovelace",
        "bob@",
        "of Ada",
        "th_secret",
        "th_unknown",
        "nowhere",
        "PROPFIND",
        "of-the-private",
        "key-of-the-collector",
        "note=",
    ];
    for mine in ids.into_iter().chain(sent) {
        assert!(!text.contains(mine), "{mine} left the process");
    }
    assert!(
        text.contains("vendor=ada-of-north"),
        "a trace goes on with its state, unless the caller asks for privacy"
    );
    let keys = collector.header("x-api-key");
    assert!(
        !keys.is_empty() && keys.iter().all(|key| key == "key-of-the-collector"),
        "{keys:?}"
    );
}
