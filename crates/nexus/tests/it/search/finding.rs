//! What is found, in which order, and how it is shown.

use identity::{Env, Precondition};
use tenantry_nexus::search::{Asking, Hit};

use super::library::Library;
use crate::house::card;

#[tokio::test]
async fn a_word_weighs_more_in_a_title_than_in_a_tag_and_more_there_than_in_a_body() {
    for library in Library::both() {
        let scope = library.house.scope("t_a", Env::Dev).await;
        for (title, body, tags) in [
            ("Plain", "an apple a day", &[][..]),
            ("Tagged", "something", &["apple"]),
            ("Apple", "something", &[]),
            ("Other", "pears and plums", &["fruit"]),
        ] {
            library.make(&scope, title, body, tags).await;
        }
        let found = library.titles(&scope, "apple").await;
        assert_eq!(found, ["Apple", "Tagged", "Plain"]);
        library.close().await;
    }
}

#[tokio::test]
async fn rarer_words_and_shorter_texts_weigh_more() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    let long = format!("tundra {}", "and so on ".repeat(100));
    for (title, body) in [
        ("Long", &*long),
        ("Short", "the tundra"),
        ("Twice", "tundra, tundra"),
    ] {
        library.make(&scope, title, body, &[]).await;
    }
    assert_eq!(
        library.titles(&scope, "tundra").await,
        ["Twice", "Short", "Long"]
    );
}

#[tokio::test]
async fn every_word_counts_and_the_last_may_be_a_beginning() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    for title in [
        "Red apple",
        "Red pear",
        "Green apple pie",
        "Crème brûlée",
        "東京タワー",
    ] {
        library.house.made(&scope, title).await;
    }
    for (query, expected) in [
        ("apple", &["Green apple pie", "Red apple"][..]),
        ("APP", &["Green apple pie", "Red apple"]),
        ("app ", &[]),
        ("app pie", &[]),
        ("red app", &["Red apple"]),
        ("apple red", &["Red apple"]),
        ("\"apple pie\"", &["Green apple pie"]),
        ("\"pie apple\"", &[]),
        ("green-app", &["Green apple pie"]),
        ("creme BRÛ", &["Crème brûlée"]),
        ("京タ", &["東京タワー"]),
        ("京東", &[]),
        ("apple OR pear", &[]),
        ("title:apple", &[]),
        ("*", &[]),
    ] {
        let mut found = match query {
            "*" => vec![],
            query => library.titles(&scope, query).await,
        };
        found.sort();
        assert_eq!(found, expected, "{query:?}");
    }
}

#[tokio::test]
async fn a_beginning_of_many_words_finds_them_all() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    for n in 0..150 {
        library.house.made(&scope, &format!("word{n:03}x")).await;
    }
    let asking = |after| Asking {
        text: "wor",
        limit: Some(100),
        after,
        ..Asking::default()
    };
    let first = library.found(&scope, &asking(None)).await;
    let rest = library.found(&scope, &asking(first.next.as_deref())).await;
    assert_eq!(
        (first.items.len(), rest.items.len(), rest.next),
        (100, 50, None)
    );
    let mut titles: Vec<_> = first
        .items
        .into_iter()
        .chain(rest.items)
        .map(|hit| hit.title)
        .collect();
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), 150, "nothing is missing, nothing comes twice");
}

#[tokio::test]
async fn kinds_and_tags_narrow_a_search() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    for (title, tags) in [
        ("One", &["red", "a b"][..]),
        ("Two", &["Red"]),
        ("Three", &["a"]),
    ] {
        library.make(&scope, title, "all", tags).await;
    }
    for (asking, expected) in [
        (
            Asking {
                text: "all",
                tag: Some("red"),
                ..Asking::default()
            },
            &["One"][..],
        ),
        (
            Asking {
                text: "",
                tag: Some("a b"),
                ..Asking::default()
            },
            &["One"],
        ),
        (
            Asking {
                text: "",
                tag: Some("a"),
                ..Asking::default()
            },
            &["Three"],
        ),
        (
            Asking {
                text: "two",
                tag: Some("red"),
                ..Asking::default()
            },
            &[],
        ),
        (
            Asking {
                text: "two",
                kind: Some("cards"),
                ..Asking::default()
            },
            &["Two"],
        ),
    ] {
        let found = library.found(&scope, &asking).await;
        let found: Vec<_> = found.items.into_iter().map(|hit| hit.title).collect();
        assert_eq!(found, expected, "{asking:?}");
    }
}

async fn only(library: &Library, scope: &identity::Scope, text: &str) -> Hit {
    let asking = Asking {
        text,
        ..Asking::default()
    };
    let mut found = library.found(scope, &asking).await.items;
    assert_eq!(found.len(), 1, "{text:?}");
    found.remove(0)
}

#[tokio::test]
async fn highlights_mark_words_and_escape_everything_else() {
    let library = Library::new();
    let scope = library.house.scope("t_a", Env::Dev).await;
    let (title, body) = (
        "<img src=x onerror=alert(1)> zebra",
        "A </mark><script>alert('zebra')</script> & \"more\"",
    );
    let made = library.make(&scope, title, body, &["t"]).await;
    let hit = only(&library, &scope, "zeb").await;
    assert_eq!(hit.id, made.id.as_str());
    assert_eq!(
        (hit.kind, hit.revision, hit.tags),
        ("cards", 1, vec!["t".to_owned()])
    );
    assert_eq!(
        hit.highlights.title.as_deref(),
        Some("&lt;img src=x onerror=alert(1)&gt; <mark>zebra</mark>")
    );
    assert_eq!(
        hit.highlights.body.as_deref(),
        Some(
            "A &lt;/mark&gt;&lt;script&gt;alert(&#39;<mark>zebra</mark>&#39;)&lt;/script&gt; \
             &amp; &quot;more"
        )
    );
    let hit = only(&library, &scope, "more").await;
    assert_eq!(hit.highlights.title, None);
}

#[tokio::test]
async fn what_was_written_is_found_at_once_and_what_is_gone_is_not() {
    for library in Library::both() {
        let scope = library.house.scope("t_a", Env::Dev).await;
        assert_eq!(library.titles(&scope, "one").await, Vec::<String>::new());
        let id = library.house.made(&scope, "One").await.id;
        assert_eq!(library.titles(&scope, "one").await, ["One"]);
        let any = Precondition::Any;
        let replaced = library.house.replace(&scope, &id, card("Two"), any.clone());
        replaced.await.unwrap();
        assert_eq!(library.titles(&scope, "one").await, Vec::<String>::new());
        assert_eq!(library.titles(&scope, "two").await, ["Two"]);
        assert_eq!(only(&library, &scope, "two").await.revision, 2);
        library.house.delete(&scope, &id, any).await.unwrap();
        assert_eq!(library.titles(&scope, "two").await, Vec::<String>::new());
        let state = library.search.state(&scope).await.unwrap();
        assert_eq!(state.records, Some(0));
        library.house.restore(&scope, &id).await.unwrap();
        assert_eq!(library.titles(&scope, "two").await, ["Two"]);
        library.close().await;
    }
}
