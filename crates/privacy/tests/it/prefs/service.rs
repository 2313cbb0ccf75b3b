//! Who may say what, and what becomes of it.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use identity::{Env, Precondition, Role};
use store::{
    Batch, CommitError, DocKey, Document, Documents, Listing, Partition, StoreError, Version,
};
use tenantry_privacy::{PrivacyError, Source, Training};

use super::node::{Allow, Damage, Deny, Node, id, over, told};

const ANY: &Precondition = &Precondition::Any;

/// A node where `u_ada` of `t_a` is allowed to be trained on.
async fn allowing() -> Node {
    let node = Node::new();
    let admin = node.at_a("u_admin", Role::Admin).await;
    node.prefs.set_tenant(&admin, Allow, ANY).await.unwrap();
    node.say(&node.at_a("u_ada", Role::Member).await, Allow)
        .await;
    node
}

#[tokio::test]
async fn what_is_said_in_one_tenant_says_nothing_in_another() {
    let node = allowing().await;
    let elsewhere = node.world.scope("t_b", Env::Dev, "u_ada").await;
    let unknown = (Deny, Source::Unknown);
    assert_eq!(told(node.prefs.effective(&elsewhere, false).await), unknown);
    node.prefs.set_tenant(&elsewhere, Allow, ANY).await.unwrap();
    assert_eq!(told(node.prefs.effective(&elsewhere, false).await), unknown);
    node.say(&elsewhere, Deny).await;
    let at_a = node.at_a("u_ada", Role::Member).await;
    let here = node.prefs.effective(&at_a, false).await;
    assert_eq!(told(here), (Allow, Source::User));
}

#[tokio::test]
async fn a_denial_holds_in_all_environments() {
    let node = allowing().await;
    let in_env = async |env| {
        let (tenant, user) = ("t_a", "u_ada");
        let scope = node.world.scope_as(tenant, env, user, Role::Member).await;
        (told(node.prefs.effective(&scope, false).await), scope)
    };
    let (told_in_prod, in_prod) = in_env(Env::Prod).await;
    assert_eq!(told_in_prod, (Allow, Source::User));
    node.say(&in_prod, Deny).await;
    for env in [Env::Dev, Env::Staging, Env::Prod] {
        assert_eq!(in_env(env).await.0, (Deny, Source::User), "{env}");
    }
}

#[tokio::test]
async fn everyone_speaks_for_themselves_and_admins_for_their_members() {
    let node = Node::new();
    for (speaker, role, may) in [
        ("u_viewer", Role::Viewer, false),
        ("u_member", Role::Member, false),
        ("u_admin", Role::Admin, true),
        ("u_owner", Role::Owner, true),
    ] {
        node.at_a("u_ada", Role::Viewer).await;
        let scope = node.at_a(speaker, role).await;
        assert_eq!(
            node.say(&scope, Deny).await.said.unwrap().source,
            Source::User
        );
        let refused = PrivacyError::RoleForbidden;
        let of_ada = node.say_of(&scope, "u_ada", Deny).await;
        let of_tenant = node.prefs.set_tenant(&scope, Deny, ANY).await;
        let withdrawn = node.prefs.withdraw_tenant(&scope, ANY).await;
        if may {
            assert_eq!(of_ada.unwrap().said.unwrap().source, Source::Admin);
            assert_eq!(of_tenant.unwrap().said.unwrap().source, Source::Admin);
            assert_eq!(withdrawn.unwrap().said, None);
        } else {
            assert_eq!(of_ada.unwrap_err(), refused);
            assert_eq!(of_tenant.unwrap_err(), refused);
            assert_eq!(withdrawn.unwrap_err(), refused);
        }
    }
}

#[tokio::test]
async fn foreign_unknown_and_former_members_are_alike_and_those_who_may_not_ask_learn_nothing() {
    let node = Node::new();
    let admin = node.at_a("u_admin", Role::Admin).await;
    let viewer = node.at_a("u_viewer", Role::Viewer).await;
    node.world.scope("t_b", Env::Dev, "u_foreign").await;
    node.at_a("u_former", Role::Member).await;
    node.world.directory.remove("t_a", "u_former");
    for user in ["u_foreign", "u_former", "u_nobody"] {
        let refused = node.prefs.subject(&admin, &id(user)).await.unwrap_err();
        assert_eq!(refused, PrivacyError::NotFound, "{user}");
    }
    for user in ["u_foreign", "u_nobody", "u_admin"] {
        let refused = node.prefs.subject(&viewer, &id(user)).await.unwrap_err();
        assert_eq!(refused, PrivacyError::RoleForbidden, "{user}");
    }
    node.world.directory.set_down(true);
    let unsure = node.prefs.subject(&admin, &id("u_viewer")).await;
    assert!(matches!(unsure, Err(PrivacyError::Unavailable(_))));
}

