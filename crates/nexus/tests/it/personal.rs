//! Memory and maybes: nobody else finds them; memory ends, and each session has its limits.

use std::time::Duration;

use identity::{Env, Precondition, Role, Scope, Timestamp};
use serde_json::{Value, json};
use store::PageRequest;
use tenantry_nexus::{Body, Maybe, Memory, Model, NexusError, Record};

use crate::house::{House, body_of, pointer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn memory(session: &str) -> Value {
    json!({"session_id": session, "text": "likes tea", "tags": ["taste"]})
}

async fn is_unknown_to<M: Model>(house: &House, stranger: &Scope, record: &Record<M>) {
    let (id, any) = (&record.id, Precondition::Any);
    assert_eq!(house.find(stranger, id).await, None);
    assert_eq!(house.all::<M>(stranger).await, vec![]);
    let body = record.value.body();
    let replaced = house.replace(stranger, id, body, any.clone()).await;
    assert!(matches!(replaced, Err(NexusError::NotFound)));
    let patched = house.patch(stranger, id, json!({}), any.clone()).await;
    assert!(matches!(patched, Err(NexusError::NotFound)));
    let deleted = house.delete(stranger, id, any).await;
    assert!(matches!(deleted, Err(NexusError::NotFound)));
    let restored = house.restore(stranger, id).await;
    assert!(matches!(restored, Err(NexusError::NotFound)));
}

#[tokio::test]
async fn what_is_personal_is_found_by_its_user_alone_whatever_the_role_of_others() {
    let house = House::new();
    let ada = house.member("t_a", "u_ada").await;
    let note = json!({"text": "secret"});
    let note = house.make::<Maybe>(&ada, note).await.unwrap();
    let kept = house.make::<Memory>(&ada, memory("s1")).await.unwrap();
    let world = &house.world;
    let strangers = [
        house.scope("t_a", Env::Dev).await,
        world.scope_as("t_a", Env::Dev, "u_ad", Role::Admin).await,
        house.member("t_a", "u_ada2").await,
        // The same person in another tenant, and in another environment.
        house.member("t_b", "u_ada").await,
        world
            .scope_as("t_a", Env::Prod, "u_ada", Role::Member)
            .await,
    ];
    for stranger in &strangers {
        is_unknown_to(&house, stranger, &note).await;
        is_unknown_to(&house, stranger, &kept).await;
    }
    house
        .delete(&ada, &note.id, Precondition::Any)
        .await
        .unwrap();
    for stranger in &strangers {
        let restored = house.restore(stranger, &note.id).await;
        assert!(matches!(restored, Err(NexusError::NotFound)));
    }
    let restored = house.restore(&ada, &note.id).await.unwrap();
    assert_eq!(house.all(&ada).await, vec![restored]);
    assert_eq!(house.find(&ada, &kept.id).await, Some(kept));
}

#[tokio::test]
async fn an_idempotency_key_finds_no_record_of_another_user() {
    let house = House::new();
    let (ada, bob) = (
        house.member("t_a", "u_ada").await,
        house.member("t_a", "u_bob").await,
    );
    let body = || body_of::<Memory>(memory("s1"));
    let own = house
        .create::<Memory>(&ada, body(), Some("k"))
        .await
        .unwrap();
    let again = house
        .create::<Memory>(&ada, body(), Some("k"))
        .await
        .unwrap();
    assert!(again.duplicate && again.record == own.record);
    let other = house
        .create::<Memory>(&bob, body(), Some("k"))
        .await
        .unwrap();
    assert!(!other.duplicate && other.record.id != own.record.id);
}

#[tokio::test]
async fn memory_ends_when_it_says() {
    let house = House::new();
    let (ada, clock) = (house.member("t_a", "u_ada").await, &house.world.clock);
    let now: Timestamp = identity::Clock::now(&**clock);
    let until = |end: Timestamp| {
        let mut body = memory("s1");
        body["expires_at"] = json!(end);
        body
    };
    let unsaid = house.make::<Memory>(&ada, memory("s1")).await.unwrap();
    assert_eq!(unsaid.value.expires_at, now.plus(30 * DAY));
    for wrong in [now, Timestamp::from_unix_ms(0), now.plus(367 * DAY)] {
        let refused = house.make::<Memory>(&ada, until(wrong)).await;
        assert_eq!(pointer(refused), "/expires_at");
    }
    let hour = Duration::from_secs(3600);
    clock.advance(Duration::from_millis(1));
    let short = house
        .make::<Memory>(&ada, until(now.plus(hour)))
        .await
        .unwrap();
    let deleted = house
        .make::<Memory>(&ada, until(now.plus(hour)))
        .await
        .unwrap();
    house
        .delete(&ada, &deleted.id, Precondition::Any)
        .await
        .unwrap();
    let longer = house
        .make::<Memory>(&ada, until(now.plus(hour)))
        .await
        .unwrap();
    let longer = house
        .put(&ada, &longer.id, until(now.plus(2 * hour)))
        .await
        .unwrap();

    clock.advance(hour);
    // What had an end an hour after `now` is gone; the other two are left.
    assert_eq!(house.find(&ada, &short.id).await, None);
    let changed = house.put(&ada, &short.id, memory("s1")).await;
    assert!(matches!(changed, Err(NexusError::NotFound)), "{changed:?}");
    let restored = house.restore(&ada, &deleted.id).await;
    assert!(
        matches!(restored, Err(NexusError::NotFound)),
        "{restored:?}"
    );
    assert_eq!(house.all(&ada).await, vec![unsaid.clone(), longer.clone()]);
    let records = house.nexus.records::<Memory>();
    let page = records
        .list_group(&ada, "s1", &PageRequest::default())
        .await;
    assert_eq!(page.unwrap().items, vec![unsaid, longer]);
}

#[tokio::test]
async fn a_session_is_listed_by_itself() {
    let house = House::new();
    let (ada, bob) = (
        house.member("t_a", "u_ada").await,
        house.member("t_a", "u_bob").await,
    );
    for n in 0..7 {
        house
            .make::<Memory>(&ada, memory(&format!("s{}", n % 2)))
            .await
            .unwrap();
    }
    house.make::<Memory>(&ada, memory("s00")).await.unwrap();
    house.make::<Memory>(&bob, memory("s0")).await.unwrap();
    let records = house.nexus.records::<Memory>();
    let (mut seen, mut next) = (Vec::new(), PageRequest::parse(None, Some(3)).ok());
    while let Some(request) = next {
        let page = records.list_group(&ada, "s0", &request).await.unwrap();
        assert!(page.items.len() <= 3);
        next = request.following(&page);
        seen.extend(page.items);
    }
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|found| found.value.session_id == "s0"));
    assert!(
        seen.iter()
            .all(|found| found.created_by.as_str() == "u_ada")
    );
}

