//! No text becomes a partition or a stream.
fn main() {
    let _ = tenantry_store::Partition::from("tenants/t_other/prod/threads");
    let _ = tenantry_store::StreamKey::in_scope("t_other", "chat", "th_1");
}