#[tokio::test]
async fn only_operators_speak_for_the_system_and_they_bind_every_tenant() {
    let node = allowing().await;
    let ada = node.at_a("u_ada", Role::Member).await;
    let (world, prefs) = (&node.world, &node.prefs);
    let watcher = world
        .scope_as("t_system", Env::Dev, "u_watcher", Role::Member)
        .await;
    for nobody in [
        &node.at_a("u_owner", Role::Owner).await,
        &node.at_a("u_operator", Role::Admin).await,
        &watcher,
    ] {
        for refused in [
            prefs.set_system(nobody, Deny, ANY).await,
            prefs.withdraw_system(nobody, ANY).await,
        ] {
            assert_eq!(refused.unwrap_err(), PrivacyError::RoleForbidden);
        }
    }
    assert_eq!(prefs.effective(&ada, false).await.training, Allow);
    let operator = node.operator().await;
    prefs.set_system(&operator, Deny, ANY).await.unwrap();
    let denied = prefs.effective(&ada, false).await;
    assert_eq!(told(denied), (Deny, Source::Operator));
    prefs.withdraw_system(&operator, ANY).await.unwrap();
    assert_eq!(prefs.effective(&ada, false).await.training, Allow);
}

#[tokio::test]
async fn neither_a_user_nor_an_admin_lifts_what_the_other_denied() {
    let node = allowing().await;
    let ada = node.at_a("u_ada", Role::Member).await;
    let admin = node.at_a("u_admin", Role::Admin).await;
    let effective = async || told(node.prefs.effective(&ada, false).await);

    node.say(&ada, Deny).await;
    let summed = node.say_of(&admin, "u_ada", Allow).await.unwrap();
    assert_eq!(summed.said.unwrap().training, Deny, "the answer is honest");
    assert_eq!(effective().await, (Deny, Source::User));
    node.say(&ada, Allow).await;
    assert_eq!(effective().await, (Allow, Source::User));

    node.say_of(&admin, "u_ada", Deny).await.unwrap();
    node.say(&ada, Allow).await;
    assert_eq!(effective().await, (Deny, Source::Admin));
    let own = node.prefs.subject(&ada, ada.user()).await.unwrap();
    node.prefs.withdraw_user(&own, ANY).await.unwrap();
    assert_eq!(
        effective().await,
        (Deny, Source::Admin),
        "the admin's word is not ada's to withdraw"
    );
    let by_admin = node.prefs.subject(&admin, ada.user()).await.unwrap();
    node.prefs.withdraw_user(&by_admin, ANY).await.unwrap();
    assert_eq!(effective().await, (Deny, Source::Unknown));
}

#[tokio::test]
async fn each_change_has_a_version_of_its_own_also_after_a_withdrawal() {
    let node = Node::new();
    let ada = node.at_a("u_ada", Role::Member).await;
    let own = node.prefs.subject(&ada, ada.user()).await.unwrap();
    let nothing = node.prefs.withdraw_user(&own, ANY).await.unwrap();
    assert_eq!((nothing.said, nothing.version), (None, 0));
    for (round, training) in [(0, Allow), (1, Deny)] {
        node.world.clock.advance(Duration::from_secs(60));
        let said = node.say(&ada, training).await;
        assert_eq!(said.version, 2 * round + 1);
        assert_eq!(
            said.said.unwrap().at,
            identity::Clock::now(&*node.world.clock)
        );
        let withdrawn = node.prefs.withdraw_user(&own, ANY).await.unwrap();
        assert_eq!((withdrawn.said, withdrawn.version), (None, 2 * round + 2));
        let again = node.prefs.withdraw_user(&own, ANY).await.unwrap();
        assert_eq!(again, withdrawn, "nothing is left to withdraw");
    }
    assert_eq!(node.prefs.effective(&ada, false).await.version, 4);
}

#[tokio::test]
async fn a_stale_precondition_changes_nothing() {
    let node = Node::new();
    let admin = node.at_a("u_admin", Role::Admin).await;
    let only = |version| Precondition::OneOf(vec![version]);
    let set = async |training, precondition: Precondition| {
        node.prefs.set_tenant(&admin, training, &precondition).await
    };
    let stale = Err(PrivacyError::Stale);
    assert_eq!(set(Allow, Precondition::Exists).await, stale);
    assert_eq!(set(Allow, only(1)).await, stale);
    assert_eq!(set(Allow, only(0)).await.unwrap().version, 1);
    assert_eq!(set(Deny, only(0)).await, stale);
    assert_eq!(set(Deny, Precondition::OneOf(Vec::new())).await, stale);
    let withdrawn = node.prefs.withdraw_tenant(&admin, &only(7)).await;
    assert_eq!(withdrawn, stale);
    let levels = node.prefs.levels(&admin, admin.user()).await;
    assert_eq!(levels.tenant.unwrap().said.unwrap().training, Allow);
    let several = Precondition::OneOf(vec![9, 1]);
    assert_eq!(set(Deny, several).await.unwrap().version, 2);
    assert_eq!(set(Allow, Precondition::Exists).await.unwrap().version, 3);
}

