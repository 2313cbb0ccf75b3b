//! Metrics that stay as few as they are, and collectors that do not answer.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, future::join_all, stream};
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::{
    client::{Caller, Request, send},
    otlp::Collector,
    process::{Server, serve, tenantry},
    recipes::bootstrap,
    streams::thread,
};

/// Tenants that call while series are counted; fewer where each costs dozens of calls over a network.
const TENANTS: usize = 1000;
const TENANTS_IN_THE_CLOUD: usize = 100;
/// Tenants that call together.
const VISITS_AT_ONCE: usize = 4;
/// Posts that are under way together.
const POSTS_AT_ONCE: usize = 20;

/// The page of `/metrics`.
pub(crate) async fn page(server: &Server) -> String {
    let metrics = Request::new("GET", "/metrics");
    send(server, &Caller::default(), &metrics).await.text
}

/// All series of the page.
fn series(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
    lines.collect()
}

/// One figure of the page: the sum over all series that begin so.
fn figure(page: &str, begins: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(begins));
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

/// What a tenant does, and what strangers try.
async fn visit(server: &Server, caller: &Caller, at: usize) {
    thread(server, caller, "th_1").await;
    let said = Request::new("POST", "/chat/threads/th_1/messages").json(&json!({"data": at}));
    assert_eq!(send(server, caller, &said).await.status, 201);
    let odd = caller
        .clone()
        .but("x-tenant-id", Some(&format!("t_stranger{at}")))
        .and("x-request-id", format!("request-{at}"))
        .and("user-agent", format!("\"}} {at} {{x=\""))
        .and("traceparent", format!("00-{at:032x}-{at:016x}-01"));
    for (method, path) in [
        ("GET", format!("/unknown/{at}")),
        ("GET", format!("/chat/threads/th_{at}?q={at}")),
        ("BREW", "/chat/threads".to_owned()),
        ("POST", "/chat/threads/th_1/messages".to_owned()),
    ] {
        send(server, &odd, &Request::new(method, path)).await;
    }
}

#[tokio::test]
async fn neither_tenants_nor_strangers_make_series() {
    let server = Server::start();
    let operator = bootstrap(&server).await;
    let owned = json!({"name": "One of many", "owner_email": "ada@north.example"});
    let found = Request::new("POST", "/control/tenants").json(&owned);
    let comes = async |at: usize| {
        let tenant = send(&server, &operator, &found).await;
        assert_eq!(tenant.status, 201, "{}", tenant.visible());
        let tenant = tenant.json();
        let [id, project] = ["id", "default_project_id"].map(|name| tenant[name].as_str());
        let (id, project) = (id.expect("an id"), project.expect("a project"));
        let ada = Caller::new(&server.facts.tokens[0], id, project);
        visit(&server, &ada, at).await;
    };
    comes(0).await;
    let _ = page(&server).await;
    let before = series(&page(&server).await);
    let embedded = server.engines().contains(&"embedded");
    let tenants = if embedded {
        TENANTS
    } else {
        TENANTS_IN_THE_CLOUD
    };
    let others = stream::iter(1..tenants);
    others.for_each_concurrent(VISITS_AT_ONCE, comes).await;
    let page = page(&server).await;
    let more: Vec<_> = series(&page).difference(&before).cloned().collect();
    assert!(
        more.is_empty(),
        "{} new series, such as {:?}",
        more.len(),
        &more[..more.len().min(5)]
    );
    let posted = "tenantry_realtime_publish_seconds_count{rail=\"chat\"}";
    assert!(
        figure(&page, posted) >= tenants as f64,
        "what they did is counted"
    );
    for word in [
        "\"t_", "\"th_", "stranger", "request-", "BREW", "ada@", "unknown/",
    ] {
        let named = page
            .lines()
            .find(|line| !line.starts_with('#') && line.contains(word));
        assert_eq!(named, None, "{word} is in a series");
    }
}

fn telemetry(endpoint: &str) -> String {
    format!("[telemetry]\nendpoint = {endpoint:?}\nsample_ratio = 1.0\n")
}

/// Posts until spans were dropped, and sees every post answered.
async fn posts_until_spans_are_dropped(server: &Server, outcome: &str) {
    let ada = Caller::resident(server, 0);
    thread(server, &ada, "th_1").await;
    let dropped = format!("tenantry_telemetry_spans_total{{outcome=\"{outcome}\"}}");
    let post = async |at: usize| {
        let said = Request::new("POST", "/chat/threads/th_1/messages").json(&json!({"data": at}));
        assert_eq!(send(server, &ada, &said).await.status, 201);
    };
    for step in 0..1000 {
        let posts = (0..POSTS_AT_ONCE).map(|at| post(step * POSTS_AT_ONCE + at));
        join_all(posts).await;
        if step % 5 == 0 && figure(&page(server).await, &dropped) > 0.0 {
            return;
        }
    }
    panic!("spans go nowhere, and none was counted as dropped");
}

#[tokio::test]
async fn a_collector_that_accepts_and_never_answers_costs_spans_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // It reads whatever comes, and says nothing.
    let silent = tokio::spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while peer.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    let mut server = serve(&telemetry(&endpoint)).await;
    posts_until_spans_are_dropped(&server, "dropped_full").await;
    server.terminate();
    assert_eq!(server.ended(Duration::from_secs(40)).await, Some(0));
    silent.abort();
}

#[tokio::test]
async fn a_collector_that_refuses_costs_spans_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut server = serve(&telemetry(&endpoint)).await;
    posts_until_spans_are_dropped(&server, "dropped_failed").await;
    server.terminate();
    assert_eq!(server.ended(Duration::from_secs(40)).await, Some(0));
}

#[tokio::test]
async fn what_waits_at_the_end_is_sent() {
    let collector = Collector::start().await;
    let mut server = serve(&telemetry(&collector.endpoint)).await;
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    server.terminate();
    assert_eq!(server.ended(Duration::from_secs(40)).await, Some(0));
    assert!(collector.names().contains(&"POST /chat/threads".to_owned()));
    // The last page of figures came, too: it counts the request.
    assert!(collector.text().contains("/chat/threads"));
    assert!(collector.counted("tenantry_audit_records_total").await >= 1.0);
}

#[test]
fn a_collector_that_cannot_be_meant_stops_the_start_with_everything_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (config, data) = (at("tenantry.toml"), at("data"));
    let made = tenantry()
        .args(["init", "--config", &config, "--data", &data])
        .output()
        .unwrap();
    assert!(made.status.success());
    let text = std::fs::read_to_string(&config).unwrap();
    let wrong = "[telemetry]\nendpoint = \"ftp://collector\"\n[telemetry.headers]\n\"a b\" = \"file:/nowhere\"\nx-key = \"env:NOT_SET_ANYWHERE\"\n";
    std::fs::write(&config, format!("{text}\n{wrong}")).unwrap();
    let refused = tenantry()
        .args(["check", "--config", &config])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let said = String::from_utf8_lossy(&refused.stderr);
    for fault in [
        "telemetry.endpoint",
        "telemetry.headers.a b",
        "env:NOT_SET_ANYWHERE",
    ] {
        assert!(said.contains(fault), "{fault} in {said}");
    }
}
