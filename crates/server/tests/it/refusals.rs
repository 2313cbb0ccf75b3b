//! Every tenant route under attack: caller × selector × object × transport.
//!
//! For each route the owner's request succeeds first, so that a refusal is not
//! by accident; then each attack gets the one answer of the contract's table,
//! sees no canary of the victim, and changes nothing. A few routes are attacked
//! between two looks at everything that the victim has, because looks take longest.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use identity::{
    Realm, Role,
    http::{Access, ManifestEntry},
};
use serde_json::Value;

use crate::{
    client::{Caller, Reply, Request, send},
    manifest::manifest,
    process::Server,
    recipes::{CANARY, Recipe, Victim, is_about_an_object, recipe},
    recipes_canvas::all_ended,
};

/// Routes that are attacked between two looks.
const ROUTES_AT_ONCE: usize = 8;
/// Between two looks at what is to be at rest.
const SETTLES: Duration = Duration::from_millis(200);
/// Attacks that are under way together.
const ATTACKS_AT_ONCE: usize = 8;

fn tenant_routes() -> Vec<ManifestEntry> {
    let manifest = manifest();
    manifest
        .entries()
        .iter()
        .filter(|entry| matches!(entry.access, Access::Tenant { .. }))
        .cloned()
        .collect()
}

fn least_role(entry: &ManifestEntry) -> (Role, Realm) {
    match entry.access {
        Access::Tenant { role, realm, .. } => (role, realm),
        _ => unreachable!("tenant routes alone are attacked"),
    }
}

/// One attack: a name, what is sent, and the answer that the contract gives.
struct Attack {
    name: &'static str,
    caller: Caller,
    request: Request,
    answer: (u16, &'static str),
}

fn credential_attacks(victim: &Victim, good: &Caller, request: &Request) -> Vec<Attack> {
    let attack = |name, caller| Attack {
        name,
        caller,
        request: request.clone(),
        answer: (401, "unauthenticated"),
    };
    vec![
        attack("no credential", good.clone().but("authorization", None)),
        attack("garbage", good.clone().bearer("garbage")),
        attack(
            "another scheme",
            good.clone().but("authorization", Some("Basic dTpw")),
        ),
        attack(
            "two credentials",
            good.clone().and("authorization", "Bearer x"),
        ),
        attack(
            "an expired token",
            good.clone().bearer(&victim.expired_token),
        ),
        attack("no credential and no context", Caller::default()),
        attack(
            "a bootstrap key",
            good.clone()
                .but("authorization", None)
                .and("x-bootstrap-key", victim.bootstrap_key.clone()),
        ),
    ]
}

/// Values that no context header may have, whatever it is.
const MALFORMED: [(&str, &str); 4] = [
    ("a comma", "t_a,t_b"),
    ("an inner space", "t_a b"),
    ("no value", ""),
    ("t_unknown", "t_unknown"),
];

fn header_attacks(good: &Caller, request: &Request) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for header in ["x-tenant-id", "x-env", "x-project-id"] {
        let mut attack = |name, caller, code| {
            attacks.push(Attack {
                name,
                caller,
                request: request.clone(),
                answer: (400, code),
            });
        };
        attack(
            "an absent header",
            good.clone().but(header, None),
            "context_missing",
        );
        attack(
            "a doubled header",
            good.clone().and(header, "t_b"),
            "context_invalid",
        );
        for (name, value) in MALFORMED {
            attack(
                name,
                good.clone().but(header, Some(value)),
                "context_invalid",
            );
        }
    }
    attacks
}

