//! Files go straight to the store with the form that the server prints, and come back.

use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    client::{Caller, Reply, Request, open, send},
    process::Server,
    recipes::{bootstrap, succeed},
    recipes_assets::{BYTES, promise, send_form, stored, uploaded},
};

const RAW: &str = "/nexus/raw-storage";
const MEDIA: &str = "/media";

async fn post(server: &Server, caller: &Caller, path: &str, body: &Value) -> Reply {
    send(server, caller, &Request::new("POST", path).json(body)).await
}

async fn register(server: &Server, caller: &Caller, shelf: &str, id: &Value) -> Reply {
    let body = json!({ "asset_id": id });
    post(server, caller, &format!("{shelf}/register"), &body).await
}

/// Where the bytes of a file are, by the redirect that leads there.
async fn location(server: &Server, caller: &Caller, path: String) -> (u16, Option<String>) {
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(Policy::none()).build().unwrap();
    let mut request = client.get(format!("{}{path}", server.facts.url));
    for (name, value) in caller.headers() {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    if answer.status() == 302 {
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    let place = answer.headers().get("location");
    let place = place.map(|place| place.to_str().unwrap().to_owned());
    (answer.status().as_u16(), place)
}

#[tokio::test]
async fn a_file_goes_straight_to_the_store_and_comes_back() {
    let mut server = Server::start();
    let ada = Caller::resident(&server, 0);
    for shelf in [RAW, MEDIA] {
        let mut body = promise("../Größe ✓ (1).txt");
        let hash = Sha256::digest(BYTES);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        body["sha256"] = json!(hash);
        let presigned = post(&server, &ada, &format!("{shelf}/presign"), &body).await;
        assert_eq!(presigned.status, 201, "{}", presigned.visible());
        let presigned = presigned.json();
        let (id, upload) = (&presigned["asset_id"], &presigned["upload"]);
        let area = if shelf == RAW { "raw" } else { "media_v2" };
        let tenant = &server.facts.tenants[0];
        let name = "Größe ✓ (1).txt";
        let key = format!(
            "tenants/{tenant}/dev/{area}/{}/{name}",
            id.as_str().unwrap()
        );
        assert_eq!(presigned["key"], json!(key));
        assert_eq!(upload["fields"]["key"], json!(key));

        let early = register(&server, &ada, shelf, id).await;
        assert_eq!(early.outcome(), (409, "object_missing".to_owned()));
        // The form outlives a kill of the server.
        server.kill_and_restart();
        assert_eq!(send_form(upload, BYTES).await, Some(201));
        let registered = register(&server, &ada, shelf, id).await;
        assert_eq!(registered.status, 201, "{}", registered.visible());
        let place = format!("{shelf}/{}", id.as_str().unwrap());
        assert_eq!(registered.header("location"), Some(place.as_str()));
        let again = register(&server, &ada, shelf, id).await;
        assert_eq!((again.status, again.json()), (200, registered.json()));
        let shown = succeed(&server, &ada, Request::new("GET", &place)).await;
        assert_eq!(shown, registered.json());
        assert_eq!(
            (&shown["key"], &shown["filename"]),
            (&json!(key), &json!(name))
        );
        let listed = succeed(&server, &ada, Request::new("GET", shelf)).await;
        assert_eq!(listed, json!({"items": [shown], "next": null}));

        let (status, url) = location(&server, &ada, format!("{place}/content")).await;
        assert_eq!(status, 302);
        // Whoever has the URL needs nothing else, and is given a file to be saved.
        let answer = server.client.get(url.unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let disposition = answer.headers()["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with("attachment;"), "{disposition}");
        assert!(disposition.ends_with("%20%281%29.txt"), "{disposition}");
        assert_eq!(answer.headers()["content-type"], "text/plain");
        assert_eq!(answer.bytes().await.unwrap(), BYTES);
    }
}

#[tokio::test]
async fn what_differs_from_the_promise_does_not_get_into_the_store() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let presigned = post(&server, &ada, "/media/presign", &promise("a.txt"))
        .await
        .json();
    let (id, upload) = (&presigned["asset_id"], &presigned["upload"]);
    let key = presigned["key"].as_str().unwrap();
    let with = |name: &str, value: &str| {
        let mut upload = upload.clone();
        let fields = upload["fields"].as_object_mut().unwrap();
        let name = fields.keys().find(|field| field.eq_ignore_ascii_case(name));
        let name = name.unwrap().clone();
        fields[&name] = json!(value);
        upload
    };
    let elsewhere = key.replace("tenants/", "tenants/t_x");
    let mut larger = BYTES.to_vec();
    larger.push(0);
    for (form, bytes) in [
        (upload.clone(), larger.as_slice()),
        (upload.clone(), &BYTES[1..]),
        (with("content-type", "text/html"), BYTES),
        (with("key", &elsewhere), BYTES),
        (with("policy", "e30="), BYTES),
        (with("x-amz-signature", &"0".repeat(64)), BYTES),
    ] {
        let status = send_form(&form, bytes).await;
        let refused = status.is_none_or(|status| (400..500).contains(&status));
        assert!(refused, "{status:?} for {form}");
        let early = register(&server, &ada, MEDIA, id).await;
        assert_eq!(early.outcome(), (409, "object_missing".to_owned()));
    }
    assert_eq!(send_form(upload, BYTES).await, Some(201));
    assert_eq!(register(&server, &ada, MEDIA, id).await.status, 201);
}

#[tokio::test]
async fn a_file_is_its_tenants_alone() {
    let server = Server::start();
    let (ada, bob) = (Caller::resident(&server, 0), Caller::resident(&server, 1));
    let prod = ada.clone().but("x-env", Some("prod"));
    for (shelf, other) in [(RAW, MEDIA), (MEDIA, RAW)] {
        let waiting = uploaded(&server, &ada, shelf, &promise("a.txt")).await;
        let asset = stored(&server, &ada, shelf, &promise("a.txt")).await;
        let nowhere = json!("as_nowhere");
        for (caller, shelf) in [(&bob, shelf), (&prod, shelf), (&ada, other)] {
            for id in [&waiting["asset_id"], &asset["asset_id"], &nowhere] {
                let refused = register(&server, caller, shelf, id).await;
                assert_eq!(refused.outcome(), (404, "not_found".to_owned()));
                let id = id.as_str().unwrap();
                for part in ["", "/content"] {
                    let path = format!("{shelf}/{id}{part}");
                    let refused = send(&server, caller, &Request::new("GET", path)).await;
                    assert_eq!(refused.outcome(), (404, "not_found".to_owned()));
                }
            }
            let listed = succeed(&server, caller, Request::new("GET", shelf)).await;
            assert!(
                !listed
                    .to_string()
                    .contains(asset["asset_id"].as_str().unwrap())
            );
        }
        let id = &waiting["asset_id"];
        assert_eq!(register(&server, &ada, shelf, id).await.status, 201);
    }
}

#[tokio::test]
async fn names_and_promises_are_made_safe_or_refused_by_pointer() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    for (given, kept) in [
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\photo.jpg", "photo.jpg"),
        ("NUL.txt", "_NUL.txt"),
        ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
        ("u\u{308}ber. ", "\u{fc}ber"),
    ] {
        let presigned = post(&server, &ada, "/media/presign", &promise(given))
            .await
            .json();
        let key = presigned["key"].as_str().unwrap();
        assert_eq!(key.rsplit('/').next(), Some(kept), "{given:?}");
    }
    let long = format!("{}.jpeg", "x".repeat(1000));
    let presigned = post(&server, &ada, "/media/presign", &promise(&long))
        .await
        .json();
    let name = presigned["key"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    assert_eq!((name.len(), name.ends_with("x.jpeg")), (255, true));

    let whole = |name: &str, value: Value| {
        let mut body = promise("a.txt");
        body[name] = value;
        body
    };
    let deep = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
    for (body, pointer) in [
        (promise("%2e%2e%2fetc"), "/filename"),
        (promise("a\0.png"), "/filename"),
        (promise(&"x".repeat(10 * 1024)), "/filename"),
        (promise(".."), "/filename"),
        (whole("content_type", json!("text")), "/content_type"),
        (
            whole("content_type", json!("text/plain\r\nx: y")),
            "/content_type",
        ),
        (whole("size", json!(-1)), "/size"),
        (whole("size", json!(1.5)), "/size"),
        (whole("size", json!(u64::MAX)), "/size"),
        (whole("sha256", json!("00")), "/sha256"),
        (whole("kind", json!("A kind")), "/kind"),
        (whole("parent_asset_id", json!("t_a")), "/parent_asset_id"),
        (
            whole("parent_asset_id", json!("as_nowhere")),
            "/parent_asset_id",
        ),
        (whole("meta", deep), "/meta"),
        (whole("meta", json!({"a": "x".repeat(20_000)})), "/meta"),
        (whole("colour", json!("red")), "/colour"),
    ] {
        let refused = post(&server, &ada, "/media/presign", &body).await;
        assert_eq!(refused.outcome(), (422, "validation_failed".to_owned()));
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let huge = whole("meta", json!({"a": "x".repeat(1024 * 1024)}));
    let refused = post(&server, &ada, "/media/presign", &huge).await;
    assert_eq!(refused.outcome(), (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn media_has_lineage_and_its_artifacts_are_found() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let get = async |path: String| succeed(&server, &ada, Request::new("GET", path)).await;
    let film = stored(&server, &ada, MEDIA, &promise("film.txt")).await;
    let film = film["asset_id"].as_str().unwrap().to_owned();
    let mut child = promise("proxy.txt");
    child["parent_asset_id"] = json!(film);
    child["kind"] = json!("proxy");
    child["meta"] = json!({"height": 360});
    let proxy = stored(&server, &ada, MEDIA, &child).await;
    assert_eq!(proxy["meta"], json!({"height": 360}));
    let id = proxy["asset_id"].as_str().unwrap();
    let lineage = get(format!("/media/{id}/lineage")).await;
    assert_eq!(lineage["asset"], proxy);
    assert_eq!(lineage["ancestors"][0]["asset_id"], json!(film));
    for list in [
        format!("/artifacts?parent={film}"),
        format!("/media?parent={film}"),
        format!("/media?parent={film}&kind=proxy"),
        "/media?kind=proxy".to_owned(),
        "/artifacts".to_owned(),
    ] {
        assert_eq!(get(list).await["items"], json!([proxy]));
    }
    assert_eq!(get(format!("/artifacts/{id}")).await, proxy);
    let (status, _) = location(&server, &ada, format!("/artifacts/{id}/content")).await;
    assert_eq!(status, 302);
    let (status, _) = location(&server, &ada, format!("/artifacts/{film}/content")).await;
    assert_eq!(status, 404, "it was made from nothing");
    for bad in [
        "/media?kind=A",
        "/media?parent=t_a",
        "/artifacts?parent=x",
        "/media?limit=0",
    ] {
        let refused = send(&server, &ada, &Request::new("GET", bad)).await;
        assert_eq!(refused.outcome(), (400, "query_invalid".to_owned()));
    }
}

#[tokio::test]
async fn a_deleted_file_is_gone_from_the_store_too() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let asset = stored(&server, &ada, RAW, &promise("a.txt")).await;
    let place = format!("{RAW}/{}", asset["asset_id"].as_str().unwrap());
    let (_, url) = location(&server, &ada, format!("{place}/content")).await;
    let url = url.unwrap();
    let deleted = send(&server, &ada, &Request::new("DELETE", &place)).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(server.client.get(&url).send().await.unwrap().status(), 404);
    for path in [place.clone(), format!("{place}/content")] {
        let gone = send(&server, &ada, &Request::new("GET", path)).await;
        assert_eq!(gone.outcome(), (404, "not_found".to_owned()));
    }
    let again = register(&server, &ada, RAW, &asset["asset_id"]).await;
    assert_eq!(again.outcome(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_kill_switch_stops_forms_and_registrations() {
    let server = Server::start();
    let ada = Caller::resident(&server, 0);
    let waiting = uploaded(&server, &ada, RAW, &promise("a.txt")).await;
    let row = json!({"action": "nexus.raw_storage.*", "reason": "drill"});
    let switch = Request::new("PUT", "/gates/kill-switches/raw").json(&row);
    succeed(&server, &ada, switch.clone()).await;
    let closed = (503, "kill_switch_engaged".to_owned());
    let presign = post(
        &server,
        &ada,
        "/nexus/raw-storage/presign",
        &promise("b.txt"),
    )
    .await;
    assert_eq!(presign.outcome(), closed);
    let registered = register(&server, &ada, RAW, &waiting["asset_id"]).await;
    assert_eq!(registered.outcome(), closed);
    let listed = succeed(&server, &ada, Request::new("GET", RAW)).await;
    assert_eq!(listed["items"], json!([]));
    // Media is not raw storage.
    stored(&server, &ada, MEDIA, &promise("c.txt")).await;
    succeed(&server, &ada, Request::new("DELETE", switch.path)).await;
    let registered = register(&server, &ada, RAW, &waiting["asset_id"]).await;
    assert_eq!(registered.status, 201);
}

#[tokio::test]
async fn with_the_store_down_it_is_told_and_nothing_is_registered() {
    let server = Server::start();
    let (operator, ada) = (bootstrap(&server).await, Caller::resident(&server, 0));
    let waiting = uploaded(&server, &ada, RAW, &promise("a.txt")).await;
    let routes = succeed(
        &server,
        &operator,
        Request::new("GET", "/control/routes?limit=1000"),
    )
    .await;
    let rows = routes["items"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["resource_kind"] == "raw_storage")
        .unwrap();
    // Of the tenant alone, at a port where nobody listens.
    let mut dead = json!({
        "resource_kind": "raw_storage", "tenant": server.facts.tenants[0], "env": "dev",
        "backend": row["backend"], "config": row["config"], "secrets": row["secrets"],
    });
    dead["config"]["endpoint"] = json!("http://127.0.0.1:1");
    let made = Request::new("POST", "/control/routes").json(&dead);
    let made = succeed(&server, &operator, made).await;
    let refused = register(&server, &ada, RAW, &waiting["asset_id"]).await;
    assert_eq!(refused.outcome(), (503, "backend_unavailable".to_owned()));
    let bob = Caller::resident(&server, 1);
    stored(&server, &bob, RAW, &promise("b.txt")).await;
    let place = format!("/control/routes/{}", made["id"].as_str().unwrap());
    succeed(&server, &operator, Request::new("DELETE", place)).await;
    let registered = register(&server, &ada, RAW, &waiting["asset_id"]).await;
    assert_eq!(registered.status, 201, "{}", registered.visible());
    let path = format!("{RAW}/{}/content", waiting["asset_id"].as_str().unwrap());
    let answer = open(&server, &ada, &Request::new("GET", path)).await;
    assert_eq!(answer.bytes().await.unwrap(), BYTES);
}
