//! Many versions of a table in one file: `<first>-<last>.pack`.
//!
//! ```text
//!  0  magic "RDBPACK1"
//!  8  format (u16): 1      10  seal (u8): 0      11  zero (u8)
//! 12  hash (32) of the version before the first
//! 44  chunks, one after the other: the changesets of consecutive versions in the codec `rows`, XZ
//!     directory, XZ (below)
//! -60 hash (32) of the last version
//! -28 offset (u64), length (u32) and unpacked length (u32) of the directory
//! -12 CRC32 of bytes 0 to 43, of the directory as stored, and of what follows it, up to here
//! -8  magic "RDBPACKE"
//!
//! directory, all varints:
//!     number of versions, then each: timestamp (the first whole, then what it lies behind the one before),
//!       base (what it lies behind the timestamp), action, user, node (0: as before, else 1 and 8 bytes),
//!       size and rows (what they differ from those before, signed)
//!     number of chunks, then each: versions, length, unpacked length
//!     number of entries, then each: hash of a key (what it lies behind the one before), version
//!     number of bulk versions, then each (what it lies behind the one before)
//! ```
//!
//! The entries say which versions touched a key: its history is read from the chunks that hold those, and
//! from no others. The hash is the upper half of XXH3-64 of the key; two keys may share one, so what is
//! found is compared. Versions that touched more than a thousand keys are listed as bulk instead: what they
//! did to a row follows from what it was before and after. Links of the hash chain are not stored: they are computed from the changesets, and
//! the last must come out as stated.

use std::collections::BTreeSet;
use std::sync::Arc;

use reedbase_plugin_api::{Changeset, DeltaCodec, Error, ErrorKind, NodeId, Result, Timestamp};

use super::{Compression, RowsCodec};
use crate::frame::Action;
use crate::storage::{File, FileWriter, Storage, read_range};
use crate::table::{Key, key_of, split};
use crate::wire::{Reader, put_signed, put_varint};

const MAGIC: &[u8; 8] = b"RDBPACK1";
const END: &[u8; 8] = b"RDBPACKE";
const FORMAT: u16 = 1;
const START: u64 = 44;
const TRAILER: u64 = 60;

/// A chunk is closed when its changesets touch this many bytes.
const CHUNK: usize = 1 << 17;

/// A version that touches more keys than this is not found by key.
const KEYS_MAX: usize = if cfg!(test) { 3 } else { 1000 };

/// One version in a pack: its line of the log, and what it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed {
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

impl Packed {
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

#[derive(Debug, Clone, Copy)]
struct Chunk {
    first: usize,
    versions: usize,
    offset: u64,
    len: u64,
    unpacked: u64,
}

/// A pack, open for reading. What is read of it is kept only while it is used.
#[derive(Debug, Clone)]
pub struct Pack {
    file: Arc<dyn File>,
    versions: Arc<Vec<Packed>>,
    chunks: Vec<Chunk>,
    /// (hash of a key, version) in ascending order.
    keys: Arc<Vec<(u32, u32)>>,
    bulk: Vec<u32>,
    hash_before: [u8; 32],
    hash_after: [u8; 32],
}

/// The name of a pack.
pub fn pack_name(first: Timestamp, last: Timestamp) -> String {
    format!("{first}-{last}.pack")
}

/// The first and the last version of the pack with this name.
pub fn pack_range(name: &str) -> Option<(Timestamp, Timestamp)> {
    let (first, last) = name.strip_suffix(".pack")?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some((Timestamp::from_micros(first), Timestamp::from_micros(last)))
}

/// The hash by which a pack finds a key.
fn pack_hash(key: &Key<'_>) -> u32 {
    (key.hash(0) >> 32) as u32
}

/// Writes a pack, one version after the other.
pub struct PackWriter {
    file: FileWriter,
    versions: Vec<Packed>,
    chunks: Vec<Chunk>,
    keys: BTreeSet<(u32, u32)>,
    bulk: Vec<u32>,
    open: Vec<Changeset>,
    open_bytes: usize,
    head: Vec<u8>,
}

impl PackWriter {
    /// Begins a pack after the version with this hash.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn create(storage: &dyn Storage, path: &str, hash_before: &[u8; 32]) -> Result<Self> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&FORMAT.to_le_bytes());
        head.extend_from_slice(&[0, 0]);
        head.extend_from_slice(hash_before);
        let mut file = FileWriter::create(storage, path)?;
        file.put(&head)?;
        let (versions, chunks, open) = (Vec::new(), Vec::new(), Vec::new());
        let (keys, bulk) = (BTreeSet::new(), Vec::new());
        Ok(Self { file, versions, chunks, keys, bulk, open, open_bytes: 0, head })
    }

