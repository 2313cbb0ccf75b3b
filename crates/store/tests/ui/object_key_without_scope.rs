//! No text becomes an object key.
fn main() {
    let asset: identity::AssetId = "as_1".parse().unwrap();
    let _ = tenantry_store::ObjectKey::in_scope("t_other", "raw", &asset, "x.pdf");
}
