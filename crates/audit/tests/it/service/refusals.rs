//! Refused attempts: alike ones become one record with a count, in bounded memory.

use identity::{Deed, Env, Place, Recorder, RequestIds, Role, UserId};
use tenantry_audit::{Outcome, Phase, service::Entry};

use super::house::{House, all, recorder};

const FLOOD: u32 = 100_000;

fn refused(entries: &[Entry]) -> Vec<(String, String, u32)> {
    let mut all: Vec<(String, String, u32)> = entries
        .iter()
        .filter_map(|one| match &one.leaf.phase {
            Phase::Event(Outcome::Refused(code)) => {
                let leaf = &one.leaf;
                Some((leaf.action.to_string(), code.to_string(), leaf.repeated))
            }
            _ => None,
        })
        .collect();
    all.sort();
    all
}

fn nobody<'a>(ids: &'a RequestIds, user: Option<&'a UserId>, action: &'static str) -> Deed<'a> {
    Deed {
        place: Place::System { user },
        action,
        method: "POST",
        target: "/control/projects",
        ids,
    }
}

#[tokio::test]
async fn a_flood_becomes_a_few_records_with_counts() {
    let house = House::new();
    let audit = house.open().await;
    let scope = house
        .world
        .scope_as("t_a", Env::Dev, "u_1", Role::Viewer)
        .await;
    let ids = house.ids("req-flood");
    let recorder = recorder(&audit);
    let member = super::intents::deed(&scope, &ids);
    for n in 0..FLOOD {
        let code = ["role_forbidden", "not_found"][n as usize % 2];
        recorder.refused(&member, code);
        recorder.refused(
            &nobody(&ids, None, "control.project.create"),
            "unauthenticated",
        );
    }
    assert_eq!(
        all(&audit, &scope).await.len(),
        0,
        "nothing waits for the store"
    );
    audit.turn().await;
    let entries = house.sound(&audit, &scope).await;
    let half = FLOOD / 2;
    let action = "control.project.create".to_owned();
    assert_eq!(
        refused(&entries),
        [
            (action.clone(), "not_found".to_owned(), half),
            (action.clone(), "role_forbidden".to_owned(), half)
        ]
    );
    let system = house.world.scope("t_system", Env::Prod, "u_operator").await;
    let entries = house.sound(&audit, &system).await;
    assert_eq!(
        refused(&entries),
        [(action, "unauthenticated".to_owned(), FLOOD)]
    );
    audit.turn().await;
    assert_eq!(all(&audit, &system).await.len(), 1, "told once");
}

/// More kinds than are told apart: the rest is counted together, and none is left out.
#[tokio::test]
async fn refusals_of_too_many_kinds_are_counted_together() {
    let house = House::new();
    let audit = house.open().await;
    let ids = house.ids("req-flood");
    let recorder = recorder(&audit);
    let many = 5_000;
    for n in 0..many {
        // Codes are constants of the program; no program has so many.
        let code: &'static str = format!("code_{n}").leak();
        recorder.refused(&nobody(&ids, None, "auth.login"), code);
    }
    audit.turn().await;
    let system = house.world.scope("t_system", Env::Prod, "u_operator").await;
    let entries = all(&audit, &system).await;
    let counted: u32 = entries.iter().map(|one| one.leaf.repeated).sum();
    assert_eq!(counted, many);
    assert!(entries.len() < 4_200, "{}", entries.len());
    let rest = entries.iter().max_by_key(|one| one.leaf.repeated).unwrap();
    assert_eq!(rest.leaf.action.as_str(), "audit.refusals");
}
