//! Page content and SEO: a draft is edited, an edition is shown.

use std::time::Duration;

use identity::{Env, Precondition, Scope};
use serde_json::{Value, json};
use tenantry_nexus::{
    Body, Id, NexusError, PageContent, Publication, Publish, Publishable, Record, Seo,
};

use crate::house::{House, body_of, pointer};

type Page = Publication<PageContent>;

fn page(title: &str) -> Value {
    json!({"page": "/pricing", "title": title, "fields": {"hero": {"n": 1}}})
}

async fn publish<B: Publishable>(
    house: &House,
    scope: &Scope,
    id: &Id<Publication<B>>,
    precondition: Precondition,
) -> Result<Record<Publication<B>>, NexusError> {
    let id = id.clone();
    let permit = house.permit(scope, Publish { id, precondition }).await;
    house.nexus.records().publish(scope, permit).await
}

fn title_of(record: Option<Record<Page>>) -> Option<String> {
    record.map(|record| record.value.draft.title)
}

#[tokio::test]
async fn what_is_published_stays_while_the_draft_changes() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let made = house.make::<Page>(&scope, page("One")).await.unwrap();
    assert_eq!(made.clone().as_published(), None);
    let any = Precondition::Any;
    let published = publish(&house, &scope, &made.id, any.clone())
        .await
        .unwrap();
    assert_eq!(published.revision, 2);
    house.world.clock.advance(Duration::from_secs(5));
    let drafted = house.put(&scope, &made.id, page("Two")).await.unwrap();
    assert_eq!(
        (drafted.revision, drafted.value.draft.title.as_str()),
        (3, "Two")
    );
    let shown = drafted.as_published().unwrap();
    assert_eq!(
        (shown.revision, shown.updated_at),
        (2, published.updated_at)
    );
    assert_eq!(title_of(Some(shown)), Some("One".to_owned()));
    let patch = json!({"title": "Three"});
    let patched = house
        .patch(&scope, &made.id, patch, any.clone())
        .await
        .unwrap();
    assert_eq!(title_of(patched.as_published()), Some("One".to_owned()));
    let published = publish(&house, &scope, &made.id, any.clone())
        .await
        .unwrap();
    assert_eq!(title_of(published.as_published()), Some("Three".to_owned()));
    // What was published outlives a deletion that is taken back.
    house.delete(&scope, &made.id, any).await.unwrap();
    let restored = house.restore(&scope, &made.id).await.unwrap();
    assert_eq!(title_of(restored.as_published()), Some("Three".to_owned()));
}

#[tokio::test]
async fn publishing_a_revision_that_has_changed_publishes_nothing() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let made = house.make::<Page>(&scope, page("One")).await.unwrap();
    house.put(&scope, &made.id, page("Two")).await.unwrap();
    let stale = Precondition::OneOf(vec![1]);
    let refused = publish(&house, &scope, &made.id, stale).await;
    assert!(matches!(refused, Err(NexusError::Stale)), "{refused:?}");
    let other = house.scope("t_b", Env::Dev).await;
    let foreign = publish(&house, &other, &made.id, Precondition::Any).await;
    assert!(matches!(foreign, Err(NexusError::NotFound)), "{foreign:?}");
    let found = house.find(&scope, &made.id).await.unwrap();
    assert_eq!(found.as_published(), None);
}

#[tokio::test]
async fn a_permit_from_before_a_kill_switch_publishes_nothing() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let made = house.make::<Page>(&scope, page("One")).await.unwrap();
    let id = made.id.clone();
    let precondition = Precondition::Any;
    let permit = house.permit(&scope, Publish { id, precondition }).await;
    house.stop(&scope).await;
    let refused = house.nexus.records().publish(&scope, permit).await;
    assert!(matches!(refused, Err(NexusError::Denied(_))), "{refused:?}");
    assert_eq!(house.find(&scope, &made.id).await, Some(made));
}

