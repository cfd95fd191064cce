//! One record: a frame.
//!
//! ```text
//!  0  magic (u32) "RDBF"
//!  4  kind (u8): 1 frame
//!  5  seal (u8): 0, not encrypted
//!  6  zero (u16)
//!  8  segment (u64) and
//! 16  offset (u64) where it stands: a record is valid nowhere else
//! 24  length of the payload (u32)
//! 28  CRC32 of the payload
//! 32  synced_to (u64): the offset up to which the segment was known durable
//! 40  timestamp (i64)    48  wall clock (i64)
//! 56  node (u64)         64  sequence (u64) of the node
//! 72  parent (i64)       80  zero (u32)
//! 84  CRC32 of bytes 0 to 83
//! 88  payload, then zeros up to a multiple of 8
//! ```
//!
//! The payload: user, name, number of details, each key and value; number of tables, each: name, action,
//! version before (as what it lies behind the timestamp), size and rows of the table, and a byte of flags; if
//! that has 2, the SHA-256 of the table's file and of its schema.toml, which were edited outside and are adopted; if
//! it lacks 1, the changeset in the codec `rows`, else length and SHA-256 of the delta file that holds it,
//! SHA-256 of the changeset, and 0 or 1 and the text of schema.toml. Numbers are varints, texts have their length before them.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, ErrorKind, NodeId, Result, TableName, Timestamp};

use crate::frame::{Action, Adopted, ChangeBody, FrameInfo, FrameRecord, TableChange};
use crate::wire::{Reader, put_bytes, put_signed, put_varint};

/// The bytes before the payload.
pub(super) const HEADER: usize = 88;

const MAGIC: u32 = u32::from_le_bytes(*b"RDBF");
const FRAME: u8 = 1;

/// The changeset is in its delta file.
const IN_FILE: u8 = 1;

/// Files that were edited outside are adopted.
const ADOPTED: u8 = 2;

/// Records start at multiples of this.
const ALIGN: usize = 8;

/// What a header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) payload_len: u32,
    pub(super) payload_crc: u32,
    pub(super) synced_to: u64,
    timestamp: i64,
    wall: i64,
    node: u64,
    sequence: u64,
    parent: i64,
}

impl Header {
    /// How many bytes the record takes.
    pub(super) fn record_len(&self) -> u64 {
        (HEADER as u64 + u64::from(self.payload_len)).next_multiple_of(ALIGN as u64)
    }

    /// Reads a header that stands at this place; `None` if there is none.
    pub(super) fn read(bytes: &Bytes, segment: u64, offset: u64) -> Result<Option<Self>> {
        let Some(header) = bytes.get(..HEADER) else { return Ok(None) };
        let Some((fields, crc)) = header.split_last_chunk::<4>() else { return Ok(None) };
        if crc32fast::hash(fields) != u32::from_le_bytes(*crc) {
            return Ok(None);
        }
        let mut reader = Reader::new(bytes.slice(..HEADER));
        let magic = reader.u32()?;
        let [kind, seal, _, _] = reader.array()?;
        if magic != MAGIC || (reader.u64()?, reader.u64()?) != (segment, offset) {
            return Ok(None);
        }
        if kind != FRAME || seal != 0 {
            return Err(Error::new(ErrorKind::NewerFormat, "the journal is of a newer format")
                .help("update ReedBase")
                .at_byte(offset));
        }
        Ok(Some(Self {
            payload_len: reader.u32()?,
            payload_crc: reader.u32()?,
            synced_to: reader.u64()?,
            timestamp: reader.i64()?,
            wall: reader.i64()?,
            node: reader.u64()?,
            sequence: reader.u64()?,
            parent: reader.i64()?,
        }))
    }
}

/// The record of a frame, for this place.
///
/// # Errors
/// [`Limit`](ErrorKind::Limit) if it would exceed 4 GiB.
pub(super) fn encode_frame(
    frame: &FrameRecord,
    segment: u64,
    offset: u64,
    synced_to: u64,
) -> Result<Vec<u8>> {
    let mut record = vec![0; HEADER];
    put_payload(&mut record, frame);
    let payload = record.get(HEADER..).unwrap_or_default();
    let (len, crc) = (u32::try_from(payload.len()), crc32fast::hash(payload));
    let len = len.map_err(|_| Error::new(ErrorKind::Limit, "the frame is larger than 4 GiB"))?;
    let info = &frame.info;
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC.to_le_bytes());
    header.extend_from_slice(&[FRAME, 0, 0, 0]);
    header.extend_from_slice(&segment.to_le_bytes());
    header.extend_from_slice(&offset.to_le_bytes());
    header.extend_from_slice(&len.to_le_bytes());
    header.extend_from_slice(&crc.to_le_bytes());
    header.extend_from_slice(&synced_to.to_le_bytes());
    header.extend_from_slice(&info.timestamp.as_micros().to_le_bytes());
    header.extend_from_slice(&info.wall.as_micros().to_le_bytes());
    header.extend_from_slice(&info.node.as_bits().to_le_bytes());
    header.extend_from_slice(&info.sequence.to_le_bytes());
    header.extend_from_slice(&info.parent.as_micros().to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    for (place, byte) in record.iter_mut().zip(header) {
        *place = byte;
    }
    record.resize(record.len().next_multiple_of(ALIGN), 0);
    Ok(record)
}

