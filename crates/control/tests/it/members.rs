//! Members: who may change whom, invitations, and the last owner.

use std::time::Duration;

use futures_util::future::join_all;
use identity::{Precondition, Refusal, Role, UserId};
use store::PageRequest;
use tenantry_control::{ControlError, INVITATION_LIFE, Invitee, MemberRef};

use crate::world::{Caller, Look, World};

fn by_email(email: &str) -> Invitee {
    Invitee::Email(email.parse().unwrap())
}

async fn set_role(
    world: &World,
    actor: &Caller,
    target: &Caller,
    role: Role,
) -> Result<(), ControlError> {
    let scope = world.scope(actor).await;
    let id = target.member_ref();
    let done = world
        .control
        .members()
        .set_role(&scope, &id, role, &Precondition::Any);
    done.await.map(drop)
}

async fn remove(world: &World, actor: &Caller, target: &Caller) -> Result<(), ControlError> {
    let scope = world.scope(actor).await;
    let id = target.member_ref();
    world
        .control
        .members()
        .remove(&scope, &id, &Precondition::Any)
        .await
}

async fn owners(world: &World, caller: &Caller) -> usize {
    let scope = world.scope(caller).await;
    let all = PageRequest::default();
    let page = world.control.members().list(&scope, &all);
    let members = page.await.unwrap().items;
    members
        .iter()
        .filter(|member| member.role == Role::Owner)
        .count()
}

#[tokio::test]
async fn a_known_address_becomes_a_member_at_once() {
    let world = World::new().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let bob_at_ada = bob.at(&ada);
    // Asked first, so that the refusal is remembered.
    assert_eq!(world.role(&bob_at_ada).await, None);
    let scope = world.scope(&ada).await;
    let members = world.control.members();
    let added = members
        .add(&scope, &by_email("BOB@example.com"), Role::Viewer)
        .await
        .unwrap();
    assert_eq!(added.value.id, bob.member_ref());
    assert_eq!(added.value.expires_at, None);
    assert_eq!(world.role(&bob_at_ada).await, Some(Role::Viewer));
    let again = members
        .add(&scope, &by_email(&bob.email), Role::Admin)
        .await;
    assert!(matches!(again, Err(ControlError::Conflict(_))));
    let (profile, _) = world
        .log_in(&bob.email, crate::world::PASSWORD)
        .await
        .unwrap();
    assert_eq!(profile.memberships.len(), 2);
    remove(&world, &ada, &bob).await.unwrap();
    assert_eq!(world.role(&bob_at_ada).await, None);
    assert_eq!(
        world.role(&bob).await,
        Some(Role::Owner),
        "bob's own tenant is untouched"
    );
}

#[tokio::test]
async fn a_user_of_an_outside_issuer_is_added_by_id() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let outside: UserId = "u_0aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcdefg"
        .parse()
        .unwrap();
    let scope = world.scope(&ada).await;
    let invitee = Invitee::User(outside.clone());
    let added = world
        .control
        .members()
        .add(&scope, &invitee, Role::Member)
        .await
        .unwrap();
    assert_eq!(added.value.id, MemberRef::User(outside));
    assert_eq!(added.value.email, None);
}

#[tokio::test]
async fn the_roles_of_actor_and_target_decide() {
    use Role::{Admin, Member, Owner, Viewer};
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.join("bob", &ada, Admin).await;
    let eve = world.join("eve", &ada, Member).await;
    let refused = Err(ControlError::RoleForbidden);
    assert_eq!(set_role(&world, &bob, &eve, Admin).await, Ok(()));
    assert_eq!(set_role(&world, &bob, &eve, Viewer).await, Ok(()));
    assert_eq!(set_role(&world, &bob, &eve, Owner).await, refused);
    assert_eq!(set_role(&world, &bob, &bob, Owner).await, refused);
    assert_eq!(set_role(&world, &bob, &ada, Viewer).await, refused);
    assert_eq!(remove(&world, &bob, &ada).await, refused);
    assert_eq!(set_role(&world, &eve, &eve, Admin).await, refused);
    assert_eq!(remove(&world, &eve, &bob).await, refused);
    assert_eq!(set_role(&world, &ada, &bob, Owner).await, Ok(()));
    assert_eq!(set_role(&world, &bob, &ada, Viewer).await, Ok(()));
    assert_eq!(world.role(&ada).await, Some(Viewer));
    assert_eq!(
        remove(&world, &ada, &ada).await,
        Ok(()),
        "everyone may leave"
    );
    assert_eq!(world.role(&ada).await, None);
}

