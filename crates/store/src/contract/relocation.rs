//! The laws of [`Relocation`].

use std::collections::BTreeSet;

use futures_util::{FutureExt, StreamExt};

use super::{
    Subject,
    events::{append, bounds, read_all},
    soon,
};
use crate::{
    Bounds, Cursor, Epoch, GapReason, Idempotency, ImportError, NewEvent, READ_EVENTS_MAX, Read,
    Relocation, StoreError, StreamKey, TailError,
};

/// One test per law of `Relocation`; `$subject` is an async function that opens a fresh engine.
#[macro_export]
macro_rules! relocation_contract {
    ($subject:path) => {
        $crate::contract_tests!(
            relocation,
            $subject,
            [
                law_1_every_stream_with_events_is_named,
                law_2a_a_stream_that_is_not_there_begins_where_it_is_told,
                law_2b_an_import_goes_on_from_the_head_alone,
                law_2c_an_import_over_the_limits_does_nothing,
                law_3_what_was_imported_is_as_if_appended,
                law_4_keys_are_told_and_taken,
                law_5a_a_renewed_stream_honours_no_old_cursor,
                law_5b_a_renewed_stream_ends_its_tails,
                law_6_an_erased_stream_is_new,
                law_7_other_streams_are_as_they_were,
            ]
        );
    };
}

type Port = dyn Subject<dyn Relocation>;

const ELSEWHERE: Epoch = Epoch(0x00c0_ffee);
const LATER: Epoch = Epoch(0x0bad_cafe);

fn stream(subject: &Port, object: &str) -> StreamKey {
    StreamKey::in_scope(&subject.scopes().one, "contract", object)
}

fn at(epoch: Epoch, seq: u64) -> Cursor {
    Cursor { epoch, seq }
}

fn numbers(subject: &Port, range: std::ops::RangeInclusive<u64>) -> Vec<NewEvent> {
    let new = |n: u64| NewEvent {
        body: n.to_string().into(),
        at: subject.now(),
        idempotency: None,
    };
    range.map(new).collect()
}

fn keyed(mut event: NewEvent, key: u8) -> NewEvent {
    event.idempotency = Some(Idempotency {
        key: [key; 16],
        fingerprint: [key + 1; 16],
    });
    event
}

async fn import(port: &dyn Relocation, stream: &StreamKey, after: Cursor, events: Vec<NewEvent>) {
    let imported = soon(port.import(stream, after, events)).await;
    imported.expect("an import succeeds");
}

/// Seqs and bodies of all that is there, each checked to be of `epoch`.
async fn contents(port: &dyn Relocation, stream: &StreamKey, epoch: Epoch) -> Vec<(u64, String)> {
    let events = read_all(port, stream).await;
    let content = |event: &crate::StoredEvent| {
        assert_eq!(event.cursor.epoch, epoch);
        let body = String::from_utf8(event.body.to_vec()).expect("it was a number");
        (event.cursor.seq, body)
    };
    events.iter().map(content).collect()
}

fn counted(range: std::ops::RangeInclusive<u64>) -> Vec<(u64, String)> {
    range.map(|n| (n, n.to_string())).collect()
}

async fn all_streams(subject: &Port) -> BTreeSet<StreamKey> {
    let (port, mut found, mut after) = (subject.port(), BTreeSet::new(), None);
    loop {
        let page = soon(port.streams(&subject.scopes().system, after)).await;
        let page = page.expect("a page of streams");
        found.extend(page.streams);
        if page.next.is_none() {
            return found;
        }
        after = page.next;
    }
}