fn put_payload(out: &mut Vec<u8>, frame: &FrameRecord) {
    let info = &frame.info;
    put_bytes(out, info.user.as_bytes());
    put_bytes(out, info.name.as_deref().unwrap_or_default().as_bytes());
    put_varint(out, info.details.len() as u64);
    for (key, value) in &info.details {
        put_bytes(out, key.as_bytes());
        put_bytes(out, value.as_bytes());
    }
    put_varint(out, frame.changes.len() as u64);
    for change in &frame.changes {
        put_bytes(out, change.table.as_str().as_bytes());
        put_varint(out, u64::from(change.action.code()));
        put_signed(out, info.timestamp.as_micros() - change.base.as_micros());
        put_varint(out, change.size);
        put_varint(out, change.rows);
        let in_file = matches!(change.body, ChangeBody::File { .. });
        let adopted = change.adopted.is_some();
        out.push(if in_file { IN_FILE } else { 0 } | if adopted { ADOPTED } else { 0 });
        if let Some(Adopted { table, schema }) = &change.adopted {
            out.extend_from_slice(table);
            out.extend_from_slice(schema);
        }
        match &change.body {
            ChangeBody::Inline(bytes) => put_bytes(out, bytes),
            ChangeBody::File { len, sha256, content, schema } => {
                put_varint(out, *len);
                out.extend_from_slice(sha256);
                out.extend_from_slice(content);
                out.push(u8::from(schema.is_some()));
                schema.iter().for_each(|text| put_bytes(out, text));
            }
        }
    }
}

/// The frame that a header and its payload make.
pub(super) fn read_frame(header: &Header, payload: Bytes) -> Result<FrameRecord> {
    let timestamp = Timestamp::from_micros(header.timestamp);
    let mut reader = Reader::new(payload);
    let user = reader.text()?;
    let name = Some(reader.text()?).filter(|name| !name.is_empty());
    let mut details = BTreeMap::new();
    for _ in 0..reader.length()? {
        details.insert(reader.text()?, reader.text()?);
    }
    let mut changes = Vec::new();
    for _ in 0..reader.length()? {
        changes.push(read_change(&mut reader, timestamp)?);
    }
    reader.end()?;
    let info = FrameInfo {
        timestamp,
        node: NodeId::from_bits(header.node),
        wall: Timestamp::from_micros(header.wall),
        parent: Timestamp::from_micros(header.parent),
        sequence: header.sequence,
        user,
        name,
        details,
        tables: changes.iter().map(|change| (change.table.clone(), change.action)).collect(),
    };
    Ok(FrameRecord { info: Arc::new(info), changes })
}

fn read_change(reader: &mut Reader, timestamp: Timestamp) -> Result<TableChange> {
    let table = TableName::new(&reader.text()?)
        .map_err(|error| Error::corrupt("a table has a bad name").caused_by(error))?;
    let code = u16::try_from(reader.varint()?);
    let action = code.map_err(|_| Error::corrupt("an action has no such code"))?;
    let base = timestamp.as_micros().checked_sub(reader.signed()?);
    let base = base.ok_or_else(|| Error::corrupt("a version is out of range"))?;
    let (size, rows) = (reader.varint()?, reader.varint()?);
    let unknown = || Error::corrupt("an unknown flag");
    let flags = reader.byte()?;
    if flags & !(IN_FILE | ADOPTED) != 0 {
        return Err(unknown());
    }
    let adopted = match flags & ADOPTED {
        0 => None,
        _ => Some(Adopted { table: reader.array()?, schema: reader.array()? }),
    };
    let body = match flags & IN_FILE {
        0 => ChangeBody::Inline(reader.bytes()?),
        _ => ChangeBody::File {
            len: reader.varint()?,
            sha256: reader.array()?,
            content: reader.array()?,
            schema: match reader.byte()? {
                0 => None,
                1 => Some(reader.bytes()?),
                _ => return Err(unknown()),
            },
        },
    };
    let (action, base) = (Action::from_code(action), Timestamp::from_micros(base));
    Ok(TableChange { table, action, base, size, rows, adopted, body })
}
