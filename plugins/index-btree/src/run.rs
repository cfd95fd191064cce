//! Sorted entries in one piece of memory.
//!
//! ```text
//! count (u64) · for each entry where its value and its key end (two u32) · the entries, value and key
//! ```
//!
//! Halving touches a place in memory at each step, far from the one before. So the first eight bytes of every sixteenth entry
//! stand in a small table, which is halved first; it says where to look among sixteen. Bytes that all entries begin with,
//! such as those of `Title `, are left out there: they would tell nothing apart.

use std::ops::Range;

use reedbase_plugin_api::{Bytes, Entries, Error, ErrorKind, Result};

/// Sorted entries.
#[derive(Debug)]
pub(crate) struct Run {
    bytes: Bytes,
    len: usize,
    /// How many bytes all entries begin with.
    common: usize,
    /// The beginnings of the entries 0, 16, 32 …, without what is common.
    fences: Vec<u64>,
}

/// How many entries there are between two fences.
const STEP: usize = 16;

/// The bytes of the count, and of the ends of one entry.
const COUNT: usize = 8;
const ENDS: usize = 8;

impl Run {
    /// The run of these entries, in any order.
    pub(crate) fn build(entries: &Entries) -> Result<Self> {
        let count = u32::try_from(entries.len()).map_err(|_| too_large())?;
        let first = entries.whole(0);
        let common = (1..entries.len())
            .fold(first.len(), |common, at| shared(first, entries.whole(at)).min(common));
        let mut order: Vec<(u64, u32)> =
            (0..count).map(|at| (beginning(entries.whole(at as usize), common), at)).collect();
        order.sort_unstable_by(|one, other| {
            let whole = |at: u32| entries.whole(at as usize);
            one.0.cmp(&other.0).then_with(|| whole(one.1).cmp(whole(other.1)))
        });
        Self::open(
            write(order.len(), order.iter().map(|(_, at)| entries.get(*at as usize)))?.into(),
        )
    }

    /// The run of entries that are in order.
    pub(crate) fn of_sorted(entries: &Entries) -> Result<Self> {
        Self::open(write(entries.len(), entries.iter())?.into())
    }

    /// The run that these bytes are.
    pub(crate) fn open(bytes: Bytes) -> Result<Self> {
        let damaged = || Error::new(ErrorKind::Corrupt, "the index is damaged");
        let count = bytes.first_chunk::<COUNT>().ok_or_else(damaged)?;
        let len = usize::try_from(u64::from_le_bytes(*count)).map_err(|_| damaged())?;
        let ends = len.checked_mul(ENDS).and_then(|ends| ends.checked_add(COUNT));
        if ends.is_none_or(|ends| ends > bytes.len()) {
            return Err(damaged());
        }
        let mut run = Self { bytes, len, common: 0, fences: Vec::new() };
        run.common = shared(run.whole(0), run.whole(len.saturating_sub(1)));
        run.fences =
            (0..len).step_by(STEP).map(|at| beginning(run.whole(at), run.common)).collect();
        Ok(run)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn fence_bytes(&self) -> usize {
        self.fences.len() * size_of::<u64>()
    }

    /// Where the value and the key of an entry end.
    fn ends(&self, at: usize) -> (usize, usize) {
        let ends = self.bytes.get(COUNT + at * ENDS..).and_then(|rest| rest.first_chunk::<ENDS>());
        let ends = ends.map_or(0, |ends| u64::from_le_bytes(*ends));
        #[expect(clippy::cast_possible_truncation, reason = "they are the halves")]
        let halves = (ends as u32, (ends >> 32) as u32);
        (halves.0 as usize, halves.1 as usize)
    }

    /// An entry, its value and its key one behind the other, and how long the value is.
    fn entry(&self, at: usize) -> (&[u8], usize) {
        let start = at.checked_sub(1).map_or(0, |before| self.ends(before).1);
        let (value_end, end) = self.ends(at);
        let origin = COUNT + self.len * ENDS;
        let whole = self.bytes.get(origin + start..origin.saturating_add(end));
        (whole.unwrap_or_default(), value_end.saturating_sub(start))
    }

    /// The value and the key of an entry, one behind the other.
    pub(crate) fn whole(&self, at: usize) -> &[u8] {
        self.entry(at).0
    }

    /// The value and the key of an entry.
    pub(crate) fn parts(&self, at: usize) -> (&[u8], &[u8]) {
        let (whole, value) = self.entry(at);
        whole.split_at_checked(value).unwrap_or_default()
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len).map(|at| self.parts(at))
    }

