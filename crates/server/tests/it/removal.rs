//! Access that ends: a removed member, an ended session, a used ticket.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    client::{Caller, Request, send},
    process::Server,
    streams::{Sse, Ws, thread},
};

/// The contract's bound.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Signs someone up and makes them a member of the first resident's tenant.
pub(crate) async fn member(server: &Server, owner: &Caller, role: &str) -> (String, Value) {
    let body = json!({"email": "carol@example.org", "password": "a long password", "tenant_name": "Carol"});
    let carol = send(
        server,
        &Caller::default(),
        &Request::new("POST", "/auth/signup").json(&body),
    )
    .await
    .json();
    let invited = json!({"email": "carol@example.org", "role": role});
    let reply = send(
        server,
        owner,
        &Request::new("POST", "/control/members").json(&invited),
    )
    .await;
    assert_eq!(reply.status, 201, "{}", reply.visible());
    (carol["user"]["id"].as_str().unwrap().to_owned(), carol)
}

#[tokio::test]
async fn a_removed_members_http_sse_and_websocket_end_within_five_seconds() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let (user, carol) = member(&server, &ada, "member").await;
    let carol = ada.clone().bearer(carol["access_token"].as_str().unwrap());
    let list = Request::new("GET", "/chat/threads");
    assert_eq!(send(&server, &carol, &list).await.status, 200);
    let mut sse = Sse::open(&server, &carol, "/sse/chat/th_1").await;
    let mut ws = Ws::open(&server, &carol, "/ws/chat/th_1").await;

    let removed = send(
        &server,
        &ada,
        &Request::new("DELETE", format!("/control/members/{user}")),
    )
    .await;
    assert!(
        (200..300).contains(&removed.status),
        "{}",
        removed.visible()
    );
    let began = tokio::time::Instant::now();
    assert_eq!(
        send(&server, &carol, &list).await.outcome(),
        (403, "tenant_forbidden".to_owned()),
        "HTTP ends at once"
    );
    assert_eq!(ws.closed().await, 4403);
    let last = sse.next().await.expect("the stream says why it ends");
    assert_eq!(last.event, "unauthorized");
    assert_eq!(sse.next().await, None);
    assert!(
        began.elapsed() <= ENDS_WITHIN,
        "it took {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_ended_session_is_refused_everywhere() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    thread(&server, &ada, "th_1").await;
    let (_, carol) = member(&server, &ada, "member").await;
    let carol = ada.clone().bearer(carol["access_token"].as_str().unwrap());
    let mut ws = Ws::open(&server, &carol, "/ws/chat/th_1").await;
    let out = send(&server, &carol, &Request::new("POST", "/auth/logout")).await;
    assert_eq!(out.status, 204, "{}", out.visible());
    let me = send(&server, &carol, &Request::new("GET", "/auth/me")).await;
    assert_eq!(me.outcome(), (401, "unauthenticated".to_owned()));
    assert_eq!(ws.closed().await, 4401);
}

#[tokio::test]
async fn a_ticket_opens_one_stream_once() {
    let server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    thread(&server, &ada, "th_1").await;
    thread(&server, &ada, "th_2").await;
    let ask =
        Request::new("POST", "/realtime/tickets").json(&json!({"rail": "chat", "id": "th_1"}));
    let granted = send(&server, &ada, &ask).await;
    assert_eq!(granted.status, 201, "{}", granted.visible());
    let ticket = granted.json()["ticket"].as_str().unwrap().to_owned();
    let nobody = Caller::default();
    let get = |path: String| Request::new("GET", path);
    let refused = (401, "unauthenticated".to_owned());

    // Another stream, another rail of requests, another origin: refused, and the ticket is not used up.
    assert_eq!(
        send(
            &server,
            &nobody,
            &get(format!("/sse/chat/th_2?ticket={ticket}"))
        )
        .await
        .outcome(),
        refused
    );
    assert_eq!(
        send(
            &server,
            &nobody,
            &get(format!("/chat/threads?ticket={ticket}"))
        )
        .await
        .outcome(),
        refused
    );
    let elsewhere = nobody.clone().and("origin", "https://evil.example");
    assert_eq!(
        send(
            &server,
            &elsewhere,
            &get(format!("/sse/chat/th_1?ticket={ticket}"))
        )
        .await
        .outcome(),
        refused
    );
    let other = nobody
        .clone()
        .and("x-tenant-id", server.facts.tenants[1].clone());
    let conflict = send(
        &server,
        &other,
        &get(format!("/sse/chat/th_1?ticket={ticket}")),
    )
    .await;
    assert_eq!(conflict.outcome(), (400, "context_conflict".to_owned()));

    let stream = Sse::open(&server, &nobody, &format!("/sse/chat/th_1?ticket={ticket}")).await;
    drop(stream);
    for path in ["/sse/chat/th_1", "/ws/chat/th_1"] {
        assert_eq!(
            send(&server, &nobody, &get(format!("{path}?ticket={ticket}")))
                .await
                .outcome(),
            refused
        );
    }
    // And nobody gets a ticket for what they may not read.
    let denied = send(&server, &bob, &ask).await;
    assert_eq!(denied.outcome(), (403, "thread_access_denied".to_owned()));
}
