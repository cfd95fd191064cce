//! Old frames in one file: `frames/<first>-<last>.pack`.
//!
//! ```text
//!  0  magic "RDBFRAM1"
//!  8  format (u16): 2      10  seal (u8): 0      11  compression (u8): 1 XZ, 2 Zstandard
//! 12  chunks, one after the other, compressed: each the next thousand frames
//!     directory: for each chunk the first timestamp (i64), frames (u32), length (u32), unpacked length
//!       (u32), CRC32 (u32) of it as stored, and (not in format 1) the earliest wall clock in it (i64)
//! -20 number of chunks (u64)
//! -12 CRC32 of bytes 0 to 11 and of everything from the directory to here
//! -8  magic "RDBFRAME"
//!
//! frame, all varints: timestamp (what it lies behind the one before), what the wall clock lies behind it,
//!     node (0: as before, else 1 and 8 bytes), user, name (empty: none), number of details, each key and
//!     value; number of tables, each name and action
//! ```
//!
//! The first frame of a chunk has its timestamp whole, and its node. So the directory and one chunk are enough to
//! look one instant up.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, ErrorKind, NodeId, Result, TableName, Timestamp};

use super::UserDictionary;
use crate::delta::Compression;
use crate::frame::{Action, FrameInfo};
use crate::storage::{File, FileWriter, Storage, read_range};
use crate::wire::{Reader, put_bytes, put_signed, put_varint};

const MAGIC: &[u8; 8] = b"RDBFRAM1";
const END: &[u8; 8] = b"RDBFRAME";
const FORMAT: u16 = 2;
const START: u64 = 12;
const ENTRY: u64 = 32;
const ENTRY_1: u64 = 24;
const TRAILER: u64 = 20;

/// How many frames are compressed together.
const CHUNK: usize = if cfg!(test) { 3 } else { 1000 };

/// One line of the directory.
#[derive(Debug)]
struct Chunk {
    first: Timestamp,
    frames: u32,
    len: u32,
    unpacked: u32,
    crc: u32,
    /// The earliest wall clock in it; `None` in format 1.
    earliest: Option<Timestamp>,
    /// Where it starts in the file.
    at: u64,
}

/// A pack of which the directory was read.
#[derive(Debug)]
pub(super) struct Frames {
    file: Arc<dyn File>,
    compression: Compression,
    chunks: Vec<Chunk>,
}

/// Writes frames, given oldest first; the file is durable once its folder is synced.
///
/// # Errors
/// Those of the storage.
pub(super) fn write_frames(
    storage: &dyn Storage,
    path: &str,
    frames: &[Arc<FrameInfo>],
    users: &mut UserDictionary,
    compression: Compression,
) -> Result<()> {
    let mut file = FileWriter::create(storage, path)?;
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&FORMAT.to_le_bytes());
    head.extend_from_slice(&[0, compression.code()]);
    file.put(&head)?;
    let (mut end, mut count) = (Vec::new(), 0_u64);
    for chunk in frames.chunks(CHUNK) {
        let bytes = encode(chunk, users);
        let packed = compression.pack_bytes(&bytes)?;
        file.put(&packed)?;
        let first = chunk.first().map_or(0, |frame| frame.timestamp.as_micros());
        let numbers = [chunk.len(), packed.len(), bytes.len()].map(u32::try_from);
        end.extend_from_slice(&first.to_le_bytes());
        for number in numbers {
            let number = number.map_err(|_| Error::internal("too many frames in one chunk"))?;
            end.extend_from_slice(&number.to_le_bytes());
        }
        end.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
        let earliest = chunk.iter().map(|frame| frame.wall).min().unwrap_or_default();
        end.extend_from_slice(&earliest.as_micros().to_le_bytes());
        count += 1;
    }
    end.extend_from_slice(&count.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head);
    crc.update(&end);
    end.extend_from_slice(&crc.finalize().to_le_bytes());
    end.extend_from_slice(END);
    file.put(&end)?;
    file.finish(storage)
}

