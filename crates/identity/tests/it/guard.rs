//! The order of refusals, row by row of the contract's table.

use tenantry_identity::{
    ContextName, Credential, Env, Presented, Refusal, RequestIds, Role, Selector, TenantId,
};
use testkit::{Anything, PROJECT, World};

tenantry_identity::action!(Manage, "test.manage", Admin);
tenantry_identity::action!(Operate, "test.operate", Admin, System);

const GOOD: [Selector<'static>; 5] = [
    Selector::One("t_a"),
    Selector::One("dev"),
    Selector::One(PROJECT),
    Selector::Absent,
    Selector::Absent,
];

struct Ask<'a> {
    credential: Credential<'a>,
    selectors: [Selector<'a>; 5],
    mentions: Vec<(ContextName, &'a str)>,
}

async fn ask<A: tenantry_identity::Action>(world: &World, ask: Ask<'_>) -> Result<(), Refusal> {
    let ids = RequestIds::from_headers(None, None, &*world.entropy);
    let mentions = ask
        .mentions
        .iter()
        .map(|(name, text)| (*name, (*text).into()))
        .collect();
    let presented = Presented {
        credential: ask.credential,
        selectors: ask.selectors,
        mentions,
        stream: None,
        ids: &ids,
    };
    world.guard.admit::<A>(&presented).await.map(drop)
}

/// Asks with a bearer token and nothing named elsewhere.
async fn bear<A: tenantry_identity::Action>(
    world: &World,
    token: &str,
    selectors: [Selector<'_>; 5],
) -> Result<(), Refusal> {
    ask::<A>(
        world,
        Ask {
            credential: Credential::Bearer(token),
            selectors,
            mentions: vec![],
        },
    )
    .await
}

fn with(name: ContextName, selector: Selector<'static>) -> [Selector<'static>; 5] {
    let mut selectors = GOOD;
    let at = ContextName::ALL.iter().position(|n| *n == name).unwrap();
    selectors[at] = selector;
    selectors
}

fn world() -> World {
    let world = World::new();
    world.directory.set_role("t_a", "u_a", Role::Member);
    world.directory.set_role("t_system", "u_op", Role::Admin);
    world
}

#[tokio::test]
async fn each_row_comes_before_the_next() {
    let world = world();
    let token = world.token("u_a");
    let stranger = world.token("u_stranger");
    let bad_context = with(ContextName::Tenant, Selector::Malformed);

    // 1 before 2: no credential and a bad context.
    for (credential, sent) in [
        (Credential::Absent, false),
        (Credential::Malformed, true),
        (Credential::Bearer("garbage"), true),
        (Credential::Ticket("x"), true),
    ] {
        let got = ask::<Anything>(
            &world,
            Ask {
                credential,
                selectors: bad_context,
                mentions: vec![],
            },
        )
        .await;
        assert!(
            matches!(got, Err(Refusal::Unauthenticated { sent: s, .. }) if s == sent),
            "{got:?}"
        );
    }
    // 2 before 3: a bad context of a tenant that is not the caller's.
    let got = bear::<Anything>(&world, &stranger, bad_context).await;
    assert_eq!(got, Err(Refusal::ContextInvalid(ContextName::Tenant)));
    // 3 before 4: no member and an unknown project.
    let unknown_project = with(ContextName::Project, Selector::One("p_other"));
    let got = bear::<Anything>(&world, &stranger, unknown_project).await;
    assert_eq!(got, Err(Refusal::TenantForbidden));
    // 4 before 5: an unknown project and too small a role.
    let got = bear::<Manage>(&world, &token, unknown_project).await;
    assert_eq!(got, Err(Refusal::UnknownProject));
    // 5.
    let got = bear::<Manage>(&world, &token, GOOD).await;
    assert_eq!(got, Err(Refusal::RoleForbidden));
    // And the owner's request succeeds, so none of that was by accident.
    assert_eq!(bear::<Anything>(&world, &token, GOOD).await, Ok(()));
}

#[tokio::test]
async fn every_required_header_is_required_once_and_in_form() {
    let world = world();
    let token = world.token("u_a");
    for name in [ContextName::Tenant, ContextName::Env, ContextName::Project] {
        let cases = [
            (Selector::Absent, Refusal::ContextMissing(name)),
            (Selector::Malformed, Refusal::ContextInvalid(name)),
            (Selector::One(""), Refusal::ContextInvalid(name)),
            (Selector::One("t_unknown"), Refusal::ContextInvalid(name)),
            (Selector::One(" x"), Refusal::ContextInvalid(name)),
        ];
        for (selector, refusal) in cases {
            let asked = Ask {
                credential: Credential::Bearer(&token),
                selectors: with(name, selector),
                mentions: vec![],
            };
            assert_eq!(
                ask::<Anything>(&world, asked).await,
                Err(refusal),
                "{name:?} {selector:?}"
            );
        }
    }
    for (name, refusal) in [
        (ContextName::Surface, Refusal::UnknownSurface),
        (ContextName::App, Refusal::UnknownApp),
    ] {
        let id = if name == ContextName::Surface {
            "s_1"
        } else {
            "a_1"
        };
        let asked = Ask {
            credential: Credential::Bearer(&token),
            selectors: with(name, Selector::One(id)),
            mentions: vec![],
        };
        assert_eq!(ask::<Anything>(&world, asked).await, Err(refusal));
    }
}

#[tokio::test]
async fn what_is_named_elsewhere_never_selects() {
    let world = world();
    world.directory.set_role("t_b", "u_a", Role::Owner);
    let token = world.token("u_a");
    let named = |mentions| Ask {
        credential: Credential::Bearer(&token),
        selectors: GOOD,
        mentions,
    };
    let conflict = ask::<Anything>(&world, named(vec![(ContextName::Tenant, "t_b")])).await;
    assert_eq!(conflict, Err(Refusal::ContextConflict(ContextName::Tenant)));
    let agrees = vec![
        (ContextName::Tenant, "t_a"),
        (ContextName::Env, "Development"),
        (ContextName::Project, PROJECT),
    ];
    assert_eq!(ask::<Anything>(&world, named(agrees)).await, Ok(()));
    for (name, other) in [
        (ContextName::Env, "prod"),
        (ContextName::Env, "x"),
        (ContextName::Project, "p_other"),
    ] {
        assert_eq!(
            ask::<Anything>(&world, named(vec![(name, other)])).await,
            Err(Refusal::ContextConflict(name))
        );
    }
    let missing = Ask {
        credential: Credential::Bearer(&token),
        selectors: with(ContextName::Tenant, Selector::Absent),
        mentions: vec![(ContextName::Tenant, "t_a")],
    };
    assert_eq!(
        ask::<Anything>(&world, missing).await,
        Err(Refusal::ContextMissing(ContextName::Tenant))
    );
}

#[tokio::test]
async fn operators_work_in_tenant_0_alone() {
    let world = world();
    world.directory.set_role("t_a", "u_boss", Role::Owner);
    let boss = world.token("u_boss");
    let operator = world.token("u_op");
    let refused = bear::<Operate>(&world, &boss, GOOD).await;
    assert_eq!(refused, Err(Refusal::RoleForbidden));
    let system = with(ContextName::Tenant, Selector::One("t_system"));
    let admitted = bear::<Operate>(&world, &operator, system).await;
    assert_eq!(admitted, Ok(()));
}

#[tokio::test]
async fn a_token_bound_to_a_tenant_counts_there_alone() {
    use crate::forge::{claims, header, sign, with as set};
    let world = world();
    world.directory.set_role("t_b", "u_a", Role::Owner);
    let claims = set(set(claims(), "sub", "u_a".into()), "tid", "t_b".into());
    let bound = sign(&header(), &claims);
    let refused = bear::<Anything>(&world, &bound, GOOD).await;
    assert_eq!(refused, Err(Refusal::TenantForbidden));
    let there = with(ContextName::Tenant, Selector::One("t_b"));
    assert_eq!(bear::<Anything>(&world, &bound, there).await, Ok(()));
}

#[tokio::test]
async fn a_directory_that_fails_never_allows() {
    let world = world();
    let token = world.token("u_a");
    world.directory.set_down(true);
    let got = bear::<Anything>(&world, &token, GOOD).await;
    assert!(matches!(got, Err(Refusal::Unavailable(_))), "{got:?}");
}

#[tokio::test]
async fn an_open_stream_is_rechecked_and_renewed() {
    let world = World::new();
    let scope = world.scope("t_a", Env::Dev, "u_a").await;
    assert_eq!(world.guard.recheck(&scope, Role::Viewer).await, Ok(()));
    let renewed = world
        .guard
        .renew(&scope, &world.token("u_a"), Role::Viewer)
        .await
        .unwrap();
    assert_eq!(renewed.tenant(), &"t_a".parse::<TenantId>().unwrap());
    let other = world
        .guard
        .renew(&scope, &world.token("u_b"), Role::Viewer)
        .await;
    assert!(matches!(other, Err(Refusal::Unauthenticated { .. })));
    world.directory.set_role("t_a", "u_a", Role::Viewer);
    assert_eq!(
        world.guard.recheck(&scope, Role::Member).await,
        Err(Refusal::RoleForbidden)
    );
    world.directory.remove("t_a", "u_a");
    assert_eq!(
        world.guard.recheck(&scope, Role::Viewer).await,
        Err(Refusal::TenantForbidden)
    );
    world.directory.set_role("t_a", "u_a", Role::Owner);
    world.directory.end_session(scope.auth().session().unwrap());
    assert!(matches!(
        world.guard.recheck(&scope, Role::Viewer).await,
        Err(Refusal::Unauthenticated { .. })
    ));
}

#[tokio::test]
async fn an_ended_session_is_a_401_before_any_400() {
    let world = world();
    let token = world.token("u_a");
    world.directory.end_session(&"se_u_a".parse().unwrap());
    let asked = Ask {
        credential: Credential::Bearer(&token),
        selectors: with(ContextName::Tenant, Selector::Absent),
        mentions: vec![],
    };
    assert!(matches!(
        ask::<Anything>(&world, asked).await,
        Err(Refusal::Unauthenticated { sent: true, .. })
    ));
}
