//! Removing history: the one thing that forgets, and only if somebody says how much is kept.
//!
//! A table's history then begins with a later version, of which there is a whole copy. Frames of which nothing is left in any
//! table leave the index; `frames/frame.log` says what was removed, when and by whom.

use std::collections::BTreeMap;

use reedbase_plugin_api::{FrameId, Result, TableName, Timestamp};

use super::frame_list::remove_snapshots_before;
use super::inner::Inner;
use super::keep::Keep;
use super::table_file::{TableFile, edited_from};
use crate::frame::FrameInfo;
use crate::history::{Shortened, Versions, shorten};
use crate::journal::OpenFile;
use crate::log::{FrameEvent, FrameIndex, FrameLog, UserDictionary};
use crate::mark::Mark;
use crate::table::Table;

/// What was removed of the history of one table, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// The table.
    pub table: TableName,
    /// The version that its history begins with now.
    pub start: Timestamp,
    /// How many versions were removed.
    pub versions: u64,
    /// How many bytes less its history takes; below zero if the whole copy of the first version takes more than what was
    /// removed.
    pub bytes: i64,
}

/// Removes history that the setting `history.keep` does not want, once there is as much of it as is kept. Needs the
/// checkpoint's lock.
pub(super) fn if_due(file: &TableFile<'_>, versions: &Versions, table: &Table) -> Result<bool> {
    let (inner, name) = (file.inner, file.state.name());
    if inner.config.history_keep == Keep::All {
        return Ok(false);
    }
    let list: Vec<_> = versions.list().iter().map(|version| version.timestamp).collect();
    let start = inner.config.history_keep.start(&list, inner.clock.now(), false);
    let start = not_needed(file, false, &list, start)?;
    let Some(start) = start.filter(|_| !name.is_reserved()) else { return Ok(false) };
    let gone = list.partition_point(|version| *version < start);
    if gone < (list.len() - gone).max(inner.store.limits().compact_min) {
        return Ok(false);
    }
    Ok(compact_table(inner, name, start, table)?.is_some())
}

/// The version that a history may begin with so that nothing is removed which is still needed: outside edits and open frames are
/// changes of a version that must be there when they are taken in. So must what the table's file holds, unless it is known
/// to hold the newest version. `None` if there is nothing to remove.
pub(super) fn not_needed(
    file: &TableFile<'_>,
    is_written: bool,
    versions: &[Timestamp],
    start: Option<Timestamp>,
) -> Result<Option<Timestamp>> {
    let Some(mut start) = start else { return Ok(None) };
    let storage = file.inner.store.storage();
    let edits = file.kept()?.into_iter().filter_map(|name| edited_from(&name));
    start = edits.fold(start, Timestamp::min);
    if !is_written || file.is_edited()? {
        for mark in ["mark", "mark.next", "mark.old"] {
            // A torn one, which a crash leaves, says nothing.
            let mark = Mark::read(file.storage(), file.state.name(), mark).ok().flatten();
            start = mark.map_or(start, |mark| start.min(mark.version));
        }
    }
    for (id, standing) in OpenFile::list(&**storage)? {
        if let Some(frame) = OpenFile::read(storage, id, standing)? {
            start = start.min(frame.info().parent);
        }
    }
    let until = versions.partition_point(|version| *version <= start);
    Ok(until.checked_sub(1).filter(|at| *at > 0).and_then(|at| versions.get(at).copied()))
}

/// Makes the history of a table begin with a version. Needs the checkpoint's lock.
pub(super) fn compact_table(
    inner: &Inner,
    name: &TableName,
    start: Timestamp,
    current: &Table,
) -> Result<Option<Compacted>> {
    let history = inner.store.history(name);
    let done = shorten(&history, start, current).map_err(|error| error.at_table(name.as_str()))?;
    let Some(Shortened { versions, bytes, node }) = done else { return Ok(None) };
    FrameLog::open(inner.store.storage())?.add(&FrameEvent {
        time: inner.clock.now(),
        what: "compacted".to_owned(),
        frame: FrameId::new(start, node),
        name: format!("{name}: {versions} older versions removed"),
        user: inner.user.clone(),
    })?;
    Ok(Some(Compacted { table: name.clone(), start, versions, bytes }))
}

/// Takes frames of which nothing is left out of the index, and removes the snapshots that name removed versions. Needs the
/// checkpoint's lock.
pub(super) fn forget_frames(inner: &Inner) -> Result<u64> {
    let storage = inner.store.storage();
    let mut starts = BTreeMap::new();
    for table in inner.flush.visible().tables() {
        starts.extend(
            inner.store.versions(table.name())?.start().map(|at| (table.name().clone(), at)),
        );
    }
    remove_snapshots_before(inner, starts.values().max().copied().unwrap_or_default())?;
    let is_gone = |frame: &FrameInfo| {
        let gone = |(table, _): &(TableName, _)| {
            starts.get(table).is_some_and(|start| frame.timestamp < *start)
        };
        !frame.tables.is_empty() && frame.tables.iter().all(gone)
    };
    let mut users = UserDictionary::read(&**storage)?;
    FrameIndex::read(storage, &users)?.forget(&mut users, is_gone)
}
