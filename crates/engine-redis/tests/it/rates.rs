//! Rates by the server's clock, and the script beside the algorithm that it repeats.

use std::{num::NonZeroU32, time::Duration};

use deadpool_redis::redis;
use identity::{Clock as _, Entropy as _};
use store::{Quota, Throttle as _, ThrottleKey};
use testkit::{MemoryThrottle, SeededEntropy};

use crate::subject::{engine, own};

fn quota(burst: u32, per_second: u32) -> Quota {
    Quota {
        burst: NonZeroU32::new(burst).unwrap(),
        per_second: NonZeroU32::new(per_second).unwrap(),
    }
}

#[tokio::test]
async fn the_script_says_what_the_algorithm_says() {
    let engine = engine().await;
    let clock = engine.world.clock.clone();
    let throttle = engine.handle().throttle_by(clock.clone());
    let memory = MemoryThrottle::new(clock.clone());
    let chance = SeededEntropy::new(7);
    let draw = |below: u32| {
        let mut bytes = [0; 4];
        chance.fill(&mut bytes);
        u32::from_le_bytes(bytes) % below
    };
    let key = ThrottleKey::of_tenant(&engine.scopes.one, "compared");
    let quotas = [
        quota(1, 1),
        quota(3, 7),
        quota(1000, 333),
        quota(50, 3_000_000),
        quota(u32::MAX, 1),
    ];
    for step in 0..500 {
        // A rate may change, and then be asked for by old and new nodes alike.
        let quota = quotas[usize::try_from(draw(5)).unwrap()];
        let cost = draw(4) * draw(40);
        let found = throttle.take(&key, quota, cost).await.unwrap();
        let expected = memory.take(&key, quota, cost).await.unwrap();
        assert_eq!(
            found,
            expected,
            "step {step} at {}: {quota:?}, {cost}",
            clock.now()
        );
        clock.advance(Duration::from_millis(u64::from(draw(900))));
    }
}

#[tokio::test]
async fn units_come_back_by_the_servers_clock_and_leave_nothing_behind() {
    let engine = own(&[]).await;
    let throttle = engine.handle().throttle();
    let other = engine.node().await.throttle();
    let key = ThrottleKey::of_tenant(&engine.scopes.one, "real");
    let quota = quota(4, 20);
    for left in [3, 2, 1, 0] {
        assert_eq!(throttle.take(&key, quota, 1).await.unwrap().remaining, left);
    }
    let refused = other.take(&key, quota, 1).await.unwrap();
    assert!(!refused.allowed && refused.retry_after <= Duration::from_millis(50));
    tokio::time::sleep(refused.retry_after).await;
    assert!(other.take(&key, quota, 1).await.unwrap().allowed);
    let name = format!("{}:rate:{}", engine.config().prefix(), key.as_str());
    let life = engine.command(&["PTTL".to_owned(), name]).await;
    let life_ms: i64 = redis::from_redis_value(life).unwrap();
    assert!((1..=1_200).contains(&life_ms), "{life_ms} ms");
}
