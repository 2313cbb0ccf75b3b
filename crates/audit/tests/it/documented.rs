//! The example in `docs/audit-format.md` is what this code makes, and it verifies.

use std::sync::Arc;

use identity::UserId;
use serde::Serialize;
use serde_json::json;
use tenantry_audit::{Personal, Receipt, TargetId, seal::SubjectKey, seal::seal, verify};

use crate::{
    stranger::{accepts, python},
    world::{World, event, label},
};

const DOCUMENT: &str = include_str!("../../../../docs/audit-format.md");

/// Two tenants, of which the first has two records; the second one tells of a change of role.
fn world() -> World {
    let mut world = World::new(2);
    world.record(0, 1);
    world.record(1, 1);
    let tenant = &mut world.tenants[0];
    let (owner, member): (UserId, UserId) = ("u_0".parse().unwrap(), "u_7".parse().unwrap());
    for user in [&owner, &member] {
        let key = Arc::new(SubjectKey::generate(&world.entropy));
        tenant.keys.insert(user.clone(), key);
    }
    let mut change = event(&tenant.id, tenant.env, &owner, 1);
    change.action = label("control.member.update");
    if let Some(target) = change.target.as_mut() {
        target.id = TargetId::User(member.clone());
    }
    let metadata = json!({"from": "viewer", "to": "member"});
    change.metadata = metadata.as_object().unwrap().clone();
    change.personal = vec![Personal {
        name: label("email"),
        subject: member,
        value: "ann@example.test".to_owned(),
    }];
    let record = seal(&change, &tenant.keys, &world.entropy).unwrap();
    tenant.log.append(record.leaf_hash());
    tenant.records.push(record);
    world.close_epoch();
    world
}

/// The block of JSON after `<!-- example: name -->`.
fn documented(name: &str) -> &'static str {
    let (_, after) = DOCUMENT
        .split_once(&format!("<!-- example: {name} -->\n```json\n"))
        .unwrap();
    after.split_once("```").unwrap().0
}

fn written(value: &impl Serialize) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

#[test]
fn the_example_is_what_this_code_makes() {
    let world = world();
    let mut receipt = world.receipt(0, 2);
    receipt.opened.remove(&"actor.id".parse().unwrap());
    let made = [written(&world.trust_file()), written(&receipt)];
    let found = [documented("trust"), documented("receipt")];
    assert!(found == made, "it should be:\n{}", made.concat());
}

#[test]
fn the_example_verifies() {
    let receipt: Receipt = serde_json::from_str(documented("receipt")).unwrap();
    let trust = tenantry_audit::Trust::parse(documented("trust").as_bytes()).unwrap();
    let verified = verify::receipt(&receipt, &trust, None).unwrap();
    assert_eq!(verified.seq.get(), 2);
    assert_eq!(verified.opened.len(), 2);

    let folder = tempfile::tempdir().unwrap();
    let files = ["trust", "receipt"].map(|name| {
        let file = folder.path().join(name);
        std::fs::write(&file, documented(name)).unwrap();
        file
    });
    let mut python = python();
    python.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/verify_audit.py"
    ));
    let said = accepts(python.args(files), b"");
    assert!(
        said.starts_with("verified: record 2 of 2 of t_0 in prod"),
        "{said}"
    );
}
