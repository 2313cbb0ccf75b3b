//! Playing the log: parts that begin with a keyframe, one after the other, to the head and its stream.

use identity::Timestamp;
use tenantry_canvas::{CanvasConfig, CanvasError, Played, Seek, model::State, replay::Replay};

use crate::{
    house::House,
    replay::{edited, wait},
};

async fn play(house: &House, seek: Seek) -> Played {
    house.service.play(&house.key, seek).await.unwrap()
}

/// The state after the commits of a part.
fn performed(played: &Played) -> State {
    let mut state = played.state.clone();
    for commit in &played.commits {
        for command in &commit.commands {
            state.perform(&command.change).unwrap();
        }
        assert_eq!(state.hash(), commit.state_hash, "{}", commit.rev);
    }
    state
}

#[tokio::test]
async fn the_parts_of_a_log_follow_each_other_to_the_head() {
    let (house, hashes) = edited().await;
    let mut seek = Seek::Oldest;
    let (mut begins, mut shown) = (Vec::new(), 0);
    loop {
        let mut played = play(&house, seek).await;
        assert_eq!(played.rev, shown);
        assert_eq!(
            played.state.hash().to_string(),
            hashes[usize::try_from(played.rev).unwrap()]
        );
        assert_eq!(
            played.commit.as_ref().map_or(0, |commit| commit.rev),
            played.rev
        );
        performed(&played);
        assert!(
            played
                .commits
                .iter()
                .zip(played.rev + 1..)
                .all(|(commit, rev)| commit.rev == rev)
        );
        assert!(
            played
                .commits
                .iter()
                .all(|commit| commit.restores.is_none())
        );
        begins.push(played.rev);
        shown = played.rev + played.commits.len() as u64 + 1;
        let Some(next) = played.next else {
            let view = house.service.view(&house.key).await.unwrap();
            assert_eq!((shown - 1, &played.resume_id), (view.rev, &view.resume_id));
            assert!(played.resume_id.is_some());
            break;
        };
        assert_eq!(played.resume_id, None);
        seek = Seek::Rev(next);
    }
    // Before the restore, and after as many commits as a segment has.
    assert_eq!(begins, [0, 61, 261]);
}

#[tokio::test]
async fn a_player_begins_anywhere_by_revision_and_by_time() {
    let (house, hashes) = edited().await;
    for rev in (0..hashes.len() as u64).step_by(12) {
        let mut played = play(&house, Seek::Rev(rev)).await;
        assert_eq!(
            played.state.hash().to_string(),
            hashes[usize::try_from(rev).unwrap()]
        );
        let Some(commit) = played.commit else {
            continue;
        };
        let by_time = play(&house, Seek::Time(commit.at)).await;
        assert_eq!(by_time.commit.unwrap().at, commit.at);
        assert!(by_time.rev >= rev);
        let earlier = Timestamp::from_unix_ms(commit.at.unix_ms() - 1);
        assert!(play(&house, Seek::Time(earlier)).await.rev < rev);
    }
    assert_eq!(
        play(&house, Seek::Time(Timestamp::from_unix_ms(0)))
            .await
            .rev,
        0
    );
    let beyond = house
        .service
        .play(&house.key, Seek::Rev(hashes.len() as u64))
        .await;
    assert!(matches!(beyond, Err(CanvasError::NotFound)));
    let empty = House::new().await;
    let played = play(&empty, Seek::Oldest).await;
    assert_eq!(
        (played.rev, played.commits.len(), played.next),
        (0, 0, None)
    );
}

#[tokio::test]
async fn a_part_of_the_log_is_played_as_a_segment_of_a_replay_is() {
    let (house, _) = edited().await;
    let made = house
        .service
        .replay(&house.key, tenantry_canvas::ReplayRange::default())
        .await;
    let made = made.unwrap();
    let replay = Replay::open(&made.bytes).unwrap();
    for segment in replay.segments() {
        let played = play(&house, Seek::Rev(segment.first_rev)).await;
        let frame = replay.at(segment.first_rev).unwrap();
        assert_eq!(played.commit, frame.commit);
        let count = usize::try_from(segment.last_rev - segment.first_rev).unwrap();
        let mut upto = played.clone();
        upto.commits.truncate(count);
        let mut last = replay.at(segment.last_rev).unwrap();
        assert_eq!(performed(&upto).hash(), last.state.hash());
    }
}

#[tokio::test]
async fn what_is_not_kept_is_not_played() {
    let house = House::with(CanvasConfig {
        commits_kept: 30,
        snapshot_commits: 10,
        ..CanvasConfig::default()
    })
    .await;
    for n in 0..100 {
        wait(&house, 1_000);
        let args = serde_json::json!({"node": format!("n{n}"), "type": "t"});
        house.one(&format!("b{n}"), "node.create", args).await;
    }
    let page = house.service.commits(&house.key, 0, 1).await.unwrap();
    let oldest = play(&house, Seek::Oldest).await;
    assert!(oldest.rev > 1);
    assert_eq!(oldest.rev, page.oldest_rev);
    assert_eq!(
        play(&house, Seek::Time(Timestamp::from_unix_ms(0)))
            .await
            .rev,
        oldest.rev
    );
    let gone = house
        .service
        .play(&house.key, Seek::Rev(oldest.rev - 1))
        .await;
    assert!(matches!(gone, Err(CanvasError::NotFound)));
}
