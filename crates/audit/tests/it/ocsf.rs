//! Records as OCSF events, against what OCSF 1.4.0 says of its class 6003.

use identity::Role;
use serde_json::{Value, json};
use tenantry_audit::{
    Actor, DatasetEvent, Hash, Leaf, Opened, Outcome, Phase, Seq, Target, TargetId,
    ocsf::api_activity, seal::seal, service::Entry,
};

use crate::world::{World, event, label};

/// The record of an event as its readers see it; without its keys, if its subjects were erased.
fn entry(event: &DatasetEvent, erased: bool) -> Entry {
    let mut world = World::new(1);
    world.record(0, 3);
    let keys = &mut world.tenants[0].keys;
    let target = keys.values().next().unwrap().clone();
    keys.insert("u_target".parse().unwrap(), target);
    let record = seal(event, keys, &world.entropy).unwrap();
    if erased {
        world.tenants[0].keys.clear();
    }
    Entry {
        seq: Seq::try_from(7).unwrap(),
        leaf: Leaf::parse(&record.leaf).unwrap(),
        opened: world.opened(0, &record),
        bytes: record.leaf,
    }
}

fn plain() -> DatasetEvent {
    let tenant = "t_0".parse().unwrap();
    event(&tenant, identity::Env::Prod, &"u_0".parse().unwrap(), 1)
}

fn made(change: impl FnOnce(&mut DatasetEvent)) -> Value {
    let mut event = plain();
    change(&mut event);
    api_activity(&entry(&event, false))
}

/// Every kind of record.
fn all() -> Vec<Value> {
    let mut all = vec![
        made(|event| event.phase = Phase::Intent),
        made(|event| event.actor = Actor::System(label("audit.recovery"))),
        made(|event| event.actor = Actor::Anonymous),
        made(|event| event.target = None),
        made(|event| event.repeated = 12),
        api_activity(&entry(&plain(), true)),
    ];
    for outcome in [
        Outcome::Done,
        Outcome::Refused(label("role_forbidden")),
        Outcome::Failed(label("backend_unavailable")),
        Outcome::Unknown,
    ] {
        all.push(made(|event| event.phase = Phase::Event(outcome)));
    }
    for action in [
        "a.b.add",
        "a.b.list",
        "a.b.set_user",
        "a.b.withdraw",
        "a.b.open",
        "a.b.frob",
    ] {
        all.push(made(|event| event.action = label(action)));
    }
    all
}

