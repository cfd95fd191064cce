//! The codec `rows`: changesets as they are, old and new lines in full except for what they share.
//!
//! ```text
//! shapes    count, then each: delimiter, header, key columns                  each shape once
//! changeset shape before (0 = none), shape after, schema text (0, or 1 and both), salt (16)
//!           removed runs: count, then each: gap to the last, lines, bytes
//!           added runs:   count, then each: gap, lines, shared start, shared end, middle
//!           moves:        count, then each: from, to, lines
//! ```
//!
//! All numbers are varints. The nth added run is compared with the nth removed one, which is its old self
//! in an update, and only the bytes between their common start and common end are stored. This is the
//! encoding of the journal, where it is not compressed, and of packs, where it is.

use std::io::Write;

use reedbase_plugin_api::{
    Bytes, Changeset, DeltaCodec, Error, Lines, Move, Result, SchemaText, Shape,
};

use crate::storage::write_error;
use crate::wire::{Reader, put_bytes, put_varint};

/// The built-in codec `rows`.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state")]
pub struct RowsCodec;

/// Runs of at least this many bytes are written straight through, not copied first.
const LARGE: usize = 1 << 20;

impl DeltaCodec for RowsCodec {
    fn id(&self) -> &str {
        "rows"
    }

    fn encode(&self, changesets: &[Changeset], out: &mut dyn Write) -> Result<()> {
        let shapes = shapes_of(changesets);
        let mut buffer = Vec::new();
        put_shapes(&mut buffer, &shapes);
        put_varint(&mut buffer, changesets.len() as u64);
        for changeset in changesets {
            put_changeset(&mut buffer, changeset, &shapes, out)?;
        }
        write(out, &buffer)
    }

    fn decode(&self, bytes: &Bytes) -> Result<Vec<Changeset>> {
        let mut reader = Reader::new(bytes.clone());
        let shapes = read_shapes(&mut reader)?;
        let count = reader.length()?;
        let mut changesets = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            changesets.push(read_changeset(&mut reader, &shapes)?);
        }
        reader.end()?;
        Ok(changesets)
    }
}

impl RowsCodec {
    /// Some of the changesets, by their places in ascending order; there must be `count` of them in all. The
    /// others are passed over.
    ///
    /// # Errors
    /// Damage.
    pub(super) fn decode_some(
        &self,
        bytes: &Bytes,
        count: usize,
        places: impl Iterator<Item = usize>,
    ) -> Result<Vec<Changeset>> {
        let mut reader = Reader::new(bytes.clone());
        let shapes = read_shapes(&mut reader)?;
        if reader.length()? != count {
            return Err(Error::corrupt("a chunk of the pack lacks a version"));
        }
        let (mut at, mut changesets) = (0, Vec::new());
        for place in places {
            for _ in at..place {
                skip_changeset(&mut reader)?;
            }
            changesets.push(read_changeset(&mut reader, &shapes)?);
            at = place + 1;
        }
        Ok(changesets)
    }
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(write_error)
}

/// The shapes of changesets, each once; for other codecs too.
pub(super) fn shapes_of(changesets: &[Changeset]) -> Vec<&Shape> {
    let mut shapes: Vec<&Shape> = Vec::new();
    for shape in changesets.iter().flat_map(|c| c.before.iter().chain([&c.after])) {
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }
    shapes
}

/// Appends shapes, for other codecs too.
pub(super) fn put_shapes(out: &mut Vec<u8>, shapes: &[&Shape]) {
    put_varint(out, shapes.len() as u64);
    for shape in shapes {
        out.push(shape.delimiter());
        put_bytes(out, shape.header());
        put_varint(out, shape.key().len() as u64);
        for index in shape.key() {
            put_varint(out, *index as u64);
        }
    }
}

pub(super) fn read_shapes(reader: &mut Reader) -> Result<Vec<Shape>> {
    let count = reader.length()?;
    let mut shapes = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let delimiter = reader.byte()?;
        let header = reader.bytes()?;
        let columns = reader.length()?;
        let mut key = Vec::with_capacity(columns.min(16));
        for _ in 0..columns {
            key.push(usize::try_from(reader.varint()?).unwrap_or(usize::MAX));
        }
        let shape = Shape::new(delimiter, header, key);
        shapes.push(shape.map_err(|error| Error::corrupt(error.message().to_owned()))?);
    }
    Ok(shapes)
}

/// Appends what stands before the lines of a changeset.
pub(super) fn put_head(out: &mut Vec<u8>, changeset: &Changeset, shapes: &[&Shape]) {
    let number =
        |shape: &Shape| shapes.iter().position(|other| *other == shape).unwrap_or_default();
    put_varint(out, changeset.before.as_ref().map_or(0, |shape| number(shape) as u64 + 1));
    put_varint(out, number(&changeset.after) as u64 + 1);
    match &changeset.schema {
        None => out.push(0),
        Some(text) => {
            out.push(1);
            put_bytes(out, &text.before);
            put_bytes(out, &text.after);
        }
    }
    out.extend_from_slice(&changeset.salt);
}

/// A changeset without its lines.
pub(super) fn read_head(reader: &mut Reader, shapes: &[Shape]) -> Result<Changeset> {
    let mut shape = || -> Result<Option<Shape>> {
        let Some(number) = reader.varint()?.checked_sub(1) else { return Ok(None) };
        let shape = usize::try_from(number).ok().and_then(|number| shapes.get(number));
        shape.cloned().map(Some).ok_or_else(|| Error::corrupt("a shape is missing"))
    };
    let before = shape()?;
    let after = shape()?.ok_or_else(|| Error::corrupt("a shape is missing"))?;
    let schema = match reader.byte()? {
        0 => None,
        1 => Some(SchemaText { before: reader.bytes()?, after: reader.bytes()? }),
        _ => return Err(Error::corrupt("an unknown flag")),
    };
    let salt = reader.array()?;
    let (removed, added, moves) = (Vec::new(), Vec::new(), Vec::new());
    Ok(Changeset { before, after, schema, removed, added, moves, salt })
}

