//! One file of the journal.
//!
//! ```text
//!  0  magic "RDBWAL1\n"
//!  8  format (u32): 1         12  CRC32 of bytes 16 to 47, preceded by the format
//! 16  segment (u64)           24  newest timestamp (i64) before this segment
//! 32  sequence (u64) of the node before this segment
//! 40  what the segment before must hold (u64): its records end there, and what follows is repeated here
//! 48  zero (u64)
//! 56  state (u64): 0 open; 1 the journal goes on in the next segment;
//!     64 or more: a sync failed, and only what lies below is known durable. Not covered by the checksum.
//! 64  records
//! ```

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, ErrorKind, Result, Timestamp};

use crate::storage::{Access, File, Storage, read_range};
use crate::wire::Reader;

/// Where the first record starts.
pub(super) const START: u64 = 64;

const MAGIC: &[u8; 8] = b"RDBWAL1\n";
const FORMAT: u32 = 1;
pub(super) const STATE_AT: u64 = 56;

/// The state of a segment that is gone on from.
pub(super) const ROLLED: u64 = 1;

/// The path of a segment.
pub(super) fn segment_name(number: u64) -> String {
    format!("journal/{number:010}.wal")
}

/// The number of the segment with this file name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    name.strip_suffix(".wal")?.parse().ok()
}

/// Whether the journal goes on elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Rolled,
    /// A sync failed; what lies below this offset is durable.
    Failed(u64),
}

/// What a segment says about the journal before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before {
    pub(super) newest: Timestamp,
    pub(super) sequence: u64,
    /// Where the records of the segment before must end.
    pub(super) previous_end: u64,
}

/// An open segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) before: Before,
}

impl Segment {
    /// Makes a segment, durable with its name. It gets its name when it is whole: after a sync that failed
    /// nobody must go on in a file whose header may never reach the disk.
    pub(super) fn create(storage: &dyn Storage, number: u64, before: Before) -> Result<Self> {
        let path = segment_name(number);
        let aside = format!("{path}.new");
        let file = storage.create(&aside)?;
        file.write_at(&header(number, before), 0)?;
        file.sync()?;
        storage.rename(&aside, &path)?;
        if let Err(error) = storage.sync_folder("journal") {
            drop(storage.remove(&path));
            return Err(error);
        }
        Ok(Self { number, file, before })
    }

    /// Opens a segment; `None` if there is none. It got its name when it was whole: a header that is not is damaged.
    pub(super) fn open(storage: &dyn Storage, number: u64, access: Access) -> Result<Option<Self>> {
        let path = segment_name(number);
        let Some(file) = storage.open(&path, access)? else { return Ok(None) };
        let bytes = read_range(&*file, 0, START)?;
        let mut reader = Reader::new(bytes.clone());
        let damaged = || {
            Error::corrupt("the header of the journal is damaged")
                .at_path(storage.full_path(&path))
                .help("restore the file from a backup, or cut the journal there: rdb verify --cut")
        };
        let whole =
            (bytes.len() as u64 == START).then(|| Self::read_header(&mut reader)).transpose();
        match whole.map_err(|error| error.at_path(storage.full_path(&path)))? {
            Some(Some((stated, before))) if stated == number => {
                Ok(Some(Self { number, file, before }))
            }
            _ => Err(damaged()),
        }
    }

    fn read_header(reader: &mut Reader) -> Result<Option<(u64, Before)>> {
        if reader.array()? != *MAGIC {
            return Ok(None);
        }
        let (format, crc) = (reader.u32()?, reader.u32()?);
        let fields = reader.take(32)?;
        // Every format keeps this checksum where it is.
        if checksum(format, &fields) != crc {
            return Ok(None);
        }
        if format > FORMAT {
            return Err(Error::new(ErrorKind::NewerFormat, "the journal is of a newer format")
                .help("update ReedBase"));
        }
        let mut fields = Reader::new(fields);
        let number = fields.u64()?;
        let newest = Timestamp::from_micros(fields.i64()?);
        let (sequence, previous_end) = (fields.u64()?, fields.u64()?);
        Ok(Some((number, Before { newest, sequence, previous_end })))
    }

    /// Whether the journal goes on elsewhere.
    pub(super) fn state(&self) -> Result<State> {
        let mut bytes = [0; 8];
        let read = self.file.read_at(&mut bytes, STATE_AT)?;
        Ok(match u64::from_le_bytes(bytes) {
            _ if read < 8 => State::Open,
            0 => State::Open,
            durable if durable >= START => State::Failed(durable),
            _ => State::Rolled,
        })
    }

    /// Tells everybody on this machine. It need not be durable: after a restart the segments that exist
    /// tell the same.
    pub(super) fn set_state(&self, state: State) -> Result<()> {
        let number = match state {
            State::Open => 0,
            State::Rolled => ROLLED,
            State::Failed(durable) => durable,
        };
        self.file.write_at(&number.to_le_bytes(), STATE_AT)
    }
}

fn header(number: u64, before: Before) -> Vec<u8> {
    let mut fields = Vec::new();
    fields.extend_from_slice(&number.to_le_bytes());
    fields.extend_from_slice(&before.newest.as_micros().to_le_bytes());
    fields.extend_from_slice(&before.sequence.to_le_bytes());
    fields.extend_from_slice(&before.previous_end.to_le_bytes());
    let mut header = Vec::new();
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&checksum(FORMAT, &fields).to_le_bytes());
    header.extend_from_slice(&fields);
    header.extend_from_slice(&[0; 16]);
    header
}

fn checksum(format: u32, fields: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&format.to_le_bytes());
    crc.update(fields);
    crc.finalize()
}

/// Reads on in a segment, some KiB at a time.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Bytes,
    start: u64,
    /// How much the next read takes in.
    ahead: u64,
}

/// How much is read at once at first: a record of usual size and the zeros behind it.
const READ: u64 = 512;

/// How much is read at once at most.
const READ_MAX: u64 = 1 << 20;

impl Window {
    pub(super) fn new() -> Self {
        Self { bytes: Bytes::new(), start: 0, ahead: READ }
    }

    /// The bytes at this place; fewer only at the end of the file.
    pub(super) fn get(&mut self, file: &dyn File, offset: u64, len: u64) -> Result<Bytes> {
        let inside = |window: &Self| {
            let from = usize::try_from(offset.checked_sub(window.start)?).ok()?;
            let to = from.checked_add(usize::try_from(len).ok()?)?;
            (to <= window.bytes.len()).then(|| window.bytes.slice(from..to))
        };
        if let Some(found) = inside(self) {
            return Ok(found);
        }
        self.bytes = read_range(file, offset, len.max(self.ahead))?;
        // Most often there is nothing to read; if there is, there may be much.
        self.ahead = (self.ahead * 4).min(READ_MAX);
        self.start = offset;
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(self.bytes.slice(..len))
    }
}
