//! The codec `bsdiff`: the touched old lines, and a bsdiff patch that makes the touched new ones of them.
//!
//! ```text
//! shapes, then for each changeset: head and moves as in `rows`
//!   removed runs: count, then each: gap, lines, length      added runs: the same
//!   old bytes (the removed runs, one after the other), length of the patch, patch
//! ```
//!
//! The patch is in the format BSDIFF40 of Colin Percival's bsdiff (2003). It is made from the touched
//! bytes only, so that its cost does not depend on the size of the table.

use std::io::Write;

use reedbase_plugin_api::{Bytes, Changeset, DeltaCodec, Error, Lines, Result};

use super::rows::{
    put_head, put_moves, put_place, put_shapes, read_head, read_moves, read_place, read_shapes,
    shapes_of,
};
use crate::storage::write_error;
use crate::wire::{Reader, put_bytes, put_varint};

/// The built-in codec `bsdiff`.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state")]
pub struct BsdiffCodec;

impl DeltaCodec for BsdiffCodec {
    fn id(&self) -> &str {
        "bsdiff"
    }

    fn encode(&self, changesets: &[Changeset], out: &mut dyn Write) -> Result<()> {
        let shapes = shapes_of(changesets);
        let mut buffer = Vec::new();
        put_shapes(&mut buffer, &shapes);
        put_varint(&mut buffer, changesets.len() as u64);
        for changeset in changesets {
            put_head(&mut buffer, changeset, &shapes);
            put_moves(&mut buffer, &changeset.moves);
            let old = put_runs(&mut buffer, &changeset.removed)?;
            let new = put_runs(&mut buffer, &changeset.added)?;
            buffer.extend_from_slice(&old);
            put_bytes(&mut buffer, &make_patch(&old, &new)?);
        }
        out.write_all(&buffer).map_err(write_error)
    }

    fn decode(&self, bytes: &Bytes) -> Result<Vec<Changeset>> {
        let mut reader = Reader::new(bytes.clone());
        let shapes = read_shapes(&mut reader)?;
        let count = reader.length()?;
        let mut changesets = Vec::new();
        for _ in 0..count {
            let mut changeset = read_head(&mut reader, &shapes)?;
            changeset.moves = read_moves(&mut reader)?;
            let (removed, old_len) = read_runs(&mut reader)?;
            let (added, new_len) = read_runs(&mut reader)?;
            let old = reader.take(old_len)?;
            let new = apply_patch(&old, &reader.bytes()?, new_len)?;
            changeset.removed = fill_runs(removed, &old);
            changeset.added = fill_runs(added, &new);
            changesets.push(changeset);
        }
        reader.end()?;
        Ok(changesets)
    }
}

/// Appends the places and lengths of runs; gives their bytes.
fn put_runs(out: &mut Vec<u8>, runs: &[Lines]) -> Result<Vec<u8>> {
    put_varint(out, runs.len() as u64);
    let (mut end, mut bytes) = (0, Vec::new());
    for run in runs {
        put_place(out, run, &mut end)?;
        put_varint(out, run.bytes.len() as u64);
        bytes.extend_from_slice(&run.bytes);
    }
    Ok(bytes)
}

/// A run whose bytes stand elsewhere: start, lines, length.
type BareRun = (u64, u64, usize);

/// The places of runs with the lengths of their bytes, and the sum of these.
fn read_runs(reader: &mut Reader) -> Result<(Vec<BareRun>, usize)> {
    let mut runs = Vec::new();
    let (mut end, mut sum) = (0, 0_usize);
    for _ in 0..reader.length()? {
        let (start, count) = read_place(reader, &mut end)?;
        let len = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        sum = sum.checked_add(len).ok_or_else(|| Error::corrupt("a length exceeds the data"))?;
        runs.push((start, count, len));
    }
    Ok((runs, sum))
}

fn fill_runs(runs: Vec<BareRun>, bytes: &Bytes) -> Vec<Lines> {
    let mut at = 0;
    let fill = |(start, count, len): BareRun| {
        let from = at;
        at += len;
        Lines { start, count, bytes: bytes.slice(from..at) }
    };
    runs.into_iter().map(fill).collect()
}

/// A patch; nothing where there is nothing to make.
fn make_patch(old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
    let mut patch = Vec::new();
    if !new.is_empty() {
        // A level of bzip2 stands for a block of so many 100 KB, and for the memory that takes.
        let level = u32::try_from(new.len() / 100_000 + 1).unwrap_or(9).min(9);
        let differ = qbsdiff::Bsdiff::new(old, new).compression_level(level);
        differ.compare(&mut patch).map_err(|source| Error::io("make a patch", "", source))?;
    }
    Ok(patch)
}

fn apply_patch(old: &[u8], patch: &[u8], len: usize) -> Result<Bytes> {
    if len == 0 && patch.is_empty() {
        return Ok(Bytes::new());
    }
    let bad = |source: std::io::Error| Error::corrupt("the patch does not apply").caused_by(source);
    if !parts_fit(patch) {
        return Err(Error::corrupt("the parts of the patch do not fit"));
    }
    let patcher = qbsdiff::Bspatch::new(patch).map_err(bad)?;
    // The patch states its own length: refuse to make room for a lie.
    if patcher.hint_target_size() != len as u64 || len > MAX {
        return Err(Error::corrupt("the patch makes another length than stated"));
    }
    let mut new = UpTo { bytes: Vec::with_capacity(len.min(1 << 20)), len };
    patcher.apply(old, &mut new).map_err(bad)?;
    if new.bytes.len() != len {
        return Err(Error::corrupt("the patch makes another length than stated"));
    }
    Ok(Bytes::from(new.bytes))
}

/// Whether the lengths in the header of a patch (magic, control, difference, target) stay within it: `qbsdiff`
/// adds them up without a check.
fn parts_fit(patch: &[u8]) -> bool {
    let mut reader = Reader::new(Bytes::copy_from_slice(patch.get(8..32).unwrap_or_default()));
    // Numbers have their sign in the top bit.
    let mut part = || usize::try_from(reader.i64().ok()?).ok();
    let sum = part().zip(part()).and_then(|(control, difference)| control.checked_add(difference));
    sum.is_some_and(|sum| sum <= patch.len() - 32) && part().is_some()
}

/// Takes so many bytes and no more: what a patch makes is only known when it was made.
struct UpTo {
    bytes: Vec<u8>,
    len: usize,
}

impl Write for UpTo {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > self.len - self.bytes.len() {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Patches of more than this are not written: such changesets go to the codec `rows`.
const MAX: usize = 64 << 20;
