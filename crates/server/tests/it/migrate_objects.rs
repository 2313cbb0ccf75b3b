//! `tenantry migrate` of objects: from bucket to bucket, while clients upload, and after a kill.

mod house;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{BlobRelocation as _, Blobs as _, ObjectCopy};

use crate::{
    client::{Caller, Request, open, send},
    process::{Server, serve_of, tenantry},
    recipes::succeed,
    recipes_assets::{BYTES, promise, send_form, stored, uploaded},
    several::Cloud,
};
use house::{Bucket, House, media_of, run};

const MEDIA: &str = "/media";

async fn register(server: &Server, caller: &Caller, id: &Value) -> u16 {
    let body = json!({"asset_id": id});
    let register = Request::new("POST", "/media/register").json(&body);
    send(server, caller, &register).await.status
}

/// The same, again while it is answered 503: a node remembers for 2 s that writes are held.
async fn register_soon(server: &Server, caller: &Caller, id: &Value) -> u16 {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let status = register(server, caller, id).await;
        if status != 503 || tokio::time::Instant::now() > deadline {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The bytes of a file, as a client gets them, and from which store.
async fn content(server: &Server, caller: &Caller, asset: &Value) -> (u16, String, Bytes) {
    let path = format!("{MEDIA}/{}/content", asset["asset_id"].as_str().unwrap());
    let answer = open(server, caller, &Request::new("GET", path)).await;
    let (status, url) = (answer.status().as_u16(), answer.url().to_string());
    (status, url, answer.bytes().await.unwrap())
}

/// Moves the four objects of the first tenant, with the server stopped, and starts it again.
async fn moves_four(house: &mut House) {
    let held_before = house.before.count();
    house.stop().await;
    let (code, told) = run(house.to_after());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("4 objects copied, 0 were there"), "{told}");
    let (code, told) = run(house.to_after());
    assert_eq!(code, Some(0), "a move that is over: {told}");
    assert_eq!(house.after.count(), 4, "those of one tenant alone");
    assert_eq!(house.before.count(), held_before, "they stay");
    assert!(
        house
            .after
            .keys(&house.server.facts.tenants[1])
            .await
            .is_empty()
    );
    let rows = house.rows();
    assert!(!rows.contains("held"), "{rows}");
    assert!(rows.contains("Z also s3 "), "{rows}");
    house.server.kill_and_restart();
}

#[tokio::test(flavor = "multi_thread")]
async fn media_of_one_tenant_moves_and_late_uploads_follow() {
    let mut house = House::build().await;
    let (ada, bob) = (
        Caller::resident(&house.server, 0),
        Caller::resident(&house.server, 1),
    );
    let prod = ada.clone().but("x-env", Some("prod"));
    let mut assets = Vec::new();
    for caller in [&ada, &ada, &prod] {
        let name = promise("größe & mehr (1).txt");
        assets.push((
            caller.clone(),
            stored(&house.server, caller, MEDIA, &name).await,
        ));
    }
    let foreign = stored(&house.server, &bob, MEDIA, &promise("b.txt")).await;
    let waiting = uploaded(&house.server, &ada, MEDIA, &promise("waits.txt")).await;
    let presign = Request::new("POST", "/media/presign").json(&promise("late.txt"));
    let late = succeed(&house.server, &ada, presign.clone()).await;
    let never = succeed(&house.server, &ada, presign).await;

    moves_four(&mut house).await;

    let server = &house.server;
    let (ada, bob) = (Caller::resident(server, 0), Caller::resident(server, 1));
    let prod = ada.clone().but("x-env", Some("prod"));
    for (at, (_, asset)) in assets.iter().enumerate() {
        let caller = if at == 2 { &prod } else { &ada };
        let (status, url, bytes) = content(server, caller, asset).await;
        assert_eq!((status, &bytes[..]), (200, BYTES), "{url}");
        assert!(url.starts_with(&house.after.endpoint.url()), "{url}");
    }
    let (status, url, _) = content(server, &bob, &foreign).await;
    assert_eq!(status, 200);
    assert!(url.starts_with(&house.before.endpoint.url()), "{url}");
    assert_eq!(register(server, &ada, &waiting["asset_id"]).await, 201);
    // A form from before leads to the old store; what comes by it is fetched when it is registered.
    assert_eq!(register(server, &ada, &late["asset_id"]).await, 409);
    assert_eq!(send_form(&late["upload"], BYTES).await, Some(201));
    assert_eq!(house.after.count(), 4);
    assert_eq!(register(server, &ada, &late["asset_id"]).await, 201);
    let (status, url, bytes) = content(server, &ada, &late).await;
    assert_eq!((status, &bytes[..]), (200, BYTES));
    assert!(url.starts_with(&house.after.endpoint.url()), "{url}");
    assert_eq!(register(server, &ada, &never["asset_id"]).await, 409);
    // What is deleted now does not come back from the old store.
    let place = format!("{MEDIA}/{}", late["asset_id"].as_str().unwrap());
    assert_eq!(
        send(server, &ada, &Request::new("DELETE", &place))
            .await
            .status,
        204
    );
    assert_eq!(register(server, &ada, &late["asset_id"]).await, 404);
    assert_eq!(house.after.count(), 4);
    // New ones go to the new store.
    stored(server, &ada, MEDIA, &promise("new.txt")).await;
    assert_eq!(house.after.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_replaced_and_what_nobody_has_is_removed() {
    let mut house = House::build().await;
    let ada = Caller::resident(&house.server, 0);
    for name in ["a.txt", "b.txt", "c.txt"] {
        stored(&house.server, &ada, MEDIA, &promise(name)).await;
    }
    house.stop().await;
    let tenant = &house.server.facts.tenants[0];
    let keys = house.before.keys(tenant).await;
    let (before, after) = (house.before.blobs().await, house.after.blobs().await);
    // As an earlier attempt may have left them: one as it should be, one with other bytes of the same size under the
    // same tag, and one that was deleted since.
    for (key, body) in [(&keys[0], BYTES.to_vec()), (&keys[1], vec![7; BYTES.len()])] {
        let head = before.head(key).await.unwrap().unwrap();
        let copy = ObjectCopy {
            size: head.size,
            content_type: head.content_type,
            sha256: Sha256::digest(&body).into(),
            etag: head.etag,
        };
        let bytes = stream::iter([Ok(Bytes::from(body))]).boxed();
        after.write(key, &copy, bytes).await.unwrap();
    }
    let gone = media_of(tenant);
    let gone = gone.key(&format!("{gone}as_gone/file")).unwrap();
    assert!(
        after
            .put_if_absent(&gone, "text/plain", "x".into())
            .await
            .unwrap()
    );

    let (code, told) = run(house.to_after());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("2 objects copied, 1 were there"), "{told}");
    assert_eq!(house.after.keys(tenant).await, keys);
    for key in &keys {
        assert_eq!(after.get(key).await.unwrap().unwrap(), BYTES);
        assert_eq!(after.head(key).await, before.head(key).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_killed_goes_on_or_is_called_off() {
    const OBJECTS: usize = 400;
    let mut house = House::build().await;
    let tenant = house.server.facts.tenants[0].clone();
    house.before.fill(&tenant, OBJECTS).await;
    house.stop().await;

    // In the middle of the copy.
    let mut moving = house.to_after().stderr(Stdio::null()).spawn().unwrap();
    while house.after.count() == 0 {
        assert_eq!(moving.try_wait().unwrap(), None, "it ended by itself");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    moving.kill().unwrap();
    moving.wait().unwrap();
    let there = house.after.count();
    assert!(there < OBJECTS, "it was not killed in the middle");
    assert!(
        !house.rows().contains("held"),
        "nothing is held while it copies ahead"
    );

    // While writes are held.
    let mut moving = house.to_after().stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(moving.stderr.take().unwrap()).lines();
    let mut log = Vec::new();
    for line in lines {
        log.push(line.unwrap());
        if log.last().unwrap().contains("writes are held") {
            break;
        }
    }
    moving.kill().unwrap();
    moving.wait().unwrap();
    assert!(house.rows().contains("held"), "{log:?}: {}", house.rows());
    assert_eq!(house.after.count(), OBJECTS, "{log:?}");

    house.server.kill_and_restart();
    let ada = Caller::resident(&house.server, 0);
    let presign = Request::new("POST", "/media/presign").json(&promise("a.txt"));
    let refused = send(&house.server, &ada, &presign).await;
    assert_eq!(refused.status, 503, "{}", refused.visible());
    assert!(refused.header("retry-after").is_some());
    succeed(&house.server, &ada, Request::new("GET", MEDIA)).await;
    house.stop().await;

    let (code, told) = run(house.command(&["--tenant", &tenant, "--abort"]));
    assert_eq!(code, Some(0), "{told}");
    assert!(!house.rows().contains("held"), "{}", house.rows());
    let (code, told) = run(house.to_after());
    assert_eq!(code, Some(0), "{told}");
    let kept = format!("0 objects copied, {OBJECTS} were there");
    assert!(told.contains(&kept), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_serve_is_named_and_nothing_is_switched() {
    let mut house = House::build().await;
    let ada = Caller::resident(&house.server, 0);
    stored(&house.server, &ada, MEDIA, &promise("a.txt")).await;
    house.stop().await;
    let rows = house.rows();
    let dead = json!({
        "bucket": "far-away", "region": "us-east-1", "endpoint": "http://127.0.0.1:1", "path_style": true,
    });
    let mut missing = house.after.config();
    missing["bucket"] = "not-there".into();
    fs::write(house.after.folder.join("wrong"), "another-secret").unwrap();
    let here = house.after.config();
    for (config, secret, named) in [
        (&dead, "secret", "the bucket far-away does not answer"),
        (&missing, "secret", "the bucket not-there does not exist"),
        (&here, "wrong", "the bucket after are refused"),
        (&here, "none", "none"),
    ] {
        let (code, told) = run(house.to(config, secret));
        assert_eq!(code, Some(78), "{told}");
        assert!(told.contains(named), "{named} is not in {told}");
        assert!(!told.contains("another-secret"), "{told}");
        assert_eq!(house.rows(), rows);
    }
    assert_eq!(house.after.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_objects_move_uploads_are_taken_until_they_are_held() {
    let cloud = Cloud::start().await;
    let server = serve_of(&cloud.args, "").await;
    let ada = Caller::resident(&server, 0);
    let asset = stored(&server, &ada, MEDIA, &promise("a.txt")).await;
    let waiting = uploaded(&server, &ada, MEDIA, &promise("b.txt")).await;
    let after = Bucket::start(server.folder.path(), "after").await;
    let config = server.folder.path().join("tenantry.toml");
    let moving = {
        let mut command = tenantry();
        command.args(["migrate", "--kind", "media", "--to", "s3", "--config"]);
        command
            .arg(config)
            .args(["--target", &after.config().to_string()]);
        for (name, file) in [("access_key_id", "id"), ("secret_access_key", "secret")] {
            command.args(["--secret", &format!("{name}={}", after.secret(file))]);
        }
        tokio::task::spawn_blocking(move || run(command))
    };
    let presign = Request::new("POST", "/media/presign").json(&promise("c.txt"));
    let mut forms = Vec::new();
    let refused = loop {
        let reply = send(&server, &ada, &presign).await;
        if reply.status != 201 {
            break reply;
        }
        assert!(!moving.is_finished(), "writes were never held");
        forms.push(reply.json());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(refused.status, 503, "{}", refused.visible());
    assert!(refused.header("retry-after").is_some());
    // What is there is read, and an upload that was acknowledged is registered; deleting waits for the store.
    assert_eq!(content(&server, &ada, &asset).await.0, 200);
    assert_eq!(register(&server, &ada, &waiting["asset_id"]).await, 201);
    // A form from before is good until it ends, whatever happens meanwhile.
    let (during, later) = (forms.pop().unwrap(), forms.pop().unwrap());
    assert_eq!(send_form(&during["upload"], BYTES).await, Some(201));
    let (code, told) = moving.await.unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(send_form(&later["upload"], BYTES).await, Some(201));
    for form in [&during, &later] {
        let status = register_soon(&server, &ada, &form["asset_id"]).await;
        assert_eq!(status, 201, "{form}");
    }
    for asset in [&asset, &waiting, &during, &later] {
        let (status, url, bytes) = content(&server, &ada, asset).await;
        assert_eq!((status, &bytes[..]), (200, BYTES), "{url}");
        assert!(url.starts_with(&after.endpoint.url()), "{url}");
    }
    stored(&server, &ada, MEDIA, &promise("new.txt")).await;
}
