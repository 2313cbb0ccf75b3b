//! The routing registry: precedence, checks, changes.

use std::{collections::BTreeMap, sync::LazyLock};

use identity::{Env, Precondition, TenantId};
use proptest::prelude::*;
use serde_json::Map;
use store::PageRequest;
use tenantry_control::{
    Breadth, ControlError, Need, ResourceKind, RoutePlace, RouteRow, RouteTarget,
};

use crate::world::{World, need};

const ANY: Precondition = Precondition::Any;

fn kind(text: &str) -> ResourceKind {
    text.parse().unwrap()
}

fn place(tenant: Option<&str>, env: Option<Env>) -> RoutePlace {
    RoutePlace {
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        env,
    }
}

fn target(backend: &str) -> RouteTarget {
    RouteTarget {
        backend: backend.parse().unwrap(),
        config: Map::new(),
        secrets: BTreeMap::new(),
    }
}

fn row(kind_text: &str, place: RoutePlace, backend: &str) -> RouteRow {
    RouteRow::new(kind(kind_text), place, target(backend))
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

fn places() -> impl Strategy<Value = RoutePlace> {
    let tenants = prop_oneof![Just(None), Just(Some("t_a")), Just(Some("t_b"))];
    let envs = prop_oneof![Just(None), Just(Some(Env::Dev)), Just(Some(Env::Prod))];
    (tenants, envs).prop_map(|(tenant, env)| place(tenant, env))
}

/// How exactly a row is meant for a place; `None` if it is not.
fn exactness(row: &RoutePlace, tenant: &TenantId, env: Env) -> Option<u8> {
    let tenant_fits = row.tenant.as_ref().is_none_or(|wanted| wanted == tenant);
    let env_fits = row.env.is_none_or(|wanted| wanted == env);
    let weight = u8::from(row.tenant.is_some()) * 2 + u8::from(row.env.is_some());
    (tenant_fits && env_fits).then_some(weight)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever rows there are, the most exact one is found, or its absence is said.
    #[test]
    fn the_most_exact_row_wins(rows in proptest::collection::vec(places(), 0..9)) {
        RUNTIME.block_on(async {
            let world = World::new().await;
            let registry = world.control.routes();
            for (n, place) in rows.iter().enumerate() {
                registry.put_if_absent(&row("docs", place.clone(), &format!("b{n}"))).await.unwrap();
                registry.put_if_absent(&row("other", place.clone(), "wrong")).await.unwrap();
            }
            for tenant in ["t_a", "t_b", "t_c"] {
                for env in Env::ALL {
                    let tenant: TenantId = tenant.parse().unwrap();
                    // Of equal places the first stands.
                    let expected = rows.iter().enumerate()
                        .filter_map(|(n, place)| Some((exactness(place, &tenant, env)?, n)))
                        .max_by_key(|(weight, n)| (*weight, std::cmp::Reverse(*n)));
                    let found = registry.resolve(&kind("docs"), &RoutePlace::of_env(&tenant, env)).await;
                    match expected {
                        Some((_, n)) => {
                            assert_eq!(found.unwrap().target().backend.to_string(), format!("b{n}"));
                        }
                        None => assert!(matches!(found, Err(ControlError::RouteMissing { .. }))),
                    }
                }
            }
        });
    }
}

#[tokio::test]
async fn a_changed_row_counts_at_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    let scope = world.scope(&operator).await;
    let registry = world.control.routes();
    let system = TenantId::system();
    let resolve = async || {
        let found = registry
            .resolve(&kind("docs"), &RoutePlace::of_env(&system, Env::Dev))
            .await;
        found.map(|row| row.target().backend.to_string())
    };
    assert!(matches!(
        resolve().await,
        Err(ControlError::RouteMissing { .. })
    ));
    let made = registry
        .create(&scope, &row("docs", place(None, None), "one"))
        .await
        .unwrap();
    assert_eq!(resolve().await.unwrap(), "one");
    let again = registry
        .create(&scope, &row("docs", place(None, None), "two"))
        .await;
    assert!(matches!(again, Err(ControlError::Conflict(_))));
    assert!(
        !registry
            .put_if_absent(&row("docs", place(None, None), "two"))
            .await
            .unwrap()
    );
    let id = made.value.id;
    let first = Precondition::OneOf(vec![made.version.0]);
    registry
        .replace(&scope, &id, &target("two"), &first)
        .await
        .unwrap();
    assert_eq!(resolve().await.unwrap(), "two");
    let stale = registry
        .replace(&scope, &id, &target("three"), &first)
        .await;
    assert_eq!(stale.unwrap_err(), ControlError::Stale);
    registry.delete(&scope, &id, &ANY).await.unwrap();
    assert!(matches!(
        resolve().await,
        Err(ControlError::RouteMissing { .. })
    ));
    let gone = registry.delete(&scope, &id, &ANY).await;
    assert_eq!(gone, Err(ControlError::NotFound));
}

