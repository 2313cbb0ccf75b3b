//! The laws of the ticket office, from several nodes.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use identity::{Clock as _, Env, TicketGrant, TicketOffice};

use crate::subject::{Engine, engine};

fn grant(engine: &Engine, life: Duration) -> TicketGrant {
    let expires_at = engine.world.clock.now().plus(life);
    TicketGrant {
        user: "u_1".parse().unwrap(),
        session: Some("se_1".parse().unwrap()),
        tenant: "t_one".parse().unwrap(),
        env: Env::Dev,
        project: "p_1".parse().unwrap(),
        surface: None,
        app: Some("a_1".parse().unwrap()),
        rail: "chat".into(),
        object: "th_1".into(),
        origin: Some("https://app.example".into()),
        expires_at,
        access_expires_at: expires_at,
    }
}

async fn office(engine: &Engine) -> Arc<dyn TicketOffice> {
    engine.node().await.tickets(engine.world.clock.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_one_node_is_used_once_among_all() {
    let engine = engine().await;
    let offices = [
        office(&engine).await,
        office(&engine).await,
        office(&engine).await,
    ];
    let granted = grant(&engine, Duration::from_secs(30));
    for _ in 0..10 {
        let ticket = offices[0].grant(&granted).await.unwrap();
        for office in &offices {
            assert_eq!(office.peek(&ticket).await.unwrap(), Some(granted.clone()));
        }
        let racers = (0..12).map(|racer| {
            let (office, ticket) = (Arc::clone(&offices[racer % 3]), ticket.clone());
            tokio::spawn(async move { office.consume(&ticket).await.unwrap() })
        });
        let won = join_all(racers)
            .await
            .into_iter()
            .filter(|won| *won.as_ref().unwrap());
        assert_eq!(won.count(), 1);
        assert_eq!(offices[1].peek(&ticket).await.unwrap(), None);
    }
}

#[tokio::test]
async fn tickets_end_are_different_and_are_not_stored() {
    let engine = engine().await;
    let office = office(&engine).await;
    let short = office
        .grant(&grant(&engine, Duration::from_millis(30)))
        .await
        .unwrap();
    let long = office
        .grant(&grant(&engine, Duration::from_secs(30)))
        .await
        .unwrap();
    assert_ne!(short, long);
    assert_eq!(long.len(), 43, "256 bits");
    let ended = async || match office.peek(&short).await {
        Ok(None) => Ok(()),
        _ => Err(()),
    };
    crate::faults::healed(ended).await;
    assert!(
        !office.consume(&short).await.unwrap(),
        "an ended ticket is unknown"
    );
    assert!(office.peek(&long).await.unwrap().is_some());
    for unknown in ["", "x", &long[1..], &"x".repeat(10_000)] {
        assert_eq!(office.peek(unknown).await.unwrap(), None);
        assert!(!office.consume(unknown).await.unwrap());
    }
}
