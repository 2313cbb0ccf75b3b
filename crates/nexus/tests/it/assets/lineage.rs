//! What was made from what.

use identity::{AssetId, Env};
use store::PageRequest;
use tenantry_nexus::assets::{ANCESTORS_MAX, Filter, Parent, Upload};

use super::house::{BYTES, Film, House, Raw, made_from, pointer, upload};

#[tokio::test]
async fn a_parent_is_registered_and_of_the_same_place() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let parent = house.stored::<Film>(&scope, upload()).await.id;
    let raw = house.stored::<Raw>(&scope, upload()).await.id;
    for known in [&parent, &raw] {
        let child = house.stored::<Film>(&scope, made_from(known)).await;
        assert_eq!(child.ancestors, vec![known.clone()]);
    }
    let pending = house.presign::<Film>(&scope, upload()).await.unwrap();
    assert_eq!(house.send(&pending, BYTES), 204);
    let elsewhere = house.scope("t_b", Env::Dev).await;
    let prod = house.scope("t_a", Env::Prod).await;
    let foreign = house.stored::<Film>(&elsewhere, upload()).await.id;
    let deployed = house.stored::<Film>(&prod, upload()).await.id;
    let nowhere: AssetId = "as_nowhere".parse().unwrap();
    for unknown in [pending.id, foreign, deployed, nowhere] {
        let refused = house.presign::<Film>(&scope, made_from(&unknown)).await;
        assert_eq!(pointer(refused), "/parent_asset_id");
    }
}

#[tokio::test]
async fn a_parent_that_is_deleted_meanwhile_is_no_parent() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let parent = house.stored::<Film>(&scope, upload()).await.id;
    let child = house
        .presign::<Film>(&scope, made_from(&parent))
        .await
        .unwrap();
    assert_eq!(house.send(&child, BYTES), 204);
    house.delete::<Film>(&scope, &parent).await.unwrap();
    let refused = house.register::<Film>(&scope, &child.id).await;
    assert_eq!(pointer(refused), "/parent_asset_id");
    assert_eq!(
        house.assets.find::<Film>(&scope, &child.id).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_line_is_told_and_has_an_end() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let mut line = vec![house.stored::<Film>(&scope, upload()).await];
    for _ in 0..ANCESTORS_MAX {
        let parent = line.last().unwrap().id.clone();
        line.push(house.stored::<Film>(&scope, made_from(&parent)).await);
    }
    let last = line.last().unwrap().clone();
    let refused = house.presign::<Film>(&scope, made_from(&last.id)).await;
    assert_eq!(pointer(refused), "/parent_asset_id");

    house.delete::<Film>(&scope, &line[5].id).await.unwrap();
    let told = house.assets.lineage(&scope, last).await.unwrap();
    assert_eq!(told.ancestors.len(), ANCESTORS_MAX);
    for ((id, found), asset) in told.ancestors.iter().zip(line.iter().rev().skip(1)) {
        assert_eq!(id, &asset.id);
        let deleted = *id == line[5].id;
        assert_eq!(found.as_ref(), (!deleted).then_some(asset));
    }
}

#[tokio::test]
async fn media_is_listed_by_what_it_was_made_from_and_by_kind() {
    let house = House::new();
    let scope = house.scope("t_a", Env::Dev).await;
    let of = |kind: &str, parent: Option<&AssetId>| Upload {
        kind: Some(kind.parse().unwrap()),
        parent: parent.cloned(),
        ..upload()
    };
    let film = house.stored::<Film>(&scope, of("film", None)).await.id;
    let other = house.stored::<Film>(&scope, upload()).await;
    assert_eq!(other.facts.kind.as_str(), "text");
    let mut proxies = Vec::new();
    for _ in 0..3 {
        let proxy = house.stored::<Film>(&scope, of("proxy", Some(&film))).await;
        proxies.push(proxy.id);
    }
    let poster = house
        .stored::<Film>(&scope, of("poster", Some(&film)))
        .await
        .id;
    let proxy = house
        .stored::<Film>(&scope, of("proxy", Some(&other.id)))
        .await
        .id;
    proxies.sort();
    let filter = |parent: Option<&AssetId>, kind: Option<&str>| Filter {
        parent: parent.cloned().map(Parent::Asset),
        kind: kind.map(|kind| kind.parse().unwrap()),
    };
    let listed = async |filter: Filter| house.listed::<Film>(&scope, &filter).await;
    let mut of_film = vec![poster];
    of_film.extend(proxies.clone());
    assert_eq!(listed(filter(Some(&film), None)).await, of_film);
    assert_eq!(listed(filter(Some(&film), Some("proxy"))).await, proxies);
    assert_eq!(
        listed(filter(Some(&other.id), None)).await,
        vec![proxy.clone()]
    );
    assert_eq!(listed(filter(Some(&proxy), None)).await, vec![]);
    assert_eq!(listed(filter(None, Some("proxy"))).await.len(), 4);
    assert_eq!(listed(filter(None, None)).await.len(), 7);
    let page = PageRequest::default();
    let artifacts = house.assets.artifacts(&scope, None, &page).await.unwrap();
    assert_eq!(artifacts.items.len(), 5);
    let parent = Parent::Asset(film.clone());
    let artifacts = house.assets.artifacts(&scope, Some(&parent), &page).await;
    assert_eq!(artifacts.unwrap().items.len(), 4);

    for id in &proxies {
        house.delete::<Film>(&scope, id).await.unwrap();
    }
    assert_eq!(listed(filter(Some(&film), Some("proxy"))).await, vec![]);
    assert_eq!(listed(filter(None, Some("proxy"))).await, vec![proxy]);
    assert_eq!(listed(filter(None, None)).await.len(), 4);
}
