//! What makes one file of another: rows are matched by key, wherever they stand.
//!
//! Each line of the new file looks for its partner in the old one: first at the place where the last
//! partner was found, which is where it stands unless something moved; then by key. The partners that
//! keep their order are the longest increasing subsequence of the old ordinals (Fredman, 1975); of the
//! others, those with the same bytes have moved, and the rest is removed and added.

use reedbase_plugin_api::{Bytes, Lines, Move, Result};

use super::base::Whole;
use super::{Base, key_of};

/// What makes one list of lines of another; the parts of a changeset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Lines of the old list that are gone.
    pub removed: Vec<Lines>,
    /// Lines of the new list that are new.
    pub added: Vec<Lines>,
    /// Lines that changed place.
    pub moves: Vec<Move>,
}

impl Difference {
    /// Lines removed and added, none moved.
    pub fn lines(removed: Vec<Lines>, added: Vec<Lines>) -> Self {
        Self { removed, added, moves: Vec::new() }
    }

    /// The whole old list removed and the whole new one added: for tables of different shapes.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn whole(old: &Base, new: &Base) -> Result<Self> {
        let all = |base: &Base| -> Result<Vec<Lines>> {
            let lines = base.lines();
            let bytes = base.slice(0, lines)?;
            let run = Lines { start: 0, count: u64::from(lines), bytes };
            Ok(if lines > 0 { vec![run] } else { Vec::new() })
        };
        Ok(Self { removed: all(old)?, added: all(new)?, moves: Vec::new() })
    }
}

/// No partner.
const NONE: u32 = u32::MAX;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Removed, or added.
    Changed,
    Kept,
    Moved,
}

/// What makes the new file of the old one. Both must have the same shape. Cost: O(lines), plus
/// O(n log n) for the rows that do not stand where they stood.
///
/// # Errors
/// Those of reading the files.
pub fn diff(old: &Base, new: &Base) -> Result<Difference> {
    let (old_lines, new_lines) = (old.whole()?, new.whole()?);
    let partners = partners(&old_lines, &new_lines)?;
    let in_order = increasing(&partners);
    let mut old_fates = vec![Fate::Changed; old.lines() as usize];
    let mut new_fates = vec![Fate::Changed; new.lines() as usize];
    let mut moves = Vec::new();
    let slots = (0_u32..).zip(partners.iter().zip(&in_order).zip(&mut new_fates));
    for (slot, ((partner, in_order), new_fate)) in slots {
        let Some(old_fate) = old_fates.get_mut(*partner as usize) else { continue };
        if old_lines.line(*partner) != new_lines.line(slot) {
            continue;
        }
        let fate = if *in_order { Fate::Kept } else { Fate::Moved };
        (*old_fate, *new_fate) = (fate, fate);
        if fate == Fate::Moved {
            push_move(&mut moves, *partner, slot);
        }
    }
    moves.sort_by_key(|moved| moved.from);
    Ok(Difference { removed: runs(old, &old_fates)?, added: runs(new, &new_fates)?, moves })
}

/// One piece of a new file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "bytes are old or new")]
pub enum Piece {
    /// These bytes of the old file.
    Old {
        /// Where they start.
        start: u64,
        /// How many there are.
        len: u64,
    },
    /// Bytes that the old file does not have.
    New(Bytes),
}

/// The new file as pieces of the old one and new ones, in order.
///
/// # Errors
/// Those of reading the files.
pub fn pieces(old: &Base, new: &Base) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let header = new.shape().header();
    if old.shape().header() == header {
        pieces.push(Piece::Old { start: 0, len: header.len() as u64 });
    } else {
        pieces.push(Piece::New(header.clone()));
    }
    let (old_lines, new_lines) = (old.whole()?, new.whole()?);
    let same_shape = old.shape() == new.shape();
    let partners = if same_shape {
        partners(&old_lines, &new_lines)?
    } else {
        vec![NONE; new.lines() as usize]
    };
    for (slot, partner) in (0_u32..).zip(partners) {
        let same = old_lines.line(partner) == new_lines.line(slot);
        match old.place_of(partner).filter(|_| same) {
            Some((start, len)) => push_old(&mut pieces, start, len),
            None => pieces.push(Piece::New(new.line(slot)?)),
        }
    }
    Ok(pieces)
}

fn push_old(pieces: &mut Vec<Piece>, start: u64, len: u64) {
    match pieces.last_mut() {
        Some(Piece::Old { start: last, len: last_len }) if *last + *last_len == start => {
            *last_len += len;
        }
        _ => pieces.push(Piece::Old { start, len }),
    }
}