#[tokio::test]
async fn the_last_owner_stays_one() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let last = Err(ControlError::LastOwner);
    assert_eq!(remove(&world, &ada, &ada).await, last);
    assert_eq!(set_role(&world, &ada, &ada, Role::Admin).await, last);
    let bob = world.join("bob", &ada, Role::Owner).await;
    assert_eq!(remove(&world, &ada, &ada).await, Ok(()));
    assert_eq!(remove(&world, &bob, &bob).await, last);
}

#[tokio::test]
async fn owners_who_race_to_leave_leave_one() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let mut all = vec![ada.clone()];
    for name in ["bob", "eve", "joe", "kim", "lea"] {
        all.push(world.join(name, &ada, Role::Owner).await);
    }
    let left = join_all(all.iter().map(|owner| remove(&world, owner, owner))).await;
    let stayed: Vec<_> = left
        .iter()
        .zip(&all)
        .filter(|(left, _)| **left == Err(ControlError::LastOwner))
        .collect();
    assert_eq!(stayed.len(), 1, "{left:?}");
    assert_eq!(owners(&world, stayed[0].1).await, 1);
}

#[tokio::test]
async fn two_owners_who_demote_each_other_leave_one() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.join("bob", &ada, Role::Owner).await;
    let (one, other) = tokio::join!(
        set_role(&world, &ada, &bob, Role::Viewer),
        set_role(&world, &bob, &ada, Role::Viewer),
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let winner = if one.is_ok() { &ada } else { &bob };
    assert_eq!(owners(&world, winner).await, 1);
}

#[tokio::test]
async fn an_admin_who_was_demoted_meanwhile_changes_nothing() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.join("bob", &ada, Role::Admin).await;
    let eve = world.join("eve", &ada, Role::Viewer).await;
    // The scope was earned while bob was an admin.
    let earned = world.scope(&bob).await;
    set_role(&world, &ada, &bob, Role::Viewer).await.unwrap();
    let members = world.control.members();
    let id = eve.member_ref();
    let done = members
        .set_role(&earned, &id, Role::Admin, &Precondition::Any)
        .await;
    assert_eq!(done.unwrap_err(), ControlError::RoleForbidden);
    assert_eq!(world.role(&eve).await, Some(Role::Viewer));
}

/// The admin's own row is read, then they are demoted, then their change commits.
#[tokio::test]
async fn an_admin_who_is_demoted_while_the_change_is_made_changes_nothing() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.join("bob", &ada, Role::Admin).await;
    let eve = world.join("eve", &ada, Role::Viewer).await;
    let earned = world.scope(&bob).await;
    let owner = world.scope(&ada).await;
    let members = world.control.members();
    let (target, actor) = (eve.member_ref(), bob.member_ref());
    // The target's row is the first read, the actor's the second.
    let held = world.steered.hold_nth("/members", 2).await;
    let steer = async {
        held.reached.notified().await;
        let demoted = members.set_role(&owner, &actor, Role::Viewer, &Precondition::Any);
        let demoted = demoted.await;
        held.release.notify_one();
        demoted.unwrap();
    };
    let change = members.set_role(&earned, &target, Role::Admin, &Precondition::Any);
    let (changed, ()) = tokio::join!(change, steer);
    assert_eq!(changed.unwrap_err(), ControlError::RoleForbidden);
    assert_eq!(world.role(&eve).await, Some(Role::Viewer));
}

#[tokio::test]
async fn an_invitation_becomes_a_membership_by_signing_up() {
    let world = World::new().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    for (host, role) in [(&ada, Role::Admin), (&bob, Role::Owner)] {
        let scope = world.scope(host).await;
        let invitee = by_email("New@example.com");
        let invited = world.control.members().add(&scope, &invitee, role);
        let invited = invited.await.unwrap().value;
        assert!(matches!(invited.id, MemberRef::Invitation(_)));
        assert_eq!(
            invited.expires_at.unwrap().since(invited.since),
            INVITATION_LIFE
        );
    }
    let new = world.sign_up("new").await;
    assert_eq!(world.role(&new.at(&ada)).await, Some(Role::Admin));
    assert_eq!(world.role(&new.at(&bob)).await, Some(Role::Owner));
    let scope = world.scope(&ada).await;
    let all = PageRequest::default();
    let page = world.control.members().list(&scope, &all);
    let rows = page.await.unwrap().items;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.expires_at.is_none()));
    // The invited owner counts: bob may leave his own tenant now.
    assert_eq!(remove(&world, &bob, &bob).await, Ok(()));
}

