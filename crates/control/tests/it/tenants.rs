//! What operators do: tenants and modes.

use identity::{Precondition, Refusal, Role};
use store::PageRequest;
use tenantry_control::{ControlError, Mode, ModeId, TenantChange, TenantState};

use crate::world::{Caller, Look, World};

const ANY: Precondition = Precondition::Any;

fn state(state: TenantState) -> TenantChange {
    TenantChange {
        state: Some(state),
        ..TenantChange::default()
    }
}

fn mode(id: &str) -> Mode {
    Mode {
        id: id.parse().unwrap(),
        title: "A mode".parse().unwrap(),
        description: String::new(),
    }
}

async fn give_mode(
    world: &World,
    operator: &Caller,
    tenant: &Caller,
    id: &str,
) -> Result<ModeId, ControlError> {
    let scope = world.scope(operator).await;
    let change = TenantChange {
        mode: Some(id.parse().unwrap()),
        ..TenantChange::default()
    };
    let tenant = tenant.tenant.parse().unwrap();
    let changed = world
        .control
        .tenants()
        .change(&scope, &tenant, &change, &ANY)
        .await;
    changed.map(|changed| changed.value.mode)
}

#[tokio::test]
async fn operators_alone_manage_tenants_modes_and_routes() {
    let world = World::new().await;
    world.operator().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&ada).await;
    let refused = ControlError::RoleForbidden;
    let tenants = world.control.tenants();
    let page = PageRequest::default();
    assert_eq!(tenants.list(&scope, &page).await.unwrap_err(), refused);
    let made = tenants
        .create(&scope, "X".parse().unwrap(), None, None)
        .await;
    assert_eq!(made.unwrap_err(), refused);
    let changed = tenants
        .change(&scope, scope.tenant(), &TenantChange::default(), &ANY)
        .await;
    assert_eq!(changed.unwrap_err(), refused);
    let modes = world.control.modes();
    assert_eq!(
        modes.create(&scope, mode("own")).await.unwrap_err(),
        refused
    );
    assert_eq!(
        modes.replace(&scope, mode("lab"), &ANY).await.unwrap_err(),
        refused
    );
    let lab = "lab".parse().unwrap();
    assert_eq!(modes.delete(&scope, &lab, &ANY).await.unwrap_err(), refused);
    assert_eq!(
        world
            .control
            .routes()
            .list(&scope, &page)
            .await
            .unwrap_err(),
        refused
    );
    assert!(
        modes.list(&scope, &page).await.is_ok(),
        "modes are everyone's to read"
    );
}

#[tokio::test]
async fn a_suspended_tenant_is_as_good_as_unknown_until_it_is_active_again() {
    let world = World::new().await;
    let operator = world.operator().await;
    let ada = world.sign_up("ada").await;
    assert!(world.admit::<Look>(&ada).await.is_ok());
    let scope = world.scope(&operator).await;
    let tenants = world.control.tenants();
    let id = ada.tenant.parse().unwrap();
    tenants
        .change(&scope, &id, &state(TenantState::Suspended), &ANY)
        .await
        .unwrap();
    let refused = world.admit::<Look>(&ada).await;
    assert_eq!(refused.unwrap_err(), Refusal::TenantForbidden);
    let (profile, _) = world
        .log_in(&ada.email, crate::world::PASSWORD)
        .await
        .unwrap();
    assert_eq!(profile.memberships, []);
    tenants
        .change(&scope, &id, &state(TenantState::Active), &ANY)
        .await
        .unwrap();
    assert!(world.admit::<Look>(&ada).await.is_ok());
    let system = operator.tenant.parse().unwrap();
    let refused = tenants
        .change(&scope, &system, &state(TenantState::Suspended), &ANY)
        .await;
    assert!(matches!(refused, Err(ControlError::Conflict(_))));
}

#[tokio::test]
async fn a_tenant_is_founded_for_a_known_owner_an_invited_one_or_the_operator() {
    let world = World::new().await;
    let operator = world.operator().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&operator).await;
    let tenants = world.control.tenants();
    let found = async |owner: Option<&str>| {
        let owner = owner.map(|email| email.parse().unwrap());
        let lab = Some("lab".parse().unwrap());
        let made = tenants
            .create(&scope, "New".parse().unwrap(), lab, owner)
            .await
            .unwrap();
        let mut place = operator.clone();
        place.tenant = made.value.id.to_string();
        place.project = made.value.default_project.to_string();
        place
    };
    let place = found(Some(&ada.email)).await;
    assert_eq!(world.role(&ada.at(&place)).await, Some(Role::Owner));
    assert_eq!(world.role(&place).await, None, "the operator is no member");
    assert_eq!(world.scope(&ada.at(&place)).await.context().mode(), "lab");
    let place = found(None).await;
    assert_eq!(world.role(&place).await, Some(Role::Owner));
    let place = found(Some("new@example.com")).await;
    let new = world.sign_up("new").await;
    assert_eq!(world.role(&new.at(&place)).await, Some(Role::Owner));
    let unknown = Some("nope".parse().unwrap());
    let refused = tenants
        .create(&scope, "X".parse().unwrap(), unknown, None)
        .await;
    assert!(matches!(
        refused,
        Err(ControlError::Invalid {
            pointer: "/mode",
            ..
        })
    ));
}

