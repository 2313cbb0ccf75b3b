//! Records, receipts, checkpoints and exports.

use actix_web::http::Method;
use identity::{Env, Role};
use tenantry_audit::verify;

use super::client::Server;
use crate::service::house::{event, put};

async fn recorded(count: usize) -> Server {
    let server = Server::new().await;
    for n in 0..count {
        put(&server.audit, event("t_a", Env::Dev, "u_1", n)).await;
    }
    put(&server.audit, event("t_b", Env::Dev, "u_1", 77)).await;
    server.audit.turn().await;
    server
}

#[actix_web::test]
async fn pages_follow_each_other_to_the_end() {
    let server = recorded(5).await;
    let (mut seqs, mut after) = (Vec::new(), String::new());
    loop {
        let reply = server.get(&format!("/audit/events?limit=2{after}")).await;
        assert_eq!(reply.status, 200);
        let body = reply.json();
        for item in body["items"].as_array().unwrap() {
            assert_eq!(item["tenant_id"], "t_a");
            assert_eq!(item["actor"]["id"], "u_1");
            seqs.push(item["seq"].as_u64().unwrap());
        }
        match body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    let beyond = server.get("/audit/events?after=999").await.json();
    assert_eq!(
        (
            beyond["items"].as_array().unwrap().len(),
            beyond["next"].is_null()
        ),
        (0, true)
    );
    let most = server.get("/audit/events?limit=999999").await;
    assert_eq!(most.json()["items"].as_array().unwrap().len(), 5);
}

#[actix_web::test]
async fn what_is_no_question_is_refused() {
    let server = recorded(1).await;
    for query in [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=99999999999999999999999",
        "after=x",
        "after=-1",
        "after=1.5",
        "after=99999999999999999999999",
        "from=yesterday",
        "to=2026-13-01T00:00:00Z",
        "color=red",
        "limit=1&limit=2",
    ] {
        let reply = server.get(&format!("/audit/events?{query}")).await;
        assert_eq!(reply.is(), (400, "query_invalid".to_owned()), "{query}");
    }
    let latest = server
        .get(&format!("/audit/events?after={}", u64::MAX))
        .await;
    assert_eq!(latest.status, 200);
}

#[actix_web::test]
async fn a_record_that_is_not_there_is_not_found_whatever_it_is_called() {
    let server = recorded(1).await;
    assert_eq!(server.get("/audit/events/1").await.json()["seq"], 1);
    let unknown = server.get("/audit/events/2").await;
    for seq in [
        "0",
        "-1",
        "x",
        "01x",
        "1.0",
        "18446744073709551615",
        "99999999999999999999999",
        "%2e",
    ] {
        for path in [
            format!("/audit/events/{seq}"),
            format!("/audit/events/{seq}/receipt"),
        ] {
            let reply = server.get(&path).await;
            assert_eq!(reply.is(), (404, "not_found".to_owned()), "{path}");
            assert_eq!(reply.json()["detail"], unknown.json()["detail"], "{path}");
        }
    }
}

#[actix_web::test]
async fn another_tenant_reads_its_own_log_and_no_other() {
    let server = recorded(3).await;
    let by = |path: &str| {
        server.by(
            "t_b",
            "u_other",
            Role::Owner,
            server.call(Method::GET, path),
        )
    };
    let listed = server.send(by("/audit/events")).await.json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["tenant_id"]), (1, &"t_b".into()));
    for path in ["/audit/events/2", "/audit/events/2/receipt"] {
        assert_eq!(
            server.send(by(path)).await.is(),
            (404, "not_found".to_owned())
        );
    }
    let foreign = by("/audit/events")
        .without("x-tenant-id")
        .with("x-tenant-id", "t_a");
    assert_eq!(
        server.send(foreign).await.is(),
        (403, "tenant_forbidden".to_owned())
    );
}

#[actix_web::test]
async fn a_receipt_verifies_as_it_was_sent() {
    let server = recorded(3).await;
    let reply = server.get("/audit/events/2/receipt?since=1").await;
    assert_eq!(reply.status, 200);
    let receipt = verify::parse_receipt(&reply.body).unwrap();
    let verified = verify::receipt(&receipt, &server.house.trust(), None).unwrap();
    assert_eq!(verified.seq.get(), 2);
    for since in ["0", "9", "x", "-1"] {
        let reply = server
            .get(&format!("/audit/events/2/receipt?since={since}"))
            .await;
        assert_eq!(reply.is(), (400, "query_invalid".to_owned()), "{since}");
    }
}

