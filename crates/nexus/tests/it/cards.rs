//! What a card may hold.

use identity::{Env, Precondition};
use serde_json::{Value, json};
use tenantry_nexus::{Body, Card, Id, NexusError};

use crate::house::{House, card};

fn parsed(value: Value) -> Card {
    serde_json::from_value(value).unwrap()
}

/// Where a card is refused.
fn refused(value: Value) -> String {
    parsed(value).check().unwrap_err().pointer
}

#[test]
fn a_whole_card_is_taken_and_comes_back_as_it_was() {
    let whole = json!({
        "title": "Überschrift 漢字", "kind": "decision", "body": "# Markdown\n\n<b>kept</b>\t",
        "tags": ["a", "b c"],
        "links": [
            {"rel": "source", "href": "https://example.com/a?b=c#d"},
            {"rel": "related", "card_id": "cd_1"},
            {"rel": "author", "href": "mailto:ada@example.com"},
        ],
    });
    let card = parsed(whole.clone());
    assert_eq!(card.check(), Ok(()));
    assert_eq!(serde_json::to_value(&card).unwrap(), whole);
    let least = parsed(json!({"title": "t"}));
    assert_eq!(least.check(), Ok(()));
}

#[test]
fn what_is_wrong_is_named() {
    let many = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>();
    let links = |href: &str| json!({"title": "t", "links": [{"rel": "r", "href": href}]});
    for (value, pointer) in [
        (json!({"title": ""}), "/title"),
        (json!({"title": " t"}), "/title"),
        (json!({"title": "a\nb"}), "/title"),
        (json!({"title": "x".repeat(301)}), "/title"),
        (
            json!({"title": "t", "body": "x".repeat(256 * 1024 + 1)}),
            "/body",
        ),
        (json!({"title": "t", "body": "a\u{0}b"}), "/body"),
        (json!({"title": "t", "tags": many(51)}), "/tags"),
        (json!({"title": "t", "tags": ["a", ""]}), "/tags/1"),
        (json!({"title": "t", "tags": ["a", "a"]}), "/tags/1"),
        (
            json!({"title": "t", "links": vec![json!({"rel": "r", "href": "https://a.example"}); 101]}),
            "/links",
        ),
        (json!({"title": "t", "links": [{"rel": "r"}]}), "/links/0"),
        (
            json!({"title": "t", "links": [{"rel": "", "href": "https://a.example"}]}),
            "/links/0/rel",
        ),
        (links("javascript:alert(1)"), "/links/0/href"),
        (links("data:text/html,x"), "/links/0/href"),
        (links("/relative"), "/links/0/href"),
        (links("JaVaScRiPt:alert(1)"), "/links/0/href"),
        (links(" https://a.example"), "/links/0/href"),
    ] {
        assert_eq!(refused(value.clone()), pointer, "{value}");
    }
    for unknown in [
        json!({"title": "t", "links": [{"rel": "r", "card_id": "cd_1", "colour": "red"}]}),
        json!({"title": "t", "kind": "poem"}),
        json!({"title": "t", "links": [{"rel": "r", "card_id": "x_1"}]}),
        json!({}),
    ] {
        assert!(serde_json::from_value::<Card>(unknown).is_err());
    }
}

#[test]
fn ids_are_of_their_kind() {
    for good in ["cd_1", "cd_A-z_9"] {
        assert_eq!(good.parse::<Id<Card>>().unwrap().as_str(), good);
    }
    let long = format!("cd_{}", "x".repeat(63));
    for bad in [
        "", "cd_", "cd", "xd_1", "cd_/", "cd_..", "cd_a b", "cd_é", &long,
    ] {
        assert!(bad.parse::<Id<Card>>().is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn a_link_names_a_card_of_the_same_tenant_and_environment() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let other = house.scope("t_b", Env::Dev).await;
    let (own, foreign) = (
        house.made(&scope, "Own").await.id,
        house.made(&other, "Foreign").await.id,
    );
    let linked = |id: &str| {
        let link = json!({"rel": "related", "card_id": id});
        parsed(json!({"title": "t", "links": [link]}))
    };
    let made = house
        .create::<Card>(&scope, linked(own.as_str()), None)
        .await;
    let id = made.unwrap().record.id;
    for unknown in [foreign.as_str(), "cd_nowhere"] {
        for answer in [
            house
                .create::<Card>(&scope, linked(unknown), None)
                .await
                .map(drop),
            house
                .replace(&scope, &id, linked(unknown), Precondition::Any)
                .await
                .map(drop),
        ] {
            let Err(NexusError::Invalid(invalid)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(invalid.pointer, "/links/0/card_id");
        }
    }
    house
        .replace(&scope, &id, card("t"), Precondition::Any)
        .await
        .unwrap();
}