/// The old ordinal of each new line, or `NONE`.
fn partners(old: &Whole<'_>, new: &Whole<'_>) -> Result<Vec<u32>> {
    let shape = new.base().shape();
    let count = new.base().lines();
    let mut partners = Vec::with_capacity(count as usize);
    let mut taken = vec![false; old.base().lines() as usize];
    let mut cursor = 0;
    for slot in 0..count {
        let line = new.line(slot).unwrap_or_default();
        let here = (old.line(cursor) == Some(line)).then_some(cursor);
        let partner = match here {
            Some(here) => Some(here),
            None if shape.is_blank(line) => next_blank(old, cursor, line),
            None => match key_of(line, shape) {
                Some(key) => old.base().find(&key)?.map(|(slot, _)| slot),
                None => None,
            },
        };
        let free = partner.filter(|partner| {
            taken.get_mut(*partner as usize).is_some_and(|taken| !std::mem::replace(taken, true))
        });
        partners.push(free.unwrap_or(NONE));
        cursor = free.map_or(cursor, |partner| partner + 1);
    }
    Ok(partners)
}

/// A blank line has no key: it is the next of its kind near the place where the last partner was found.
fn next_blank(old: &Whole<'_>, cursor: u32, line: &[u8]) -> Option<u32> {
    let mut near = cursor..cursor.saturating_add(16);
    near.find(|slot| old.line(*slot) == Some(line))
}

/// Which entries belong to a longest increasing subsequence, `NONE` left out.
fn increasing(partners: &[u32]) -> Vec<bool> {
    // `tails[n]` is where the smallest end of an increasing subsequence of length n + 1 stands, and
    // `previous[i]` what comes before entry i in the best subsequence that ends there.
    let value = |at: u32| partners.get(at as usize).copied().unwrap_or(NONE);
    let mut tails: Vec<u32> = Vec::new();
    let mut previous = vec![NONE; partners.len()];
    for (at, partner) in (0_u32..).zip(partners).filter(|(_, partner)| **partner != NONE) {
        let len = match tails.last() {
            Some(last) if value(*last) < *partner => tails.len(),
            _ => tails.partition_point(|tail| value(*tail) < *partner),
        };
        if let Some(slot) = previous.get_mut(at as usize) {
            *slot = len.checked_sub(1).and_then(|len| tails.get(len).copied()).unwrap_or(NONE);
        }
        match tails.get_mut(len) {
            Some(tail) => *tail = at,
            None => tails.push(at),
        }
    }
    let mut chosen = vec![false; partners.len()];
    let mut next = tails.last().copied();
    while let Some(at) = next {
        let Some(chosen) = chosen.get_mut(at as usize) else { break };
        *chosen = true;
        next = previous.get(at as usize).copied();
    }
    chosen
}

fn push_move(moves: &mut Vec<Move>, from: u32, to: u32) {
    let (from, to) = (u64::from(from), u64::from(to));
    match moves.last_mut() {
        Some(last) if last.from + last.count == from && last.to + last.count == to => {
            last.count += 1
        }
        _ => moves.push(Move { from, to, count: 1 }),
    }
}