/// Law 1. More streams than a page has, of several tenants; trimmed and unread ones too.
pub async fn law_1_every_stream_with_events_is_named(subject: &Port) {
    let port = subject.port();
    let scopes = subject.scopes();
    let mut expected = BTreeSet::new();
    for n in 0..1_200 {
        let scope = match n % 3 {
            0 => &scopes.one,
            1 => &scopes.other_tenant,
            _ => &scopes.other_env,
        };
        expected.insert(StreamKey::in_scope(
            scope,
            "contract",
            &format!("law_1_{n}"),
        ));
    }
    let appends = expected
        .iter()
        .map(|stream| append(&*port, stream, event_of(subject)));
    futures_util::stream::iter(appends)
        .buffer_unordered(64)
        .collect::<Vec<_>>()
        .await;
    let trimmed = expected.first().expect("there are streams");
    soon(port.trim(trimmed, 1)).await.expect("a trim succeeds");
    bounds(&*port, &stream(subject, "law_1_looked_at")).await;
    assert_eq!(all_streams(subject).await, expected);
}

fn event_of(subject: &Port) -> NewEvent {
    numbers(subject, 1..=1).remove(0)
}

/// Law 2. A copy of a stream that was trimmed begins at a later seq, in the other engine's epoch.
pub async fn law_2a_a_stream_that_is_not_there_begins_where_it_is_told(subject: &Port) {
    let port = subject.port();
    let (whole, late, empty) = (
        stream(subject, "law_2a_whole"),
        stream(subject, "law_2a_late"),
        stream(subject, "law_2a_empty"),
    );
    // Somebody who only looked has given out a cursor of another epoch, of nothing.
    bounds(&*port, &late).await;
    import(&*port, &whole, at(ELSEWHERE, 0), numbers(subject, 1..=5)).await;
    import(&*port, &late, at(ELSEWHERE, 41), numbers(subject, 42..=45)).await;
    import(&*port, &empty, at(ELSEWHERE, 7), Vec::new()).await;
    assert_eq!(contents(&*port, &whole, ELSEWHERE).await, counted(1..=5));
    assert_eq!(contents(&*port, &late, ELSEWHERE).await, counted(42..=45));
    let expected = |oldest, head| Bounds {
        epoch: ELSEWHERE,
        oldest,
        head,
    };
    for reopened in [false, true] {
        if reopened {
            subject.reopen().await;
        }
        let port = subject.port();
        assert_eq!(bounds(&*port, &whole).await, expected(1, 5));
        assert_eq!(bounds(&*port, &late).await, expected(42, 45));
        assert_eq!(bounds(&*port, &empty).await, expected(8, 7));
    }
    assert_eq!(
        append(&*subject.port(), &empty, event_of(subject)).await,
        at(ELSEWHERE, 8)
    );
}

/// Law 2. What was imported before, skips some, or is of another epoch is refused, and changes nothing.
pub async fn law_2b_an_import_goes_on_from_the_head_alone(subject: &Port) {
    let (port, stream) = (subject.port(), stream(subject, "law_2b"));
    import(&*port, &stream, at(ELSEWHERE, 0), numbers(subject, 1..=3)).await;
    for after in [
        at(ELSEWHERE, 0),
        at(ELSEWHERE, 2),
        at(ELSEWHERE, 4),
        at(LATER, 3),
    ] {
        let refused = soon(port.import(&stream, after, numbers(subject, 9..=9))).await;
        let found = bounds(&*port, &stream).await;
        assert_eq!(refused, Err(ImportError::Elsewhere(found)), "{after}");
    }
    import(&*port, &stream, at(ELSEWHERE, 3), numbers(subject, 4..=6)).await;
    assert_eq!(contents(&*port, &stream, ELSEWHERE).await, counted(1..=6));
}

/// Law 2. An event, or a number of them, over the limit.
pub async fn law_2c_an_import_over_the_limits_does_nothing(subject: &Port) {
    let (port, stream) = (subject.port(), stream(subject, "law_2c"));
    let mut large = numbers(subject, 1..=2);
    if let Some(last) = large.last_mut() {
        last.body = vec![0; crate::EVENT_BYTES_MAX + 1].into();
    }
    let many = numbers(subject, 1..=READ_EVENTS_MAX as u64 + 1);
    for events in [large, many] {
        let refused = soon(port.import(&stream, at(ELSEWHERE, 0), events)).await;
        let limit = matches!(refused, Err(ImportError::Store(StoreError::Limit(_))));
        assert!(limit, "{refused:?}");
    }
    assert_eq!(bounds(&*port, &stream).await.head, 0);
}

