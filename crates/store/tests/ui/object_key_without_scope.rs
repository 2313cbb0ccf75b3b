//! No text becomes an object key.
fn main() {
    let _ = tenantry_store::ObjectKey("tenants/t_other/prod/raw/as_1/x.pdf".to_owned());
    let asset: identity::AssetId = "as_1".parse().unwrap();
    let _ = tenantry_store::ObjectKey::in_scope("t_other", "raw", &asset, "x.pdf");
}