#[tokio::test]
async fn a_row_for_an_unknown_tenant_is_refused() {
    let world = World::new().await;
    let operator = world.operator().await;
    let scope = world.scope(&operator).await;
    let refused = world.control.routes();
    let refused = refused
        .create(&scope, &row("docs", place(Some("t_typo"), None), "memory"))
        .await;
    assert!(matches!(
        refused,
        Err(ControlError::Invalid {
            pointer: "/scope/tenant",
            ..
        })
    ));
}

#[tokio::test]
async fn a_check_names_every_fault_and_no_value() {
    let world = World::new().await;
    let registry = world.control.routes();
    let mut documents = row("documents", place(None, Some(Env::Prod)), "nowhere");
    let secrets = [
        ("good", "env:CANARY"),
        ("unset", "env:UNSET"),
        ("lost", "file:/nonexistent/x"),
    ];
    documents.target.secrets = secrets
        .iter()
        .map(|(name, reference)| ((*name).to_owned(), reference.parse().unwrap()))
        .collect();
    registry.put_if_absent(&documents).await.unwrap();
    let report = world.control.check_routes().await.unwrap();
    assert!(!report.is_ok());
    let faults: Vec<String> = report
        .problems
        .iter()
        .map(|fault| {
            let (tenant, env) = (fault.place.tenant_text(), fault.place.env_text());
            format!("{} {tenant}/{env}: {}", fault.kind, fault.problem)
        })
        .collect();
    assert_eq!(
        faults,
        [
            "documents */prod: the backend nowhere is not built in",
            "documents */prod: lost: the secret file:/nonexistent/x cannot be read: entity not found",
            "documents */prod: unset: the secret env:UNSET is not set",
            "documents */dev: no row",
            "documents */staging: no row",
            "events */*: no row",
        ]
    );
    assert!(!format!("{report:?}").contains("canary-value"));
}

#[tokio::test]
async fn a_backend_finds_the_faults_of_its_own_rows() {
    let world = World::new().await;
    let registry = world.control.routes();
    for (kind, backend) in [("documents", "memory"), ("events", "nowhere")] {
        let mut faulty = row(kind, place(None, None), backend);
        faulty
            .target
            .config
            .insert("fault".into(), "no bucket".into());
        registry.put_if_absent(&faulty).await.unwrap();
    }
    let mut problems = world.control.check_routes().await.unwrap().problems;
    problems.sort_by_key(|fault| fault.kind.to_string());
    let problems: Vec<_> = problems.into_iter().map(|fault| fault.problem).collect();
    assert_eq!(
        problems,
        [
            r#"documents has "no bucket""#,
            "the backend nowhere is not built in"
        ]
    );
}

#[tokio::test]
async fn a_complete_registry_is_in_order() {
    let world = World::new().await;
    let registry = world.control.routes();
    registry
        .put_if_absent(&row("documents", place(None, None), "memory"))
        .await
        .unwrap();
    for env in Env::ALL {
        let events = row("events", place(None, Some(env)), "memory");
        registry.put_if_absent(&events).await.unwrap();
    }
    assert_eq!(world.control.check_routes().await.unwrap().problems, []);
}