    /// The entries from one place up to another.
    pub(crate) fn between(&self, from: &[u8], to: Option<&[u8]>) -> Range<usize> {
        let start = self.first_at(from);
        start..to.map_or(self.len, |to| self.end_of(start, |entry| entry < to))
    }

    /// The entries whose values and keys, one behind the other, begin with these bytes.
    pub(crate) fn beginning_with(&self, bytes: &[u8]) -> Range<usize> {
        let start = self.first_at(bytes);
        start..self.end_of(start, |entry| entry.starts_with(bytes))
    }

    /// Where the entries from a place on end that are wanted. Many searches find few: so steps begin small, and double.
    /// (Bentley and Yao, "An almost optimal algorithm for unbounded searching", 1976.)
    fn end_of(&self, start: usize, is_wanted: impl Fn(&[u8]) -> bool) -> usize {
        let (mut from, mut step) = (start, 1);
        while from + step <= self.len && is_wanted(self.whole(from + step - 1)) {
            from += step;
            step *= 2;
        }
        self.halve(from, (from + step - 1).min(self.len), is_wanted)
    }

    /// The first entry that is not before these bytes.
    fn first_at(&self, bytes: &[u8]) -> usize {
        let first = self.whole(0);
        if shared(first, bytes) < self.common {
            return if bytes <= first { 0 } else { self.len };
        }
        let wanted = beginning(bytes, self.common);
        let before = self.fences.partition_point(|fence| *fence < wanted);
        let behind = self.fences.partition_point(|fence| *fence <= wanted);
        let (from, to) = (before.saturating_sub(1) * STEP, (behind * STEP).min(self.len));
        self.halve(from, to, |entry| entry < bytes)
    }

    /// The first entry between two places that is not as those before it are.
    fn halve(&self, mut from: usize, mut to: usize, is_before: impl Fn(&[u8]) -> bool) -> usize {
        while from < to {
            let middle = from + (to - from) / 2;
            if is_before(self.whole(middle)) { from = middle + 1 } else { to = middle }
        }
        from
    }
}

/// How many bytes two entries begin with alike.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Eight bytes behind the common ones, as a number that compares like them; where there are fewer, zeros.
#[expect(clippy::big_endian_bytes, reason = "the first byte counts most")]
fn beginning(entry: &[u8], common: usize) -> u64 {
    let rest = entry.get(common..).unwrap_or_default();
    if let Some(first) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut first = [0; 8];
    first.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

fn write<'a>(
    count: usize,
    entries: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Result<Vec<u8>> {
    let size: usize = entries.clone().map(|(value, key)| value.len() + key.len()).sum();
    let mut bytes = Vec::with_capacity(COUNT + count * ENDS + size);
    bytes.extend((count as u64).to_le_bytes());
    let mut end = 0_usize;
    for (value, key) in entries.clone() {
        for part in [value, key] {
            end += part.len();
            bytes.extend(u32::try_from(end).map_err(|_| too_large())?.to_le_bytes());
        }
    }
    for (value, key) in entries {
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(key);
    }
    Ok(bytes)
}

fn too_large() -> Error {
    Error::new(ErrorKind::Limit, "an index cannot be larger than 4 GiB")
}
