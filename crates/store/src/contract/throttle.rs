//! The laws of [`Throttle`].

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{Subject, soon};
use crate::{Quota, Throttle, ThrottleKey, Verdict};

/// One test per law of `Throttle`; `$subject` is an async function that opens a fresh engine.
#[macro_export]
macro_rules! throttle_contract {
    ($subject:path) => {
        $crate::contract_tests!(
            throttle,
            $subject,
            [
                law_1_no_more_than_the_burst_is_taken_at_once,
                law_2_units_come_back_and_never_above_the_burst,
                law_3_a_refusal_takes_nothing_and_says_when,
                law_4_keys_are_apart,
                law_5_a_cost_of_zero_only_looks,
            ]
        );
    };
}

type Port = dyn Subject<dyn Throttle>;

fn quota(burst: u32, per_second: u32) -> Quota {
    Quota {
        burst: NonZeroU32::new(burst).expect("a burst is not zero"),
        per_second: NonZeroU32::new(per_second).expect("a rate is not zero"),
    }
}

fn key(subject: &Port, rate: &'static str) -> ThrottleKey {
    ThrottleKey::of_tenant(&subject.scopes().one, rate)
}

async fn take(subject: &Port, key: &ThrottleKey, quota: Quota, cost: u32) -> Verdict {
    soon(subject.port().take(key, quota, cost))
        .await
        .expect("a take succeeds")
}

/// Law 1. Lets fifty callers race for twenty units.
pub async fn law_1_no_more_than_the_burst_is_taken_at_once(subject: &Port) {
    let (key, quota) = (key(subject, "law_1"), quota(20, 1));
    let port = subject.port();
    let callers = (0..50).map(|_| {
        let (port, key) = (Arc::clone(&port), key.clone());
        tokio::spawn(async move { port.take(&key, quota, 1).await })
    });
    let mut allowed = 0;
    for verdict in soon(join_all(callers)).await {
        let verdict = verdict.expect("no caller panics").expect("a take succeeds");
        allowed += u32::from(verdict.allowed);
    }
    assert_eq!(allowed, 20);
    assert!(
        !take(subject, &key, quota, 21).await.allowed,
        "a cost above the burst"
    );
}

/// Law 2. Waits for some units, and then far longer than all need.
pub async fn law_2_units_come_back_and_never_above_the_burst(subject: &Port) {
    let (key, quota) = (key(subject, "law_2"), quota(10, 5));
    assert!(take(subject, &key, quota, 10).await.allowed);
    assert!(!take(subject, &key, quota, 1).await.allowed);
    subject.advance(Duration::from_millis(600)).await;
    assert!(
        take(subject, &key, quota, 3).await.allowed,
        "three came back"
    );
    assert!(
        !take(subject, &key, quota, 1).await.allowed,
        "and no fourth"
    );
    subject.advance(Duration::from_secs(3600)).await;
    let full = take(subject, &key, quota, 0).await;
    assert_eq!((full.remaining, full.reset_after), (10, Duration::ZERO));
    assert!(take(subject, &key, quota, 10).await.allowed);
    assert!(
        !take(subject, &key, quota, 1).await.allowed,
        "never above the burst"
    );
}

/// Law 3. Is refused often, and allowed at the promised moment and not before.
pub async fn law_3_a_refusal_takes_nothing_and_says_when(subject: &Port) {
    let (key, quota) = (key(subject, "law_3"), quota(4, 2));
    assert!(take(subject, &key, quota, 4).await.allowed);
    for _ in 0..10 {
        let refused = take(subject, &key, quota, 3).await;
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, Duration::from_millis(1500));
        assert_eq!(refused.remaining, 0);
        assert_eq!(refused.reset_after, Duration::from_secs(2));
    }
    subject.advance(Duration::from_millis(1499)).await;
    let early = take(subject, &key, quota, 3).await;
    assert_eq!(
        (early.allowed, early.retry_after),
        (false, Duration::from_millis(1))
    );
    subject.advance(early.retry_after).await;
    let allowed = take(subject, &key, quota, 3).await;
    assert!(allowed.allowed && allowed.retry_after.is_zero());
}

/// Law 4. Exhausts one key and leaves the others whole.
pub async fn law_4_keys_are_apart(subject: &Port) {
    let quota = quota(2, 1);
    let scopes = subject.scopes();
    let [first, rest @ ..] = [
        ThrottleKey::of_tenant(&scopes.one, "law_4"),
        ThrottleKey::of_tenant(&scopes.one, "law_4_other"),
        ThrottleKey::of_tenant(&scopes.other_tenant, "law_4"),
        ThrottleKey::of_system(&scopes.system, "law_4", "198.51.100.1"),
        ThrottleKey::of_system(&scopes.system, "law_4", "198.51.100.2"),
    ];
    assert!(take(subject, &first, quota, 2).await.allowed);
    for key in &rest {
        assert!(take(subject, key, quota, 2).await.allowed, "{key:?}");
    }
    let same = ThrottleKey::of_tenant(&scopes.other_env, "law_4");
    assert!(
        !take(subject, &same, quota, 1).await.allowed,
        "a tenant has one rate in all environments"
    );
}

/// Law 5. Looks many times between takes.
pub async fn law_5_a_cost_of_zero_only_looks(subject: &Port) {
    let (key, quota) = (key(subject, "law_5"), quota(3, 1));
    for left in [3, 2, 1, 0] {
        for _ in 0..5 {
            let look = take(subject, &key, quota, 0).await;
            assert!(look.allowed && look.retry_after.is_zero());
            assert_eq!(look.remaining, left);
        }
        assert_eq!(take(subject, &key, quota, 1).await.allowed, left > 0);
    }
}
