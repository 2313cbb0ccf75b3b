//! Tickets.

use std::time::Duration;

use identity::Role;
use serde_json::Value;

use crate::{
    app::{App, Caller},
    http::Request,
    rails::{RAILS, Rail},
    sse_client::Sse,
    ws_client::Ws,
};

async fn ticket(caller: &Caller<'_>) -> Value {
    let body = caller.app.rail.asks();
    let answer = caller.post_json("/realtime/tickets", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn bare(caller: &Caller<'_>, path: &Value) -> Request {
    Request::new(caller.app.address, "GET", path.as_str().unwrap())
}

#[tokio::test]
async fn a_ticket_opens_one_stream_once() {
    for rail in RAILS {
        opens_once(&App::on(rail).await).await;
    }
}

async fn opens_once(app: &App) {
    let alice = app.alice().await;
    let first = ticket(&alice).await;
    assert_eq!(first["expires_in"], 30);
    assert_eq!(first["ticket"].as_str().unwrap().len(), 43);
    let mut sse = Sse::open(bare(&alice, &first["sse_url"])).await;
    let id = alice.say("1").await;
    assert_eq!(sse.ids(1).await, [id]);
    for url in ["sse_url", "ws_url"] {
        let again = bare(&alice, &first[url]).send().await;
        again.refused(401, "unauthenticated");
    }
    let second = ticket(&alice).await;
    let mut ws = Ws::open(&bare(&alice, &second["ws_url"])).await;
    assert_eq!(ws.json().await["op"], "ready");
}

#[tokio::test]
async fn of_many_who_race_for_a_ticket_one_wins() {
    let app = App::new().await;
    let alice = app.alice().await;
    let ticket = ticket(&alice).await;
    let races = (0..8).map(|_| {
        let request = bare(&alice, &ticket["ws_url"]);
        async move { request.send().await.status }
    });
    let mut statuses = futures_util::future::join_all(races).await;
    statuses.sort_unstable();
    // Without a handshake the winner is told so; its ticket is used all the same.
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 401, 426]);
}

#[tokio::test]
async fn a_ticket_is_bound_to_its_stream_origin_and_context() {
    for rail in RAILS {
        is_bound(rail).await;
    }
}

async fn is_bound(rail: Rail) {
    let app = App::on(rail).await;
    let alice = app.alice().await;
    alice.register(rail.other).await;
    let first = ticket(&alice).await;
    let secret = first["ticket"].as_str().unwrap();
    let other = format!("/sse/{}/{}?ticket={secret}", rail.name, rail.other);
    let other = Request::new(app.address, "GET", &other).send().await;
    other.refused(401, "unauthenticated");
    let foreign = bare(&alice, &first["sse_url"]).header("origin", "https://evil.test");
    foreign.send().await.refused(401, "unauthenticated");
    let conflict = bare(&alice, &first["sse_url"]).header("x-tenant-id", "t_b");
    conflict.send().await.refused(400, "context_conflict");
    let both = alice.request("GET", first["sse_url"].as_str().unwrap());
    both.send().await.refused(401, "unauthenticated");
    // None of those used it up.
    Sse::open(bare(&alice, &first["sse_url"])).await;

    let request = alice
        .request("POST", "/realtime/tickets")
        .json(&rail.asks());
    let own = request
        .header("origin", "https://app.test")
        .send()
        .await
        .json();
    bare(&alice, &own["sse_url"])
        .send()
        .await
        .refused(401, "unauthenticated");
    Sse::open(bare(&alice, &own["sse_url"]).header("origin", "https://app.test")).await;
}

#[tokio::test]
async fn a_ticket_ends_after_30_seconds_and_with_its_member() {
    let app = App::new().await;
    let alice = app.alice().await;
    let late = ticket(&alice).await;
    app.world.clock.advance(Duration::from_secs(30));
    let refused = bare(&alice, &late["sse_url"]).send().await;
    refused.refused(401, "unauthenticated");
    let orphan = ticket(&alice).await;
    app.world.directory.remove("t_a", "u_alice");
    let refused = bare(&alice, &orphan["sse_url"]).send().await;
    refused.refused(403, "tenant_forbidden");
}

#[tokio::test]
async fn tickets_are_for_streams_alone_and_for_known_rails() {
    let app = App::new().await;
    let alice = app.alice().await;
    let given = ticket(&alice).await;
    let path = format!(
        "/chat/threads/th_1/messages?ticket={}",
        given["ticket"].as_str().unwrap()
    );
    let refused = Request::new(app.address, "GET", &path).send().await;
    refused.refused(401, "unauthenticated");
    let canvas = r#"{"rail":"nonsense","id":"th_1"}"#;
    let refused = alice.post_json("/realtime/tickets", canvas).await;
    refused.refused(422, "validation_failed");
}

#[tokio::test]
async fn urls_are_absolute_where_the_address_is_known() {
    let app = App::with(|config| {
        config.public_url = Some("https://api.test".to_owned());
    })
    .await;
    let viewer = app.member("t_a", "u_viewer", Role::Viewer);
    app.alice().await;
    let given = ticket(&viewer).await;
    let secret = given["ticket"].as_str().unwrap();
    let url = |scheme, path: String| format!("{scheme}://api.test{path}?ticket={secret}");
    assert_eq!(given["sse_url"], url("https", app.rail.sse()));
    assert_eq!(given["ws_url"], url("wss", app.rail.ws()));
}
