//! The parts of an object key are nobody's to fill in.
fn main() {
    let _ = tenantry_store::ObjectKey {
        text: "tenants/t_other/prod/raw/as_1/x.pdf".to_owned(),
        tenant: "t_other".parse().unwrap(),
        env: identity::Env::Prod,
    };
}
