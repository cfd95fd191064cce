//! Any version of a table, whole: from the nearest whole copy, forwards or backwards.
//!
//! Whole copies are the current table, the keyframes, and the empty table before the first version. A
//! keyframe is written when the deltas since the last one have come to weigh as much as a compressed
//! table: so a version is never further than that from a copy, and keyframes never take more than the
//! deltas do. Its file, `<timestamp>.keyframe`, is that of a delta from the empty table.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changeset, Error, Lines, Result, SchemaText, Timestamp};

use super::versions::{History, Versions};
use crate::delta::{DeltaFile, Pack, keyframe_name};
use crate::table::{Base, Table, inverse};

/// The table before its first version: no rows, and whatever header comes first.
///
/// # Errors
/// None that a whole delta could cause.
pub fn empty_table(first: &Changeset) -> Result<Table> {
    let shape = Arc::new(first.after.clone());
    Ok(Table::new(Arc::new(Base::empty(shape)?), Timestamp::ZERO))
}

/// The table as it was at a version. `current` is a whole copy at hand, if there is one.
///
/// # Errors
/// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if there is no such version, or damage.
pub fn rebuild(versions: &Versions, version: Timestamp, current: Option<&Table>) -> Result<Table> {
    let missing = || Error::not_found("the table has no such version").at_frame(version);
    let known = versions.between(Timestamp::ZERO, version).last();
    if known.is_none_or(|known| known.timestamp != version) {
        return Err(missing());
    }
    let steps = |from: Timestamp| versions.between(from.min(version), from.max(version)).len();
    let current = current.filter(|table| table.version() <= versions.newest());
    let keyframes = versions.keyframes.iter().copied();
    let copies = keyframes.chain(current.map(Table::version)).chain([Timestamp::ZERO]);
    let nearest = copies.min_by_key(|copy| steps(*copy)).unwrap_or_default();
    let table = match current {
        Some(table) if table.version() == nearest => Some(table.clone()),
        _ if nearest == Timestamp::ZERO => None,
        _ => Some(versions.history.keyframe(nearest)?),
    };
    if nearest <= version {
        forwards(versions, table, nearest, version)?.ok_or_else(missing)
    } else {
        backwards(versions, table.ok_or_else(missing)?, version)
    }
}

fn forwards(
    versions: &Versions,
    mut table: Option<Table>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Option<Table>> {
    for (version, changeset) in versions.changes(from, to)? {
        let before = match table {
            Some(table) => table,
            None => empty_table(&changeset)?,
        };
        let after = before.apply(&changeset, version.timestamp);
        table = Some(after.map_err(|error| error.at_frame(version.timestamp))?);
    }
    Ok(table)
}

fn backwards(versions: &Versions, mut table: Table, to: Timestamp) -> Result<Table> {
    for (version, changeset) in versions.changes(to, table.version())?.into_iter().rev() {
        let shape = (**table.shape()).clone();
        let before = table.apply(&inverse(&changeset, &shape), version.base);
        table = before.map_err(|error| error.at_frame(version.timestamp))?;
    }
    Ok(table)
}

impl Versions {
    /// The whole copy of a version; `None` if there is none.
    pub fn keyframe_at(&self, version: Timestamp) -> Option<Result<Table>> {
        self.has_keyframe(version).then(|| self.history.keyframe(version))
    }

    /// How many changesets it takes to make a version from what is on disk, the current table left out.
    pub fn steps_to(&self, version: Timestamp) -> usize {
        let copies = self.keyframes.iter().copied().chain([Timestamp::ZERO]);
        let steps = copies.map(|copy| self.between(copy.min(version), copy.max(version)).len());
        steps.min().unwrap_or(usize::MAX)
    }

    /// What the deltas weigh on disk that lie behind the last whole copy, be it a keyframe, a large delta
    /// or the first version.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn weight_since_copy(&self) -> Result<u64> {
        let first = self.list().first().map(|version| version.timestamp);
        let copy = self.keyframes.iter().copied().chain(first).max().unwrap_or_default();
        let loose = self.loose.iter().filter(|(at, _)| **at > copy).map(|(_, name)| name);
        let starts_after =
            |pack: &Pack| pack.versions().first().is_some_and(|v| v.timestamp > copy);
        let packs = self.packs.iter().filter(|(_, pack)| starts_after(pack)).map(|(name, _)| name);
        let mut weight = 0;
        for name in loose.chain(packs) {
            weight += self.history.storage.len(&self.history.path(name))?.unwrap_or_default();
        }
        Ok(weight)
    }
}

impl History {
    /// The table as it was at a version.
    ///
    /// # Errors
    /// Those of [`rebuild`].
    pub fn rebuild(&self, version: Timestamp) -> Result<Table> {
        rebuild(&self.versions()?, version, None)
            .map_err(|error| error.at_table(self.table.as_str()))
    }

    /// The table that a keyframe holds.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the file.
    pub fn keyframe(&self, version: Timestamp) -> Result<Table> {
        let delta = self.loose_delta(version, &keyframe_name(version))?;
        empty_table(&delta.changeset)?.apply(&delta.changeset, version)
    }

    /// Writes a keyframe; it is durable once the folder is synced.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn write_keyframe(&self, table: &Table) -> Result<()> {
        let shape = (**table.shape()).clone();
        let header = shape.header().len();
        let file = table.to_bytes()?;
        let lines = Lines { start: 0, count: table.lines(), bytes: file.slice(header..) };
        let added = if lines.count > 0 { vec![lines] } else { Vec::new() };
        let (removed, moves) = (Vec::new(), Vec::new());
        let changeset = Changeset {
            before: None,
            after: shape,
            schema: table
                .schema()
                .map(|text| SchemaText { before: Bytes::new(), after: text.clone() }),
            removed,
            added,
            moves,
            salt: [0; 16],
        };
        let path = self.path(&keyframe_name(table.version()));
        // Always by the codec `rows` and quickly compressed: a patch against nothing gains nothing.
        DeltaFile::new(table.version(), Timestamp::ZERO, changeset).write(
            &*self.storage,
            &path,
            0,
        )?;
        Ok(())
    }
}
