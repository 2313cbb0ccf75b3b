//! Who is in a rollout: a hash of the flag and the targeting key, the same everywhere and always.
//!
//! The hash and its use are Unleash's (murmur3 of `flag:targetingKey`), so that whole
//! percents and weights put people where `unleash-yggdrasil` puts them. Hundredths of a
//! percent divide each of its hundred buckets further.
//!
//! **Invariant:** whoever is in a rollout is in every wider one of the same flag.

use murmurhash32::murmurhash3_with_seed;
use smallvec::SmallVec;

/// Unleash's seed for the choice among variants.
const VARIANT_SEED: u32 = 86_028_157;
/// A flag's key and most targeting keys fit without an allocation.
const INLINE: usize = 256;

/// A share of everyone, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share(u16);

impl Share {
    pub(crate) const ALL: Self = Self(10_000);

    /// From percents with at most two decimals.
    pub(crate) fn of_percent(percent: f64) -> Option<Self> {
        let hundredths = (percent * 100.0).round();
        let exact = (percent * 100.0 - hundredths).abs() < 1e-6;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is in 0 to 10,000"
        )]
        let share = Self(hundredths as u16);
        (exact && (0.0..=10_000.0).contains(&hundredths)).then_some(share)
    }

    pub(crate) fn is_all(self) -> bool {
        self == Self::ALL
    }

    /// Whether `targeting_key` is among this share of those who ask for `flag`.
    pub(crate) fn includes(self, flag: &str, targeting_key: &str) -> bool {
        self.is_all() || position(hash::<0>(flag, targeting_key)) < self.0
    }
}

/// The place of a hash in 0 to 9,999: the bucket of one percent comes first.
fn position(hash: u32) -> u16 {
    let (bucket, within) = (hash % 100, hash / 100 % 100);
    #[expect(clippy::cast_possible_truncation, reason = "it is below 10,000")]
    let position = (bucket * 100 + within) as u16;
    position
}

/// A number in 1 to `total`, for the choice among variants that share `total` by weight.
pub(crate) fn draw(flag: &str, targeting_key: &str, total: u32) -> u32 {
    hash::<VARIANT_SEED>(flag, targeting_key) % total.max(1) + 1
}

fn hash<const SEED: u32>(flag: &str, targeting_key: &str) -> u32 {
    let mut text = SmallVec::<[u8; INLINE]>::new();
    text.extend_from_slice(flag.as_bytes());
    text.push(b':');
    text.extend_from_slice(targeting_key.as_bytes());
    murmurhash3_with_seed::<SEED>(&text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unleash_yggdrasil::strategy_parsing::normalized_hash;

    use super::*;

    fn share(percent: f64) -> Share {
        Share::of_percent(percent).unwrap()
    }

    #[test]
    fn percents_have_two_decimals() {
        assert_eq!(share(12.34), Share(1234));
        assert_eq!(share(0.0), Share(0));
        assert_eq!(share(100.0), Share::ALL);
        for bad in [-0.01, 100.01, 0.001, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::of_percent(bad), None, "{bad}");
        }
    }

    #[test]
    fn nobody_is_in_nothing_and_everyone_is_in_all() {
        for key in ["", "a", "b", &"k".repeat(5000)] {
            assert!(!share(0.0).includes("flag", key));
            assert!(Share::ALL.includes("flag", key));
        }
    }

    #[test]
    fn a_share_is_about_as_large_as_it_says() {
        let inside = (0..100_000).filter(|n| share(12.5).includes("flag", &format!("u_{n}")));
        let inside = inside.count();
        assert!((12_000..13_000).contains(&inside), "{inside} of 100,000");
    }

    proptest! {
        #[test]
        fn whole_percents_are_where_yggdrasil_puts_them(
            flag in "[a-zA-Z0-9._/-]{1,40}",
            key in any::<String>(),
            percent in 0_u32..=100,
        ) {
            let theirs = normalized_hash(&flag, &key, 100, 0).unwrap() <= percent;
            prop_assert_eq!(share(f64::from(percent)).includes(&flag, &key), theirs);
        }

        #[test]
        fn variants_are_drawn_as_yggdrasil_draws_them(
            flag in "[a-zA-Z0-9._/-]{1,40}",
            key in any::<String>(),
            total in 1_u32..=100_000,
        ) {
            let theirs = normalized_hash(&flag, &key, total, VARIANT_SEED).unwrap();
            prop_assert_eq!(draw(&flag, &key, total), theirs);
        }

        #[test]
        fn widening_never_drops_anyone(
            flag in "[a-z]{1,10}",
            key in any::<String>(),
            narrow in 0_u16..=10_000,
            wider in 0_u16..=10_000,
        ) {
            let (narrow, wider) = (narrow.min(wider), narrow.max(wider));
            prop_assert!(!Share(narrow).includes(&flag, &key) || Share(wider).includes(&flag, &key));
        }
    }
}