fn encode(frames: &[Arc<FrameInfo>], users: &mut UserDictionary) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut last, mut node) = (0, None);
    for frame in frames {
        let timestamp = frame.timestamp.as_micros();
        put_signed(&mut out, timestamp - last);
        put_signed(&mut out, timestamp - frame.wall.as_micros());
        if node == Some(frame.node) {
            out.push(0);
        } else {
            out.push(1);
            out.extend_from_slice(&frame.node.as_bits().to_le_bytes());
        }
        put_varint(&mut out, u64::from(users.code(&frame.user, frame.timestamp)));
        put_bytes(&mut out, frame.name.as_deref().unwrap_or_default().as_bytes());
        put_varint(&mut out, frame.details.len() as u64);
        for (key, value) in &frame.details {
            put_bytes(&mut out, key.as_bytes());
            put_bytes(&mut out, value.as_bytes());
        }
        put_varint(&mut out, frame.tables.len() as u64);
        for (table, action) in &frame.tables {
            put_bytes(&mut out, table.as_str().as_bytes());
            put_varint(&mut out, u64::from(action.code()));
        }
        (last, node) = (timestamp, Some(frame.node));
    }
    out
}

impl Frames {
    /// How it is compressed.
    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    /// Reads the directory of a pack.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if it is not what it was, or [`NewerFormat`](ErrorKind::NewerFormat).
    pub(super) fn open(file: Arc<dyn File>) -> Result<Self> {
        let cut = || Error::corrupt("the pack is cut off");
        let len = file.stat()?.len;
        let trailer_at = len.checked_sub(TRAILER).filter(|at| *at >= START).ok_or_else(cut)?;
        let end = read_range(&*file, trailer_at, TRAILER)?;
        let mut trailer = Reader::new(end.clone());
        let (count, crc) = (trailer.u64()?, trailer.u32()?);
        let start = read_range(&*file, 0, START)?;
        let mut head = Reader::new(start.clone());
        if head.array()? != *MAGIC || trailer.array()? != *END {
            return Err(Error::corrupt("this is no whole pack of frames"));
        }
        let format = u16::from_le_bytes(head.array()?);
        let [seal, compression] = head.array()?;
        let entry = if format == 1 { ENTRY_1 } else { ENTRY };
        let at = count.checked_mul(entry).and_then(|len| trailer_at.checked_sub(len));
        let at = at.filter(|at| *at >= START).ok_or_else(cut)?;
        let directory = read_range(&*file, at, trailer_at - at)?;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&start);
        sum.update(&directory);
        sum.update(&end.slice(..8));
        if sum.finalize() != crc {
            return Err(Error::corrupt("the checksum of the pack does not match"));
        }
        if format > FORMAT || seal != 0 {
            return Err(Error::new(
                ErrorKind::NewerFormat,
                "the pack of frames is of a newer format",
            )
            .help("update ReedBase"));
        }
        let chunks = read_chunks(directory, count, format, at)?;
        Ok(Self { file, compression: Compression::from_code(compression)?, chunks })
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// What is known of a chunk without reading it.
    pub(super) fn about(&self, chunk: usize) -> About {
        self.chunks.get(chunk).map_or_else(About::default, |chunk| About {
            first: chunk.first,
            earliest: chunk.earliest.unwrap_or(Timestamp::ZERO),
        })
    }

    /// The frames of a chunk, oldest first.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if a byte of it is not what it was.
    pub(super) fn read(&self, chunk: usize, users: &UserDictionary) -> Result<Vec<Arc<FrameInfo>>> {
        let Some(chunk) = self.chunks.get(chunk) else { return Ok(Vec::new()) };
        let packed = read_range(&*self.file, chunk.at, u64::from(chunk.len))?;
        if crc32fast::hash(&packed) != chunk.crc {
            return Err(Error::corrupt("the checksum of the pack does not match"));
        }
        let unpacked = self.compression.unpack(&packed, u64::from(chunk.unpacked))?;
        let mut frames = Vec::with_capacity(chunk.frames.min(CHUNK as u32) as usize);
        decode(unpacked, users, &mut frames)?;
        let first = frames.first().map(|frame| frame.timestamp);
        if first != Some(chunk.first) || frames.len() != chunk.frames as usize {
            return Err(Error::corrupt("a chunk of the pack holds other frames than stated"));
        }
        Ok(frames)
    }
}

/// What is known of some frames without reading them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About {
    /// The first timestamp.
    pub(super) first: Timestamp,
    /// No wall clock is earlier.
    pub(super) earliest: Timestamp,
}

