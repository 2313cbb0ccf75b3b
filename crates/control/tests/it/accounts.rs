//! Signing up and in.

use std::time::Duration;

use futures_util::future::join_all;
use identity::{Precondition, Role};
use store::PageRequest;
use tenantry_control::{ControlError, Rate};

use crate::world::{PASSWORD, World};

#[tokio::test]
async fn signing_up_makes_an_owner_with_a_tenant_and_a_project() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&ada).await;
    assert_eq!(scope.auth().role(), Role::Owner);
    assert_eq!(scope.context().mode(), "saas");
    assert_eq!(scope.project().as_str(), ada.project);
}

#[tokio::test]
async fn one_address_is_one_user_in_whatever_letter_case_and_race() {
    let world = World::new().await;
    let tries = [
        "ada@example.com",
        "ADA@example.com",
        " Ada@Example.com",
        "ada@EXAMPLE.com",
    ];
    let signed_up = join_all(tries.iter().map(|email| world.try_sign_up(email))).await;
    let (made, refused): (Vec<_>, Vec<_>) = signed_up.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refusal in refused {
        assert!(
            matches!(refusal, Err(ControlError::Conflict(_))),
            "{refusal:?}"
        );
    }
    let ada = made.into_iter().next().unwrap().unwrap();
    let (profile, _) = world.log_in("Ada@example.COM ", PASSWORD).await.unwrap();
    assert_eq!(profile.user.id.to_string(), ada.user);
    assert_eq!(profile.memberships.len(), 1);
    assert_eq!(
        profile.memberships[0].default_project.to_string(),
        ada.project
    );
}

/// Whichever call fails, nothing of the sign-up is there, and it can be tried again.
#[tokio::test]
async fn a_failed_signup_leaves_nothing() {
    let world = World::new().await;
    let email = "ada@example.com";
    for nth in 1.. {
        world.steered.fail_nth(nth);
        let signed_up = world.try_sign_up(email).await;
        world.steered.fail_nth(i64::MAX);
        if signed_up.is_ok() {
            assert!(nth > 4, "a sign-up makes more calls than {nth}");
            break;
        }
        let refused = world.log_in(email, PASSWORD).await;
        assert_eq!(
            refused.unwrap_err(),
            ControlError::Unauthenticated,
            "call {nth}"
        );
    }
    let (profile, _) = world.log_in(email, PASSWORD).await.unwrap();
    assert_eq!(profile.memberships.len(), 1);
}

#[tokio::test]
async fn wrong_password_and_unknown_address_are_refused_alike() {
    let world = World::new().await;
    world.sign_up("ada").await;
    for (email, password) in [
        ("ada@example.com", "wrong password"),
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("ada@example.com", "short"),
        ("ada@example.com", ""),
        ("ada@example.com", &"x".repeat(5000)),
    ] {
        assert_eq!(
            world.log_in(email, password).await.unwrap_err(),
            ControlError::Unauthenticated,
            "{email}"
        );
    }
}

fn throttled(wait: Duration) -> ControlError {
    let rate = Rate {
        name: "login-failures",
        times_max: 20,
        window_s: 60,
    };
    ControlError::Throttled(rate, wait)
}

#[tokio::test]
async fn failures_are_throttled_by_address_and_success_costs_nothing() {
    let world = World::new().await;
    world.sign_up("ada").await;
    world.sign_up("bob").await;
    for _ in 0..30 {
        world.log_in("bob@example.com", PASSWORD).await.unwrap();
    }
    for failures in 0..20 {
        let refused = world.log_in("ada@example.com", "wrong password").await;
        assert_eq!(
            refused.unwrap_err(),
            ControlError::Unauthenticated,
            "{failures}"
        );
    }
    let wait = Duration::from_secs(3);
    for password in ["wrong password", PASSWORD] {
        let refused = world.log_in("Ada@example.com", password).await;
        assert_eq!(refused.unwrap_err(), throttled(wait));
    }
    world.log_in("bob@example.com", PASSWORD).await.unwrap();
    world.clock.advance(wait);
    world.log_in("ada@example.com", PASSWORD).await.unwrap();
    let refused = world.log_in("ada@example.com", "wrong password").await;
    assert_eq!(refused.unwrap_err(), ControlError::Unauthenticated);
    let refused = world.log_in("ada@example.com", PASSWORD).await;
    assert_eq!(refused.unwrap_err(), throttled(wait));
}

#[tokio::test]
async fn unknown_addresses_are_throttled_like_known_ones() {
    let world = World::new().await;
    for _ in 0..20 {
        let refused = world.log_in("nobody@example.com", PASSWORD).await;
        assert_eq!(refused.unwrap_err(), ControlError::Unauthenticated);
    }
    let refused = world.log_in("nobody@example.com", PASSWORD).await;
    assert!(matches!(refused.unwrap_err(), ControlError::Throttled(..)));
}

/// An embedder may run every service on any thread.
#[tokio::test]
async fn services_can_be_spawned() {
    fn spawnable<T: Send>(future: T) {
        drop(future);
    }
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&ada).await;
    let (control, page, any) = (
        &world.control,
        PageRequest::default(),
        Precondition::default(),
    );
    let id = ada.member_ref();
    spawnable(world.try_sign_up("x@example.com"));
    spawnable(world.log_in("x@example.com", PASSWORD));
    spawnable(control.sessions().refresh(&ada.refresh));
    spawnable(control.members().list(&scope, &page));
    spawnable(control.members().remove(&scope, &id, &any));
    spawnable(control.members().set_role(&scope, &id, Role::Viewer, &any));
    let name = "X".parse().unwrap();
    spawnable(
        control
            .apps()
            .rename(&scope, &"a_x".parse().unwrap(), &name, &any),
    );
    spawnable(control.check_routes());
    spawnable(control.seed());
}
