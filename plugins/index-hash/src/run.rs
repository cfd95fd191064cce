//! Keys sorted by the hashes of their values, in one piece of memory.
//!
//! ```text
//! count (u64) · for each entry the hash of its value (u64) · where each key ends (u32) · the keys
//! ```
//!
//! Hashes are spread evenly. So the upper bits of one say about where it stands: a directory holds, for each of as many
//! buckets as there are entries by four, where the first of its entries is.

use std::ops::Range;

use reedbase_plugin_api::{Bytes, Error, ErrorKind, Result};

/// Keys sorted by the hashes of their values.
#[derive(Debug)]
pub(crate) struct Run {
    bytes: Bytes,
    len: usize,
    /// Where each bucket begins, and the end.
    directory: Vec<u32>,
}

/// The bytes of the count and of a hash, and of an end.
const WORD: usize = 8;
const END: usize = 4;

impl Run {
    /// The run of these entries, hash and key, in any order.
    pub(crate) fn build(mut entries: Vec<(u64, &[u8])>) -> Result<Self> {
        entries.sort_unstable();
        let too_large = || Error::new(ErrorKind::Limit, "an index cannot be larger than 4 GiB");
        let mut bytes = Vec::with_capacity(WORD + entries.len() * (WORD + END + 8));
        bytes.extend((entries.len() as u64).to_le_bytes());
        entries.iter().for_each(|(hash, _)| bytes.extend(hash.to_le_bytes()));
        let mut end = 0_usize;
        for (_, key) in &entries {
            end += key.len();
            bytes.extend(u32::try_from(end).map_err(|_| too_large())?.to_le_bytes());
        }
        entries.iter().for_each(|(_, key)| bytes.extend_from_slice(key));
        Self::open(bytes.into())
    }

    /// The run that these bytes are.
    pub(crate) fn open(bytes: Bytes) -> Result<Self> {
        let damaged = || Error::new(ErrorKind::Corrupt, "the index is damaged");
        let count = bytes.first_chunk::<WORD>().ok_or_else(damaged)?;
        let count = u32::try_from(u64::from_le_bytes(*count)).map_err(|_| damaged())?;
        let len = count as usize;
        if len.checked_mul(WORD + END).is_none_or(|size| size > bytes.len() - WORD) {
            return Err(damaged());
        }
        let mut run = Self { bytes, len, directory: Vec::new() };
        let buckets = len / 4 + 1;
        let mut directory = Vec::with_capacity(buckets + 1);
        for (at, entry) in (0..count).zip(0..len) {
            let bucket = bucket(run.hash(entry), buckets);
            while directory.len() <= bucket {
                directory.push(at);
            }
        }
        directory.resize(buckets + 1, count);
        run.directory = directory;
        Ok(run)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn directory_bytes(&self) -> usize {
        self.directory.len() * size_of::<u32>()
    }

    /// The hash of an entry's value.
    pub(crate) fn hash(&self, at: usize) -> u64 {
        let bytes = self.bytes.get(WORD + at * WORD..).and_then(|rest| rest.first_chunk::<WORD>());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn end(&self, at: usize) -> usize {
        let start = WORD + self.len * WORD + at * END;
        let bytes = self.bytes.get(start..).and_then(|rest| rest.first_chunk::<END>());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    }

    /// The key of an entry.
    pub(crate) fn key(&self, at: usize) -> &[u8] {
        let origin = WORD + self.len * (WORD + END);
        let start = at.checked_sub(1).map_or(0, |before| self.end(before));
        self.bytes.get(origin + start..origin + self.end(at)).unwrap_or_default()
    }

    /// The entries whose values have this hash.
    pub(crate) fn of_hash(&self, hash: u64) -> Range<usize> {
        let bucket = bucket(hash, self.directory.len().saturating_sub(1));
        let place = |at: usize| self.directory.get(at).map_or(self.len, |at| *at as usize);
        let (from, to) = (place(bucket), place(bucket + 1));
        let start = self.first(from, to, |other| other < hash);
        start..self.first(start, to, |other| other <= hash)
    }

    /// The first entry of some of which the hash is not before.
    fn first(&self, mut from: usize, mut to: usize, before: impl Fn(u64) -> bool) -> usize {
        while from < to {
            let middle = from + (to - from) / 2;
            if before(self.hash(middle)) { from = middle + 1 } else { to = middle }
        }
        from
    }
}

/// The bucket of a hash. (Lemire, "Fast Random Integer Generation in an Interval", 2019.)
fn bucket(hash: u64, buckets: usize) -> usize {
    usize::try_from((u128::from(hash) * buckets as u128) >> 64).unwrap_or_default()
}
