use store::Batch;
use tenantry_gatechain::{Mutation, Permit};

async fn twice<M: Mutation>(permit: Permit<M>) {
    let _ = permit.commit(Batch::new()).await;
    let _ = permit.commit(Batch::new()).await;
}

fn main() {}
