//! Many versions of a table in one file: `<first>-<last>.pack`.
//!
//! ```text
//!  0  magic "RDBPACK1"
//!  8  format (u16): 1      10  seal (u8): 0      11  compression (u8): 1 XZ, 2 Zstandard
//! 12  hash (32) of the version before the first
//! 44  chunks, one after the other: the changesets of consecutive versions in the codec `rows`, compressed
//!     directory (see `directory.rs`), compressed
//! -60 hash (32) of the last version
//! -28 offset (u64), length (u32) and unpacked length (u32) of the directory
//! -12 CRC32 of bytes 0 to 43, of the directory as stored, and of what follows it, up to here
//! -8  magic "RDBPACKE"
//! ```
//!
//! The directory says which versions touched a key: its history is read from the chunks that hold those, and
//! from no others. Two keys may share a hash, so what is found is compared. Versions that touched more than a
//! thousand keys are listed as bulk instead: what they did to a row follows from what it was before and after.
//! Links of the hash chain are not stored: they are computed from the changesets, and the last must come out as
//! stated.
//!
//! Packs that are made on the way are Zstandard: XZ saves another fifth and takes eighty times as long
//! (38 against 48 bytes, 32 against 0.4 µs for a one-cell edit), so it is for those who ask for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{Bytes, Changeset, Error, ErrorKind, Result, Timestamp};

use super::directory::{Chunk, Directory, VersionInfo};
use super::{Compression, RowsCodec};
use crate::storage::{File, read_range};
use crate::table::Key;
use crate::wire::Reader;

pub(super) const MAGIC: &[u8; 8] = b"RDBPACK1";
pub(super) const END: &[u8; 8] = b"RDBPACKE";
pub(super) const FORMAT: u16 = 1;
const START: u64 = 44;
const TRAILER: u64 = 60;

/// A pack, open for reading. Its directory is kept, and the chunks that were read last.
#[derive(Debug, Clone)]
pub struct Pack {
    file: Arc<dyn File>,
    compression: Compression,
    directory: Arc<Directory>,
    kept: Arc<Kept>,
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

/// Puts packs in order, and leaves out those that a larger one repeats, as a crash between writing that and
/// removing them leaves them.
pub fn without_repeated<T>(packs: &mut Vec<T>, range: impl Fn(&T) -> (Timestamp, Timestamp)) {
    packs.sort_by_key(|pack| {
        let (first, last) = range(pack);
        (first, std::cmp::Reverse(last))
    });
    let mut end = Timestamp::ZERO;
    packs.retain(|pack| {
        let (_, last) = range(pack);
        let fresh = last > end;
        end = end.max(last);
        fresh
    });
}

/// From which pack on the newest should be one: the newer of two has grown to half the older. `joins` says
/// whether a pack may be put together with the one before it.
pub fn merge_from(sizes: &[u64], joins: impl Fn(usize) -> bool) -> Option<usize> {
    let newest = sizes.len().checked_sub(1)?;
    let (mut start, mut sum) = (newest, *sizes.get(newest)?);
    while let Some(size) = start.checked_sub(1).and_then(|before| sizes.get(before)) {
        if !joins(start) || sum * 2 < *size {
            break;
        }
        start -= 1;
        sum += size;
    }
    (start < newest).then_some(start)
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
        let [seal, compression] = head.array()?;
        if format > FORMAT || seal != 0 {
            return Err(Error::new(ErrorKind::NewerFormat, "the pack is of a newer format")
                .help("update ReedBase"));
        }
        let hash_before = head.array()?;
        let compression = Compression::from_code(compression)?;
        let directory = Directory::read(compression.unpack(&packed, unpacked)?, START, offset)?;
        let (directory, kept) = (Arc::new(directory), Arc::default());
        Ok(Self { file, compression, directory, kept, hash_before, hash_after })
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// How many chunks it has.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.directory.chunks.len()
    }

    /// The versions, oldest first.
    pub fn versions(&self) -> &[VersionInfo] {
        &self.directory.versions
    }

    /// The hash of the version before the first, and of the last.
    pub fn hashes(&self) -> (&[u8; 32], &[u8; 32]) {
        (&self.hash_before, &self.hash_after)
    }

    /// The numbers of the versions that may have touched a key.
    pub fn touching(&self, key: &Key<'_>) -> impl Iterator<Item = usize> + '_ {
        self.directory.touching(key)
    }

    /// The versions that touched too many keys to be found by one.
    pub fn bulk(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let all = &self.directory.versions;
        let versions = self.directory.bulk.iter().filter_map(|number| all.get(*number as usize));
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
        mut visit: impl FnMut(&VersionInfo, Changeset) -> Result<()>,
    ) -> Result<()> {
        let mut wanted = numbers.iter().copied().peekable();
        for chunk in &self.directory.chunks {
            let end = chunk.first + chunk.versions;
            if wanted.peek().is_none_or(|number| *number >= end) {
                continue;
            }
            let unpacked = self.chunk(chunk)?;
            let inside: Vec<usize> =
                std::iter::from_fn(|| wanted.next_if(|number| *number < end)).collect();
            let places = inside.iter().map(|number| number - chunk.first);
            let changesets = RowsCodec.decode_some(&unpacked, chunk.versions, places)?;
            for (number, changeset) in inside.iter().zip(changesets) {
                if let Some(version) = self.directory.versions.get(*number) {
                    visit(version, changeset)?;
                }
            }
        }
        Ok(())
    }

    /// A chunk, unpacked; those that were read last are kept.
    fn chunk(&self, chunk: &Chunk) -> Result<Bytes> {
        if let Some(kept) = self.kept.get(chunk.offset) {
            return Ok(kept);
        }
        let packed = read_range(&*self.file, chunk.offset, chunk.len)?;
        if crc32fast::hash(&packed) != chunk.crc {
            return Err(
                Error::corrupt("the checksum of the pack does not match").at_byte(chunk.offset)
            );
        }
        let unpacked = self.compression.unpack(&packed, chunk.unpacked)?;
        self.kept.put(chunk.offset, &unpacked);
        Ok(unpacked)
    }
}

/// Chunks that were read last. Whoever looks at one row's history looks at another's, and those lie in the
/// same chunks.
#[derive(Debug, Default)]
struct Kept(Mutex<VecDeque<(u64, Bytes)>>);

/// How many bytes of unpacked chunks a pack keeps.
const KEPT_MAX: usize = 4 << 20;

impl Kept {
    fn get(&self, offset: u64) -> Option<Bytes> {
        let chunks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.iter().find(|(at, _)| *at == offset).map(|(_, chunk)| chunk.clone())
    }

    fn put(&self, offset: u64, chunk: &Bytes) {
        if chunk.len() > KEPT_MAX / 4 {
            // One bulk version would drive out all others.
            return;
        }
        let mut chunks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.push_back((offset, chunk.clone()));
        let len =
            |chunks: &VecDeque<(u64, Bytes)>| chunks.iter().map(|(_, c)| c.len()).sum::<usize>();
        while len(&chunks) > KEPT_MAX {
            chunks.pop_front();
        }
    }
}
