//! Recipes of raw storage and media, and how a file is uploaded.

use identity::http::ManifestEntry;
use serde_json::{Value, json};

use crate::{
    client::{Caller, Request},
    process::Server,
    recipes::{CANARY, Recipe, Victim, is_about_an_object, succeed},
};

pub(crate) const BYTES: &[u8] = b"bytes of a file, \x00\xff and all";

/// The path of the shelf that a route is about; artifacts are media.
fn shelf(path: &str) -> &'static str {
    if path.starts_with("/nexus/") {
        "/nexus/raw-storage"
    } else {
        "/media"
    }
}

/// What is promised of a file with `BYTES` in it.
pub(crate) fn promise(filename: &str) -> Value {
    json!({"filename": filename, "content_type": "text/plain", "size": BYTES.len()})
}

/// Sends a form as a browser does: its fields as printed, and the file last. The HTTP status;
/// `None` when the store cut it off, as it may when it has refused already.
pub(crate) async fn send_form(upload: &Value, bytes: &[u8]) -> Option<u16> {
    const BOUNDARY: &str = "----boundary-of-a-browser";
    let mut body = Vec::new();
    for (name, value) in upload["fields"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let part = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        body.extend(part.bytes());
    }
    let part = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"blob\"\r\ncontent-type: application/octet-stream\r\n\r\n"
    );
    body.extend(part.bytes());
    body.extend(bytes);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    assert_eq!(upload["method"], "POST");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = client
        .post(upload["url"].as_str().unwrap())
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body);
    let answer = form.send().await.ok()?;
    Some(answer.status().as_u16())
}

/// Uploads a file with `BYTES` in it, and registers it unless told otherwise.
pub(crate) async fn uploaded(server: &Server, caller: &Caller, shelf: &str, body: &Value) -> Value {
    let presign = Request::new("POST", format!("{shelf}/presign")).json(body);
    let presigned = succeed(server, caller, presign).await;
    let status = send_form(&presigned["upload"], BYTES).await;
    assert_eq!(status, Some(201), "{presigned}");
    presigned
}

/// A registered file with `BYTES` in it.
pub(crate) async fn stored(server: &Server, caller: &Caller, shelf: &str, body: &Value) -> Value {
    let presigned = uploaded(server, caller, shelf, body).await;
    let register = json!({"asset_id": presigned["asset_id"]});
    let register = Request::new("POST", format!("{shelf}/register")).json(&register);
    succeed(server, caller, register).await
}

pub(crate) async fn assets_recipe(
    server: &Server,
    victim: &Victim,
    entry: &ManifestEntry,
) -> Recipe {
    let caller = victim.owner.clone();
    let shelf = shelf(entry.path);
    let mut body = promise(&format!("{CANARY}.txt"));
    let mut path = entry.path.to_owned();
    if is_about_an_object(&path) {
        if path.starts_with("/artifacts") {
            let parent = stored(server, &caller, shelf, &body).await;
            body["parent_asset_id"] = parent["asset_id"].clone();
        }
        let asset = stored(server, &caller, shelf, &body).await;
        path = path.replace("{asset_id}", asset["asset_id"].as_str().unwrap());
    }
    let request = Request::new(entry.method.as_str(), path);
    let (request, success): (_, &[u16]) = match (entry.method.as_str(), entry.path) {
        ("POST", path) if path.ends_with("/presign") => (request.json(&body), &[201]),
        ("POST", _) => {
            let presigned = uploaded(server, &caller, shelf, &body).await;
            let register = json!({"asset_id": presigned["asset_id"]});
            (request.json(&register), &[201])
        }
        ("DELETE", _) => (request, &[204]),
        // Whoever is sent to the bytes follows.
        _ => (request, &[200]),
    };
    Recipe {
        caller,
        request,
        success,
    }
}
