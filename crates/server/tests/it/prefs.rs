//! Training preferences in the real server: kept over a kill, and seen on the way in.

use serde_json::{Value, json};

use crate::{
    client::{Caller, Request, send},
    process::Server,
};

const OWN: &str = "/privacy/train-prefs";

async fn put(server: &Server, caller: &Caller, path: &str, training: &str) -> Value {
    let request = Request::new("PUT", path).json(&json!({"training": training}));
    let reply = send(server, caller, &request).await;
    assert_eq!(reply.status, 200, "{}", reply.visible());
    reply.json()
}

async fn shown(server: &Server, caller: &Caller) -> Value {
    send(server, caller, &Request::new("GET", OWN)).await.json()
}

#[tokio::test]
async fn an_opt_out_outlives_a_kill_and_binds_one_tenant_alone() {
    let mut server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    let mut paths = Vec::new();
    for resident in [&ada, &bob] {
        let user = shown(&server, resident).await["user_id"].clone();
        let own = format!("{OWN}/users/{}", user.as_str().unwrap());
        put(&server, resident, &format!("{OWN}/tenant"), "allow").await;
        put(&server, resident, &own, "allow").await;
        assert_eq!(shown(&server, resident).await["training"], "allow");
        paths.push(own);
    }
    let said = put(&server, &ada, &paths[0], "deny").await;
    server.kill_and_restart();

    let after = shown(&server, &ada).await;
    assert_eq!(after["training"], "deny");
    assert_eq!(after["source"], "user");
    assert_eq!(after["levels"]["user"], said);
    assert_eq!(shown(&server, &bob).await["training"], "allow");
    let private = bob.clone().and("sec-gpc", "1");
    assert_eq!(shown(&server, &private).await["source"], "gpc");
    let foreign = send(&server, &bob, &Request::new("DELETE", &paths[0])).await;
    assert_eq!(foreign.outcome(), (404, "not_found".to_owned()));
    assert_eq!(shown(&server, &ada).await, after);
}

#[tokio::test]
async fn the_support_of_global_privacy_control_is_public() {
    let server = Server::start();
    let request = Request::new("GET", "/.well-known/gpc.json");
    let reply = send(&server, &Caller::default(), &request).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json()["gpc"], json!(true));
}