#[tokio::test]
async fn modes_are_seeded_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    let scope = world.scope(&operator).await;
    let modes = world.control.modes();
    let ids = async || {
        let page = modes.list(&scope, &PageRequest::default()).await.unwrap();
        let ids = page.items.iter().map(|mode| mode.id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids().await, ["enterprise", "lab", "saas"]);
    modes
        .delete(&scope, &"lab".parse().unwrap(), &ANY)
        .await
        .unwrap();
    world.control.seed().await.unwrap();
    assert_eq!(
        ids().await,
        ["enterprise", "saas"],
        "a deleted mode stays deleted"
    );
}

#[tokio::test]
async fn a_mode_in_use_cannot_be_deleted_and_afterwards_can_be_given_again() {
    let world = World::new().await;
    let operator = world.operator().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&operator).await;
    let modes = world.control.modes();
    modes.create(&scope, mode("own")).await.unwrap();
    let again = modes.create(&scope, mode("own")).await;
    assert!(matches!(again, Err(ControlError::Conflict(_))));
    give_mode(&world, &operator, &ada, "own").await.unwrap();
    assert_eq!(world.scope(&ada).await.context().mode(), "own");
    let own = "own".parse().unwrap();
    for _ in 0..2 {
        let refused = modes.delete(&scope, &own, &ANY).await;
        assert!(matches!(refused, Err(ControlError::Conflict(_))));
    }
    let bob = world.sign_up("bob").await;
    give_mode(&world, &operator, &bob, "own").await.unwrap();
    for tenant in [&ada, &bob] {
        give_mode(&world, &operator, tenant, "saas").await.unwrap();
    }
    assert_eq!(modes.delete(&scope, &own, &ANY).await, Ok(()));
    let signup = "saas".parse().unwrap();
    let refused = modes.delete(&scope, &signup, &ANY).await;
    assert!(matches!(refused, Err(ControlError::Conflict(_))));
}

/// A tenant takes a mode while the mode is deleted, held at a read of `partition`
/// by whoever of the two gets there first.
async fn race_for_a_mode(partition: &str, delete_first: bool) -> (bool, bool) {
    let world = World::new().await;
    let operator = world.operator().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&operator).await;
    let modes = world.control.modes();
    modes.create(&scope, mode("own")).await.unwrap();
    let own = "own".parse().unwrap();
    let delete = async || modes.delete(&scope, &own, &ANY).await.is_ok();
    let give = async || give_mode(&world, &operator, &ada, "own").await.is_ok();
    let held = world.steered.hold(partition).await;
    let (deleted, given) = if delete_first {
        let second = async {
            held.reached.notified().await;
            let given = give().await;
            held.release.notify_one();
            given
        };
        tokio::join!(delete(), second)
    } else {
        let second = async {
            held.reached.notified().await;
            let deleted = delete().await;
            held.release.notify_one();
            deleted
        };
        let (given, deleted) = tokio::join!(give(), second);
        (deleted, given)
    };
    let exists = modes.find(&scope, &own).await.unwrap().is_some();
    assert_eq!(exists, !deleted);
    (deleted, given)
}

#[tokio::test]
async fn a_mode_that_is_deleted_cannot_be_taken_meanwhile() {
    // The mode was read, and is deleted before the tenant takes it.
    assert_eq!(race_for_a_mode("/modes", false).await, (true, false));
    // No tenant was found with the mode, and one would take it before it is deleted.
    assert_eq!(race_for_a_mode("/mode_tenants", true).await, (true, false));
    // The mode was read for deletion, and is taken before it is marked.
    assert_eq!(race_for_a_mode("/modes", true).await, (false, true));
}

/// A replacement lifts the mark, and a tenant takes the mode, before the deletion ends.
#[tokio::test]
async fn a_mode_that_was_replaced_meanwhile_is_looked_at_again() {
    let world = World::new().await;
    let operator = world.operator().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&operator).await;
    let modes = world.control.modes();
    modes.create(&scope, mode("own")).await.unwrap();
    let own = "own".parse().unwrap();
    let held = world.steered.hold("/mode_tenants").await;
    let steer = async {
        held.reached.notified().await;
        modes.replace(&scope, mode("own"), &ANY).await.unwrap();
        give_mode(&world, &operator, &ada, "own").await.unwrap();
        held.release.notify_one();
    };
    let (deleted, ()) = tokio::join!(modes.delete(&scope, &own, &ANY), steer);
    assert!(
        matches!(deleted, Err(ControlError::Conflict(_))),
        "{deleted:?}"
    );
    assert!(modes.find(&scope, &own).await.unwrap().is_some());
}
