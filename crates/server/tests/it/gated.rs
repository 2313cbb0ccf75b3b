//! Cards behind the gates in the real server: the operators' switch, the flag that
//! puts gates in shadow mode, and what is left of it all after a kill.

use serde_json::{Value, json};

use crate::{
    client::{Caller, Reply, Request, send},
    process::Server,
    recipes::bootstrap,
};

const CARDS: &str = "/nexus/cards";

async fn create(server: &Server, caller: &Caller, title: &str) -> Reply {
    let card = Request::new("POST", CARDS).json(&json!({ "title": title }));
    send(server, caller, &card).await
}

async fn ok(server: &Server, caller: &Caller, request: Request) -> Reply {
    let reply = send(server, caller, &request).await;
    assert!(reply.status < 300, "{request:?}: {}", reply.visible());
    reply
}

fn everywhere() -> Value {
    json!({"action": "nexus.*", "reason": "drill"})
}

#[tokio::test]
async fn the_operators_kill_switch_binds_every_tenant_and_is_lifted_by_them_alone() {
    let mut server = Server::start();
    let operator = bootstrap(&server).await;
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    assert_eq!(create(&server, &ada, "before").await.status, 201);
    let switch = "/gates/kill-switches/all";
    ok(
        &server,
        &operator,
        Request::new("PUT", switch).json(&everywhere()),
    )
    .await;
    for _ in 0..2 {
        for caller in [&ada, &bob] {
            let refused = create(&server, caller, "during").await;
            let answer = refused.outcome();
            assert_eq!(answer, (503, "kill_switch_engaged".to_owned()));
            assert!(refused.json()["decision_id"].is_string());
        }
        // Reading goes on, a tenant cannot lift it, and it outlives a kill.
        let listed = ok(&server, &ada, Request::new("GET", CARDS)).await;
        assert_eq!(listed.json()["items"].as_array().unwrap().len(), 1);
        let lifted = send(&server, &ada, &Request::new("DELETE", switch)).await;
        assert_eq!(lifted.outcome(), (404, "not_found".to_owned()));
        server.kill_and_restart();
    }
    ok(&server, &operator, Request::new("DELETE", switch)).await;
    for caller in [&ada, &bob] {
        assert_eq!(create(&server, caller, "after").await.status, 201);
    }
}

#[tokio::test]
async fn in_shadow_mode_a_refusal_is_recorded_and_let_through() {
    let server = Server::start();
    let operator = bootstrap(&server).await;
    let ada = Caller::resident(&server, 0);
    let switch = Request::new("PUT", "/gates/kill-switches/mine").json(&everywhere());
    ok(&server, &ada, switch).await;
    assert_eq!(create(&server, &ada, "enforced").await.status, 503);
    let flag = json!({
        "variants": {"shadow": "shadow", "enforce": "enforce"},
        "default_variant": "shadow",
    });
    // A tenant does not take the force from its own gates.
    let own = Request::new("PUT", "/flags/gates.enforce.cards").json(&flag);
    ok(&server, &ada, own.clone()).await;
    assert_eq!(create(&server, &ada, "still enforced").await.status, 503);
    ok(&server, &ada, Request::new("DELETE", own.path)).await;

    let everywhere = "/flags/system/gates.enforce.cards";
    ok(
        &server,
        &operator,
        Request::new("PUT", everywhere).json(&flag),
    )
    .await;
    let through = create(&server, &ada, "shadowed").await;
    assert_eq!(through.status, 201, "{}", through.visible());
    let decisions = ok(&server, &ada, Request::new("GET", "/gates/decisions")).await;
    let decisions = decisions.json();
    let last = decisions["items"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(last["mode"], "shadow", "{last}");
    ok(&server, &operator, Request::new("DELETE", everywhere)).await;
    assert_eq!(create(&server, &ada, "enforced again").await.status, 503);
}

#[tokio::test]
async fn a_card_is_replaced_by_those_who_know_its_revision() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let made = create(&server, &ada, "one").await;
    let place = made.header("location").unwrap().to_owned();
    let tag = made.header("etag").unwrap().to_owned();
    let put = |title: &str| Request::new("PUT", &place).json(&json!({ "title": title }));
    let blind = send(&server, &ada, &put("two")).await;
    assert_eq!(blind.outcome(), (428, "precondition_required".to_owned()));
    let knowing = ada.clone().and("if-match", &tag);
    let replaced = ok(&server, &knowing, put("two")).await;
    assert_eq!(replaced.json()["revision"], 2);
    let stale = send(&server, &knowing, &put("three")).await;
    assert_eq!(stale.outcome(), (412, "precondition_failed".to_owned()));
    let unknown = json!({"title": "t", "colour": "red"});
    let refused = send(&server, &ada, &Request::new("POST", CARDS).json(&unknown)).await;
    assert_eq!(refused.outcome(), (422, "validation_failed".to_owned()));
    ok(&server, &ada, Request::new("DELETE", &place)).await;
    let gone = send(&server, &ada, &Request::new("GET", &place)).await;
    assert_eq!(gone.outcome(), (404, "not_found".to_owned()));
    let restored = ok(
        &server,
        &ada,
        Request::new("POST", format!("{place}/restore")),
    )
    .await;
    assert_eq!(restored.json()["title"], "two");
}

#[tokio::test]
async fn a_list_of_cards_links_to_its_next_page() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    for n in 0..5 {
        assert_eq!(
            create(&server, &ada, &format!("card {n}")).await.status,
            201
        );
    }
    let (mut seen, mut path) = (0, Some(format!("{CARDS}?limit=2")));
    while let Some(at) = path {
        let page = ok(&server, &ada, Request::new("GET", at)).await;
        seen += page.json()["items"].as_array().unwrap().len();
        let link = page.header("link").map(str::to_owned);
        assert_eq!(link.is_some(), page.json()["next"].is_string());
        path = link.map(|link| {
            let (address, rel) = link.split_once(">; ").unwrap();
            assert_eq!(rel, "rel=\"next\"");
            address.trim_start_matches('<').to_owned()
        });
    }
    assert_eq!(seen, 5);
}
