//! An object store that is too busy, breaks off in its answers, or is not there.

use serde_json::{Value, json};
use testkit::Way;

use crate::{
    client::{Caller, Reply, Request, open, send},
    faults::{Plant, away, done, eventually},
    process::Server,
    recipes::succeed,
    recipes_assets::{BYTES, promise, send_form, stored, uploaded},
};

const RAW: &str = "/nexus/raw-storage";

fn register(presigned: &Value) -> Request {
    let body = json!({"asset_id": presigned["asset_id"]});
    Request::new("POST", format!("{RAW}/register")).json(&body)
}

/// Files that are registered.
async fn listed(server: &Server, caller: &Caller) -> Vec<Value> {
    let listed = succeed(server, caller, Request::new("GET", RAW)).await;
    listed["items"].as_array().unwrap().clone()
}

fn made(canvas: &Value) -> Request {
    let path = format!(
        "/artifacts?parent={}",
        canvas["canvas_id"].as_str().unwrap()
    );
    Request::new("GET", path)
}

/// Whether it is refused because the store is away, or carried out all the same.
fn clear(reply: &Reply) -> bool {
    done(reply) || away(reply)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_is_busy_or_breaks_off_is_told_of_and_nothing_is_half_registered() {
    let plant = Plant::start().await;
    let [server] = plant.cloud.nodes("").await;
    let ada = Caller::resident(&server, 0);
    let before = stored(&server, &ada, RAW, &promise("before.txt")).await;
    let content = format!("{RAW}/{}/content", before["asset_id"].as_str().unwrap());
    let content = Request::new("GET", content);
    let canvas = json!({"canvas_id": "cv_1"});
    let canvas = succeed(&server, &ada, Request::new("POST", "/canvas").json(&canvas)).await;
    let preview = Request::new("POST", "/canvas/cv_1/previews").json(&json!({}));

    let mut registered = listed(&server, &ada).await;
    for (name, way) in [
        ("busy", Way::Unavailable),
        ("half", Way::Half(40)),
        ("nothing", Way::Half(0)),
        ("gone", Way::Cut),
        ("silent", Way::Silent),
    ] {
        let waiting = uploaded(&server, &ada, RAW, &promise(&format!("{name}.txt"))).await;
        let early = Request::new("POST", format!("{RAW}/presign"));
        plant.s3.set(way);
        // A form needs no store; whether it is a good one is seen when it is used.
        let early = send(&server, &ada, &early.json(&promise("early.txt"))).await;
        assert!(done(&early), "{name}: {early:?}");
        // What is silent is waited for, and the others wait in the same way.
        let asked = [register(&waiting), content.clone(), preview.clone()];
        let asked = asked.iter().take(if way == Way::Silent { 1 } else { 3 });
        for request in asked {
            let refused = send(&server, &ada, request).await;
            assert!(away(&refused), "{name}: {request:?}: {refused:?}");
        }
        assert_eq!(listed(&server, &ada).await, registered, "{name}");
        let made = succeed(&server, &ada, made(&canvas)).await;
        assert_eq!(made["items"], json!([]), "{name}");
        // Everything else goes on.
        succeed(&server, &ada, Request::new("GET", "/nexus/cards")).await;

        plant.s3.set(Way::Open);
        eventually(&server, &ada, &register(&waiting), |reply| {
            assert!(clear(reply), "{name}: {reply:?}");
            done(reply)
        })
        .await;
        let early = early.json();
        assert_eq!(send_form(&early["upload"], BYTES).await, Some(201));
        eventually(&server, &ada, &register(&early), done).await;
        registered = listed(&server, &ada).await;
        let names: Vec<&Value> = registered.iter().map(|file| &file["filename"]).collect();
        let twice = names
            .iter()
            .filter(|file| ***file == json!(format!("{name}.txt")));
        assert_eq!(twice.count(), 1, "{names:?}");
        let answer = open(&server, &ada, &content).await;
        assert_eq!(answer.bytes().await.unwrap(), BYTES, "{name}");
    }
    eventually(&server, &ada, &preview, done).await;
    let made = succeed(&server, &ada, made(&canvas)).await;
    assert_eq!(made["items"].as_array().unwrap().len(), 1, "{made}");
}