#[tokio::test]
async fn a_session_has_room_for_200_memories_of_512_kib() {
    let house = House::new();
    let (ada, clock) = (house.member("t_a", "u_ada").await, &house.world.clock);
    let mut made = Vec::new();
    for _ in 0..200 {
        made.push(house.make::<Memory>(&ada, memory("full")).await.unwrap());
    }
    let full = house.make::<Memory>(&ada, memory("full")).await;
    assert!(matches!(full, Err(NexusError::Full(_))), "{full:?}");
    house.make::<Memory>(&ada, memory("other")).await.unwrap();
    let bob = house.member("t_a", "u_bob").await;
    house.make::<Memory>(&bob, memory("full")).await.unwrap();
    // What is there can be changed; what goes makes room, and comes back only if there is some.
    let (first, second) = (&made[0].id, &made[1].id);
    house.put(&ada, second, memory("full")).await.unwrap();
    house.delete(&ada, first, Precondition::Any).await.unwrap();
    house.make::<Memory>(&ada, memory("full")).await.unwrap();
    let back = house.restore(&ada, first).await;
    assert!(matches!(back, Err(NexusError::Full(_))), "{back:?}");
    clock.advance(31 * DAY);
    house.make::<Memory>(&ada, memory("full")).await.unwrap();

    let large = |bytes: usize| json!({"session_id": "large", "text": "x".repeat(bytes)});
    let mut last = None;
    for _ in 0..31 {
        last = Some(house.make::<Memory>(&ada, large(16 * 1024)).await.unwrap());
    }
    let small = house.make::<Memory>(&ada, large(1)).await.unwrap();
    let grown = house.put(&ada, &small.id, large(16 * 1024)).await;
    assert!(matches!(grown, Err(NexusError::Full(_))), "{grown:?}");
    house
        .delete(&ada, &last.unwrap().id, Precondition::Any)
        .await
        .unwrap();
    house.put(&ada, &small.id, large(16 * 1024)).await.unwrap();
}

#[tokio::test]
async fn racing_writers_of_a_session_keep_its_limit() {
    let house = House::new();
    let ada = house.member("t_a", "u_ada").await;
    let writers = (0..230).map(|_| house.make::<Memory>(&ada, memory("busy")));
    let made = futures_util::future::join_all(writers).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 200);
    assert_eq!(house.all::<Memory>(&ada).await.len(), 200);
}

#[test]
fn what_is_remembered_has_limits() {
    for (body, pointer) in [
        (json!({"session_id": "a/b", "text": "t"}), "/session_id"),
        (json!({"session_id": "", "text": "t"}), "/session_id"),
        (
            json!({"session_id": "x".repeat(129), "text": "t"}),
            "/session_id",
        ),
        (json!({"session_id": "s", "text": ""}), "/text"),
        (json!({"session_id": "s", "text": "\u{0}"}), "/text"),
        (
            json!({"session_id": "s", "text": "x".repeat(16 * 1024 + 1)}),
            "/text",
        ),
        (
            json!({"session_id": "s", "text": "t", "tags": [" a"]}),
            "/tags/0",
        ),
    ] {
        let refused = body_of::<Memory>(body).check().unwrap_err();
        assert_eq!(refused.pointer, pointer);
    }
    for (body, pointer) in [
        (json!({"text": "\u{7}"}), "/text"),
        (json!({}), "/text"),
        (json!({"pinned": true, "text": ""}), "/text"),
        (json!({"text": "t", "title": ""}), "/title"),
        (json!({"text": "x".repeat(64 * 1024 + 1)}), "/text"),
    ] {
        let refused = body_of::<Maybe>(body).check().unwrap_err();
        assert_eq!(refused.pointer, pointer);
    }
    assert_eq!(body_of::<Maybe>(json!({"title": "t"})).check(), Ok(()));
}

#[tokio::test]
async fn a_memory_stays_in_its_session() {
    let house = House::new();
    let ada = house.member("t_a", "u_ada").await;
    let made = house.make::<Memory>(&ada, memory("s1")).await.unwrap();
    assert_eq!(
        pointer(house.put(&ada, &made.id, memory("s2")).await),
        "/session_id"
    );
    let patch = json!({"text": "likes coffee"});
    let patched = house
        .patch(&ada, &made.id, patch, Precondition::Any)
        .await
        .unwrap();
    assert_eq!(patched.value.expires_at, made.value.expires_at);
    assert_eq!(patched.value.text, "likes coffee");
}
