//! What every kind of index must do, as a suite: a plugin runs it on its own kind, in a test.

use std::collections::BTreeSet;
use std::sync::Arc;

use reedbase_plugin_api::sql::{CellValue, Collation, encode, just_behind};
use reedbase_plugin_api::{Bytes, Changes, Entries, Index, IndexKind, Keys, Range};

/// An entry: a value, and a key.
type Entry = (Vec<u8>, Vec<u8>);

/// Builds, changes, writes, opens and searches indices of a kind, beside a set that is known to be right.
///
/// # Panics
/// With what is wrong.
pub fn conform(kind: &dyn IndexKind) {
    assert!(!kind.id().is_empty() && kind.max_columns() > 0, "a kind has an id and columns");
    let none = BTreeSet::new();
    check(kind, &build(kind, &none), &none, &mut Numbers(1));
    for seed in 1..=6 {
        walk(kind, &mut Numbers(seed), if seed % 2 == 0 { 3 } else { 400 });
    }
    many_of_one_value(kind);
    damage_is_refused_or_read(kind);
}

/// Changes an index many times. The ones before must stay as they were.
fn walk(kind: &dyn IndexKind, numbers: &mut Numbers, values: u64) {
    let mut model: BTreeSet<Entry> = (0..500).map(|_| numbers.entry(values)).collect();
    let mut index = build(kind, &model);
    for step in 0..40 {
        let most = if step % 10 == 0 { 3000 } else { 8 };
        let (index_before, model_before) = (Arc::clone(&index), model.clone());
        let touched = (0..numbers.below(most)).map(|_| numbers.entry(values));
        let touched: BTreeSet<Entry> = touched.collect();
        let mut changes = Changes::default();
        for entry in touched {
            let is_there = model.contains(&entry);
            let list = if is_there { &mut changes.removed } else { &mut changes.added };
            list.push(&entry.0, &entry.1).unwrap_or_else(|error| panic!("{error}"));
            if is_there {
                model.remove(&entry)
            } else {
                model.insert(entry)
            };
        }
        index = Arc::clone(&index).with(&changes).unwrap_or_else(|error| panic!("{error}"));
        check(kind, &index, &model, numbers);
        check(kind, &index_before, &model_before, numbers);
        if step % 7 == 0 {
            index = kind.open(index.to_bytes().into()).unwrap_or_else(|error| panic!("{error}"));
            check(kind, &index, &model, numbers);
        }
    }
}

/// Many rows with one value are nothing special.
fn many_of_one_value(kind: &dyn IndexKind) {
    let entries = (0..200_000_u32).map(|n| (integer(1), n.to_le_bytes().to_vec()));
    let model: BTreeSet<Entry> = entries.chain([(integer(2), vec![7])]).collect();
    let index = build(kind, &model);
    assert_eq!(found(&index, &Range::Equal(integer(1)), 1024).len(), 200_000);
    assert_eq!(found(&index, &Range::Equal(integer(2)), 1), [[7]]);
}

/// Bytes that were damaged in spite of the checksum may be read wrongly, but nothing ends in a panic.
fn damage_is_refused_or_read(kind: &dyn IndexKind) {
    let model: BTreeSet<Entry> = (0..40_u8).map(|n| (integer(n.into()), vec![n])).collect();
    let whole = build(kind, &model).to_bytes();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        if let Some(byte) = flipped.get_mut(at) {
            *byte ^= 0x55;
        }
        let cut = whole.get(..at).unwrap_or_default().to_vec();
        for bytes in [flipped, cut] {
            if let Ok(index) = kind.open(Bytes::from(bytes)) {
                found(&index, &Range::Equal(integer(3)), 16);
                found(&index, &all(false), 16);
            }
        }
    }
}

fn build(kind: &dyn IndexKind, model: &BTreeSet<Entry>) -> Arc<dyn Index> {
    let mut entries = Entries::default();
    // Their order means nothing.
    for (value, key) in model.iter().rev() {
        entries.push(value, key).unwrap_or_else(|error| panic!("{error}"));
    }
    kind.build(&entries).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether an index finds what the model has.
fn check(
    kind: &dyn IndexKind,
    index: &Arc<dyn Index>,
    model: &BTreeSet<Entry>,
    numbers: &mut Numbers,
) {
    assert_eq!(index.len(), model.len() as u64, "{}: entries", kind.id());
    assert_eq!(index.is_empty(), model.is_empty());
    for _ in 0..6 {
        let (value, _) = numbers.entry(400);
        let expected = model.iter().filter(|entry| entry.0 == value).map(|entry| &entry.1);
        let mut keys = found(index, &Range::Equal(value.clone()), numbers.below(20) as usize + 1);
        keys.sort();
        if kind.is_ordered() {
            assert!(expected.eq(keys.iter()), "{}: equal to {value:?}", kind.id());
        } else {
            assert!(
                expected.into_iter().all(|key| keys.binary_search(key).is_ok()),
                "{}: equal to {value:?}",
                kind.id()
            );
        }
    }
    if kind.is_ordered() {
        let ranges: Vec<_> = (0..4).map(|_| numbers.range()).collect();
        for range in [all(false), all(true)].into_iter().chain(ranges) {
            let keys = found(index, &range, numbers.below(20) as usize + 1);
            assert_eq!(keys, expected(model, &range), "{}: {range:?}", kind.id());
        }
    }
}

fn all(reversed: bool) -> Range {
    Range::Between { from: Vec::new(), to: None, reversed }
}

/// What the model has between two places.
fn expected(model: &BTreeSet<Entry>, range: &Range) -> Vec<Vec<u8>> {
    let Range::Between { from, to, reversed } = range else { return Vec::new() };
    let inside = |(value, _): &&Entry| value >= from && to.as_ref().is_none_or(|to| value < to);
    let mut keys: Vec<_> = model.iter().filter(inside).map(|(_, key)| key.clone()).collect();
    if *reversed {
        keys.reverse();
    }
    keys
}

/// All that a search finds.
fn found(index: &Arc<dyn Index>, range: &Range, max: usize) -> Vec<Vec<u8>> {
    let mut search = Arc::clone(index).search(range);
    let (mut found, mut keys) = (Vec::new(), Keys::default());
    loop {
        keys.clear();
        let more = search.next(max, &mut keys);
        assert!(keys.len() <= max, "more keys than were asked for");
        found.extend(keys.iter().map(<[u8]>::to_vec));
        if !more {
            return found;
        }
    }
}

fn integer(integer: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&CellValue::Integer(integer), Collation::Binary, &mut bytes);
    bytes
}

/// Numbers that are always the same. (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.)
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A value of one of several types, and a key; values and keys come again.
    fn entry(&mut self, values: u64) -> Entry {
        let number = self.below(values);
        let text = "x".repeat((number % 40) as usize) + &number.to_string();
        let value = match number % 4 {
            0 => CellValue::Text(text.as_bytes().into()),
            1 => CellValue::Real(number as f64 / 3.0),
            2 => CellValue::Null,
            _ => CellValue::Integer(number.cast_signed() - 7),
        };
        let mut bytes = Vec::new();
        encode(&value, Collation::Binary, &mut bytes);
        (bytes, self.below(300).to_string().into_bytes())
    }

    fn range(&mut self) -> Range {
        let (one, other) = (self.entry(400).0, self.entry(400).0);
        let reversed = self.below(2) == 0;
        let to = match self.below(3) {
            0 => None,
            1 => just_behind(&other),
            _ => Some(other),
        };
        Range::Between { from: one, to, reversed }
    }
}
