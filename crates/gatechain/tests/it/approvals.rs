//! Approvals: others approve, one byte undoes it, and once is all.

use identity::{Env, Scope};
use serde_json::json;
use tenantry_gatechain::{
    ApprovalId, ApprovalRefused, ApprovalRequest, ApprovalState, CommitRefused, Credentials,
    GateError, Mutation, StrategyLock,
};

use crate::house::{Card, House, batch};

struct Desk {
    house: House,
    asks: Scope,
    admins: Vec<Scope>,
}

impl Desk {
    /// A house with a lock that two others have to open.
    async fn new() -> Self {
        let house = House::new();
        let mut admins = Vec::new();
        for admin in ["u_1", "u_2", "u_3"] {
            admins.push(house.world.scope("t_a", Env::Dev, admin).await);
        }
        let row = json!({"action": "nexus.*", "reason": "freeze", "approval": {"quorum": 2, "ttl_s": 60}});
        house.put::<StrategyLock>(&admins[0], "l", row).await;
        Self {
            asks: house.member().await,
            house,
            admins,
        }
    }

    async fn asked(&self, card: &Card) -> ApprovalId {
        let request = ApprovalRequest {
            action: "nexus.cards.create".into(),
            target: None,
            payload_sha256: card.payload_sha256().unwrap(),
        };
        let asked = self.house.gates.request_approval(&self.asks, request).await;
        let (id, approval) = asked.unwrap();
        assert_eq!((approval.quorum, approval.approvers.len()), (2, 0));
        id
    }

    async fn approved(&self, card: &Card) -> ApprovalId {
        let id = self.asked(card).await;
        for admin in &self.admins[..2] {
            self.house.gates.approve(admin, &id).await.unwrap();
        }
        id
    }

    /// The detail of the refusal, or `ok` when it was written.
    async fn write(&self, scope: &Scope, card: Card, id: &ApprovalId) -> String {
        let credentials = Credentials {
            approval: Some(id.clone()),
        };
        match self.house.gates.admit(scope, card, credentials).await {
            Err(denied) => {
                assert_eq!(denied.refusal.code.as_str(), "approval_required");
                denied.refusal.detail.clone()
            }
            Ok(permit) => {
                let batch = batch(scope, permit.mutation());
                permit.commit(batch).await.unwrap();
                "ok".to_owned()
            }
        }
    }
}

fn card() -> Card {
    Card {
        text: "hello".to_owned(),
        ..Card::new("c_1")
    }
}

#[tokio::test]
async fn what_a_quorum_approved_is_written_once() {
    let desk = Desk::new().await;
    assert_eq!(
        desk.house.answer(&desk.asks, card()).await,
        "approval_required"
    );
    let id = desk.asked(&card()).await;
    for (approvals, admin) in desk.admins[..2].iter().enumerate() {
        let told = desk.write(&desk.asks, card(), &id).await;
        assert!(told.contains("Too few"), "{approvals}: {told}");
        desk.house.gates.approve(admin, &id).await.unwrap();
    }
    let edited = Card {
        text: "hellp".to_owned(),
        ..card()
    };
    assert!(
        desk.write(&desk.asks, edited, &id)
            .await
            .contains("another payload")
    );
    assert!(
        desk.write(&desk.admins[0], card(), &id)
            .await
            .contains("someone else")
    );
    assert_eq!(desk.write(&desk.asks, card(), &id).await, "ok");
    let again = Card {
        id: "c_2".to_owned(),
        ..card()
    };
    assert!(
        desk.write(&desk.asks, again, &id)
            .await
            .contains("was used")
    );
    let approval = desk
        .house
        .gates
        .approval(&desk.asks, &id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(approval.state(desk.house.gates.now()), ApprovalState::Used);
}

#[tokio::test]
async fn nobody_approves_their_own_request_or_twice() {
    let desk = Desk::new().await;
    let id = desk.asked(&card()).await;
    let gates = &desk.house.gates;
    let own = desk.house.world.scope("t_a", Env::Dev, "u_member").await;
    let refused = gates.approve(&own, &id).await.unwrap_err();
    assert_eq!(refused, GateError::Approval(ApprovalRefused::OwnRequest));
    gates.approve(&desk.admins[0], &id).await.unwrap();
    let refused = gates.approve(&desk.admins[0], &id).await.unwrap_err();
    assert_eq!(refused, GateError::Approval(ApprovalRefused::Twice));
    // Another tenant's, or another environment's, is unknown.
    for (tenant, env) in [("t_b", Env::Dev), ("t_a", Env::Prod)] {
        let elsewhere = desk.house.world.scope(tenant, env, "u_1").await;
        assert_eq!(
            gates.approve(&elsewhere, &id).await,
            Err(GateError::NotFound)
        );
    }
    gates.reject(&desk.admins[1], &id).await.unwrap();
    assert!(gates.approve(&desk.admins[2], &id).await.is_err());
    assert!(
        desk.write(&desk.asks, card(), &id)
            .await
            .contains("rejected")
    );
}

#[tokio::test]
async fn an_approval_expires() {
    let desk = Desk::new().await;
    let id = desk.approved(&card()).await;
    desk.house
        .world
        .clock
        .advance(std::time::Duration::from_secs(60));
    assert!(
        desk.write(&desk.asks, card(), &id)
            .await
            .contains("expired")
    );
}

#[tokio::test]
async fn of_two_writes_with_one_approval_one_is_written() {
    let desk = Desk::new().await;
    let id = desk.approved(&card()).await;
    let mut permits = Vec::new();
    for card_id in ["c_1", "c_2"] {
        let credentials = Credentials {
            approval: Some(id.clone()),
        };
        let card = Card {
            id: card_id.to_owned(),
            ..card()
        };
        permits.push(
            desk.house
                .gates
                .admit(&desk.asks, card, credentials)
                .await
                .unwrap(),
        );
    }
    let mut outcomes = Vec::new();
    for permit in permits {
        let batch = batch(&desk.asks, permit.mutation());
        outcomes.push(permit.commit(batch).await);
    }
    assert!(outcomes[0].is_ok());
    let Err(CommitRefused::Denied(denied)) = &outcomes[1] else {
        panic!("the second write was not refused")
    };
    assert_eq!(denied.refusal.code.as_str(), "approval_required");
}
