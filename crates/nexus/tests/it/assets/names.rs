//! Keys of different tenants and environments have nothing in common.

use identity::{AssetId, Env, Scope};
use proptest::prelude::*;
use store::ObjectKey;
use tenantry_nexus::assets::Filename;
use testkit::World;

/// A scope, and a key in it.
fn key(tenant: &str, env: Env, area: bool, id: &str, name: &Filename) -> (String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let scope: Scope = runtime.block_on(World::new().scope(tenant, env, "u_a"));
    let id: AssetId = id.parse().unwrap();
    let area = if area { "raw" } else { "media_v2" };
    let key = ObjectKey::in_scope(&scope, area, &id, name.as_str()).unwrap();
    let home = format!("tenants/{}/{}/", scope.tenant(), scope.env());
    (home, key.to_string())
}

fn a_tenant() -> impl Strategy<Value = String> {
    "t_[A-Za-z0-9_-]{1,3}|t_[A-Za-z0-9_-]{60,62}".prop_filter("no tenant", |id| id != "t_unknown")
}

fn a_name() -> impl Strategy<Value = Filename> {
    "\\PC{1,40}|[./\\\\%2fe ]{1,40}|(\\.\\./){1,9}tenants/t_a/dev/raw/as_1/x"
        .prop_filter_map("no file name", |name: String| name.parse().ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn keys_of_different_places_never_meet(
        tenants in (a_tenant(), a_tenant()),
        envs in (0..3_usize, 0..3_usize),
        areas in (any::<bool>(), any::<bool>()),
        ids in ("as_[A-Za-z0-9_-]{1,62}", "as_[A-Za-z0-9_-]{1,62}"),
        names in (a_name(), a_name()),
    ) {
        let envs = (Env::ALL[envs.0], Env::ALL[envs.1]);
        prop_assume!((&tenants.0, envs.0) != (&tenants.1, envs.1));
        let (home, one) = key(&tenants.0, envs.0, areas.0, &ids.0, &names.0);
        let (other_home, other) = key(&tenants.1, envs.1, areas.1, &ids.1, &names.1);
        prop_assert!(one.starts_with(&home) && other.starts_with(&other_home));
        prop_assert!(!one.starts_with(&other_home) && !other.starts_with(&home));
        // Of the parts of their paths they share `tenants`, and the tenant if it is the same one.
        let shared = one.split('/').zip(other.split('/')).take_while(|(a, b)| a == b).count();
        prop_assert_eq!(shared, if tenants.0 == tenants.1 { 2 } else { 1 });
        prop_assert_eq!(one.split('/').count(), 6);
    }
}