fn put_changeset(
    out: &mut Vec<u8>,
    changeset: &Changeset,
    shapes: &[&Shape],
    sink: &mut dyn Write,
) -> Result<()> {
    put_head(out, changeset, shapes);
    put_varint(out, changeset.removed.len() as u64);
    let mut end = 0;
    for run in &changeset.removed {
        put_place(out, run, &mut end)?;
        put_varint(out, run.bytes.len() as u64);
        put_large(out, &run.bytes, sink)?;
    }
    put_varint(out, changeset.added.len() as u64);
    end = 0;
    for (number, run) in changeset.added.iter().enumerate() {
        put_place(out, run, &mut end)?;
        let old = changeset.removed.get(number).map_or(&[][..], |run| &run.bytes);
        let (start, tail) = shared(old, &run.bytes);
        let middle = run.bytes.get(start..run.bytes.len() - tail).unwrap_or_default();
        put_varint(out, start as u64);
        put_varint(out, tail as u64);
        put_varint(out, middle.len() as u64);
        put_large(out, middle, sink)?;
    }
    put_moves(out, &changeset.moves);
    Ok(())
}

/// Appends bytes, past the buffer if they are many.
fn put_large(out: &mut Vec<u8>, bytes: &[u8], sink: &mut dyn Write) -> Result<()> {
    if bytes.len() < LARGE {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    write(sink, out)?;
    out.clear();
    write(sink, bytes)
}

/// Appends the place of a run, which lies behind the last.
pub(super) fn put_place(out: &mut Vec<u8>, run: &Lines, end: &mut u64) -> Result<()> {
    let gap = run.start.checked_sub(*end).ok_or_else(|| Error::internal("lines out of order"))?;
    put_varint(out, gap);
    put_varint(out, run.count);
    *end = run.start + run.count;
    Ok(())
}

/// The start and the number of lines of a run.
pub(super) fn read_place(reader: &mut Reader, end: &mut u64) -> Result<(u64, u64)> {
    let too_large = || Error::corrupt("a line number exceeds the table");
    let start = end.checked_add(reader.varint()?).ok_or_else(too_large)?;
    let count = reader.varint()?;
    *end =
        start.checked_add(count).filter(|end| *end <= u64::from(u32::MAX)).ok_or_else(too_large)?;
    Ok((start, count))
}

pub(super) fn put_moves(out: &mut Vec<u8>, moves: &[Move]) {
    put_varint(out, moves.len() as u64);
    for moved in moves {
        for number in [moved.from, moved.to, moved.count] {
            put_varint(out, number);
        }
    }
}

pub(super) fn read_moves(reader: &mut Reader) -> Result<Vec<Move>> {
    let count = reader.length()?;
    let mut moves = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        let moved = Move { from: reader.varint()?, to: reader.varint()?, count: reader.varint()? };
        if [moved.from, moved.to, moved.count].iter().any(|n| *n > u64::from(u32::MAX)) {
            return Err(Error::corrupt("a line number exceeds the table"));
        }
        moves.push(moved);
    }
    Ok(moves)
}

fn read_changeset(reader: &mut Reader, shapes: &[Shape]) -> Result<Changeset> {
    let mut changeset = read_head(reader, shapes)?;
    let mut end = 0;
    for _ in 0..reader.length()? {
        let (start, count) = read_place(reader, &mut end)?;
        changeset.removed.push(Lines { start, count, bytes: reader.bytes()? });
    }
    end = 0;
    for number in 0..reader.length()? {
        let (start, count) = read_place(reader, &mut end)?;
        let old = changeset.removed.get(number).map_or(&[][..], |run| &run.bytes);
        let bytes = read_added(reader, old)?;
        changeset.added.push(Lines { start, count, bytes });
    }
    changeset.moves = read_moves(reader)?;
    Ok(changeset)
}

fn read_added(reader: &mut Reader, old: &[u8]) -> Result<Bytes> {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (start, tail) = (number(reader.varint()?), number(reader.varint()?));
    let middle = reader.bytes()?;
    if start == 0 && tail == 0 {
        return Ok(middle);
    }
    let wrong = || Error::corrupt("a line shares more than there is");
    let head = old.get(..start).ok_or_else(wrong)?;
    let tail = old.len().checked_sub(tail).and_then(|at| old.get(at..)).ok_or_else(wrong)?;
    Ok(Bytes::from([head, &middle, tail].concat()))
}

/// How many bytes two texts share at their start and at their end, the two not overlapping.
fn shared(one: &[u8], other: &[u8]) -> (usize, usize) {
    let start = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let most = one.len().min(other.len()) - start;
    let ends = one.iter().rev().zip(other.iter().rev()).take(most);
    (start, ends.take_while(|(a, b)| a == b).count())
}

fn skip_changeset(reader: &mut Reader) -> Result<()> {
    let skip = |reader: &mut Reader, count| (0..count).try_for_each(|_| reader.varint().map(drop));
    skip(reader, 2)?;
    if reader.byte()? != 0 {
        reader.skip_bytes()?;
        reader.skip_bytes()?;
    }
    reader.array::<16>()?;
    // A removed run has two numbers before its bytes, an added one has four.
    for numbers in [2, 4] {
        for _ in 0..reader.length()? {
            skip(reader, numbers)?;
            reader.skip_bytes()?;
        }
    }
    let moves = reader.length()?;
    skip(reader, 3 * moves)
}