#[tokio::test]
async fn what_cannot_be_read_is_denied_and_comes_back_with_the_store() {
    let node = allowing().await;
    let ada = node.at_a("u_ada", Role::Member).await;
    node.documents.set_down(true);
    let there = node.another();
    let down = there.effective(&ada, false).await;
    assert_eq!(told(down), (Deny, Source::Unreadable));
    assert_eq!(down.version, 0);
    assert_eq!(there.permit(&ada, false).await.unwrap_err(), down);
    let own = there.subject(&ada, ada.user()).await.unwrap();
    let refused = there.set_user(&own, Deny, ANY).await;
    assert!(matches!(refused, Err(PrivacyError::Unavailable(_))));
    node.documents.set_down(false);
    assert_eq!(there.effective(&ada, false).await.training, Allow);
    assert_eq!(there.permit(&ada, false).await.unwrap().version(), 2);
}

#[tokio::test]
async fn what_was_remembered_is_denied_too_once_it_is_too_old() {
    let node = allowing().await;
    let ada = node.at_a("u_ada", Role::Member).await;
    assert_eq!(node.prefs.effective(&ada, false).await.training, Allow);
    node.documents.set_down(true);
    node.world.clock.advance(tenantry_privacy::FRESH_MAX);
    let told = told(node.prefs.effective(&ada, false).await);
    assert_eq!(told, (Deny, Source::Unreadable));
}

#[tokio::test]
async fn a_damaged_record_is_denied_and_is_not_overwritten() {
    let node = allowing().await;
    node.damage(Damage::User("u_ada")).await;
    let ada = node.at_a("u_ada", Role::Member).await;
    let prefs = node.another();
    let effective = prefs.effective(&ada, false).await;
    assert_eq!(told(effective), (Deny, Source::Unreadable));
    let own = prefs.subject(&ada, ada.user()).await.unwrap();
    let refused = prefs.set_user(&own, Allow, ANY).await;
    assert!(
        matches!(refused, Err(PrivacyError::Internal(_))),
        "it may hold a denial"
    );
}

/// A store that never answers.
struct Silent;

#[async_trait]
impl Documents for Silent {
    async fn get(&self, _: &DocKey) -> Result<Option<Document>, StoreError> {
        pending().await
    }
    async fn list(&self, _: &Partition, _: &Listing) -> Result<Vec<Document>, StoreError> {
        pending().await
    }
    async fn commit(&self, _: Batch) -> Result<Version, CommitError> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_unreadable_after_two_seconds() {
    let node = Node::new();
    let ada = node.at_a("u_ada", Role::Member).await;
    let prefs = over(&node.world, Arc::new(Silent));
    let began = tokio::time::Instant::now();
    let effective = prefs.effective(&ada, false).await;
    assert_eq!(told(effective), (Deny, Source::Unreadable));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "the levels are asked at once"
    );
}

#[tokio::test]
async fn a_permit_names_whom_it_is_about_and_the_state_that_allowed_it() {
    let node = allowing().await;
    let (ada, admin) = (
        node.at_a("u_ada", Role::Member).await,
        node.at_a("u_admin", Role::Admin).await,
    );
    let permit = node.prefs.permit_for(&admin, ada.user()).await.unwrap();
    assert_eq!((permit.tenant(), permit.user()), (ada.tenant(), ada.user()));
    assert_eq!(permit.version(), 2);
    let own = node.prefs.permit(&ada, false).await.unwrap();
    assert_eq!((own.user(), own.version()), (ada.user(), 2));
    let refused = node.prefs.permit(&ada, true).await.unwrap_err();
    assert_eq!(told(refused), (Deny, Source::Gpc));
    node.say(&ada, Deny).await;
    let refused = node.prefs.permit_for(&admin, ada.user()).await.unwrap_err();
    assert_eq!((told(refused), refused.version), ((Deny, Source::User), 3));
    let nobody = node.prefs.permit_for(&admin, &id("u_nobody")).await;
    assert_eq!(told(nobody.unwrap_err()), (Deny, Source::Unknown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_word_is_lost_among_many_that_are_said_at_once() {
    let node = Arc::new(Node::new());
    let (ada, admin) = (
        Arc::new(node.at_a("u_ada", Role::Member).await),
        Arc::new(node.at_a("u_admin", Role::Admin).await),
    );
    let speak = |scope: &Arc<identity::Scope>, training: Training| {
        let (node, scope) = (Arc::clone(&node), Arc::clone(scope));
        tokio::spawn(async move {
            node.say_of(&scope, "u_ada", training)
                .await
                .unwrap()
                .version
        })
    };
    let mut speeches = Vec::new();
    for _ in 0..8 {
        speeches.push(speak(&ada, Allow));
        speeches.push(speak(&admin, Deny));
    }
    let mut versions = Vec::new();
    for speech in speeches {
        versions.push(speech.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=16).collect::<Vec<u64>>());
    let levels = node.prefs.levels(&ada, ada.user()).await;
    let said = levels.user.unwrap().said.unwrap();
    assert_eq!((said.training, said.source), (Deny, Source::Admin));
}