#[tokio::test]
async fn a_page_of_a_surface_has_one_record_of_each_kind() {
    let house = House::new();
    house.world.directory.add_surface("t_a", "s_a");
    let scope = house.scope("t_a", Env::Dev).await;
    let made = house.make::<Page>(&scope, page("One")).await.unwrap();
    let seo = json!({"page": "/pricing", "title": "Pricing"});
    house.make::<Publication<Seo>>(&scope, seo).await.unwrap();
    let second = house.make::<Page>(&scope, page("Two")).await;
    assert!(matches!(second, Err(NexusError::Taken)), "{second:?}");
    let mut on_surface = page("Three");
    on_surface["surface_id"] = json!("s_a");
    let other = house
        .make::<Page>(&scope, on_surface.clone())
        .await
        .unwrap();
    let second = house.make::<Page>(&scope, on_surface).await;
    assert!(matches!(second, Err(NexusError::Taken)), "{second:?}");
    let mut foreign = page("Four");
    foreign["surface_id"] = json!("s_b");
    assert_eq!(
        pointer(house.make::<Page>(&scope, foreign).await),
        "/surface_id"
    );

    let records = house.nexus.records::<Page>();
    let surface = "s_a".parse().unwrap();
    for (surface, id) in [(None, &made.id), (Some(&surface), &other.id)] {
        let slot = Page::slot_of("/pricing", surface);
        let found = records.find_in_slot(&scope, &slot).await.unwrap();
        assert_eq!(found.map(|record| record.id).as_ref(), Some(id));
    }
    let elsewhere = house.scope("t_b", Env::Dev).await;
    let slot = Page::slot_of("/pricing", None);
    assert_eq!(records.find_in_slot(&elsewhere, &slot).await.unwrap(), None);

    for (member, value) in [("page", json!("/about")), ("surface_id", json!("s_a"))] {
        let mut moved = page("Five");
        moved[member] = value;
        let refused = house.put(&scope, &made.id, moved).await;
        assert_eq!(pointer(refused), format!("/{member}"));
    }
}

#[test]
fn pages_and_what_is_said_of_them_have_limits() {
    let check = |body: Value| body_of::<Page>(body).check();
    for good in ["/", "/pricing", "index", "/a/b-c_d.~e"] {
        assert_eq!(check(json!({"page": good, "title": "t"})), Ok(()), "{good}");
    }
    assert_eq!(
        check(json!({"page": "/"})),
        Ok(()),
        "a draft begins with less"
    );
    let spaced = check(json!({"page": "/", "title": " t"}));
    assert_eq!(spaced.unwrap_err().pointer, "/title");
    for bad in [
        "", "/a b", "/..", "../x", "/a/./b", "/%2e", "/ä", "/a?b", "/a\u{0}",
    ] {
        let refused = check(json!({"page": bad, "title": "t"})).unwrap_err();
        assert_eq!(refused.pointer, "/page", "{bad}");
    }
    let long = check(json!({"page": "/", "title": "t", "body": "x".repeat(96 * 1024 + 1)}));
    assert_eq!(long.unwrap_err().pointer, "/body");
    let large = json!({"a": "x".repeat(49 * 1024)});
    let large = check(json!({"page": "/", "title": "t", "fields": large}));
    assert_eq!(large.unwrap_err().pointer, "/fields");
}

#[test]
fn seo_has_the_fields_that_engines_read() {
    let whole = json!({
        "page": "/pricing", "title": "Pricing", "description": "What it costs",
        "canonical_url": "https://example.com/pricing",
        "robots": {"index": false, "follow": true, "archive": false, "snippet": true},
        "open_graph": {"title": "Pricing", "description": "d", "type": "website",
            "url": "https://example.com/pricing", "image": "https://example.com/i.png",
            "site_name": "Example", "locale": "en_GB"},
    });
    let seo = body_of::<Publication<Seo>>(whole.clone());
    assert_eq!(seo.check(), Ok(()));
    assert_eq!(serde_json::to_value(&seo).unwrap(), whole);
    let least = body_of::<Publication<Seo>>(json!({"page": "/"}));
    assert_eq!((least.check(), least.title.as_str()), (Ok(()), ""));
    assert!(least.robots.index && least.robots.follow);
    for (member, value, pointer) in [
        ("title", json!("x".repeat(301)), "/title"),
        ("description", json!("a\nb"), "/description"),
        ("description", json!("x".repeat(1001)), "/description"),
        (
            "canonical_url",
            json!("javascript:alert(1)"),
            "/canonical_url",
        ),
        ("canonical_url", json!("/pricing"), "/canonical_url"),
        (
            "open_graph",
            json!({"image": "data:image/png,x"}),
            "/open_graph/image",
        ),
        (
            "open_graph",
            json!({"url": "ftp://a.example"}),
            "/open_graph/url",
        ),
        ("open_graph", json!({"type": ""}), "/open_graph/type"),
    ] {
        let mut wrong = whole.clone();
        wrong[member] = value;
        let refused = body_of::<Publication<Seo>>(wrong).check().unwrap_err();
        assert_eq!(refused.pointer, pointer);
    }
}

#[tokio::test]
async fn the_largest_draft_can_be_published() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let quotes = "\"".repeat(96 * 1024);
    let fields = json!({"a": "x".repeat(48 * 1024 - 10)});
    let body = json!({"page": "/", "title": "t", "body": quotes, "fields": fields});
    let made = house.make::<Page>(&scope, body.clone()).await.unwrap();
    publish(&house, &scope, &made.id, Precondition::Any)
        .await
        .unwrap();
    house.put(&scope, &made.id, body).await.unwrap();
}