    /// Appends a version.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn push(&mut self, version: Packed, changeset: Changeset) -> Result<()> {
        let number = u32::try_from(self.versions.len()).unwrap_or(u32::MAX);
        let keys = touched_keys(&changeset)?;
        if keys.len() > KEYS_MAX {
            self.bulk.push(number);
        } else {
            self.keys.extend(keys.into_iter().map(|key| (key, number)));
        }
        self.versions.push(version);
        self.open_bytes += changeset.touched_bytes() + 64;
        self.open.push(changeset);
        if self.open_bytes >= CHUNK { self.close_chunk() } else { Ok(()) }
    }

    fn close_chunk(&mut self) -> Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let changesets = std::mem::take(&mut self.open);
        let first = self.versions.len() - changesets.len();
        let offset = self.file.written();
        let mut unpacked = 0;
        Compression::Xz.pack(self.open_bytes, &mut self.file, &mut |sink| {
            let mut counted = super::file::Counted { sink, len: 0 };
            RowsCodec.encode(&changesets, &mut counted)?;
            unpacked = counted.len;
            Ok(())
        })?;
        let len = self.file.written() - offset;
        self.chunks.push(Chunk { first, versions: changesets.len(), offset, len, unpacked });
        self.open_bytes = 0;
        Ok(())
    }

    /// Writes the directory and syncs the file. `hash_after` is the hash of the last version.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn finish(mut self, storage: &dyn Storage, hash_after: &[u8; 32]) -> Result<()> {
        self.close_chunk()?;
        let directory = self.directory();
        let packed = Compression::Xz.pack_bytes(&directory)?;
        let offset = self.file.written();
        let mut end = packed;
        let (len, unpacked) = (end.len(), directory.len());
        end.extend_from_slice(hash_after);
        end.extend_from_slice(&offset.to_le_bytes());
        end.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        end.extend_from_slice(&u32::try_from(unpacked).unwrap_or(u32::MAX).to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.head);
        crc.update(&end);
        end.extend_from_slice(&crc.finalize().to_le_bytes());
        end.extend_from_slice(END);
        self.file.put(&end)?;
        self.file.finish(storage).map(drop)
    }

    fn directory(&self) -> Vec<u8> {
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
        }
        put_varint(&mut out, self.keys.len() as u64);
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

/// The hashes of the keys that a changeset touched.
fn touched_keys(changeset: &Changeset) -> Result<Vec<u32>> {
    let before = changeset.before.as_ref().unwrap_or(&changeset.after);
    let sides = [(before, &changeset.removed), (&changeset.after, &changeset.added)];
    let mut keys = Vec::new();
    for (shape, runs) in sides {
        for run in runs {
            for (_, line) in split(run, shape.delimiter())? {
                keys.extend(key_of(&line, shape).map(|key| pack_hash(&key)));
            }
        }
    }
    Ok(keys)
}

