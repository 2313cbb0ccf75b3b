//! Presence.

use std::time::Duration;

use identity::Role;
use serde_json::json;

use crate::{
    app::App,
    rails::{CANVAS, RAILS, Rail},
};

#[tokio::test]
async fn members_join_show_themselves_and_leave() {
    for rail in RAILS {
        come_and_go(rail).await;
    }
}

async fn come_and_go(rail: Rail) {
    let soon = |config: &mut tenantry_realtime::RealtimeConfig| {
        config.timings.presence_grace = Duration::from_millis(50);
    };
    let app = App::on_with(rail, soon).await;
    let alice = app.alice().await;
    let bob = app.member("t_a", "u_bob", Role::Viewer);
    let (mut hers, ready) = alice.ws(None).await;
    assert_eq!(ready["presence"], json!([]));
    let (mut his, _) = bob.ws(None).await;
    let joined = hers.op("presence").await;
    assert_eq!(
        joined["joined"],
        json!([{"user_id": "u_bob", "state": null}])
    );
    assert_eq!(
        (&joined["left"], &joined["updated"]),
        (&json!([]), &json!([]))
    );
    his.send(json!({"op": "presence", "state": {"typing": true}}))
        .await;
    let updated = hers.op("presence").await;
    let shown = json!([{"user_id": "u_bob", "state": {"typing": true}}]);
    assert_eq!(updated["updated"], shown);
    // Another socket of hers is told who is there, and is no news.
    let (_second, ready) = alice.ws(None).await;
    let mut there = ready["presence"].as_array().unwrap().clone();
    there.sort_by_key(|member| member["user_id"].to_string());
    assert_eq!(
        there,
        [
            json!({"user_id": "u_alice", "state": null}),
            shown[0].clone()
        ]
    );
    drop(his);
    let left = hers.op("presence").await;
    assert_eq!(
        (&left["joined"], &left["left"]),
        (&json!([]), &json!(["u_bob"]))
    );
}

#[tokio::test]
async fn who_comes_back_in_time_has_not_left() {
    let app = App::with(|config| config.timings.presence_grace = Duration::from_secs(3600)).await;
    let alice = app.alice().await;
    let bob = app.member("t_a", "u_bob", Role::Member);
    let (mut hers, _) = alice.ws(None).await;
    let (his, _) = bob.ws(None).await;
    assert_eq!(hers.op("presence").await["joined"][0]["user_id"], "u_bob");
    drop(his);
    let (mut his, ready) = bob.ws(None).await;
    assert_eq!(ready["count"], 2);
    // The next thing that she hears of him is not that he left or joined.
    his.send(json!({"op": "presence", "state": 1})).await;
    let change = hers.op("presence").await;
    assert_eq!(change["updated"], json!([{"user_id": "u_bob", "state": 1}]));
    assert_eq!(
        (&change["joined"], &change["left"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn a_state_has_a_bound() {
    let app = App::on(CANVAS).await;
    let alice = app.alice().await;
    let (mut ws, _) = alice.ws(None).await;
    ws.send(json!({"op": "presence", "ref": 1, "state": "x".repeat(4096)}))
        .await;
    let refused = ws.op("error").await;
    assert_eq!(refused["problem"]["code"], "validation_failed");
    assert_eq!(refused["ref"], 1);
}

#[tokio::test]
async fn many_joins_are_told_together() {
    let app = App::new().await;
    let alice = app.alice().await;
    let (mut hers, _) = alice.ws(None).await;
    let mut sockets = Vec::new();
    for n in 0..40 {
        let user = format!("u_{n}");
        sockets.push(app.member("t_a", &user, Role::Viewer).ws(None).await.0);
    }
    let (mut known, mut frames) = (0, 0);
    while known < 40 {
        known += hers.op("presence").await["joined"]
            .as_array()
            .unwrap()
            .len();
        frames += 1;
    }
    assert!(frames < 20, "{frames} frames for 40 joins");
}
