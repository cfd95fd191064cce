//! What changed since a run was made: entries that came, and entries of the run that went.
//!
//! Both are persistent red-black trees (Okasaki, "Red-Black Trees in a Functional Setting", 1999): a copy costs one
//! pointer, and a change of the copy leaves the original alone. O(log n) a change.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use reedbase_plugin_api::{Changes, Entries, Range, sql};
use rpds::RedBlackTreeSetSync;

/// Entries that came, and entries of the run that went.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    added: RedBlackTreeSetSync<Entry>,
    removed: RedBlackTreeSetSync<Entry>,
}

/// Fewer changes than these stay beside a run, however small it is.
const CHANGES_MIN: usize = 1024;

/// An entry: its value, and its key behind it. It compares by all of its bytes.
#[derive(Debug, Clone)]
struct Entry {
    bytes: Arc<[u8]>,
    key_at: usize,
}

impl Entry {
    /// All of these.
    fn all(entries: &Entries) -> impl Iterator<Item = Self> {
        let entry = |at| Self { bytes: entries.whole(at).into(), key_at: entries.get(at).0.len() };
        (0..entries.len()).map(entry)
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at_checked(self.key_at).unwrap_or_default()
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl Overlay {
    /// Adds further changes; copies of it stay as they are.
    pub fn add(&mut self, changes: &Changes) {
        for entry in Entry::all(&changes.removed) {
            undo_or_do(&mut self.added, &mut self.removed, entry);
        }
        for entry in Entry::all(&changes.added) {
            undo_or_do(&mut self.removed, &mut self.added, entry);
        }
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.added.size() + self.removed.size()
    }

    /// How many entries came.
    pub fn added_count(&self) -> usize {
        self.added.size()
    }

    /// How many entries of the run went.
    pub fn removed_count(&self) -> usize {
        self.removed.size()
    }

    /// Whether it is time to make another run of it and of one with so many entries: it has grown to a quarter of that.
    pub fn is_large(&self, run: usize) -> bool {
        self.len() > CHANGES_MIN.max(run / 4)
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Whether an entry of the run went. These are the bytes of its value and its key, one behind the other.
    pub fn is_removed(&self, entry: &[u8]) -> bool {
        !self.removed.is_empty() && self.removed.contains(entry)
    }

    /// The entries that came and lie in a window, in order.
    pub fn added<'a>(
        &'a self,
        window: &'a Window,
    ) -> impl DoubleEndedIterator<Item = (&'a [u8], &'a [u8])> {
        let upper = window.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        // A window that is empty may be turned round, which the tree does not take.
        let turned = window.to.as_deref().is_some_and(|to| to <= window.from.as_slice());
        let bounds = (Bound::Included(window.from.as_slice()), upper);
        let range = (!turned).then(|| self.added.range::<[u8], _>(bounds));
        range.into_iter().flatten().map(Entry::parts)
    }

    /// The entries of a run with these changes, in order; the run's must be in order, too.
    ///
    /// # Errors
    /// [`Limit`](reedbase_plugin_api::ErrorKind::Limit) beyond 4 GiB.
    pub fn merged<'r>(
        &self,
        run: impl Iterator<Item = (&'r [u8], &'r [u8])>,
    ) -> reedbase_plugin_api::Result<Entries> {
        let mut merged = Entries::default();
        let mut added = self.added.iter().map(Entry::parts).peekable();
        let mut whole = Vec::new();
        for (value, key) in run {
            whole.clear();
            whole.extend_from_slice(value);
            whole.extend_from_slice(key);
            let before = |(value, key): &(&[u8], &[u8])| {
                value.iter().chain(*key).cmp(whole.iter()) == Ordering::Less
            };
            while let Some((value, key)) = added.next_if(before) {
                merged.push(value, key)?;
            }
            if !self.is_removed(&whole) {
                merged.push(value, key)?;
            }
        }
        added.try_for_each(|(value, key)| merged.push(value, key))?;
        Ok(merged)
    }
}

/// Takes an entry out of one tree, or else puts it into the other. Looking is cheap; taking out what is not there would copy
/// the path to it.
fn undo_or_do(
    undone: &mut RedBlackTreeSetSync<Entry>,
    done: &mut RedBlackTreeSetSync<Entry>,
    entry: Entry,
) {
    match undone.contains(&entry) {
        true => drop(undone.remove_mut(&entry)),
        false => done.insert_mut(entry),
    }
}

/// The entries between two places, by their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an interval has two ends")]
pub struct Window {
    /// Where it begins.
    pub from: Vec<u8>,
    /// Where it ends, which is not a part of it; `None` is the end of all.
    pub to: Option<Vec<u8>>,
}

impl Window {
    /// The entries that a search asks for.
    pub fn of(range: &Range) -> Self {
        match range {
            Range::Equal(value) => Self { from: value.clone(), to: sql::just_behind(value) },
            Range::Between { from, to, .. } => Self { from: from.clone(), to: to.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(&str, &str)]) -> Entries {
        let mut entries = Entries::default();
        list.iter().for_each(|(v, k)| entries.push(v.as_bytes(), k.as_bytes()).unwrap());
        entries
    }

    #[test]
    fn what_comes_and_goes_again_leaves_nothing() {
        let one = entries(&[("a", "1"), ("b", "2")]);
        let came = Changes { removed: Entries::default(), added: one.clone() };
        let went = Changes { removed: one, added: Entries::default() };
        let with = |overlay: &Overlay, changes| {
            let mut after = overlay.clone();
            after.add(changes);
            after
        };
        let overlay = with(&Overlay::default(), &came);
        assert_eq!((overlay.added_count(), with(&overlay, &went).is_empty()), (2, true));
        let gone = with(&Overlay::default(), &went);
        assert!(gone.is_removed(b"a1") && !gone.is_removed(b"a2"));
        assert!(with(&gone, &came).is_empty());
        // The earlier ones are as they were.
        assert_eq!((overlay.added_count(), gone.removed_count()), (2, 2));
    }

    #[test]
    fn merged_entries_are_in_order() {
        let changes = Changes {
            removed: entries(&[("b", "1")]),
            added: entries(&[("a", "9"), ("b", "2"), ("z", "")]),
        };
        let run = entries(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let mut overlay = Overlay::default();
        overlay.add(&changes);
        let merged = overlay.merged(run.iter()).unwrap();
        let text: Vec<_> = merged.iter().map(|(v, k)| [v, k].concat()).collect();
        assert_eq!(
            text,
            [b"a1".to_vec(), b"a9".to_vec(), b"b2".to_vec(), b"c1".to_vec(), b"z".to_vec()]
        );
    }
}
