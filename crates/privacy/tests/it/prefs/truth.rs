//! The table of the crate's documentation, row by row, over every state of every level.

use identity::{Precondition, Role};
use tenantry_privacy::{Source, Training};

use super::node::{Allow, Damage, Deny, Node, told};

/// What was said at a level by one party, or that it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Said {
    Nothing,
    This(Training),
    Garbled,
}

/// What was said about the user: by the user, and by an admin.
#[derive(Debug, Clone, Copy, PartialEq)]
enum User {
    Words(Option<Training>, Option<Training>),
    Garbled,
}

const SAID: [Said; 4] = [
    Said::Nothing,
    Said::This(Allow),
    Said::This(Deny),
    Said::Garbled,
];

fn users() -> Vec<User> {
    let words = [None, Some(Allow), Some(Deny)];
    let mut users = vec![User::Garbled];
    for own in words {
        users.extend(words.map(|by_admin| User::Words(own, by_admin)));
    }
    users
}

/// The table, first matching row first.
fn row(system: Said, tenant: Said, user: User, gpc: bool) -> (Training, Source) {
    use Said::{Garbled, Nothing, This};
    use User::Words;
    match (system, tenant, user, gpc) {
        (_, _, _, true) => (Deny, Source::Gpc),
        (This(Deny), _, _, _) => (Deny, Source::Operator),
        (Garbled, _, _, _) => (Deny, Source::Unreadable),
        (_, This(Deny), _, _) => (Deny, Source::Admin),
        (_, Nothing, _, _) => (Deny, Source::Unknown),
        (_, Garbled, _, _) => (Deny, Source::Unreadable),
        (_, _, User::Garbled, _) => (Deny, Source::Unreadable),
        (_, _, Words(Some(Deny), _), _) => (Deny, Source::User),
        (_, _, Words(_, Some(Deny)), _) => (Deny, Source::Admin),
        (_, _, Words(None, None), _) => (Deny, Source::Unknown),
        (_, _, Words(Some(Allow), _), _) => (Allow, Source::User),
        (_, _, Words(None, Some(Allow)), _) => (Allow, Source::Admin),
    }
}

/// Brings a node into a state; how often something was said there.
async fn arrange(node: &Node, system: Said, tenant: Said, user: User) -> Option<u64> {
    let any = Precondition::Any;
    let (ada, admin) = (
        node.at_a("u_ada", Role::Viewer).await,
        node.at_a("u_admin", Role::Admin).await,
    );
    let mut said = Some(0);
    match system {
        Said::Nothing => {}
        Said::This(training) => {
            let operator = node.operator().await;
            node.prefs
                .set_system(&operator, training, &any)
                .await
                .unwrap();
            said = said.map(|said| said + 1);
        }
        Said::Garbled => {
            node.damage(Damage::System).await;
            said = None;
        }
    }
    match tenant {
        Said::Nothing => {}
        Said::This(training) => {
            node.prefs.set_tenant(&admin, training, &any).await.unwrap();
            said = said.map(|said| said + 1);
        }
        Said::Garbled => {
            node.damage(Damage::Tenant).await;
            said = None;
        }
    }
    match user {
        User::Garbled => {
            node.damage(Damage::User("u_ada")).await;
            said = None;
        }
        User::Words(own, by_admin) => {
            for (speaker, training) in [(&ada, own), (&admin, by_admin)] {
                if let Some(training) = training {
                    node.say_of(speaker, "u_ada", training).await.unwrap();
                    said = said.map(|said| said + 1);
                }
            }
        }
    }
    said
}

#[tokio::test]
async fn the_effective_preference_is_the_tables_in_every_state() {
    let (mut states, mut allowed) = (0, 0);
    for system in SAID {
        for tenant in SAID {
            for user in users() {
                let node = Node::new();
                let said = arrange(&node, system, tenant, user).await;
                let ada = node.at_a("u_ada", Role::Viewer).await;
                let admin = node.at_a("u_admin", Role::Admin).await;
                for gpc in [false, true] {
                    let state = format!("{system:?} {tenant:?} {user:?} gpc {gpc}");
                    let effective = node.prefs.effective(&ada, gpc).await;
                    let expected = row(system, tenant, user, gpc);
                    assert_eq!(told(effective), expected, "{state}");
                    assert_eq!(effective.version, said.unwrap_or(0), "{state}");
                    let permit = node.prefs.permit(&ada, gpc).await;
                    assert_eq!(permit.is_ok(), expected.0 == Allow, "{state}");
                    states += 1;
                    allowed += u32::from(permit.is_ok());
                }
                let seen_by_admin = node.prefs.effective_for(&admin, ada.user()).await;
                assert_eq!(told(seen_by_admin), row(system, tenant, user, false));
            }
        }
    }
    // System: nothing or allow; tenant: allow; user: allowed by one or both.
    assert_eq!((states, allowed), (320, 6));
}
