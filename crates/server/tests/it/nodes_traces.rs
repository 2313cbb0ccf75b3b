//! One trace over two nodes: from the browser's `traceparent` to what the follower of another node is told.

use serde_json::json;

use crate::{
    client::{Caller, Request, send},
    otlp::{Collector, Trace, hex},
    recipes::succeed,
    several::Cloud,
    streams::{Sse, thread},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The span `name` is the only one of its name, and within `path`.
fn within(trace: &Trace, name: &str, path: &[&str]) {
    let span = trace.only(name);
    assert_eq!(trace.path(span), [&[name], path].concat(), "{trace:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_a_request_on_one_node_to_the_fan_out_on_another() {
    let collector = Collector::start().await;
    let endpoint = &collector.endpoint;
    let cloud = Cloud::start().await;
    let telemetry = format!("[telemetry]\nendpoint = {endpoint:?}\nsample_ratio = 0.0\n");
    let [one, two] = cloud.nodes(&telemetry).await;
    let ada = Caller::resident(&one, 0);
    let traced = |trace: &str| {
        let parent = format!("00-{trace}-{PARENT}-01");
        ada.clone().and("traceparent", parent)
    };
    thread(&one, &ada, "th_1").await;
    let canvas = Request::new("POST", "/canvas").json(&json!({"canvas_id": "cv_1"}));
    succeed(&one, &ada, canvas).await;

    // A message. Nobody follows it where it is posted, so what tells of it is the other node.
    let mut follower = Sse::open(&two, &ada, "/sse/chat/th_1").await;
    let message = Request::new("POST", "/chat/threads/th_1/messages").json(&json!({"data": 1}));
    let reply = send(&one, &traced(TRACE), &message).await;
    assert_eq!(reply.status, 201, "{}", reply.visible());
    let event = follower.next().await.expect("the message").json();
    let posted = "POST /chat/threads/{thread_id}/messages";
    let names = [posted, "publish chat", "fan_out chat"];
    let trace = collector.trace(TRACE, &names).await;
    assert_eq!(hex(&trace.only(posted).parent_span_id), PARENT);
    within(&trace, "publish chat", &[posted]);
    within(&trace, "fan_out chat", &[posted]);
    let ours = format!("00-{TRACE}-{}-01", hex(&trace.only(posted).span_id));
    assert_eq!(event["meta"]["traceparent"], json!(ours));

    // A write through the gates, which tells of itself on the canvas.
    let other = TRACE.replace('4', "5");
    let mut follower = Sse::open(&two, &ada, "/sse/canvas/cv_1").await;
    let preview = Request::new("POST", "/canvas/cv_1/previews").json(&json!({}));
    let reply = send(&one, &traced(&other), &preview).await;
    assert_eq!(reply.status, 201, "{}", reply.visible());
    let event = follower.next().await.expect("the notice").json();
    assert_eq!(event["type"], "artifact.ready", "{event}");
    let made = "POST /canvas/{canvas_id}/previews";
    let names = [
        made,
        "gates",
        "gate budget",
        "publish canvas",
        "fan_out canvas",
    ];
    let trace = collector.trace(&other, &names).await;
    assert_eq!(hex(&trace.only(made).parent_span_id), PARENT);
    within(&trace, "gate budget", &["gates", made]);
    within(&trace, "publish canvas", &[made]);
    within(&trace, "fan_out canvas", &[made]);
}
