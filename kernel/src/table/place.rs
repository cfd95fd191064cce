//! Where a line stands: a name that does not change when lines before it come and go.

/// The place of a line among all lines of a table, over all frames since its base.
///
/// A line of the base stands at its slot. A line that was added stands before the slot that follows it,
/// and has a label that orders it among the others there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    slot: u32,
    label: u64,
}

/// The distance of the labels of lines that are added one after the other.
const STEP: u64 = if cfg!(test) { 4 } else { 1 << 32 };

impl Place {
    /// The place of a line of the base.
    pub(super) fn base(slot: u32) -> Self {
        Self { slot, label: u64::MAX }
    }

    /// Before every line that was added before this slot.
    pub(super) fn before_slot(slot: u32) -> Self {
        Self { slot, label: 0 }
    }

    /// The slot, if it is the place of a line of the base.
    pub(super) fn base_slot(self) -> Option<u32> {
        (self.label == u64::MAX).then_some(self.slot)
    }

    /// The first slot that does not come before this place.
    pub(super) fn slot(self) -> u32 {
        self.slot
    }

    /// A new place between two neighbours, of which the first may be missing at the start of the table
    /// and the second at its end, where the base has `slots` lines. `None` if the labels leave no room.
    pub(super) fn between(after: Option<Self>, before: Option<Self>, slots: u32) -> Option<Self> {
        // The new line belongs before the slot of `before`, behind all that stands there already.
        let slot = before.map_or(slots, |place| place.slot);
        let low = match after {
            Some(place) if place.slot == slot && place.base_slot().is_none() => place.label,
            _ => 0,
        };
        let high = before.map_or(u64::MAX, |place| place.label);
        let label = if low == 0 && high == u64::MAX {
            u64::MAX / 2
        } else if high == u64::MAX && high - low > STEP {
            low + STEP
        } else if low == 0 && high > STEP {
            high - STEP
        } else {
            low + (high - low) / 2
        };
        (label > low && label < high).then_some(Self { slot, label })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lie_between_their_neighbours() {
        let mut places = vec![Place::base(0), Place::base(1)];
        for (at, turns) in [(1, 3), (0, 2), (2, 2), (usize::MAX, 3)] {
            for _ in 0..turns {
                let at = at.min(places.len());
                let after = at.checked_sub(1).map(|at| places[at]);
                let place = Place::between(after, places.get(at).copied(), 2).unwrap();
                places.insert(at, place);
                assert!(places.is_sorted(), "{places:?}");
            }
        }
    }

    #[test]
    fn labels_run_out_between_two_close_lines() {
        let (mut low, high) = (Place { slot: 0, label: 8 }, Place { slot: 0, label: 12 });
        let mut steps = 0;
        while let Some(place) = Place::between(Some(low), Some(high), 1) {
            assert!(low < place && place < high);
            low = place;
            steps += 1;
        }
        assert_eq!(steps, 2);
    }
}