impl Pack {
    /// Opens a pack: reads its directory.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt), or [`NewerFormat`](ErrorKind::NewerFormat).
    pub fn open(file: Arc<dyn File>) -> Result<Self> {
        let len = file.stat()?.len;
        let trailer_at = len.checked_sub(TRAILER).filter(|at| *at >= START);
        let trailer_at = trailer_at.ok_or_else(|| Error::corrupt("the pack is cut off"))?;
        let head = read_range(&*file, 0, START)?;
        let trailer = read_range(&*file, trailer_at, TRAILER)?;
        let mut reader = Reader::new(trailer.clone());
        let hash_after = reader.array()?;
        let (offset, packed_len) = (reader.u64()?, u64::from(reader.u32()?));
        let unpacked = u64::from(reader.u32()?);
        let crc_stated = reader.u32()?;
        if !head.starts_with(MAGIC) || reader.array()? != *END {
            return Err(Error::corrupt("this is no whole pack"));
        }
        if offset < START || offset.checked_add(packed_len) != Some(trailer_at) {
            return Err(Error::corrupt("the directory of the pack is not where it should be"));
        }
        let packed = read_range(&*file, offset, packed_len)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head);
        crc.update(&packed);
        crc.update(trailer.get(..48).unwrap_or_default());
        if crc.finalize() != crc_stated {
            return Err(Error::corrupt("the checksum of the pack does not match"));
        }
        let mut head = Reader::new(head.slice(8..));
        let format = u16::from_le_bytes(head.array()?);
        let [seal, _] = head.array()?;
        if format > FORMAT || seal != 0 {
            return Err(Error::new(ErrorKind::NewerFormat, "the pack is of a newer format")
                .help("update ReedBase"));
        }
        let hash_before = head.array()?;
        let mut reader = Reader::new(Compression::Xz.unpack(&packed, unpacked)?);
        let versions = read_versions(&mut reader)?;
        let chunks = read_chunks(&mut reader, versions.len(), offset)?;
        let keys = read_keys(&mut reader, versions.len())?;
        let bulk = read_bulk(&mut reader, versions.len())?;
        reader.end()?;
        let (versions, keys) = (Arc::new(versions), Arc::new(keys));
        Ok(Self { file, versions, chunks, keys, bulk, hash_before, hash_after })
    }

    /// The versions, oldest first.
    pub fn versions(&self) -> &[Packed] {
        &self.versions
    }

    /// The hash of the version before the first, and of the last.
    pub fn hashes(&self) -> (&[u8; 32], &[u8; 32]) {
        (&self.hash_before, &self.hash_after)
    }

    /// The numbers of the versions that may have touched a key.
    pub fn touching(&self, key: &Key<'_>) -> Vec<usize> {
        let hash = pack_hash(key);
        let start = self.keys.partition_point(|(other, _)| *other < hash);
        let same = self.keys.iter().skip(start).take_while(|(other, _)| *other == hash);
        same.map(|(_, version)| *version as usize).collect()
    }

    /// The versions that touched too many keys to be found by one.
    pub fn bulk(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let versions = self.bulk.iter().filter_map(|number| self.versions.get(*number as usize));
        versions.map(|version| version.timestamp)
    }

    /// Calls `visit` with the changesets of these versions, given in ascending order; each chunk is
    /// unpacked once.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt), or those of `visit`.
    pub fn read(
        &self,
        numbers: &[usize],
        mut visit: impl FnMut(&Packed, Changeset) -> Result<()>,
    ) -> Result<()> {
        let mut wanted = numbers.iter().copied().peekable();
        for chunk in &self.chunks {
            let end = chunk.first + chunk.versions;
            if wanted.peek().is_none_or(|number| *number >= end) {
                continue;
            }
            let packed = read_range(&*self.file, chunk.offset, chunk.len)?;
            let unpacked = Compression::Xz.unpack(&packed, chunk.unpacked)?;
            let mut changesets: Vec<Option<Changeset>> =
                RowsCodec.decode(&unpacked)?.into_iter().map(Some).collect();
            if changesets.len() != chunk.versions {
                return Err(Error::corrupt("a chunk of the pack lacks a version"));
            }
            while let Some(number) = wanted.next_if(|number| *number < end) {
                let changeset = changesets.get_mut(number - chunk.first).and_then(Option::take);
                if let (Some(version), Some(changeset)) = (self.versions.get(number), changeset) {
                    visit(version, changeset)?;
                }
            }
        }
        Ok(())
    }
}

