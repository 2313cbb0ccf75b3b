//! Keys of different tenants and environments never meet, whatever ids and file names are chosen.

use std::{fmt::Debug, str::FromStr};

use identity::{AssetId, Env, SystemAuthority, TenantId};
use proptest::prelude::*;
use tenantry_store::ObjectKey;

/// Everything that a key is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    tenant: TenantId,
    env: Env,
    area: &'static str,
    asset: AssetId,
    filename: String,
}

impl Made {
    /// The key, if the file name may be one.
    fn key(&self) -> Option<ObjectKey> {
        let authority = SystemAuthority::assume();
        let place = (&self.tenant, self.env);
        ObjectKey::of_tenant(&authority, place, self.area, &self.asset, &self.filename).ok()
    }

    fn own_prefix(&self) -> String {
        format!("tenants/{}/{}/", self.tenant, self.env)
    }
}

/// Few letters, so that ids are often alike, or one the beginning of another.
fn id<I: FromStr + Debug>(prefix: &'static str) -> impl Strategy<Value = I> {
    let rest = "[ab_-]{1,3}|dev|prod|[A-Za-z0-9_-]{1,62}";
    rest.prop_filter_map("an id", move |rest| format!("{prefix}_{rest}").parse().ok())
}

/// Names that try to be a path, and names that are any text.
fn filename() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab./%]{1,4}",
        "(\\.\\./){1,5}(t_a|prod|raw)",
        "[a-z]{1,3}/[a-z]{1,3}",
        "[/\\\\.]{1,3}[ab]",
        "%2e%2e(/|%2f)t_b",
        any::<String>(),
        "\\PC{1,90}",
    ]
}

fn made() -> impl Strategy<Value = Made> {
    let env = proptest::sample::select(Env::ALL.to_vec());
    let area = proptest::sample::select(vec!["raw", "media_v2"]);
    (id("t"), env, area, id("as"), filename()).prop_map(|(tenant, env, area, asset, filename)| {
        Made {
            tenant,
            env,
            area,
            asset,
            filename,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn keys_of_two_places_never_meet(one in made(), other in made()) {
        let (Some(key), Some(others)) = (one.key(), other.key()) else {
            return Ok(());
        };
        prop_assert_eq!(key == others, one == other);
        prop_assert_eq!(key.as_str() == others.as_str(), one == other);
        let same_place = (&one.tenant, one.env) == (&other.tenant, other.env);
        for (key, prefix) in [(&key, other.own_prefix()), (&others, one.own_prefix())] {
            prop_assert_eq!(key.as_str().starts_with(&prefix), same_place);
        }
    }

    #[test]
    fn a_key_tells_whose_it_is_and_goes_no_deeper(made in made()) {
        let Some(key) = made.key() else {
            return Ok(());
        };
        prop_assert_eq!((key.tenant(), key.env()), (&made.tenant, made.env));
        let parts: Vec<&str> = key.as_str().split('/').collect();
        let (asset, env) = (made.asset.to_string(), made.env.to_string());
        let whole = ["tenants", made.tenant.as_str(), &env, made.area, &asset, &made.filename];
        prop_assert_eq!(parts, whole);
    }
}

#[test]
fn names_that_are_no_names_make_no_key() {
    for filename in [
        "",
        ".",
        "..",
        "a/b",
        "../b",
        "a\\b",
        "a\0b",
        "a\nb",
        &"x".repeat(256),
    ] {
        let made = Made {
            tenant: "t_a".parse().unwrap(),
            env: Env::Dev,
            area: "raw",
            asset: "as_a".parse().unwrap(),
            filename: filename.to_owned(),
        };
        assert_eq!(made.key(), None, "{filename:?} was taken");
    }
}