#[tokio::test]
async fn an_invitation_made_while_its_address_signs_up_is_not_lost() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&ada).await;
    let held = world.steered.hold("system/invited").await;
    let steer = async {
        held.reached.notified().await;
        let invitee = by_email("new@example.com");
        let added = world
            .control
            .members()
            .add(&scope, &invitee, Role::Member)
            .await;
        held.release.notify_one();
        added.unwrap()
    };
    let (new, _) = tokio::join!(world.sign_up("new"), steer);
    assert_eq!(world.role(&new.at(&ada)).await, Some(Role::Member));
}

#[tokio::test]
async fn an_invitation_ends_is_renewed_changed_and_taken_back() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&ada).await;
    let members = world.control.members();
    let invitee = by_email("new@example.com");
    let invited = members
        .add(&scope, &invitee, Role::Viewer)
        .await
        .unwrap()
        .value;
    let any = &Precondition::Any;
    let changed = members
        .set_role(&scope, &invited.id, Role::Member, any)
        .await
        .unwrap();
    assert_eq!(
        (changed.value.role, &changed.value.id),
        (Role::Member, &invited.id)
    );
    members.remove(&scope, &invited.id, any).await.unwrap();
    assert_eq!(
        members.remove(&scope, &invited.id, any).await,
        Err(ControlError::NotFound)
    );
    let early = world.sign_up("new").await;
    assert_eq!(world.role(&early.at(&ada)).await, None, "it was taken back");

    members
        .add(&scope, &by_email("late@example.com"), Role::Member)
        .await
        .unwrap();
    world
        .clock
        .advance(INVITATION_LIFE + Duration::from_secs(1));
    let page = members.list(&scope, &PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 1, "an ended invitation is not listed");
    let late = world.sign_up("late").await;
    assert_eq!(world.role(&late.at(&ada)).await, None);
}

#[tokio::test]
async fn admins_cannot_touch_the_invitation_of_an_owner() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.join("bob", &ada, Role::Admin).await;
    let members = world.control.members();
    let (owner, admin) = (world.scope(&ada).await, world.scope(&bob).await);
    let invitee = by_email("new@example.com");
    let refused = members.add(&admin, &invitee, Role::Owner).await;
    assert_eq!(refused.unwrap_err(), ControlError::RoleForbidden);
    let invited = members
        .add(&owner, &invitee, Role::Owner)
        .await
        .unwrap()
        .value;
    let refused = members.add(&admin, &invitee, Role::Viewer).await;
    assert_eq!(refused.unwrap_err(), ControlError::RoleForbidden);
    let refused = members
        .remove(&admin, &invited.id, &Precondition::Any)
        .await;
    assert_eq!(refused, Err(ControlError::RoleForbidden));
}

#[tokio::test]
async fn a_stale_precondition_changes_nothing() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.join("bob", &ada, Role::Viewer).await;
    let scope = world.scope(&ada).await;
    let members = world.control.members();
    let id = bob.member_ref();
    let read = members.find(&scope, &id).await.unwrap().unwrap();
    let fresh = Precondition::OneOf(vec![read.version.0]);
    members
        .set_role(&scope, &id, Role::Member, &fresh)
        .await
        .unwrap();
    let stale = members.set_role(&scope, &id, Role::Admin, &fresh).await;
    assert_eq!(stale.unwrap_err(), ControlError::Stale);
    assert_eq!(
        members.remove(&scope, &id, &fresh).await,
        Err(ControlError::Stale)
    );
    assert_eq!(world.role(&bob).await, Some(Role::Member));
}

#[tokio::test]
async fn members_of_two_tenants_never_meet() {
    let world = World::new().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let refused = world.admit::<Look>(&ada.at(&bob)).await;
    assert_eq!(refused.unwrap_err(), Refusal::TenantForbidden);
    let scope = world.scope(&ada).await;
    let members = world.control.members();
    assert_eq!(members.find(&scope, &bob.member_ref()).await.unwrap(), None);
    let done = members
        .remove(&scope, &bob.member_ref(), &Precondition::Any)
        .await;
    assert_eq!(done, Err(ControlError::NotFound));
}
