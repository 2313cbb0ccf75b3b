//! The place of a node among its siblings: a fractional index.
//!
//! A key is a number in base 62 (digits `0-9A-Za-z`, in the order of their bytes): eight digits, and
//! further ones where there was no room between two neighbours. A node at an end gets the
//! neighbour's first eight digits and one step of 62² on, so that appending never makes keys longer,
//! and leaves room for about twelve insertions at each place before one does.
//!
//! **Invariant:** digits after the eighth do not end with `0`, so there is room before every key.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE: u64 = 62;
const HEAD_DIGITS: usize = 8;
/// Keys of `HEAD_DIGITS` digits.
const HEADS: u64 = BASE.pow(8);
const STEP: u64 = BASE * BASE;
/// Longest key, in bytes: about 700 insertions at one place, each before the last.
pub(crate) const ORDER_BYTES_MAX: usize = 128;

/// A place among siblings; compared as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Order(SmolStr);

impl Order {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key between two neighbours, the shortest there is; `None` where there is no room left.
    #[must_use]
    pub fn between(low: Option<&Self>, high: Option<&Self>) -> Option<Self> {
        match (low, high) {
            (None, None) => Some(Self::of_head(HEADS / 2)),
            (Some(low), None) => {
                let head = low.head().checked_add(STEP)?;
                (head < HEADS).then(|| Self::of_head(head))
            }
            (None, Some(high)) => Some(Self::of_head(high.head().checked_sub(STEP)?)),
            (Some(low), Some(high)) => middle(low, high),
        }
    }

    fn of_head(mut head: u64) -> Self {
        let mut digits = [0_u64; HEAD_DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = head % BASE;
            head /= BASE;
        }
        Self(text_of(&digits))
    }

    fn head(&self) -> u64 {
        let digits = self.digits(HEAD_DIGITS);
        digits.iter().fold(0, |head, digit| head * BASE + digit)
    }

    /// The first `count` digits, with zeros after the last.
    fn digits(&self, count: usize) -> Vec<u64> {
        let value = |byte: u8| DIGITS.iter().position(|digit| *digit == byte);
        let known = self.0.bytes().map(|byte| value(byte).unwrap_or(0) as u64);
        known.chain(std::iter::repeat(0)).take(count).collect()
    }
}

/// The shortest beginning of the mean of two keys that lies between them.
fn middle(low: &Order, high: &Order) -> Option<Order> {
    // One digit more than the longer has: there the two are 62 apart at least.
    let count = low.0.len().max(high.0.len()) + 1;
    let (low, high) = (low.digits(count), high.digits(count));
    if low >= high {
        return None;
    }
    let mean = halved(&summed(&low, &high));
    let lengths = HEAD_DIGITS..=count.min(ORDER_BYTES_MAX);
    let found = lengths
        .filter_map(|length| mean.get(..length))
        .find(|start| {
            // Equal beginnings with zeros after them are not above `low`.
            *start > low.get(..start.len()).unwrap_or_default()
        });
    found.map(|digits| Order(text_of(digits)))
}

/// The sum, with one digit more in front.
fn summed(one: &[u64], other: &[u64]) -> Vec<u64> {
    let mut carry = 0;
    let mut sum: Vec<u64> = one
        .iter()
        .zip(other)
        .rev()
        .map(|(a, b)| {
            let digit = a + b + carry;
            carry = digit / BASE;
            digit % BASE
        })
        .collect();
    sum.push(carry);
    sum.reverse();
    sum
}

/// Half of it, without its first digit, which is then zero.
fn halved(digits: &[u64]) -> Vec<u64> {
    let mut rest = 0;
    let halves = digits.iter().map(|digit| {
        let value = rest * BASE + digit;
        rest = value % 2;
        value / 2
    });
    halves.skip(1).collect()
}

fn text_of(digits: &[u64]) -> SmolStr {
    let byte = |digit: &u64| {
        let at = usize::try_from(*digit).unwrap_or(0);
        char::from(DIGITS.get(at).copied().unwrap_or(b'0'))
    };
    digits.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn appending_never_makes_keys_longer() {
        let mut last = Order::between(None, None).unwrap();
        let mut first = last.clone();
        for _ in 0..100_000 {
            let next = Order::between(Some(&last), None).unwrap();
            let before = Order::between(None, Some(&first)).unwrap();
            assert!(next > last && before < first);
            assert_eq!((next.0.len(), before.0.len()), (8, 8));
            (last, first) = (next, before);
        }
    }

    #[test]
    fn room_at_one_place_ends_only_after_hundreds() {
        for upwards in [true, false] {
            let low = Order::between(None, None).unwrap();
            let high = Order::between(Some(&low), None).unwrap();
            let (mut low, mut high, mut made) = (low, high, 0);
            while let Some(next) = Order::between(Some(&low), Some(&high)) {
                assert!(low < next && next < high, "{low:?} {next:?} {high:?}");
                made += 1;
                *(if upwards { &mut low } else { &mut high }) = next;
            }
            assert!(made > 600, "{made}");
        }
    }

    proptest! {
        #[test]
        fn a_key_lies_between_its_neighbours(places in prop::collection::vec(any::<prop::sample::Index>(), 1..400)) {
            let mut keys: Vec<Order> = Vec::new();
            for place in places {
                let at = place.index(keys.len() + 1);
                let low = at.checked_sub(1).map(|at| keys[at].clone());
                let high = keys.get(at).cloned();
                let key = Order::between(low.as_ref(), high.as_ref()).unwrap();
                prop_assert!(low.is_none_or(|low| low < key) && high.is_none_or(|high| key < high));
                prop_assert!(key.0.len() == HEAD_DIGITS || !key.0.ends_with('0'));
                keys.insert(at, key);
            }
        }
    }
}
