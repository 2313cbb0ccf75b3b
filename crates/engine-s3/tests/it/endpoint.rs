//! The development endpoint itself: its port, its folder, and what browsers are told.

use std::net::SocketAddr;

use engine_embedded::{S3Endpoint, S3EndpointSettings};
use reqwest::Method;

use crate::{
    sender::Sender,
    subject::{BUCKET, endpoint_settings},
};

#[tokio::test]
async fn the_port_is_kept_over_restarts_unless_somebody_took_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = S3Endpoint::start(endpoint_settings(folder.path()))
        .await
        .unwrap();
    let url = first.url();
    first.close().await;
    let mut second = S3Endpoint::start(endpoint_settings(folder.path()))
        .await
        .unwrap();
    assert_eq!(second.url(), url);
    second.close().await;
    let address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
    let taken = std::net::TcpListener::bind(address).unwrap();
    let third = S3Endpoint::start(endpoint_settings(folder.path()))
        .await
        .unwrap();
    assert_ne!(third.url(), url);
    drop(taken);
}

#[tokio::test]
async fn a_port_that_was_asked_for_and_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let settings = S3EndpointSettings {
        listen,
        ..endpoint_settings(folder.path())
    };
    let refused = S3Endpoint::start(settings).await.unwrap_err().to_string();
    assert!(refused.contains(&listen.to_string()), "{refused}");
}

#[tokio::test]
async fn it_listens_on_loopback_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = S3EndpointSettings {
        listen: SocketAddr::from(([0, 0, 0, 0], 0)),
        ..endpoint_settings(folder.path())
    };
    let refused = S3Endpoint::start(settings).await.unwrap_err().to_string();
    assert!(refused.contains("loopback"), "{refused}");
}

#[tokio::test]
async fn browsers_of_any_origin_may_send_what_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = S3Endpoint::start(endpoint_settings(folder.path()))
        .await
        .unwrap();
    let url = format!("{}/{BUCKET}", endpoint.url());
    let client = Sender::new().0;
    let asked = client
        .request(Method::OPTIONS, &url)
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT")
        .header(
            "access-control-request-headers",
            "content-type,x-amz-checksum-sha256",
        );
    let allowed = asked.send().await.unwrap();
    assert_eq!(allowed.status(), 204);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "*");
    let methods = allowed.headers()["access-control-allow-methods"]
        .to_str()
        .unwrap();
    assert!(
        methods.contains("PUT") && methods.contains("POST"),
        "{methods}"
    );
    assert_eq!(
        allowed.headers()["access-control-allow-headers"],
        "content-type,x-amz-checksum-sha256"
    );
    let refused = client.get(&url).header("origin", "https://app.example");
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), 403, "nothing is served to nobody");
    assert_eq!(
        refused.headers()["access-control-allow-origin"],
        "*",
        "scripts read refusals"
    );
}
