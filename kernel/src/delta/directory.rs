//! The directory at the end of a pack: which versions it holds, where their changes are, and which versions
//! touched a key.
//!
//! ```text
//! all varints:
//!     number of versions, then each: timestamp (the first whole, then what it lies behind the one before),
//!       base (what it lies behind the timestamp), action, user, node (0: as before, else 1 and 8 bytes),
//!       size and rows (what they differ from those before, signed)
//!     number of chunks, then each: versions, length, unpacked length, CRC32 (u32) of it as stored
//!     number of entries, bits of a hash, then each: the upper bits of the XXH3-64 of a key (what they lie
//!       behind those before), version
//!     number of bulk versions, then each (what it lies behind the one before)
//! ```
//!
//! A hash has eight bits more than it takes to number the entries: so one look-up in 256 of a key that no
//! version touched reads a chunk in vain, and an entry takes two bytes instead of five.

use reedbase_plugin_api::{Bytes, Error, NodeId, Result, Timestamp};

use crate::frame::Action;
use crate::table::Key;
use crate::wire::{Reader, put_signed, put_varint};

/// What the log says of a version, but for its link of the hash chain; in a pack, that is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The frame.
    pub timestamp: Timestamp,
    /// The version before.
    pub base: Timestamp,
    /// What the frame did.
    pub action: Action,
    /// Who did it.
    pub user: u32,
    /// The node that made the frame.
    pub node: NodeId,
    /// The bytes of the table at this version.
    pub size: u64,
    /// Its rows.
    pub rows: u64,
}

impl VersionInfo {
    /// A version.
    pub fn new(
        timestamp: Timestamp,
        base: Timestamp,
        action: Action,
        user: u32,
        node: NodeId,
    ) -> Self {
        Self { timestamp, base, action, user, node, size: 0, rows: 0 }
    }

    /// The same with its totals.
    #[must_use]
    pub fn totals(mut self, size: u64, rows: u64) -> Self {
        (self.size, self.rows) = (size, rows);
        self
    }
}

/// Consecutive versions that are compressed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// The number of the first.
    pub(super) first: usize,
    pub(super) versions: usize,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) unpacked: u64,
    /// The CRC32 of the stored bytes.
    pub(super) crc: u32,
}

/// What the end of a pack says about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory {
    pub(super) versions: Vec<VersionInfo>,
    pub(super) chunks: Vec<Chunk>,
    /// (hash of a key, version) in ascending order.
    pub(super) keys: Vec<(u32, u32)>,
    /// How many bits a hash has.
    pub(super) hash_bits: u32,
    /// Versions that touched too many keys to be found by one.
    pub(super) bulk: Vec<u32>,
}

/// The hash of a key, of which a directory stores the upper bits.
pub(super) fn pack_hash(key: &Key<'_>) -> u32 {
    (key.hash(0) >> 32) as u32
}

/// The upper bits of a hash.
fn upper(hash: u32, bits: u32) -> u32 {
    hash.checked_shr(u32::BITS.saturating_sub(bits)).unwrap_or_default()
}

impl Directory {
    /// Reads the directory of a pack whose chunks start and end at these offsets.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt).
    pub(super) fn read(bytes: Bytes, start: u64, end: u64) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let versions = read_versions(&mut reader)?;
        let chunks = read_chunks(&mut reader, versions.len(), start, end)?;
        let (hash_bits, keys) = read_keys(&mut reader, versions.len())?;
        let bulk = read_bulk(&mut reader, versions.len())?;
        reader.end()?;
        Ok(Self { versions, chunks, keys, hash_bits, bulk })
    }

    /// Adds what a pack finds its versions by: each hash with the version that touched the key.
    pub(super) fn set_keys(&mut self, mut keys: Vec<(u32, u32)>) {
        self.hash_bits = (usize::BITS - keys.len().leading_zeros() + 8).min(u32::BITS);
        keys.iter_mut().for_each(|(hash, _)| *hash = upper(*hash, self.hash_bits));
        keys.sort_unstable();
        keys.dedup();
        self.keys = keys;
    }

    /// The numbers of the versions that may have touched a key.
    pub(super) fn touching(&self, key: &Key<'_>) -> impl Iterator<Item = usize> + '_ {
        let hash = upper(pack_hash(key), self.hash_bits);
        let start = self.keys.partition_point(|(other, _)| *other < hash);
        let same = self.keys.iter().skip(start).take_while(move |(other, _)| *other == hash);
        same.map(|(_, version)| *version as usize)
    }

    /// The bytes of the directory.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.versions.len() as u64);
        let (mut last, mut node, mut size, mut rows) = (0, None, 0, 0);
        for version in &self.versions {
            let timestamp = version.timestamp.as_micros();
            put_signed(&mut out, timestamp - last);
            put_signed(&mut out, timestamp - version.base.as_micros());
            put_varint(&mut out, u64::from(version.action.code()));
            put_varint(&mut out, u64::from(version.user));
            if node == Some(version.node) {
                out.push(0);
            } else {
                out.push(1);
                out.extend_from_slice(&version.node.as_bits().to_le_bytes());
            }
            put_signed(&mut out, version.size as i64 - size);
            put_signed(&mut out, version.rows as i64 - rows);
            (last, node) = (timestamp, Some(version.node));
            (size, rows) = (version.size as i64, version.rows as i64);
        }
        put_varint(&mut out, self.chunks.len() as u64);
        for chunk in &self.chunks {
            for number in [chunk.versions as u64, chunk.len, chunk.unpacked] {
                put_varint(&mut out, number);
            }
            out.extend_from_slice(&chunk.crc.to_le_bytes());
        }
        put_varint(&mut out, self.keys.len() as u64);
        put_varint(&mut out, u64::from(self.hash_bits));
        let mut last = 0;
        for (hash, version) in &self.keys {
            put_varint(&mut out, u64::from(hash - last));
            put_varint(&mut out, u64::from(*version));
            last = *hash;
        }
        put_varint(&mut out, self.bulk.len() as u64);
        let mut last = 0;
        for number in &self.bulk {
            put_varint(&mut out, u64::from(number - last));
            last = *number;
        }
        out
    }
}