fn context_attacks(victim: &Victim, good: &Caller, request: &Request) -> Vec<Attack> {
    let attack = |name, caller, code| Attack {
        name,
        caller,
        request: request.clone(),
        answer: (400, code),
    };
    let foreign = victim.attacker_project.as_str();
    let mut attacks = vec![
        attack(
            "another env's name",
            good.clone().but("x-env", Some("qa")),
            "context_invalid",
        ),
        attack(
            "an unknown project",
            good.clone().but("x-project-id", Some("p_nowhere")),
            "unknown_project",
        ),
        attack(
            "another tenant's project",
            good.clone().but("x-project-id", Some(foreign)),
            "unknown_project",
        ),
        attack(
            "an unknown surface",
            good.clone().and("x-surface-id", "s_nowhere"),
            "unknown_surface",
        ),
        attack(
            "an unknown app",
            good.clone().and("x-app-id", "a_nowhere"),
            "unknown_app",
        ),
    ];
    for pair in ["tenant_id=t_other", "env=prod", "project_id=p_other"] {
        let mut request = request.clone();
        request.path = format!(
            "{}{}{pair}",
            request.path,
            if request.path.contains('?') { '&' } else { '?' }
        );
        let (name, caller, answer) = (
            "another context in the query",
            good.clone(),
            (400, "context_conflict"),
        );
        attacks.push(Attack {
            name,
            caller,
            request,
            answer,
        });
    }
    attacks
}

fn membership_attacks(victim: &Victim, good: &Caller, request: &Request) -> Vec<Attack> {
    let attack = |name, caller| Attack {
        name,
        caller,
        request: request.clone(),
        answer: (403, "tenant_forbidden"),
    };
    vec![
        attack(
            "another tenant's owner",
            good.clone().bearer(&victim.attacker_token),
        ),
        attack("a former member", good.clone().bearer(&victim.former_token)),
        attack(
            "an unknown tenant",
            good.clone().but("x-tenant-id", Some("t_nowhere")),
        ),
        attack(
            "a token bound to another tenant",
            good.clone().bearer(&victim.bound_elsewhere_token),
        ),
    ]
}

fn role_attacks(
    victim: &Victim,
    entry: &ManifestEntry,
    good: &Caller,
    request: &Request,
) -> Vec<Attack> {
    let attack = |name, caller| Attack {
        name,
        caller,
        request: request.clone(),
        answer: (403, "role_forbidden"),
    };
    let (role, realm) = least_role(entry);
    let mut attacks = Vec::new();
    if realm == Realm::System {
        attacks.push(attack(
            "the owner of a tenant on an operators' route",
            victim.owner.clone(),
        ));
    } else if role > Role::Viewer {
        attacks.push(attack(
            "a viewer",
            good.clone().bearer(&victim.viewer_token),
        ));
    }
    attacks
}

/// Whether the path names something that belongs to one tenant; modes are everyone's to read,
/// and the key of a flag names one in the asker's own layer.
fn has_owned_object(entry: &ManifestEntry) -> bool {
    is_about_an_object(entry.path)
        && least_role(entry).1 == Realm::Tenant
        && !entry.path.starts_with("/control/modes")
        && !entry.path.contains("{key:")
        && !is_named_by_the_client(entry)
}

/// Whether the path names what the client makes there: another tenant makes its own.
fn is_named_by_the_client(entry: &ManifestEntry) -> bool {
    entry.method == "PUT" && entry.path.starts_with("/gates/")
}

/// The attacker, in their own tenant, names the victim's object.
fn object_attacks(victim: &Victim, entry: &ManifestEntry, request: &Request) -> Vec<Attack> {
    if !has_owned_object(entry) {
        return Vec::new();
    }
    let answer = if entry.path.contains("thread_id") {
        (403, "thread_access_denied")
    } else if entry.path.contains("canvas_id") {
        (403, "canvas_access_denied")
    } else {
        (404, "not_found")
    };
    let attacker = victim.attacker.clone();
    vec![Attack {
        name: "another tenant's object",
        caller: attacker,
        request: request.clone(),
        answer,
    }]
}

async fn strike(server: &Server, entry: &ManifestEntry, attack: &Attack) {
    let reply = send(server, &attack.caller, &attack.request).await;
    let (status, code) = attack.answer;
    assert_eq!(
        reply.outcome(),
        (status, code.to_owned()),
        "{} on {entry}: {}",
        attack.name,
        reply.visible()
    );
    assert!(
        !reply.visible().contains(CANARY),
        "{} on {entry} leaks: {}",
        attack.name,
        reply.visible()
    );
    let problem = reply.json();
    assert_eq!(
        problem["request_id"].as_str(),
        reply.header("x-request-id"),
        "{entry}"
    );
    assert_eq!(problem["trace_id"], problem["request_id"]);
    assert_eq!(problem["type"], format!("urn:tenantry:problem:{code}"));
}