fn read_versions(reader: &mut Reader) -> Result<Vec<Packed>> {
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
        let version = Packed::new(timestamp, base, Action::from_code(action), user, node);
        versions.push(version.totals(size.unsigned_abs(), rows.unsigned_abs()));
    }
    Ok(versions)
}

fn read_chunks(reader: &mut Reader, versions: usize, directory: u64) -> Result<Vec<Chunk>> {
    let mut chunks = Vec::new();
    let (mut first, mut offset) = (0, START);
    for _ in 0..reader.length()? {
        let count = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        let (len, unpacked) = (reader.varint()?, reader.varint()?);
        chunks.push(Chunk { first, versions: count, offset, len, unpacked });
        first = first.saturating_add(count);
        offset = offset.saturating_add(len);
    }
    if first != versions || offset != directory {
        return Err(Error::corrupt("the chunks of the pack do not fit"));
    }
    Ok(chunks)
}

fn read_keys(reader: &mut Reader, versions: usize) -> Result<Vec<(u32, u32)>> {
    let count = reader.length()?;
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
    Ok(keys)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Access, MemoryStorage};
    use reedbase_plugin_api::{Bytes, Lines, Shape};

    fn changeset(key: u64, n: u64) -> Changeset {
        let shape = Shape::new(b',', Bytes::from("id,x\n"), vec![0]).unwrap();
        let line = |value: u64| {
            vec![Lines { start: key, count: 1, bytes: Bytes::from(format!("{key},{value}\n")) }]
        };
        Changeset {
            before: Some(shape.clone()),
            after: shape,
            schema: None,
            removed: line(n),
            added: line(n + 1),
            moves: Vec::new(),
            salt: [n as u8; 16],
        }
    }

    fn version(n: i64) -> Packed {
        let at = Timestamp::from_micros;
        let node = NodeId::from_bits(if n < 50 { 7 } else { 8 });
        Packed::new(at(1000 + n), at(999 + n), Action::UPDATE, 3, node).totals(100 + n as u64, 9)
    }

    fn write(storage: &MemoryStorage) {
        let mut writer = PackWriter::create(storage, "p", &[1; 32]).unwrap();
        for n in 0..100 {
            // Long rows, so that there are several chunks.
            let mut changeset = changeset(n % 10, n);
            if n % 3 == 0 {
                let long = format!("{},{}\n", n % 10, "x".repeat(5000));
                changeset.added[0].bytes = Bytes::from(long);
            }
            writer.push(version(n as i64), changeset).unwrap();
        }
        writer.finish(storage, &[2; 32]).unwrap();
    }

    fn open(storage: &MemoryStorage) -> Result<Pack> {
        Pack::open(storage.open("p", Access::Read)?.unwrap())
    }

    #[test]
    fn versions_come_back_by_number_and_by_key() {
        let storage = MemoryStorage::new();
        write(&storage);
        let pack = open(&storage).unwrap();
        assert!(pack.chunks.len() > 1);
        assert_eq!(pack.hashes(), (&[1; 32], &[2; 32]));
        let expected: Vec<_> = (0..100).map(version).collect();
        assert_eq!(pack.versions(), expected);
        assert_eq!(pack.touching(&Key::from("4")), (4..100).step_by(10).collect::<Vec<_>>());
        assert!(pack.touching(&Key::from("11")).is_empty());
        let mut seen = Vec::new();
        pack.read(&[0, 1, 50, 99], |version, changeset| {
            seen.push((version.timestamp.as_micros() - 1000, changeset.salt[0]));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(0, 0), (1, 1), (50, 50), (99, 99)]);
    }

    #[test]
    fn damage_is_found() {
        let storage = MemoryStorage::new();
        write(&storage);
        let whole = storage.files()["p"].clone();
        let all: Vec<usize> = (0..100).collect();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let storage = MemoryStorage::from_files([("p".into(), damaged)].into());
            let read = open(&storage).and_then(|pack| pack.read(&all, |_, _| Ok(())));
            assert!(read.is_err(), "byte {at}");
        }
    }
}
