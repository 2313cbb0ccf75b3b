//! The laws of the directory.

use std::time::Duration;

use identity::{Precondition, Refusal, Role};
use tenantry_control::{Change, FRESH_MAX};

use crate::world::{Look, World};

#[tokio::test]
async fn an_answer_is_remembered_for_two_seconds_and_no_longer() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    assert_eq!(world.role(&ada).await, Some(Role::Owner));
    world.documents.set_down(true);
    world.clock.advance(FRESH_MAX);
    assert_eq!(world.role(&ada).await, Some(Role::Owner));
    world.clock.advance(Duration::from_millis(1));
    let refused = world.admit::<Look>(&ada).await;
    assert!(
        matches!(refused, Err(Refusal::Unavailable(_))),
        "{refused:?}"
    );
    world.documents.set_down(false);
    assert_eq!(world.role(&ada).await, Some(Role::Owner));
}

#[tokio::test]
async fn who_ask_together_are_one_question_to_the_store() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let forgotten = || world.clock.advance(FRESH_MAX + Duration::from_millis(1));
    forgotten();
    let before = world.steered.calls();
    assert_eq!(world.role(&ada).await, Some(Role::Owner));
    let alone = world.steered.calls() - before;
    forgotten();
    let before = world.steered.calls();
    let all = (0..100).map(|_| world.role(&ada));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(|role| *role == Some(Role::Owner)));
    assert_eq!(world.steered.calls() - before, alone);
}

#[tokio::test]
async fn without_the_store_nobody_is_allowed() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    world.documents.set_down(true);
    let refused = world.admit::<Look>(&ada).await;
    assert!(
        matches!(refused, Err(Refusal::Unavailable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_change_is_seen_at_once() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.join("bob", &ada, Role::Member).await;
    assert_eq!(world.role(&bob).await, Some(Role::Member));
    let scope = world.scope(&ada).await;
    let members = world.control.members();
    let id = bob.member_ref();
    members
        .set_role(&scope, &id, Role::Viewer, &Precondition::Any)
        .await
        .unwrap();
    assert_eq!(world.role(&bob).await, Some(Role::Viewer));
    members
        .remove(&scope, &id, &Precondition::Any)
        .await
        .unwrap();
    assert_eq!(world.role(&bob).await, None);
}

/// A loader that read before the removal and arrives after it must not bring the member back.
#[tokio::test]
async fn a_loader_that_is_overtaken_leaves_nothing_stale() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.join("bob", &ada, Role::Member).await;
    let scope = world.scope(&ada).await;
    let held = world.steered.hold("/members").await;
    let steer = async {
        held.reached.notified().await;
        let id = bob.member_ref();
        let removed = world
            .control
            .members()
            .remove(&scope, &id, &Precondition::Any)
            .await;
        held.release.notify_one();
        removed.unwrap();
    };
    let (overtaken, ()) = tokio::join!(world.role(&bob), steer);
    assert_eq!(
        overtaken,
        Some(Role::Member),
        "it was asked before the removal"
    );
    assert_eq!(
        world.role(&bob).await,
        None,
        "it is asked after the removal"
    );
}

#[tokio::test]
async fn a_new_project_is_known_and_a_deleted_one_unknown_at_once() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&ada).await;
    let projects = world.control.projects();
    let made = projects
        .create(&scope, "Second".parse().unwrap())
        .await
        .unwrap();
    let mut there = ada.clone();
    there.project = made.value.id.to_string();
    assert!(world.admit::<Look>(&there).await.is_ok());
    projects
        .delete(&scope, &made.value.id, &Precondition::Any)
        .await
        .unwrap();
    let refused = world.admit::<Look>(&there).await;
    assert_eq!(refused.unwrap_err(), Refusal::UnknownProject);
    let bob = world.sign_up("bob").await;
    let mut foreign = ada.clone();
    foreign.project = bob.project;
    let refused = world.admit::<Look>(&foreign).await;
    assert_eq!(refused.unwrap_err(), Refusal::UnknownProject);
}

/// Another node's change arrives over a bus; until then two seconds are the bound.
#[tokio::test]
async fn a_change_that_is_heard_counts_at_once() {
    let world = World::new().await;
    let other = World::new().await;
    let ada = world.sign_up("ada").await;
    let mut listener = world.control.invalidations().listen();
    let bob = world.join("bob", &ada, Role::Member).await;
    let mut told = Vec::new();
    while let Ok(change) = listener.try_recv() {
        other.control.invalidations().heard(&change);
        told.push(change);
    }
    let expected = Change::Member(ada.tenant.parse().unwrap(), bob.user.parse().unwrap());
    assert!(told.contains(&expected), "{told:?}");
}