#[tokio::test]
async fn every_tenant_route_refuses_alike_leaks_nothing_and_changes_nothing() {
    let server = Server::start();
    let victim = Victim::settle(&server).await;
    let routes = tenant_routes();
    assert!(
        routes.len() > 20,
        "the manifest is walked: {} routes",
        routes.len()
    );
    for group in routes.chunks(ROUTES_AT_ONCE) {
        let mut attacks = Vec::new();
        for entry in group {
            let good = succeeds(&server, &victim, entry).await;
            let on_entry = attacks_on(&victim, entry, &good.caller, &good.request);
            attacks.extend(on_entry.into_iter().map(|attack| (entry, attack)));
        }
        let began_runs = group.iter().any(|entry| entry.path.ends_with("/runs"));
        let before = match began_runs {
            true => at_rest(&server, &victim).await,
            false => victim.state(&server).await,
        };
        stream::iter(&attacks)
            .for_each_concurrent(ATTACKS_AT_ONCE, |(entry, attack)| {
                strike(&server, entry, attack)
            })
            .await;
        let names: Vec<String> = group.iter().map(ToString::to_string).collect();
        assert_eq!(
            victim.state(&server).await,
            before,
            "an attack on one of {names:?} changed something"
        );
    }
}

/// The state once what the owner's requests began has ended: a run goes on after it was answered, and is told of
/// after it has ended.
async fn at_rest(server: &Server, victim: &Victim) -> Vec<Value> {
    loop {
        let state = victim.state(server).await;
        tokio::time::sleep(SETTLES).await;
        if all_ended(server, &victim.owner).await && victim.state(server).await == state {
            return state;
        }
    }
}

/// Sees a request of the owner succeed, and makes another like it.
async fn succeeds(server: &Server, victim: &Victim, entry: &ManifestEntry) -> Recipe {
    let Recipe {
        caller,
        request,
        success,
    } = recipe(server, victim, entry).await;
    let reply = send(server, &caller, &request).await;
    assert!(
        success.contains(&reply.status),
        "the owner's own request on {entry} fails: {}",
        reply.visible()
    );
    recipe(server, victim, entry).await
}

/// Everything that is tried on a route.
fn attacks_on(
    victim: &Victim,
    entry: &ManifestEntry,
    good: &Caller,
    request: &Request,
) -> Vec<Attack> {
    let mut attacks = credential_attacks(victim, good, request);
    attacks.extend(header_attacks(good, request));
    attacks.extend(context_attacks(victim, good, request));
    attacks.extend(membership_attacks(victim, good, request));
    attacks.extend(role_attacks(victim, entry, good, request));
    attacks.extend(object_attacks(victim, entry, request));
    attacks
}

#[tokio::test]
async fn foreign_and_unknown_objects_cannot_be_told_apart() {
    let server = Server::start();
    let victim = Victim::settle(&server).await;
    for entry in tenant_routes()
        .iter()
        .filter(|entry| has_owned_object(entry))
    {
        let Recipe {
            caller, request, ..
        } = recipe(&server, &victim, entry).await;
        let foreign = send(&server, &victim.attacker, &request).await;
        for unknown in ["unknown", "..", "%00", "x".repeat(300).as_str()] {
            let mut request = request.clone();
            request.path = victim.replace_object(entry.path, &request.path, unknown);
            for asker in [&victim.attacker, &caller] {
                let reply = send(&server, asker, &request).await;
                if unknown == ".." {
                    // A client normalises it away, so it may name another route; it must not name the object.
                    assert!(reply.status >= 400, "{}", reply.visible());
                    continue;
                }
                assert_eq!(alike(&reply), alike(&foreign), "{entry} {unknown:?}");
            }
        }
    }
}

/// An answer without what differs between any two.
fn alike(reply: &Reply) -> (u16, String) {
    let mut json = reply.json();
    for id in ["request_id", "trace_id"] {
        json[id] = serde_json::Value::Null;
    }
    (reply.status, json.to_string())
}
