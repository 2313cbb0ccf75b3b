//! Refresh tokens and the end of sessions.

use std::time::Duration;

use futures_util::future::join_all;
use identity::{Credential, Refusal};
use tenantry_control::ControlError;

use crate::world::{Look, World};

async fn is_live(world: &World, token: &str) -> bool {
    match world.guard.know(Credential::Bearer(token)).await {
        Ok(_) => true,
        Err(Refusal::Unauthenticated { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_the_next_after_it() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let mut refresh = ada.refresh.clone();
    for _ in 0..5 {
        let pair = world.control.sessions().refresh(&refresh).await.unwrap();
        assert_ne!(pair.refresh_token, refresh);
        assert!(is_live(&world, &pair.access_token).await);
        refresh = pair.refresh_token;
    }
    assert!(is_live(&world, &ada.token).await, "the session goes on");
}

#[tokio::test]
async fn a_used_token_ends_its_whole_session_at_once() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let sessions = world.control.sessions();
    let second = sessions.refresh(&ada.refresh).await.unwrap();
    assert!(is_live(&world, &second.access_token).await);
    let reused = sessions.refresh(&ada.refresh).await;
    assert_eq!(reused, Err(ControlError::Unauthenticated));
    let newest = sessions.refresh(&second.refresh_token).await;
    assert_eq!(newest, Err(ControlError::Unauthenticated));
    for token in [&ada.token, &second.access_token] {
        assert!(!is_live(&world, token).await);
    }
    let refused = world.admit::<Look>(&ada).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated { .. })));
    // Another session of the same user is another matter.
    let (_, other) = world
        .log_in(&ada.email, crate::world::PASSWORD)
        .await
        .unwrap();
    assert!(is_live(&world, &other.access_token).await);
}

#[tokio::test]
async fn a_race_for_one_token_ends_the_session() {
    for racers in [2, 3, 8] {
        let world = World::new().await;
        let ada = world.sign_up("ada").await;
        let sessions = world.control.sessions();
        let all = join_all((0..racers).map(|_| sessions.refresh(&ada.refresh))).await;
        let won: Vec<_> = all.into_iter().flatten().collect();
        assert!(won.len() <= 1, "{racers} racers, {} won", won.len());
        assert!(!is_live(&world, &ada.token).await);
        for pair in won {
            assert!(!is_live(&world, &pair.access_token).await);
            let next = sessions.refresh(&pair.refresh_token).await;
            assert_eq!(next, Err(ControlError::Unauthenticated));
        }
    }
}

#[tokio::test]
async fn who_knows_only_the_id_of_a_session_cannot_end_it() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.sign_up("bob").await;
    let parts: Vec<&str> = ada.refresh.split('.').collect();
    let bobs: Vec<&str> = bob.refresh.split('.').collect();
    let [session, family, secret] = parts[..] else {
        panic!()
    };
    for forged in [
        format!("{session}.{}.{secret}", bobs[1]),
        format!("{session}.{secret}.{family}"),
        format!("{session}.{family}"),
        format!("{session}.{family}.{secret}.x"),
        format!("{session}..{secret}"),
        format!("{}.{family}.{secret}", bobs[0]),
        session.to_owned(),
        String::new(),
        "x".repeat(10_000),
    ] {
        let refused = world.control.sessions().refresh(&forged).await;
        assert_eq!(refused, Err(ControlError::Unauthenticated));
    }
    assert!(is_live(&world, &ada.token).await);
    assert!(is_live(&world, &bob.token).await);
    world
        .control
        .sessions()
        .refresh(&ada.refresh)
        .await
        .unwrap();
}

#[tokio::test]
async fn logging_out_ends_access_at_once_and_for_good() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    assert!(is_live(&world, &ada.token).await);
    let account = world
        .guard
        .know(Credential::Bearer(&ada.token))
        .await
        .unwrap();
    world.control.sessions().log_out(&account).await.unwrap();
    assert!(!is_live(&world, &ada.token).await);
    let refused = world.control.sessions().refresh(&ada.refresh).await;
    assert_eq!(refused, Err(ControlError::Unauthenticated));
}

#[tokio::test]
async fn a_session_that_nobody_refreshes_ends() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let day = Duration::from_secs(24 * 3600);
    world.clock.advance(29 * day);
    let pair = world
        .control
        .sessions()
        .refresh(&ada.refresh)
        .await
        .unwrap();
    world.clock.advance(29 * day);
    let pair = world
        .control
        .sessions()
        .refresh(&pair.refresh_token)
        .await
        .unwrap();
    world.clock.advance(30 * day);
    let refused = world.control.sessions().refresh(&pair.refresh_token).await;
    assert_eq!(refused, Err(ControlError::Unauthenticated));
}
