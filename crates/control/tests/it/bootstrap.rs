//! The first operator.

use futures_util::future::join_all;
use identity::Role;
use tenantry_control::{Bootstrapped, ControlError, Password};

use crate::world::{BOOTSTRAP_KEY, PASSWORD, World};

async fn run(world: &World, email: &str, password: &str) -> Result<Bootstrapped, ControlError> {
    let password = Password::new(password.to_owned()).unwrap();
    world
        .control
        .bootstrap()
        .run(&email.parse().unwrap(), &password)
        .await
}

#[tokio::test]
async fn the_key_opens_and_nothing_else_does() {
    let world = World::new().await;
    let bootstrap = world.control.bootstrap();
    assert_eq!(bootstrap.unlock(BOOTSTRAP_KEY.as_bytes()).await, Ok(()));
    let longer = format!("{BOOTSTRAP_KEY}x");
    for wrong in ["", "x", &BOOTSTRAP_KEY[1..], &longer] {
        let refused = bootstrap.unlock(wrong.as_bytes()).await;
        assert_eq!(refused, Err(ControlError::Unauthenticated));
    }
    let unset = World::with(|config| config.bootstrap_key = "env:UNSET".parse().unwrap()).await;
    for wrong in ["", BOOTSTRAP_KEY] {
        let refused = unset.control.bootstrap().unlock(wrong.as_bytes()).await;
        assert_eq!(refused, Err(ControlError::Unauthenticated));
    }
}

#[tokio::test]
async fn it_makes_t_system_alone_once_and_for_one_operator() {
    let world = World::new().await;
    let first = run(&world, "root@example.com", PASSWORD).await.unwrap();
    assert!(first.created);
    assert!(first.tenant.id.is_system());
    let again = run(&world, "Root@example.com", PASSWORD).await.unwrap();
    assert!(!again.created);
    assert_eq!(
        (&again.tenant, &again.operator),
        (&first.tenant, &first.operator)
    );
    let wrong = run(&world, "root@example.com", "another password").await;
    assert_eq!(wrong.unwrap_err(), ControlError::Unauthenticated);
    let other = run(&world, "other@example.com", PASSWORD).await;
    assert_eq!(other.unwrap_err(), ControlError::AlreadyBootstrapped);
    let (profile, _) = world.log_in("root@example.com", PASSWORD).await.unwrap();
    assert_eq!(profile.memberships.len(), 1, "no tenant but t_system");
    assert_eq!(profile.memberships[0].role, Role::Owner);
    let refused = world.log_in("other@example.com", PASSWORD).await;
    assert_eq!(refused.unwrap_err(), ControlError::Unauthenticated);
}

#[tokio::test]
async fn a_user_becomes_the_operator_only_with_their_password() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let wrong = run(&world, &ada.email, "another password").await;
    assert_eq!(wrong.unwrap_err(), ControlError::Unauthenticated);
    let made = run(&world, &ada.email, PASSWORD).await.unwrap();
    assert!(made.created);
    assert_eq!(made.operator.id.to_string(), ada.user);
}

#[tokio::test]
async fn a_race_makes_one_operator() {
    let world = World::new().await;
    let emails = [
        "a@example.com",
        "b@example.com",
        "c@example.com",
        "a@example.com",
    ];
    let all = join_all(emails.iter().map(|email| run(&world, email, PASSWORD))).await;
    let made: Vec<_> = all.iter().flatten().filter(|made| made.created).collect();
    assert_eq!(made.len(), 1, "{all:?}");
    for other in all.iter().flatten() {
        assert_eq!(other.operator, made[0].operator);
    }
    let operator = made[0].operator.email.as_ref().unwrap().as_str();
    for email in ["a@example.com", "b@example.com", "c@example.com"] {
        assert_eq!(
            world.log_in(email, PASSWORD).await.is_ok(),
            email == operator
        );
    }
}