/// Law 3. Several pages; then a restart, appends, a trim and a tail.
pub async fn law_3_what_was_imported_is_as_if_appended(subject: &Port) {
    let stream = stream(subject, "law_3");
    let page = READ_EVENTS_MAX as u64;
    for n in 0..3 {
        let events = numbers(subject, n * page + 1..=(n + 1) * page);
        import(&*subject.port(), &stream, at(ELSEWHERE, n * page), events).await;
    }
    subject.reopen().await;
    let port = subject.port();
    let mut tail = soon(port.tail(&stream, at(ELSEWHERE, 3 * page)))
        .await
        .expect("a tail starts");
    let appended = append(&*port, &stream, event_of(subject)).await;
    assert_eq!(appended, at(ELSEWHERE, 3 * page + 1));
    let brought = soon(tail.next()).await.expect("the tail goes on");
    let brought = brought.expect("the tail is well");
    assert_eq!(brought.first().map(|event| event.cursor), Some(appended));
    assert_eq!(contents(&*port, &stream, ELSEWHERE).await.len(), 3001);
    soon(port.trim(&stream, 2_500)).await.expect("a trim");
    let left = contents(&*port, &stream, ELSEWHERE).await;
    assert_eq!(left.first().map(|(seq, _)| *seq), Some(2_501));
}

/// Law 4. Keys of appended, of trimmed and of imported events.
pub async fn law_4_keys_are_told_and_taken(subject: &Port) {
    let (port, told, taken) = (
        subject.port(),
        stream(subject, "law_4_told"),
        stream(subject, "law_4_taken"),
    );
    for key in 1..=4 {
        append(&*port, &told, keyed(event_of(subject), key)).await;
    }
    append(&*port, &told, event_of(subject)).await;
    soon(port.trim(&told, 2)).await.expect("a trim");
    let mut keys = soon(port.keys(&told, subject.now())).await.expect("keys");
    keys.sort_unstable_by_key(|(seq, _)| *seq);
    keys.dedup();
    let seqs: Vec<u64> = keys.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    let copies: Vec<NewEvent> = keys
        .into_iter()
        .map(|(_, idempotency)| NewEvent {
            idempotency: Some(idempotency),
            ..event_of(subject)
        })
        .collect();
    import(&*port, &taken, at(ELSEWHERE, 0), copies).await;
    soon(port.trim(&taken, 2)).await.expect("a trim");
    for reopened in [false, true] {
        if reopened {
            subject.reopen().await;
        }
        for key in 1..=4 {
            let again = keyed(event_of(subject), key);
            let answer = soon(subject.port().append(&taken, again)).await;
            let answer = answer.expect("an append succeeds");
            assert!(answer.duplicate);
            assert_eq!(answer.cursor, at(ELSEWHERE, key.into()));
        }
    }
    let told = soon(subject.port().keys(&taken, subject.now())).await;
    assert_eq!(told.expect("keys").len(), 4);
}

/// Law 5. Before and after a restart.
pub async fn law_5a_a_renewed_stream_honours_no_old_cursor(subject: &Port) {
    let stream = stream(subject, "law_5a");
    let port = subject.port();
    let posted = keyed(event_of(subject), 1);
    let old = append(&*port, &stream, posted.clone()).await;
    soon(port.renew(&stream, LATER)).await.expect("a renewal");
    assert_ne!(old.epoch, LATER);
    for reopened in [false, true] {
        if reopened {
            subject.reopen().await;
        }
        let port = subject.port();
        let read = soon(port.read(&stream, Some(old), 10)).await;
        let gap = matches!(
            read,
            Ok(Read::Gap {
                reason: GapReason::UnknownEpoch,
                ..
            })
        );
        assert!(gap, "{read:?}");
        assert_eq!(contents(&*port, &stream, LATER).await, counted(1..=1));
        let again = soon(port.append(&stream, posted.clone())).await;
        let again = again.expect("an append succeeds");
        assert_eq!((again.cursor, again.duplicate), (at(LATER, 1), true));
    }
    let next = append(&*subject.port(), &stream, event_of(subject)).await;
    assert_eq!(next, at(LATER, 2));
}