#[actix_web::test]
async fn the_checkpoint_is_for_everyone() {
    let server = Server::new().await;
    let call = server.call(Method::GET, "/audit/checkpoint");
    assert_eq!(
        server.send(call.clone()).await.is(),
        (404, "not_found".to_owned())
    );
    put(&server.audit, event("t_a", Env::Dev, "u_1", 0)).await;
    server.audit.turn().await;
    let reply = server.send(call).await;
    assert_eq!(reply.status, 200);
    assert!(
        reply
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    let note = String::from_utf8(reply.body).unwrap();
    assert!(!note.contains("t_a"));
    assert_eq!(server.house.trust().checkpoint(&note).unwrap().size, 1);
}

#[actix_web::test]
async fn an_export_is_streamed_and_verifies() {
    let server = recorded(600).await;
    for (body, from, records) in [
        ("{}", 1, None),
        ("{\"from\":600,\"to\":600}", 600, Some(1)),
        ("{\"from\":2,\"to\":520,\"since\":1}", 2, Some(519)),
    ] {
        let reply = server
            .owner(Method::POST, "/audit/export", Some(body))
            .await;
        assert_eq!(reply.status, 200, "{body}");
        assert_eq!(reply.header("content-type"), Some("application/jsonl"));
        assert!(
            reply
                .header("content-disposition")
                .unwrap()
                .contains("attachment")
        );
        assert!(
            reply.header("content-length").is_none(),
            "it is not held in memory"
        );
        let report = verify::export(&reply.body[..], &server.house.trust(), None).unwrap();
        assert_eq!(report.from.get(), from);
        assert!(
            records.is_none_or(|records| report.records == records),
            "{body}"
        );
        assert!(report.records >= 1);
    }
}

#[actix_web::test]
async fn what_is_no_export_is_refused() {
    let server = recorded(2).await;
    let most = u64::MAX;
    for (body, status, code) in [
        ("{\"from\":0}".to_owned(), 422, "validation_failed"),
        ("{\"from\":5,\"to\":1}".to_owned(), 422, "validation_failed"),
        (format!("{{\"to\":{most}}}"), 404, "not_found"),
        (format!("{{\"from\":{most}}}"), 422, "validation_failed"),
        ("{\"to\":5000}".to_owned(), 404, "not_found"),
        ("{\"since\":9}".to_owned(), 400, "query_invalid"),
        ("{\"form\":1}".to_owned(), 422, "validation_failed"),
        ("{\"from\":\"1\"}".to_owned(), 422, "validation_failed"),
        ("{\"from\":-1}".to_owned(), 422, "validation_failed"),
        ("[]".to_owned(), 422, "validation_failed"),
        ("{".to_owned(), 400, "body_invalid"),
        (
            format!("\"{}\"", "x".repeat(300 * 1024)),
            413,
            "body_too_large",
        ),
    ] {
        let reply = server
            .owner(Method::POST, "/audit/export", Some(&body))
            .await;
        let what: String = body.chars().take(40).collect();
        assert_eq!(reply.is(), (status, code.to_owned()), "{what}");
    }
    let call = server.call(Method::POST, "/audit/export").json("{}");
    let call = server.by("t_a", "u_owner", Role::Owner, call);
    let call = call
        .without("content-type")
        .with("content-type", "text/plain");
    assert_eq!(
        server.send(call).await.is(),
        (400, "body_invalid".to_owned())
    );
}

#[actix_web::test]
async fn a_store_that_fails_is_a_503_and_a_tampered_record_a_500_with_its_seq() {
    let server = recorded(2).await;
    server.house.vault.set_down(true);
    for path in [
        "/audit/events",
        "/audit/events/1",
        "/audit/events/1/receipt",
        "/audit/hold",
    ] {
        let reply = server.get(path).await;
        assert_eq!(
            reply.is(),
            (503, "backend_unavailable".to_owned()),
            "{path}"
        );
        assert!(reply.header("retry-after").is_some());
    }
    server.house.vault.revive();
    server.house.vault.alter(|held| {
        for stream in held.streams.values_mut() {
            stream.events.remove(&1);
        }
    });
    for path in [
        "/audit/events",
        "/audit/events/1",
        "/audit/events/1/receipt",
    ] {
        let reply = server.get(path).await;
        assert_eq!(reply.is(), (500, "internal".to_owned()), "{path}");
        assert_eq!(reply.json()["seq"], 1, "{path}");
        let text = String::from_utf8(reply.body).unwrap();
        assert!(!text.contains("t_a/dev"), "{text}");
    }
}
