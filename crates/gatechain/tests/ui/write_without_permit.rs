use tenantry_gatechain::{CommitRefused, Mutation, PayloadHash, Permit};

identity::action!(CreateCard, "nexus.cards.create", Member);

struct Card;

impl Mutation for Card {
    type Action = CreateCard;
    const KIND: &'static str = "cards";
    fn payload_sha256(&self) -> Option<PayloadHash> {
        None
    }
}

/// An external write, as services declare them.
async fn create(permit: Permit<Card>) -> Result<(), CommitRefused> {
    permit.commit(store::Batch::new()).await.map(drop)
}

async fn handler(scope: &identity::Scope) {
    let _ = create(Card).await;
    let _ = create(scope).await;
}

fn main() {}