/// Law 5. A tail that waits at the head.
pub async fn law_5b_a_renewed_stream_ends_its_tails(subject: &Port) {
    let (port, stream) = (subject.port(), stream(subject, "law_5b"));
    let head = append(&*port, &stream, event_of(subject)).await;
    let before = Cursor { seq: 0, ..head };
    let mut tail = soon(port.tail(&stream, before))
        .await
        .expect("a tail starts");
    let brought = soon(tail.next()).await.expect("the tail goes on");
    assert_eq!(brought.map(|events| events.len()), Ok(1));
    assert!(tail.next().now_or_never().is_none(), "it waits for more");
    soon(port.renew(&stream, LATER)).await.expect("a renewal");
    let ended = soon(tail.next()).await.expect("it says why it ends");
    let gap = matches!(ended, Err(TailError::Gap(GapReason::UnknownEpoch, _)));
    assert!(gap, "{ended:?}");
}

/// Law 6. Events, keys, seqs: nothing is left; and it can be imported again.
pub async fn law_6_an_erased_stream_is_new(subject: &Port) {
    let stream = stream(subject, "law_6");
    let port = subject.port();
    let posted = keyed(event_of(subject), 1);
    let old = append(&*port, &stream, posted.clone()).await;
    soon(port.erase(&stream, LATER)).await.expect("an erasure");
    let new = Bounds {
        epoch: LATER,
        oldest: 1,
        head: 0,
    };
    assert_eq!(bounds(&*port, &stream).await, new);
    assert!(new.gap(old).is_some());
    assert!(!all_streams(subject).await.contains(&stream));
    let posted = soon(port.append(&stream, posted)).await.expect("an append");
    assert_eq!((posted.cursor, posted.duplicate), (at(LATER, 1), false));
    soon(port.erase(&stream, old.epoch)).await.expect("another");
    import(&*port, &stream, at(ELSEWHERE, 2), numbers(subject, 3..=4)).await;
    subject.reopen().await;
    let port = subject.port();
    assert_eq!(contents(&*port, &stream, ELSEWHERE).await, counted(3..=4));
}

/// Law 7. A neighbour of the same tenant, of another, and one whose name begins alike.
pub async fn law_7_other_streams_are_as_they_were(subject: &Port) {
    let port = subject.port();
    let scopes = subject.scopes();
    let (mine, others) = (
        stream(subject, "law_7"),
        [
            StreamKey::in_scope(&scopes.one, "contract", "law_7_"),
            StreamKey::in_scope(&scopes.other_tenant, "contract", "law_7"),
            StreamKey::in_scope(&scopes.other_env, "contract", "law_7"),
        ],
    );
    append(&*port, &mine, event_of(subject)).await;
    let mut before = Vec::new();
    for other in &others {
        append(&*port, other, keyed(event_of(subject), 1)).await;
        before.push((bounds(&*port, other).await, read_all(&*port, other).await));
    }
    soon(port.renew(&mine, LATER)).await.expect("a renewal");
    soon(port.erase(&mine, LATER)).await.expect("an erasure");
    import(&*port, &mine, at(ELSEWHERE, 0), numbers(subject, 1..=9)).await;
    for (other, before) in others.iter().zip(before) {
        assert_eq!(
            (bounds(&*port, other).await, read_all(&*port, other).await),
            before
        );
        let keys = soon(port.keys(other, subject.now())).await.expect("keys");
        assert_eq!(keys.len(), 1);
    }
}