/// The changed lines, gathered into runs.
fn runs(base: &Base, fates: &[Fate]) -> Result<Vec<Lines>> {
    let mut runs = Vec::new();
    let mut start = None;
    let ends = fates.iter().map(|fate| *fate == Fate::Changed).chain([false]);
    for (slot, changed) in (0_u32..).zip(ends) {
        match (start, changed) {
            (None, true) => start = Some(slot),
            (Some(from), false) => {
                let count = u64::from(slot - from);
                runs.push(Lines { start: u64::from(from), count, bytes: base.slice(from, slot)? });
                start = None;
            }
            _ => {}
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::super::apply::inverse;
    use super::super::{Edit, Key, Stamp, Table};
    use super::*;
    use proptest::prelude::*;
    use reedbase_plugin_api::{Changeset, Shape, Timestamp};
    use std::sync::Arc;

    fn table(text: &str) -> Table {
        let len = text.find('\n').map_or(text.len(), |at| at + 1);
        let header = Bytes::copy_from_slice(&text.as_bytes()[..len]);
        let shape = Arc::new(Shape::new(b',', header, vec![0]).unwrap());
        let base = Base::parse(Bytes::copy_from_slice(text.as_bytes()), shape).unwrap();
        Table::new(Arc::new(base), Timestamp::ZERO)
    }

    fn changeset(old: &Table, new: &Table) -> Changeset {
        let Difference { removed, added, moves } = diff(old.base(), new.base()).unwrap();
        let (before, after) = (Some((**old.shape()).clone()), (**new.shape()).clone());
        Changeset { before, after, schema: None, removed, added, moves, salt: [0; 16] }
    }

    fn counts(old: &str, new: &str) -> (u64, u64, u64) {
        let change = changeset(&table(old), &table(new));
        let moved = change.moves.iter().map(|moved| moved.count).sum();
        (change.removed_count(), change.added_count(), moved)
    }

    #[test]
    fn only_what_changed_is_in_the_difference() {
        let old = "id,x\n1,a\n2,b\n\n3,c\n4,d\n";
        assert_eq!(counts(old, old), (0, 0, 0));
        assert_eq!(counts(old, "id,x\n1,a\n2,B\n\n3,c\n4,d\n"), (1, 1, 0));
        assert_eq!(counts(old, "id,x\n1,a\n\n3,c\n4,d\n"), (1, 0, 0));
        assert_eq!(counts(old, "id,x\n4,d\n1,a\n2,b\n\n3,c\n"), (0, 0, 1));
        assert_eq!(counts(old, "id,x\n\n3,c\n4,d\n1,a\n2,b\n"), (0, 0, 2));
        assert_eq!(counts(old, "id,x\n"), (5, 0, 0));
        assert_eq!(counts("id,x\n", old), (0, 5, 0));
    }

    /// A file of up to 12 rows with keys 0 to 15 and values a to c, blank lines, any line ends, perhaps
    /// without the last one.
    fn file() -> impl Strategy<Value = String> {
        let line = (0_u8..19, "[abc]", prop::bool::weighted(0.2));
        (prop::collection::vec(line, 0..12), any::<bool>()).prop_map(|(lines, ragged)| {
            let mut text = "id,x\n".to_owned();
            let mut used = std::collections::HashSet::new();
            for (key, value, crlf) in lines {
                let end = if crlf { "\r\n" } else { "\n" };
                if key > 15 {
                    text.push_str(end);
                } else if used.insert(key) {
                    text.push_str(&format!("{key},{value}{end}"));
                }
            }
            if ragged && text.ends_with('\n') && used.len() > 1 {
                text.truncate(text.trim_end().len());
            }
            text
        })
    }

    /// An edit of one row: its key, and what becomes of it.
    fn edits() -> impl Strategy<Value = Vec<(u8, Option<String>)>> {
        prop::collection::vec((0_u8..16, prop::option::of("[abc]")), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// A difference leads from the old file to the new one and back, byte for byte, whether it is
        /// applied to a base or to a table with edits, line by line or in one go.
        #[test]
        fn a_difference_leads_there_and_back(old in file(), new in file(), edits in edits()) {
            let (old, new) = (table(&old), table(&new));
            let mut edit = Edit::new(new.clone(), Stamp::new(Timestamp::from_micros(1)));
            for (key, value) in edits {
                let key = key.to_string();
                let row = value.map(|value| Bytes::from(format!("{key},{value}\n")));
                edit.put(&Key::from(&key), row).unwrap();
            }
            let (edited, removed, added) = edit.finish().unwrap();
            let there = changeset(&old, &new);
            let shape = there.after.clone();
            let by_edits = Changeset { removed, added, moves: Vec::new(), ..there.clone() };
            let at = Timestamp::from_micros(2);

            let applied = old.apply(&there, at).unwrap();
            prop_assert_eq!(applied.to_bytes().unwrap(), new.to_bytes().unwrap());
            let applied = applied.apply(&by_edits, at).unwrap();
            prop_assert_eq!(applied.to_bytes().unwrap(), edited.to_bytes().unwrap());
            prop_assert_eq!(applied.file_len(), edited.to_bytes().unwrap().len() as u64);
            prop_assert_eq!(applied.rows(), edited.flatten().unwrap().rows());
            for key in 0..16 {
                let key = Key::from(key);
                prop_assert_eq!(applied.get(&key).unwrap(), edited.flatten().unwrap().get(&key).unwrap());
            }
            let back = applied.apply(&inverse(&by_edits, &shape), at).unwrap();
            prop_assert_eq!(back.to_bytes().unwrap(), new.to_bytes().unwrap());
            let back = back.apply(&inverse(&there, &shape), at).unwrap();
            prop_assert_eq!(back.to_bytes().unwrap(), old.to_bytes().unwrap());
            let rows: Vec<_> = back.rows_iter().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len() as u64, old.rows());
        }
    }
}
