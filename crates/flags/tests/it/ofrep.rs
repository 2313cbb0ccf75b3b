//! OFREP as its clients meet it: every answer, every refusal, and the tag.

use actix_web::http::Method;
use identity::{Role, http::JSON_BYTES_MAX};
use serde_json::{Value, json};
use tenantry_flags::LayerName::{System, Tenant};

use super::{http::OFREP, node::Node};

#[actix_web::test]
async fn ofrep_tells_value_variant_reason_and_layer() {
    let node = Node::new().await;
    node.put(
        System,
        "team/colour",
        &json!({"variants": {"warm": "red", "cold": "blue"}, "default_variant": "warm"}),
    )
    .await;
    node.put(
        Tenant,
        "ratio",
        &json!({"variants": {"a": 3.0}, "default_variant": "a"}),
    )
    .await;
    node.put(
        Tenant,
        "shape",
        &json!({"variants": {"a": {"sides": 4}}, "default_variant": "a"}),
    )
    .await;
    node.put(
        Tenant,
        "half",
        &json!({"rules": [{"name": "half", "rollout": 50}]}),
    )
    .await;
    node.put(Tenant, "off", &json!({"enabled": false})).await;
    let viewer = node.caller("t_a", "u_viewer", Role::Viewer);
    let who = json!({"targetingKey": "u_1", "plan": "pro"});
    for key in ["team/colour", "team%2Fcolour", "team%2fcolour"] {
        assert_eq!(
            viewer.one(key, &who).await.body,
            json!({"key": "team/colour", "value": "red", "variant": "warm", "reason": "STATIC",
                "metadata": {"layer": "system", "type": "string", "mode": "default", "inherited": true}})
        );
    }
    assert!(
        viewer
            .one("ratio", &who)
            .await
            .text
            .contains("\"value\":3.0")
    );
    assert_eq!(
        viewer.one("shape", &who).await.body["value"],
        json!({"sides": 4})
    );
    let half = viewer.one("half", &who).await.body;
    assert!(
        half["reason"] == "SPLIT" || half["reason"] == "DEFAULT",
        "{half}"
    );
    let off = viewer.one("off", &json!({})).await.body;
    assert_eq!(
        (&off["value"], &off["reason"], &off["metadata"]["cause"]),
        (&json!(false), &json!("DISABLED"), &json!("disabled"))
    );
    assert!(
        node.recorder.lines().is_empty(),
        "a question is not recorded"
    );
}

#[actix_web::test]
async fn ofrep_refusals_have_what_clients_need() {
    let mut node = Node::new().await;
    node.put(Tenant, "half", &json!({"rules": [{"rollout": 50}]}))
        .await;
    node.put(Tenant, "broken", &json!({})).await;
    node.damage(Tenant, "flag/broken", "?").await;
    let admin = node.admin();
    assert_eq!(
        admin.one("gone", &json!({})).await.ofrep(),
        (404, "FLAG_NOT_FOUND")
    );
    assert_eq!(
        admin.one("half", &json!({})).await.ofrep(),
        (400, "TARGETING_KEY_MISSING")
    );
    assert_eq!(admin.one("half", &json!({})).await.body["key"], "half");
    assert_eq!(
        admin.one("broken", &json!({})).await.ofrep(),
        (500, "GENERAL")
    );
    let long = "k".repeat(200);
    for bad in ["a%20b", "%C3%A4", &long, "a%00"] {
        assert_eq!(
            admin.one(bad, &json!({})).await.ofrep(),
            (400, "GENERAL"),
            "{bad}"
        );
    }
    for path in [OFREP.to_owned(), format!("{OFREP}/half")] {
        for context in [
            json!(1),
            json!([]),
            json!("u"),
            json!({"targetingKey": 1}),
            json!({"targetingKey": "k".repeat(1025)}),
            json!({"n".repeat(129): 1}),
        ] {
            assert_eq!(
                admin.ask(&path, &context).await.ofrep(),
                (400, "INVALID_CONTEXT")
            );
        }
        for body in ["", "{", "[]", "1", "{\"context\":"] {
            let refused = admin.raw(Method::POST, &path, Some(body.into())).await;
            let expected = if body.is_empty() {
                continue;
            } else {
                (400, "PARSE_ERROR")
            };
            assert_eq!(refused.ofrep(), expected, "{body}");
            assert_eq!(refused.body.get("key").is_some(), path != OFREP);
        }
        let deep = format!(
            "{{\"context\":{}1{}}}",
            "{\"a\":".repeat(200),
            "}".repeat(200)
        );
        assert_eq!(
            admin
                .raw(Method::POST, &path, Some(deep.into()))
                .await
                .ofrep(),
            (400, "PARSE_ERROR")
        );
        let huge = json!({"a": "d".repeat(JSON_BYTES_MAX)});
        assert_eq!(admin.ask(&path, &huge).await.ofrep(), (413, "GENERAL"));
    }
    node.documents.set_down(true);
    node.world.clock.advance(std::time::Duration::from_secs(2));
    let down = admin.one("half", &json!({"targetingKey": "u"})).await;
    assert_eq!(
        (down.ofrep(), down.retry_after.as_deref()),
        ((503, "GENERAL"), Some("1"))
    );
    assert_eq!(admin.all(&json!({})).await.ofrep(), (503, "GENERAL"));
}

#[actix_web::test]
async fn ofrep_bulk_has_successes_failures_and_a_tag() {
    let mut node = Node::new().await;
    node.put(Tenant, "half", &json!({"rules": [{"rollout": 50}]}))
        .await;
    node.put(Tenant, "broken", &json!({})).await;
    node.put(System, "on", &json!({})).await;
    node.damage(Tenant, "flag/broken", "?").await;
    let admin = node.admin();
    let all = admin.all(&json!({})).await;
    assert_eq!(all.status, 200);
    let flags = all.body["flags"].as_array().unwrap();
    let told: Vec<_> = flags
        .iter()
        .map(|flag| {
            (
                flag["key"].as_str().unwrap(),
                flag["errorCode"].as_str(),
                &flag["value"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("broken", Some("GENERAL"), &Value::Null),
            ("half", Some("TARGETING_KEY_MISSING"), &Value::Null),
            ("on", None, &json!(true)),
        ]
    );
    assert!(flags[0]["errorDetails"].is_string());
    let tag = all.etag.unwrap();
    let again = admin.sending("if-none-match", &*tag).all(&json!({})).await;
    assert_eq!(
        (again.status, again.text.as_str(), again.etag.as_deref()),
        (304, "", Some(&*tag))
    );
    let weak = admin
        .sending("if-none-match", format!("\"x\", W/{tag}"))
        .all(&json!({}))
        .await;
    assert_eq!(weak.status, 304);
    for other in ["\"x\"", "garbage", "", "*"] {
        let fresh = admin.sending("if-none-match", other).all(&json!({})).await;
        assert_eq!(fresh.status, 200, "{other:?}");
    }
}