fn read_versions(reader: &mut Reader) -> Result<Vec<VersionInfo>> {
    let count = reader.length()?;
    let mut versions = Vec::with_capacity(count.min(1 << 16));
    let out_of_range = || Error::corrupt("a number of the pack is out of range");
    let (mut timestamp, mut node, mut size, mut rows) = (0_i64, None, 0_i64, 0_i64);
    for _ in 0..count {
        let step = reader.signed()?;
        let later = timestamp.checked_add(step).filter(|_| step > 0);
        timestamp = later.ok_or_else(out_of_range)?;
        let base = timestamp.checked_sub(reader.signed()?).ok_or_else(out_of_range)?;
        let action = u16::try_from(reader.varint()?).map_err(|_| out_of_range())?;
        let user = u32::try_from(reader.varint()?).map_err(|_| out_of_range())?;
        if reader.byte()? != 0 {
            node = Some(NodeId::from_bits(reader.u64()?));
        }
        size = size.checked_add(reader.signed()?).filter(|n| *n >= 0).ok_or_else(out_of_range)?;
        rows = rows.checked_add(reader.signed()?).filter(|n| *n >= 0).ok_or_else(out_of_range)?;
        let node = node.ok_or_else(out_of_range)?;
        let (timestamp, base) = (Timestamp::from_micros(timestamp), Timestamp::from_micros(base));
        let version = VersionInfo::new(timestamp, base, Action::from_code(action), user, node);
        versions.push(version.totals(size.unsigned_abs(), rows.unsigned_abs()));
    }
    Ok(versions)
}

fn read_chunks(reader: &mut Reader, versions: usize, start: u64, end: u64) -> Result<Vec<Chunk>> {
    let mut chunks = Vec::new();
    let (mut first, mut offset) = (0, start);
    for _ in 0..reader.length()? {
        let count = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        let (len, unpacked, crc) = (reader.varint()?, reader.varint()?, reader.u32()?);
        chunks.push(Chunk { first, versions: count, offset, len, unpacked, crc });
        first = first.saturating_add(count);
        offset = offset.saturating_add(len);
    }
    if first != versions || offset != end {
        return Err(Error::corrupt("the chunks of the pack do not fit"));
    }
    Ok(chunks)
}

fn read_keys(reader: &mut Reader, versions: usize) -> Result<(u32, Vec<(u32, u32)>)> {
    let count = reader.length()?;
    let bits = u32::try_from(reader.varint()?).ok().filter(|bits| *bits <= u32::BITS);
    let bits = bits.ok_or_else(|| Error::corrupt("a hash of the pack has too many bits"))?;
    let mut keys = Vec::with_capacity(count.min(1 << 16));
    let mut hash = 0_u32;
    for _ in 0..count {
        let step = u32::try_from(reader.varint()?).ok();
        let version = u32::try_from(reader.varint()?).ok().filter(|n| (*n as usize) < versions);
        let next = step.and_then(|step| hash.checked_add(step)).zip(version);
        let (next, version) =
            next.ok_or_else(|| Error::corrupt("a key of the pack is out of range"))?;
        hash = next;
        keys.push((hash, version));
    }
    Ok((bits, keys))
}

fn read_bulk(reader: &mut Reader, versions: usize) -> Result<Vec<u32>> {
    let mut bulk = Vec::new();
    let mut last = 0_u64;
    for _ in 0..reader.length()? {
        last = last.saturating_add(reader.varint()?);
        let number = u32::try_from(last).ok().filter(|n| (*n as usize) < versions);
        bulk.push(number.ok_or_else(|| Error::corrupt("a version of the pack is out of range"))?);
    }
    Ok(bulk)
}
