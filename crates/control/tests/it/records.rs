//! Projects, surfaces and apps, and the pages of lists.

use std::time::Duration;

use identity::Precondition;
use store::{PageCursor, PageRequest};
use tenantry_control::{ControlError, NamedKind, NamedRecords};

use crate::world::{Caller, World};

/// Walks a whole list by pages of `limit`; returns the ids and the sizes of the pages.
async fn walk<K: NamedKind>(
    world: &World,
    caller: &Caller,
    records: &NamedRecords<K>,
    limit: usize,
) -> (Vec<String>, Vec<usize>) {
    let scope = world.scope(caller).await;
    let (mut ids, mut sizes, mut after) = (Vec::new(), Vec::new(), None::<PageCursor>);
    loop {
        let request = PageRequest::new(after, Some(limit)).unwrap();
        let page = records.list(&scope, &request).await.unwrap();
        sizes.push(page.items.len());
        let next = page.next();
        ids.extend(page.items.into_iter().map(|record| record.id.to_string()));
        match next {
            Some(next) => after = Some(next.parse().unwrap()),
            None => return (ids, sizes),
        }
    }
}

#[tokio::test]
async fn pages_hold_everything_once_in_order_and_end() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let bob = world.sign_up("bob").await;
    let (scope, foreign) = (world.scope(&ada).await, world.scope(&bob).await);
    let surfaces = world.control.surfaces();
    let mut made = Vec::new();
    for n in 0..7 {
        let name = format!("Surface {n}").parse().unwrap();
        made.push(
            surfaces
                .create(&scope, name)
                .await
                .unwrap()
                .value
                .id
                .to_string(),
        );
        surfaces
            .create(&foreign, "Foreign".parse().unwrap())
            .await
            .unwrap();
    }
    made.sort();
    for (limit, expect) in [
        (1, vec![1; 7]),
        (3, vec![3, 3, 1]),
        (7, vec![7]),
        (1000, vec![7]),
    ] {
        let (ids, sizes) = walk(&world, &ada, surfaces, limit).await;
        assert_eq!((ids, sizes), (made.clone(), expect));
    }
    let (none, sizes) = walk(&world, &ada, world.control.apps(), 10).await;
    assert_eq!((none.len(), sizes), (0, vec![0]));
}

#[tokio::test]
async fn records_are_renamed_and_deleted_in_a_known_state() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&ada).await;
    let apps = world.control.apps();
    let made = apps.create(&scope, "First".parse().unwrap()).await.unwrap();
    let (id, first) = (made.value.id, Precondition::OneOf(vec![made.version.0]));
    let renamed = apps
        .rename(&scope, &id, &"Second".parse().unwrap(), &first)
        .await
        .unwrap();
    assert_eq!(renamed.value.name.as_str(), "Second");
    assert_eq!(renamed.value.created_at, made.value.created_at);
    let stale = apps
        .rename(&scope, &id, &"Third".parse().unwrap(), &first)
        .await;
    assert_eq!(stale.unwrap_err(), ControlError::Stale);
    assert_eq!(
        apps.delete(&scope, &id, &first).await,
        Err(ControlError::Stale)
    );
    let read = apps.find(&scope, &id).await.unwrap().unwrap();
    assert_eq!(read, renamed);
    apps.delete(&scope, &id, &Precondition::OneOf(vec![read.version.0]))
        .await
        .unwrap();
    assert_eq!(apps.find(&scope, &id).await.unwrap(), None);
    assert_eq!(
        apps.delete(&scope, &id, &Precondition::Any).await,
        Err(ControlError::NotFound)
    );
}

#[tokio::test]
async fn the_default_project_stays() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let scope = world.scope(&ada).await;
    let projects = world.control.projects();
    let refused = projects
        .delete(&scope, scope.project(), &Precondition::Any)
        .await;
    assert!(matches!(refused, Err(ControlError::Conflict(_))));
    let other = projects
        .create(&scope, "Other".parse().unwrap())
        .await
        .unwrap()
        .value
        .id;
    assert_eq!(
        projects.delete(&scope, &other, &Precondition::Any).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_foreign_record_is_an_unknown_one() {
    let world = World::new().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let (own, foreign) = (world.scope(&ada).await, world.scope(&bob).await);
    let apps = world.control.apps();
    let id = apps
        .create(&foreign, "Bob's".parse().unwrap())
        .await
        .unwrap()
        .value
        .id;
    assert_eq!(apps.find(&own, &id).await.unwrap(), None);
    let name = "Ada's".parse().unwrap();
    let renamed = apps.rename(&own, &id, &name, &Precondition::Any).await;
    assert_eq!(renamed.unwrap_err(), ControlError::NotFound);
    let read = apps.find(&foreign, &id).await.unwrap().unwrap();
    assert_eq!(read.value.name.as_str(), "Bob's");
}

#[tokio::test]
async fn a_tenant_grows_only_so_fast() {
    let world = World::new().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let scope = world.scope(&ada).await;
    let apps = world.control.apps();
    let make = async || apps.create(&scope, "App".parse().unwrap()).await.map(drop);
    for n in 0..1000 {
        assert_eq!(make().await, Ok(()), "{n}");
    }
    let refused = make().await.unwrap_err();
    let ControlError::Throttled(rate, wait) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (rate.name, wait),
        ("control-creates", Duration::from_millis(100))
    );
    let other = world.scope(&bob).await;
    assert!(apps.create(&other, "App".parse().unwrap()).await.is_ok());
    world.clock.advance(wait);
    assert_eq!(make().await, Ok(()));
}
