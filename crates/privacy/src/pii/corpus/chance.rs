//! Chance that repeats itself: the same seed gives the same corpus everywhere.

/// A generator of SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from `first` to `last`, both included.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of `items`; the default of none.
    pub(super) fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        let at = self.below(items.len().max(1) as u64);
        let at = usize::try_from(at).unwrap_or_default();
        items.get(at).copied().unwrap_or_default()
    }

    /// `form` with every `#` a digit, `N` a digit from 2 to 9, `%` a hexadecimal
    /// digit, `^` a capital and `~` a small letter; all else stays.
    pub(super) fn fill(&mut self, form: &str) -> String {
        let digits = b"0123456789abcdef";
        let small = b"abcdefghijklmnopqrstuvwxyz";
        let one = |chance: &mut Self, c: char| match c {
            '#' => char::from(chance.pick(digits.get(..10).unwrap_or_default())),
            'N' => char::from(chance.pick(digits.get(2..10).unwrap_or_default())),
            '%' => char::from(chance.pick(digits)),
            '~' => char::from(chance.pick(small)),
            '^' => char::from(chance.pick(small).to_ascii_uppercase()),
            other => other,
        };
        form.chars().map(|c| one(self, c)).collect()
    }

    /// `count` of `form`, filled.
    pub(super) fn repeat(&mut self, form: &str, count: usize) -> String {
        self.fill(&form.repeat(count))
    }
}