/// The caption of a number, as the schema's enumerations have it.
fn caption(attribute: &str, id: u64) -> Option<&'static str> {
    let captions: &[(u64, &str)] = match attribute {
        "activity" => &[(1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete")],
        "severity" => &[(1, "Informational"), (2, "Low"), (3, "Medium"), (4, "High")],
        "status" => &[(0, "Unknown"), (1, "Success"), (2, "Failure")],
        "user.type" => &[(0, "Unknown"), (1, "User"), (2, "Admin"), (3, "System")],
        _ => panic!("{attribute}"),
    };
    let found = captions.iter().find(|(known, _)| *known == id);
    found.map(|(_, caption)| *caption)
}

/// That `name` is the caption of `id`; 99 is Other, and has a name of the source's.
fn check_named(attribute: &str, id: &Value, name: &Value) {
    let (id, name) = (id.as_u64().unwrap(), name.as_str().unwrap());
    match caption(attribute, id) {
        Some(caption) => assert_eq!(name, caption, "{attribute}"),
        None => assert!(id == 99 && !name.is_empty(), "{attribute} {id} {name}"),
    }
}

#[test]
fn every_event_has_what_the_class_requires() {
    for event in all() {
        assert_eq!(event["class_uid"], 6003);
        assert_eq!(event["category_uid"], 6);
        let activity = event["activity_id"].as_u64().unwrap();
        assert_eq!(event["type_uid"], 600_300 + activity);
        check_named("activity", &event["activity_id"], &event["activity_name"]);
        check_named("severity", &event["severity_id"], &event["severity"]);
        check_named("status", &event["status_id"], &event["status"]);
        assert_eq!(event["time"], 1_767_225_600_001_u64);
        assert_eq!(event["metadata"]["version"], "1.4.0");
        assert!(event["metadata"]["product"]["name"].is_string());
        assert_eq!(event["metadata"]["tenant_uid"], "t_0");
        assert_eq!(event["metadata"]["sequence"], 7);
        assert!(event["api"]["operation"].is_string());
        assert_eq!(event["api"]["request"]["uid"], "req-1");
        // An actor is a user or an application; a user has an id or a name.
        let user = &event["actor"]["user"];
        if event["actor"]["app_name"].is_null() {
            assert!(user["uid"].is_string() != user["name"].is_string());
            check_named("user.type", &user["type_id"], &user["type"]);
        }
        assert!(event["src_endpoint"]["name"].is_string());
        for resource in event["resources"].as_array().into_iter().flatten() {
            assert!(resource["uid"].is_string() != resource["name"].is_string());
        }
    }
}

#[test]
fn an_action_is_one_of_four_activities_or_another() {
    for (action, method, activity, name) in [
        ("control.member.add", "POST", 1, "Create"),
        ("control.app.write", "POST", 1, "Create"),
        ("audit.event.export", "POST", 2, "Read"),
        ("control.route.check", "POST", 2, "Read"),
        ("control.app.write", "PATCH", 3, "Update"),
        ("privacy.train_prefs.set_user", "PUT", 3, "Update"),
        ("control.app.write", "DELETE", 4, "Delete"),
        ("privacy.train_prefs.withdraw_tenant", "DELETE", 4, "Delete"),
        ("subject.erased", "", 4, "Delete"),
        ("auth.logout", "POST", 99, "logout"),
        ("chat.stream.open", "GET", 99, "open"),
        ("somewhere.else.frobnicate", "", 99, "frobnicate"),
    ] {
        let event = made(|event| {
            event.action = label(action);
            event.metadata.insert("method".to_owned(), method.into());
        });
        let found = (&event["activity_id"], &event["activity_name"]);
        assert_eq!(found, (&json!(activity), &json!(name)), "{action}");
        assert_eq!(event["api"]["operation"], action);
    }
}

#[test]
fn an_outcome_is_a_status_a_code_and_a_severity() {
    let code = |code: &str| label(code);
    for (phase, status, status_code, severity) in [
        (Phase::Intent, (99, "Intent"), Value::Null, 1),
        (Phase::Event(Outcome::Done), (1, "Success"), Value::Null, 1),
        (
            Phase::Event(Outcome::Unknown),
            (0, "Unknown"),
            Value::Null,
            3,
        ),
        (
            Phase::Event(Outcome::Refused(code("role_forbidden"))),
            (2, "Failure"),
            json!("role_forbidden"),
            2,
        ),
        (
            Phase::Outcome {
                intent: Seq::FIRST,
                outcome: Outcome::Failed(code("backend_unavailable")),
            },
            (2, "Failure"),
            json!("backend_unavailable"),
            3,
        ),
    ] {
        let event = made(|event| event.phase = phase);
        assert_eq!(
            (&event["status_id"], &event["status"]),
            (&json!(status.0), &json!(status.1))
        );
        assert_eq!(event["status_code"], status_code);
        assert_eq!(event["api"]["response"]["error"], status_code);
        assert_eq!(event["severity_id"], severity);
    }
}

#[test]
fn who_did_it_to_what_is_shown_until_it_is_erased() {
    let event = made(|_| {});
    let user = &event["actor"]["user"];
    assert_eq!(user["uid"], "u_0");
    assert_eq!(
        (&user["type"], &user["groups"][0]["name"]),
        (&json!("Admin"), &json!("admin"))
    );
    assert_eq!(
        event["resources"],
        json!([{"type": "user", "uid": "u_target"}])
    );
    assert_eq!(
        event["unmapped"]["personal"],
        json!({"email": "u_0@example.test"})
    );
    assert_eq!(event["unmapped"]["erased"], json!([]));

    let viewer = made(|event| {
        event.actor = Actor::User {
            id: "u_0".parse().unwrap(),
            role: Some(Role::Viewer),
        };
        event.target = Some(Target {
            kind: label("thread"),
            id: TargetId::Thing("th_1".into()),
        });
    });
    assert_eq!(viewer["actor"]["user"]["type"], "User");
    assert_eq!(
        viewer["resources"],
        json!([{"type": "thread", "uid": "th_1"}])
    );

    let erased = api_activity(&entry(&plain(), true));
    assert_eq!(erased["actor"]["user"]["name"], "(erased)");
    assert_eq!(
        erased["resources"],
        json!([{"type": "user", "name": "(erased)"}])
    );
    let fields = json!(["actor.id", "target.id", "personal.email"]);
    assert_eq!(erased["unmapped"]["erased"], fields);
    let text = erased.to_string();
    for value in ["u_0", "u_target", "example.test"] {
        assert!(!text.contains(value), "{value}");
    }
}

#[test]
fn an_event_leads_back_to_its_record() {
    let entry = entry(&plain(), false);
    let event = api_activity(&entry);
    assert_eq!(event["metadata"]["uid"], "t_0/prod/7");
    assert_eq!(event["metadata"]["correlation_uid"], "req-1");
    assert_eq!(
        event["unmapped"]["leaf_hash"],
        Hash::of_leaf(&entry.bytes).to_string()
    );
    assert_eq!(event["unmapped"]["metadata"]["n"], 1);
    assert_eq!(made(|event| event.repeated = 12)["count"], 12);
    assert_eq!(event.get("count"), None);
    assert_ne!(entry.opened, Opened::default());
}
