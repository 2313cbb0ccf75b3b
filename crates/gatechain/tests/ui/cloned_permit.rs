use tenantry_gatechain::{Mutation, Permit};

fn twice<M: Mutation>(permit: Permit<M>) -> (Permit<M>, Permit<M>) {
    (permit.clone(), permit)
}

fn main() {}
