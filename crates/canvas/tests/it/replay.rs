//! Replays: the same again, sought anywhere, checked by strangers.

use std::time::Duration;

use identity::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tenantry_canvas::{
    CanvasConfig, CanvasError, MadeReplay, Mode, ReplayRange, Restore,
    replay::{InvalidReplay, Replay, SEGMENT_REVISIONS_MAX, record},
};

use crate::house::{House, batch, identity};

const ALL: ReplayRange = ReplayRange {
    from_rev: None,
    to_rev: None,
};

fn range(from: u64, to: u64) -> ReplayRange {
    ReplayRange {
        from_rev: Some(from),
        to_rev: Some(to),
    }
}

async fn replay(house: &House, range: ReplayRange) -> MadeReplay {
    house.service.replay(&house.key, range).await.unwrap()
}

pub(crate) fn wait(house: &House, ms: u64) {
    house.ground.world.clock.advance(Duration::from_millis(ms));
}

/// A log with every kind of command, a restore, slow parts and quick ones; the hashes of its states.
pub(crate) async fn edited() -> (House, Vec<String>) {
    let house = House::with(CanvasConfig {
        snapshot_commits: 30,
        ..CanvasConfig::default()
    })
    .await;
    let mut hashes = vec![house.service.view(&house.key).await.unwrap().state_hash];
    for n in 0..60_u64 {
        wait(&house, if n % 20 == 0 { 12_000 } else { 100 });
        let node = format!("n{n}");
        let (kind, args) = match n % 6 {
            0..3 => (
                "node.create",
                json!({"node": node, "type": "t", "props": {"n": n}}),
            ),
            3 => (
                "node.update",
                json!({"node": format!("n{}", n - 1), "set": {"text": "é".repeat(9)}}),
            ),
            4 => (
                "node.move",
                json!({"node": format!("n{}", n - 2), "parent": format!("n{}", n - 3)}),
            ),
            _ => ("node.delete", json!({"node": format!("n{}", n - 5)})),
        };
        hashes.push(house.one(&format!("b{n}"), kind, args).await.state_hash);
    }
    let restore = Restore {
        identity: identity("back"),
        rev: 17,
    };
    let restored = house.service.restore(&house.scope, &house.key, &restore);
    hashes.push(restored.await.unwrap().state_hash);
    for n in 0..250 {
        let args = json!({"node": "n2", "set": {"n": n}});
        hashes.push(
            house
                .one(&format!("q{n}"), "node.update", args)
                .await
                .state_hash,
        );
    }
    (house, hashes.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_replay_made_again_elsewhere_is_the_same_to_the_byte() {
    let (house, hashes) = edited().await;
    let first = replay(&house, ALL).await;
    let elsewhere = house.ground.start();
    wait(&house, 86_400_000);
    let again = elsewhere.replay(&house.key, ALL).await.unwrap();
    assert_eq!(first, again);
    let head = hashes.len() as u64 - 1;
    let named = elsewhere.replay(&house.key, range(0, head)).await.unwrap();
    assert_eq!(first.bytes, named.bytes);
    house
        .one("more", "node.delete", json!({"node": "n2"}))
        .await;
    let later = replay(&house, range(0, head)).await;
    assert_eq!(first.bytes, later.bytes);
}

#[tokio::test]
async fn every_revision_is_one_keyframe_and_fewer_than_200_commits_away() {
    let (house, hashes) = edited().await;
    let made = replay(&house, ALL).await;
    let replay = Replay::open(&made.bytes).unwrap();
    assert_eq!(replay.manifest_hash(), made.manifest_hash);
    assert_eq!(replay.header(), &made.header);
    for (rev, hash) in hashes.iter().enumerate() {
        let mut frame = replay.at(rev as u64).unwrap();
        assert_eq!(&frame.state.hash().to_string(), hash, "revision {rev}");
        let kept = house.service.view_at(&house.key, rev as u64).await.unwrap();
        assert_eq!(frame.state.hash(), kept.state_hash);
        let by_time = frame
            .commit
            .as_ref()
            .map(|commit| replay.at_time(commit.at).unwrap());
        assert!(by_time.is_none_or(|found| found.rev >= rev as u64));
    }
    let beyond = replay.at(hashes.len() as u64);
    assert_eq!(
        beyond.unwrap_err(),
        InvalidReplay::NotCovered(hashes.len() as u64)
    );
    let last = replay.verify().unwrap();
    let commits = house
        .service
        .commits(&house.key, last.rev - 1, 1)
        .await
        .unwrap();
    assert_eq!(last.commit.as_ref(), commits.items.first());
    let before = replay.at_time(Timestamp::from_unix_ms(0)).unwrap();
    assert_eq!(before.rev, 0);
    let first_revs: Vec<u64> = replay.segments().iter().map(|one| one.first_rev).collect();
    // By time, by the restore, and by number.
    assert_eq!(first_revs, [0, 21, 41, 61, 261]);
    assert!(
        replay
            .segments()
            .iter()
            .all(|one| one.last_rev - one.first_rev < SEGMENT_REVISIONS_MAX)
    );
}

#[tokio::test]
async fn a_part_of_the_log_begins_with_its_own_keyframe() {
    let (house, hashes) = edited().await;
    let made = replay(&house, range(50, 70)).await;
    let replay = Replay::open(&made.bytes).unwrap();
    assert_eq!(
        (made.header.from_rev, made.header.to_rev, made.header.epoch),
        (50, 70, 2)
    );
    for rev in 50..=70 {
        let mut frame = replay.at(rev).unwrap();
        assert_eq!(
            frame.state.hash().to_string(),
            hashes[usize::try_from(rev).unwrap()]
        );
    }
    assert_eq!(replay.verify().unwrap().rev, 70);
    assert_eq!(replay.at(49).unwrap_err(), InvalidReplay::NotCovered(49));
    let whole = house
        .service
        .replay(&house.key, range(17, 17))
        .await
        .unwrap();
    assert_eq!(
        Replay::open(&whole.bytes).unwrap().verify().unwrap().rev,
        17
    );
    for (from, to) in [(0, 9999), (9999, 9999), (70, 50)] {
        let refused = house.service.replay(&house.key, range(from, to)).await;
        assert!(matches!(refused, Err(CanvasError::NotFound)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_canvas_without_commits_has_a_replay_too() {
    let house = House::new().await;
    let made = replay(&house, ALL).await;
    let last = Replay::open(&made.bytes).unwrap().verify().unwrap();
    assert_eq!(
        (last.rev, last.state.is_empty(), last.commit),
        (0, true, None)
    );
}

async fn small() -> Vec<u8> {
    let house = House::new().await;
    for n in 1..5 {
        let args = json!({"node": format!("n{n}"), "type": "t", "props": {"n": n}});
        house.one(&format!("b{n}"), "node.create", args).await;
        wait(&house, 4_000);
    }
    replay(&house, ALL).await.bytes
}

fn check(bytes: &[u8]) -> Result<u64, InvalidReplay> {
    Ok(Replay::open(bytes)?.verify()?.rev)
}

#[tokio::test]
async fn damage_at_any_byte_is_noticed() {
    let good = small().await;
    assert_eq!(check(&good), Ok(4));
    assert!(Replay::open(&good).unwrap().segments().len() > 1);
    for at in 0..good.len() {
        for flip in [1, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            assert!(check(&bad).is_err(), "byte {at} of {}", good.len());
        }
        assert!(check(&good[..at]).is_err(), "cut at {at}");
        assert!(
            check(&good[at + 1..]).is_err(),
            "without the first {}",
            at + 1
        );
        let mut longer = good.clone();
        longer.insert(at, 0);
        assert!(check(&longer).is_err(), "a byte more at {at}");
    }
}

#[tokio::test]
async fn a_flipped_byte_is_named_by_the_revisions_that_it_belongs_to() {
    let good = small().await;
    let segments = Replay::open(&good).unwrap().segments().to_vec();
    for segment in &segments {
        for at in [0, segment.bytes / 2, segment.bytes - 1] {
            let mut bad = good.clone();
            bad[segment.offset + at] ^= 1;
            let Err(InvalidReplay::Segment {
                first_rev,
                last_rev,
                ..
            }) = check(&bad)
            else {
                panic!("byte {at}");
            };
            assert_eq!((first_rev, last_rev), (segment.first_rev, segment.last_rev));
        }
    }
}

/// The format as `docs/canvas.md` has it, apart from the code under test.
struct File {
    head: Vec<u8>,
    segments: Vec<(Value, String)>,
}

fn hash(what: u8, bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([what]);
    hash.update(bytes);
    hash.finalize().into()
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl File {
    fn read(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let trailer = bytes.len() - 44;
        let footer = &bytes[trailer - number(trailer)..trailer];
        assert_eq!(bytes[trailer + 4..trailer + 36], hash(5, footer));
        let footer: Value = serde_json::from_slice(footer).unwrap();
        let entries = footer["segments"].as_array().unwrap().iter();
        let segments = entries.map(|entry| {
            let size = |name: &str| usize::try_from(entry[name].as_u64().unwrap()).unwrap();
            let packed = &bytes[size("offset")..size("offset") + size("bytes")];
            let raw = zstd::bulk::decompress(packed, size("raw_bytes")).unwrap();
            (entry.clone(), String::from_utf8(raw).unwrap())
        });
        Self {
            head: bytes[..12 + number(8)].to_vec(),
            segments: segments.collect(),
        }
    }

    /// A file whose hashes are all right, whatever it says.
    fn sealed(mut self) -> Vec<u8> {
        let mut out = self.head.clone();
        for (entry, raw) in &mut self.segments {
            let packed = zstd::bulk::compress(raw.as_bytes(), 1).unwrap();
            entry["offset"] = json!(out.len());
            entry["bytes"] = json!(packed.len());
            entry["hash"] = json!(hex(hash(4, &packed)));
            out.extend(packed);
        }
        let entries: Vec<&Value> = self.segments.iter().map(|(entry, _)| entry).collect();
        let footer = json!({"head": hex(hash(4, &self.head)), "segments": entries}).to_string();
        out.extend(footer.bytes());
        out.extend(u32::try_from(footer.len()).unwrap().to_be_bytes());
        out.extend(hash(5, footer.as_bytes()));
        out.extend(b"TNTYRPLE");
        out
    }

    /// Changes the lines of the first segment, and says how long they are now.
    fn first_lines(mut self, change: impl FnOnce(&mut Vec<String>)) -> Vec<u8> {
        let (entry, raw) = &mut self.segments[0];
        let mut lines: Vec<String> = raw.lines().map(str::to_owned).collect();
        change(&mut lines);
        *raw = lines.iter().map(|line| format!("{line}\n")).collect();
        entry["raw_bytes"] = json!(raw.len());
        self.sealed()
    }
}

#[tokio::test]
async fn forged_commits_are_named_though_all_hashes_of_the_file_are_right() {
    let good = small().await;
    assert_eq!(check(&File::read(&good).sealed()), Ok(4));
    let rev_of = |forged: &[u8]| match check(forged) {
        Err(InvalidReplay::Wrong { rev, .. }) => rev,
        other => panic!("{other:?}"),
    };
    let flipped = File::read(&good).first_lines(|lines| {
        lines[2] = lines[2].replace("\"n\":2", "\"n\":9");
    });
    assert_eq!(rev_of(&flipped), 2);
    // The state is right, and the maker is not.
    let disowned = File::read(&good).first_lines(|lines| {
        lines[1] = lines[1].replace("u_1", "u_9");
    });
    assert_eq!(rev_of(&disowned), 1);
    let reordered = File::read(&good).first_lines(|lines| lines[1..].swap(0, 1));
    assert_eq!(rev_of(&reordered), 2);
    let dropped = File::read(&good).first_lines(|lines| drop(lines.remove(1)));
    assert_eq!(rev_of(&dropped), 2);
    let keyframe = File::read(&good).first_lines(|lines| {
        lines[0] = lines[0].replace("\"nodes\":[]", "\"nodes\":[{\"id\":\"x\",\"order\":\"V\",\"parent\":null,\"props\":{},\"type\":\"t\"}]");
    });
    assert_eq!(rev_of(&keyframe), 0);
}

#[tokio::test]
async fn a_file_does_not_unpack_to_more_than_it_says_or_may() {
    let good = small().await;
    let bomb = "x".repeat(64 * 1024 * 1024);
    for says in [100, 16 * 1024 * 1024, bomb.len()] {
        let mut file = File::read(&good);
        file.segments[0].0["raw_bytes"] = json!(says);
        file.segments[0].1.clone_from(&bomb);
        assert!(matches!(
            check(&file.sealed()),
            Err(InvalidReplay::Damaged(_) | InvalidReplay::Segment { .. })
        ));
    }
    let mut gap = File::read(&good);
    gap.segments.remove(0);
    assert!(matches!(
        check(&gap.sealed()),
        Err(InvalidReplay::Damaged(_))
    ));
}

#[tokio::test]
async fn a_replay_that_would_be_too_large_says_what_would_not_be() {
    let house = House::new().await;
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{seed:016x}")
    };
    let nodes = 0..7;
    let made: Vec<_> = nodes
        .clone()
        .map(|n| ("node.create", json!({"node": format!("n{n}"), "type": "t"})))
        .collect();
    house
        .send(&batch("made", 0, Mode::Strict, &made))
        .await
        .unwrap();
    for rev in 1..100 {
        let update = |n| {
            let text: String = (0..3_800).map(|_| noise()).collect();
            let args = json!({"node": format!("n{n}"), "set": {"text": text}});
            ("node.update", args)
        };
        let updates: Vec<_> = nodes.clone().map(update).collect();
        let updates = batch(&format!("b{rev}"), rev, Mode::Strict, &updates);
        house.send(&updates).await.unwrap();
        wait(&house, 10_000);
    }
    let refused = house.service.replay(&house.key, ALL).await;
    let Err(CanvasError::ReplayTooLarge { fits_to: Some(to) }) = refused else {
        panic!("{refused:?}");
    };
    assert!((30..100).contains(&to), "{to}");
    let made = replay(&house, range(0, to)).await;
    assert_eq!(check(&made.bytes), Ok(to));
}

#[tokio::test]
async fn keyframes_of_a_canvas_that_is_seldom_changed_weigh_no_more_than_its_commits() {
    let house = House::new().await;
    let nodes: Vec<_> = (0..400)
        .map(|n| ("node.create", json!({"node": format!("n{n}"), "type": "t"})))
        .collect();
    house
        .send(&batch("made", 0, Mode::Strict, &nodes))
        .await
        .unwrap();
    for n in 0..450 {
        wait(&house, 60_000);
        let args = json!({"node": format!("n{}", n % 400), "set": {"n": n}});
        house.one(&format!("b{n}"), "node.update", args).await;
    }
    let made = replay(&house, ALL).await;
    let replay = Replay::open(&made.bytes).unwrap();
    let lines = File::read(&made.bytes).segments;
    let (mut keyframes, mut commits) = (0, 0);
    // The last one may be where the replay ends, the first is empty.
    for (_, raw) in &lines[1..lines.len() - 1] {
        let keyframe = raw.lines().next().unwrap().len();
        keyframes += keyframe;
        commits += raw.len() - keyframe;
    }
    assert!(keyframes <= commits, "{keyframes} of {commits}");
    for segment in replay.segments() {
        assert!(segment.last_rev - segment.first_rev < SEGMENT_REVISIONS_MAX);
    }
    for rev in [0, 1, 200, 333, 451] {
        let frame = replay.at(rev).unwrap();
        let at = frame
            .commit
            .map_or(Timestamp::from_unix_ms(0), |commit| commit.at);
        assert_eq!(replay.at_time(at).unwrap().rev, rev);
    }
    assert_eq!(replay.verify().unwrap().rev, 451);
}

#[tokio::test]
async fn whoever_has_the_commits_makes_the_same_replay() {
    let (house, _) = edited().await;
    let made = replay(&house, ALL).await;
    let page = house.service.commits(&house.key, 0, 1000).await.unwrap();
    let canvas = || house.key.canvas().clone();
    assert!(page.items.iter().any(|commit| commit.restores.is_some()));
    assert_eq!(record(canvas(), &page.items).unwrap(), made.bytes);
    assert!(record(canvas(), &page.items[1..]).is_err());
    let mut bent = page.items.clone();
    bent[60].restores = Some(18);
    assert!(record(canvas(), &bent).is_err());
    assert_eq!(check(&record(canvas(), &[]).unwrap()), Ok(0));
}