/// The chunks, which together fill what lies before the directory.
fn read_chunks(directory: Bytes, count: u64, format: u16, end: u64) -> Result<Vec<Chunk>> {
    let mut entries = Reader::new(directory);
    let (mut chunks, mut at) = (Vec::new(), START);
    for _ in 0..count {
        let first = Timestamp::from_micros(entries.i64()?);
        let (frames, len) = (entries.u32()?, entries.u32()?);
        let (unpacked, crc) = (entries.u32()?, entries.u32()?);
        let earliest = if format == 1 { None } else { Some(entries.i64()?) };
        let earliest = earliest.map(Timestamp::from_micros);
        chunks.push(Chunk { first, frames, len, unpacked, crc, earliest, at });
        at += u64::from(len);
    }
    if at != end {
        return Err(Error::corrupt("the chunks of the pack do not fit"));
    }
    Ok(chunks)
}

fn decode(bytes: Bytes, users: &UserDictionary, frames: &mut Vec<Arc<FrameInfo>>) -> Result<()> {
    let out_of_range = || Error::corrupt("a number of the pack is out of range");
    let mut reader = Reader::new(bytes);
    let (mut timestamp, mut node) = (0_i64, None);
    while reader.left() > 0 {
        timestamp = timestamp.checked_add(reader.signed()?).ok_or_else(out_of_range)?;
        let wall = timestamp.checked_sub(reader.signed()?).ok_or_else(out_of_range)?;
        if reader.byte()? != 0 {
            node = Some(NodeId::from_bits(reader.u64()?));
        }
        let user = u32::try_from(reader.varint()?).map_err(|_| out_of_range())?;
        let user = users.name(user).ok_or_else(|| Error::corrupt("a user has no such code"))?;
        let name = Some(reader.text()?).filter(|name| !name.is_empty());
        let mut details = BTreeMap::new();
        for _ in 0..reader.length()? {
            details.insert(reader.text()?, reader.text()?);
        }
        let mut tables = Vec::new();
        for _ in 0..reader.length()? {
            let name = TableName::new(&reader.text()?)
                .map_err(|error| Error::corrupt("a table has a bad name").caused_by(error))?;
            let action = u16::try_from(reader.varint()?).map_err(|_| out_of_range())?;
            tables.push((name, Action::from_code(action)));
        }
        frames.push(Arc::new(FrameInfo {
            timestamp: Timestamp::from_micros(timestamp),
            node: node.ok_or_else(out_of_range)?,
            wall: Timestamp::from_micros(wall),
            parent: Timestamp::ZERO,
            sequence: 0,
            user: user.to_owned(),
            name,
            details,
            tables,
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Access, MemoryStorage};

    fn frame(n: i64) -> Arc<FrameInfo> {
        Arc::new(FrameInfo {
            timestamp: Timestamp::from_micros(1_700_000_000_000_000 + n * 7),
            node: NodeId::from_bits(if n < 4 { 5 } else { 6 }),
            wall: Timestamp::from_micros(1_700_000_000_000_000 + n * 6),
            parent: Timestamp::ZERO,
            sequence: 0,
            user: if n % 2 == 0 { "jane".into() } else { "joe".into() },
            name: (n % 3 == 0).then(|| format!("name {n}")),
            details: [("client".into(), "rdb; 100%\n".into())].into(),
            tables: vec![(TableName::new("t").unwrap(), Action::UPDATE); (n % 3) as usize],
        })
    }

    #[test]
    fn frames_come_back_and_damage_is_found() {
        let frames: Vec<_> = (0..8).map(frame).collect();
        let mut users = UserDictionary::new(Timestamp::ZERO);
        for compression in [Compression::Xz, Compression::Zstd] {
            let storage = MemoryStorage::new();
            write_frames(&storage, "p", &frames, &mut users, compression).unwrap();
            let whole = storage.files()["p"].clone();
            let read = |bytes: Vec<u8>| {
                let storage = MemoryStorage::from_files([("p".to_owned(), bytes)].into());
                let file = storage.open("p", Access::Read).unwrap().unwrap();
                let pack = Frames::open(file)?;
                let chunks = (0..pack.chunks()).map(|chunk| pack.read(chunk, &users));
                Ok::<_, Error>(chunks.collect::<Result<Vec<_>>>()?.concat())
            };
            assert_eq!(read(whole.clone()).unwrap(), frames);
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 1;
                assert!(read(damaged).is_err(), "byte {at}");
                assert!(read(whole[..at].to_vec()).is_err());
            }
        }
    }
}
