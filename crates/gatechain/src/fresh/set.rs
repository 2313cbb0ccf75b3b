//! A few layers side by side, and which of them goes when another one comes.

use identity::Timestamp;

use super::Place;
use crate::Layer;

/// Layers of a set. Of ten thousand tenants that decide all the time, hardly ever more than these share one.
pub(super) const WAYS: usize = 8;

/// A layer that is remembered.
pub(super) struct Seen {
    /// A part of the hash of its place, so that others are passed over without comparing names.
    pub(super) tag: u32,
    /// Whether it was asked for since it was last spared.
    pub(super) used: bool,
    /// When it began to be loaded.
    pub(super) at: Timestamp,
    pub(super) layer: Layer,
    pub(super) place: Place,
}

impl Seen {
    fn is(&self, tag: u32, place: &Place) -> bool {
        self.tag == tag && self.place == *place
    }
}

/// The layers of some places: a collision costs a load, never truth.
#[derive(Default)]
pub(super) struct Set {
    /// Moves with every change of one of its places.
    pub(super) changes: u32,
    /// Who is looked at next when one has to go.
    hand: u8,
    ways: [Option<Seen>; WAYS],
}

impl Set {
    pub(super) fn find(&mut self, tag: u32, place: &Place) -> Option<&mut Seen> {
        let mut ways = self.ways.iter_mut().flatten();
        ways.find(|seen| seen.is(tag, place))
    }

    /// Remembers `seen`; gives what had to go for it.
    pub(super) fn put(&mut self, mut seen: Seen) -> Option<Seen> {
        let before = self.take(seen.tag, &seen.place);
        // Who is loaded again is asked for again.
        seen.used |= before.is_some();
        let empty = self.ways.iter().position(Option::is_none);
        let at = empty.unwrap_or_else(|| self.unused());
        let went = self.ways.get_mut(at).and_then(|way| way.replace(seen));
        before.or(went)
    }

    pub(super) fn take(&mut self, tag: u32, place: &Place) -> Option<Seen> {
        let is_it = |way: &&mut Option<Seen>| way.as_ref().is_some_and(|seen| seen.is(tag, place));
        self.ways.iter_mut().find(is_it)?.take()
    }

    pub(super) fn take_all(&mut self) -> [Option<Seen>; WAYS] {
        std::mem::take(&mut self.ways)
    }

    /// Makes one go.
    pub(super) fn take_unused(&mut self) -> Option<Seen> {
        let at = self.unused();
        self.ways.get_mut(at)?.take()
    }

    /// The next one that was not asked for since it was spared; who was is spared once.
    fn unused(&mut self) -> usize {
        loop {
            let at = usize::from(self.hand) % WAYS;
            self.hand = self.hand.wrapping_add(1);
            match self.ways.get_mut(at) {
                Some(Some(seen)) if seen.used => seen.used = false,
                _ => return at,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(tag: u32) -> Seen {
        Seen {
            tag,
            used: false,
            at: Timestamp::from_unix_ms(0),
            layer: Layer::default(),
            place: Place::System,
        }
    }

    #[test]
    fn who_is_asked_for_stays_when_others_come() {
        let mut set = Set::default();
        for tag in 0..100 {
            if tag > 0 {
                set.find(0, &Place::System).unwrap().used = true;
            }
            let went = set.put(seen(tag));
            assert_eq!(went.is_some(), tag >= 8);
            assert!(went.is_none_or(|went| went.tag != 0));
        }
    }

    #[test]
    fn the_same_place_is_there_once() {
        let mut set = Set::default();
        assert!(set.put(seen(1)).is_none());
        assert!(set.put(seen(1)).is_some());
        assert!(set.take(1, &Place::System).is_some());
        assert!(set.take(1, &Place::System).is_none());
    }
}
