use tenantry_gatechain::{Mutation, Permit};

fn forged<M: Mutation>(mutation: M) -> Permit<M> {
    Permit { mutation }
}

fn main() {}