#[tokio::test]
async fn a_kind_goes_where_the_one_goes_that_it_is_the_same_as() {
    let world = World::new().await;
    let registry = world.control.routes();
    let follower = |of: &str, leader: &str| {
        let target = RouteTarget::same_as(&kind(leader));
        RouteRow::new(kind(of), place(None, None), target)
    };
    let rows = [
        row("nexus", place(None, None), "one"),
        row("nexus", place(Some("t_a"), None), "two"),
        follower("memory", "nexus"),
        follower("further", "memory"),
        follower("lost", "nowhere"),
    ];
    for row in &rows {
        assert!(registry.put_if_absent(row).await.unwrap());
    }
    let resolve = async |of: &str, tenant: &str| {
        let place = place(Some(tenant), Some(Env::Dev));
        let found = registry.resolve(&kind(of), &place).await;
        found.map(|found| found.target().backend.to_string())
    };
    assert_eq!(resolve("memory", "t_a").await.unwrap(), "two");
    assert_eq!(resolve("memory", "t_b").await.unwrap(), "one");
    let further = resolve("further", "t_b").await.unwrap_err().to_string();
    assert!(
        further.contains("memory is itself the same as nexus"),
        "{further}"
    );
    assert!(matches!(
        resolve("lost", "t_b").await,
        Err(ControlError::RouteMissing { kind, .. }) if kind == "nowhere"
    ));
}

#[tokio::test]
async fn kinds_that_share_batches_and_rows_that_never_count_are_named() {
    let world = World::with(|config| {
        let everyone = |kind: &str| Need {
            breadth: Breadth::Everyone,
            ..need(kind)
        };
        config.needs = vec![
            everyone("nexus"),
            Need {
                follows: Some(kind("nexus")),
                ..everyone("memory")
            },
            Need {
                breadth: Breadth::Tenant,
                ..need("rates")
            },
        ];
    })
    .await;
    let registry = world.control.routes();
    let rows = [
        row("nexus", place(None, None), "memory"),
        row("nexus", place(Some("t_a"), None), "memory"),
        row("memory", place(None, None), "memory"),
        row("rates", place(None, Some(Env::Dev)), "memory"),
        row("rates", place(Some("t_a"), None), "memory"),
    ];
    for row in &rows {
        registry.put_if_absent(row).await.unwrap();
    }
    let problems = world.control.check_routes().await.unwrap().problems;
    let mut said: Vec<_> = problems
        .iter()
        .map(|it| {
            let (tenant, env) = (it.place.tenant_text(), it.place.env_text());
            format!("{} {tenant}/{env}: {}", it.kind, it.problem)
        })
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            "memory */*: shares batches with nexus: they must be on one engine, so this row says \
             \"backend\": \"same_as\", \"config\": {\"kind\": \"nexus\"}",
            "nexus t_a/*: is one for all tenants and environments: this row never counts",
            "rates */*: no row",
            "rates */dev: is the same in all environments: this row never counts",
        ]
    );
}

#[tokio::test]
async fn rows_of_others_cost_a_tenant_nothing() {
    let world = World::new().await;
    let registry = world.control.routes();
    registry
        .put_if_absent(&row("docs", place(None, None), "one"))
        .await
        .unwrap();
    for n in 0..50 {
        let tenant = format!("t_other{n}");
        let others = row("docs", place(Some(&tenant), None), "two");
        registry.put_if_absent(&others).await.unwrap();
    }
    // Two reads are enough: the tenant's rows, and everyone's.
    world.documents.fail_after(2);
    for kind_text in ["docs", "events", "more"] {
        let place = place(Some("t_a"), Some(Env::Dev));
        match registry.resolve(&kind(kind_text), &place).await {
            Ok(found) => assert_eq!(found.target().backend.to_string(), "one"),
            Err(error) => assert!(
                matches!(error, ControlError::RouteMissing { .. }),
                "{error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_target_has_limits() {
    let world = World::new().await;
    let registry = world.control.routes();
    let mut big = row("docs", place(None, None), "memory");
    big.target
        .config
        .insert("x".to_owned(), "y".repeat(17 * 1024).into());
    let refused = registry.put_if_absent(&big).await;
    assert!(matches!(
        refused,
        Err(ControlError::Invalid {
            pointer: "/config",
            ..
        })
    ));
    let mut many = row("docs", place(None, None), "memory");
    many.target.secrets = (0..17)
        .map(|n| (format!("s{n}"), "env:CANARY".parse().unwrap()))
        .collect();
    let refused = registry.put_if_absent(&many).await;
    assert!(matches!(
        refused,
        Err(ControlError::Invalid {
            pointer: "/secrets",
            ..
        })
    ));
    let operator = world.operator().await;
    let page = registry
        .list(&world.scope(&operator).await, &PageRequest::default())
        .await;
    assert_eq!(page.unwrap().items, []);
}
