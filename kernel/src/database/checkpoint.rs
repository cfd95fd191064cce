//! A checkpoint: writing what the journal holds into tables, deltas and logs. It changes nothing that a
//! reader can see, and at every step a crash leaves a database that opens with the same content.
//!
//! ```text
//! frames/index.csv, users.dict   lines for the frames that lack one
//! <ts>.bsdiff                    each version that lacks one; synced, with the folder
//! version.log                    their lines; synced
//! current.csv.new                the whole table; synced; schema.toml.new likewise, if it differs
//! mark.next                      what both are about to be; synced, with the folder
//!   under the lock: exchange each with the file of its name; look at what came out, which stays as
//!   current.csv.old until the next time; mark.next becomes mark; sync the folder
//! journal                        begun anew when no table needs it any more
//! ```

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use reedbase_plugin_api::{Result, TableName, Timestamp};

use super::forget;
use super::frame_list::write_snapshots;
use super::inner::{Checkpoints, Inner};
use super::new_versions::write_versions;
use super::snapshot::Snapshot;
use super::table_file::TableFile;
use crate::cache;
use crate::frame::FrameInfo;
use crate::history::{Folded, fold, pack_everything};
use crate::limits::Limits;
use crate::log::{FrameIndex, UserDictionary};
use crate::mark::{Mark, table_path};
use crate::state::{State, TableState};
use crate::storage::{LockGuard, LockMode};
use crate::table::Table;

/// What a checkpoint did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// The tables whose files were written.
    pub written: Vec<TableName>,
    /// The tables whose files were edited outside, and were left as they are.
    pub edited_outside: Vec<TableName>,
    /// The files that hold an edit which could not stay in its place.
    pub kept: Vec<String>,
}

/// Writes the files of tables whose journal has grown too long, or that are small; now or in the
/// background, as the handle was told.
pub(super) fn if_due(inner: &Arc<Inner>, touched: &[TableName]) -> Result<()> {
    let state = inner.flush.visible();
    let lateness = |name: &TableName| state.table(name).map_or(0, |table| lateness(table, inner));
    let due: Vec<TableName> = touched.iter().filter(|name| lateness(name) > 0).cloned().collect();
    let worst = due.iter().map(lateness).max().unwrap_or(0);
    match (worst, inner.checkpoints) {
        (0, _) => Ok(()),
        (..PATIENCE, Checkpoints::Background) => {
            in_background(inner, due);
            Ok(())
        }
        _ => write_tables(inner, Some(&due), Which::Late).map(drop),
    }
}

/// How many times too long the journal of a table may become before its writers wait.
const PATIENCE: u64 = 4;

/// Starts a thread that writes files, unless one is at it. What it could not write is written later: the
/// journal keeps it.
fn in_background(inner: &Arc<Inner>, due: Vec<TableName>) {
    if inner.writing.swap(true, Ordering::AcqRel) {
        return;
    }
    let shared = Arc::clone(inner);
    let started =
        std::thread::Builder::new().name("reedbase-checkpoint".to_owned()).spawn(move || {
            drop(write_tables(&shared, Some(&due), Which::Late));
            shared.writing.store(false, Ordering::Release);
        });
    if started.is_err() {
        inner.writing.store(false, Ordering::Release);
    }
}

/// How many times too long the journal of a table is; 0 if its file need not be written.
fn lateness(table: &TableState, inner: &Inner) -> u64 {
    let limits = inner.store.limits();
    let len = table.loaded().map_or(u64::MAX, Table::file_len);
    let small = inner.checkpoints == Checkpoints::Eager && len <= limits.small_table;
    let enough = limits.pending_min.max(len / 4);
    (table.pending_bytes() / enough.saturating_add(1)).max(u64::from(small))
}

/// Writes the files of these tables, or of all, that are behind.
pub(super) fn checkpoint(inner: &Inner, names: Option<&[TableName]>) -> Result<CheckpointReport> {
    write_tables(inner, names, Which::Behind)
}

/// Which tables a checkpoint writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that lack something.
    Behind,
    /// Those whose journal has grown too long.
    Late,
    /// Those that lack something, or whose files no mark names yet.
    Unmarked,
    /// All, whatever was edited outside; which is put aside under this time.
    Over(Timestamp),
}

/// Writes the files of tables of which an edit was just adopted. Those that hold what they should are only marked.
pub(super) fn settle(inner: &Inner, names: &[TableName]) -> Result<CheckpointReport> {
    write_tables(inner, Some(names), Which::Unmarked)
}

/// Writes the files of tables, and puts aside what was edited outside.
pub(super) fn write_over(
    inner: &Inner,
    names: &[TableName],
    now: Timestamp,
) -> Result<CheckpointReport> {
    write_tables(inner, Some(names), Which::Over(now))
}

fn write_tables(
    inner: &Inner,
    names: Option<&[TableName]>,
    which: Which,
) -> Result<CheckpointReport> {
    inner.check_writable()?;
    let Some(lock) = &inner.checkpoint_lock else { return Ok(CheckpointReport::default()) };
    let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let _alone = LockGuard::new(&**lock, LockMode::Exclusive)?;
    inner.refresh()?;
    take_in_written(inner)?;
    let state = inner.flush.visible();
    let storage = inner.store.storage();
    storage.remove_unfinished("frames")?;
    storage.remove_unfinished("registry")?;
    let mut users = UserDictionary::read(&**storage)?;
    let logged = log_frames(inner, &state, &mut users)?;
    inner.replace_state(|now| Ok(now.without_frames(state.newest())))?;
    let mut report = CheckpointReport::default();
    let mut shortened = false;
    for table in state.tables() {
        let wanted = names.is_none_or(|names| names.contains(table.name()));
        if !wanted || !is_due(inner, table, which)? {
            continue;
        }
        let file = TableFile::new(inner, table);
        let written = write_table(&file, which, &mut users, &mut shortened);
        report.kept.append(&mut file.into_kept());
        match written.map_err(|error| error.at_table(table.name().as_str()))? {
            Some(base) => {
                let name = table.name();
                inner.replace_state(|now| now.settle(name, &base, &inner.store))?;
                report.written.push(table.name().clone());
            }
            None => report.edited_outside.push(table.name().clone()),
        }
    }
    if shortened {
        forget::forget_frames(inner)?;
    }
    let snapshot = Snapshot::new(inner.flush.visible(), Arc::clone(&inner.store));
    // Nothing depends on these.
    drop(write_snapshots(inner, &snapshot, &logged));
    begin_journal_anew(inner, names.is_none(), &mut report)?;
    Ok(report)
}

fn is_due(inner: &Inner, table: &TableState, which: Which) -> Result<bool> {
    Ok(match which {
        Which::Over(_) => true,
        Which::Late => table.pending_len() > 0 && lateness(table, inner) > 0,
        Which::Behind => table.pending_len() > 0,
        Which::Unmarked => {
            let look = inner.store.look(table.name())?;
            table.pending_len() > 0 || look.is_none_or(|look| look.edited.any())
        }
    })
}

/// Takes in the files that other processes wrote meanwhile: what they hold need not be written again. Whoever wrote them may
/// have died, or met a full disk, before their names were durable.
fn take_in_written(inner: &Inner) -> Result<()> {
    for table in inner.flush.visible().tables() {
        let Some(oldest) = table.pending().next() else { continue };
        let mark = Mark::read(&**inner.store.storage(), table.name(), "mark")?;
        if mark.is_some_and(|mark| mark.version >= oldest.info.timestamp)
            && let Some(stored) = inner.store.open(table.name())?
        {
            TableFile::new(inner, table).sync_folder()?;
            inner.store.storage().sync_folder("tables")?;
            inner.replace_state(|now| now.settle(table.name(), &stored.table, &inner.store))?;
        }
    }
    Ok(())
}

/// Puts all versions of a table into one pack, and all frames into another; and removes the file that was
/// displaced last.
pub(super) fn pack(inner: &Inner, table: &TableState) -> Result<Folded> {
    let Some(lock) = &inner.checkpoint_lock else { return Ok(Folded::default()) };
    let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let _alone = LockGuard::new(&**lock, LockMode::Exclusive)?;
    let storage = inner.store.storage();
    let mut users = UserDictionary::read(&**storage)?;
    FrameIndex::read(storage, &users)?.pack_everything(&mut users)?;
    TableFile::new(inner, table).remove_old()?;
    pack_everything(&inner.store.history(table.name()))
}

/// Puts the frames that lack a line into the index, and their users into the dictionary; tells which.
fn log_frames(
    inner: &Inner,
    state: &State,
    users: &mut UserDictionary,
) -> Result<Vec<Arc<FrameInfo>>> {
    let (storage, kept) = (inner.store.storage(), inner.store.limits().log_lines);
    let mut index = FrameIndex::read(storage, users)?;
    let newest = index.newest();
    let frames: Vec<_> = state.frames().filter(|frame| frame.timestamp > newest).cloned().collect();
    if frames.is_empty() {
        return Ok(frames);
    }
    let known = users.count();
    for frame in &frames {
        users.code(&frame.user, frame.timestamp);
    }
    if users.count() > known {
        users.write(storage)?;
    }
    index.append(frames.clone(), users, kept)?;
    Ok(frames)
}

/// Begins the journal anew if no table needs it any more.
fn begin_journal_anew(inner: &Inner, always: bool, report: &mut CheckpointReport) -> Result<()> {
    let mut head = inner.head();
    let _lock = inner.lock()?;
    inner.read_on(&mut head)?;
    head.journal.prepare()?;
    let worth_it = always || head.journal.bytes() > inner.store.limits().journal_kept;
    let settled = head.state.is_settled() && head.state.frames().next().is_none();
    if !worth_it || !settled {
        return Ok(());
    }
    finish_swaps(inner, &head.state, report)?;
    sync_found(inner)?;
    inner.store.storage().remove_unfinished("journal")?;
    head.journal.roll()?;
    head.journal.remove_old_segments()?;
    inner.note(&head);
    Ok(())
}

/// Completes what a crash left of exchanges: from here on nothing but the marks says what the journal said.
fn finish_swaps(inner: &Inner, state: &State, report: &mut CheckpointReport) -> Result<()> {
    for table in state.tables() {
        let file = TableFile::new(inner, table);
        if file.storage().stat(&file.path("mark.next"))?.is_some() {
            file.finish_last_swap()?;
            report.kept.append(&mut file.into_kept());
        }
    }
    Ok(())
}

/// Makes the names durable of files that others wrote: from here on nothing but they say what the journal said.
fn sync_found(inner: &Inner) -> Result<()> {
    let mut found = inner.found.lock().unwrap_or_else(PoisonError::into_inner);
    let storage = inner.store.storage();
    for name in found.iter() {
        storage.sync_folder(table_path(name, "").trim_end_matches('/'))?;
    }
    if !found.is_empty() {
        ["tables", "frames", "registry"]
            .iter()
            .try_for_each(|folder| storage.sync_folder(folder))?;
    }
    found.clear();
    Ok(())
}

/// Writes the versions, the log and the file of one table. `None` if the file was edited outside.
fn write_table(
    file: &TableFile<'_>,
    which: Which,
    users: &mut UserDictionary,
    shortened: &mut bool,
) -> Result<Option<Table>> {
    let TableFile { inner, state, .. } = file;
    let table = state.table(&inner.store)?.clone();
    file.storage().create_folder(file.path("").trim_end_matches('/'))?;
    file.finish_last_swap()?;
    remove_unfinished(file)?;
    write_versions(inner, state, users)?;
    let history = inner.store.history(state.name());
    let versions = fold(&history, inner.store.limits())?;
    if keyframe_is_due(versions.weight_since_copy()?, &table, inner.store.limits()) {
        history.write_keyframe(&table)?;
        file.sync_folder()?;
    }
    *shortened |= forget::if_due(file, &versions, &table)?;
    let mark = match which {
        Which::Over(now) => Some(file.write_over(&table, now)?),
        _ => file.write(&table)?,
    };
    let Some(mark) = mark else { return Ok(None) };
    let base = table.flatten()?;
    if mark.size >= inner.store.limits().cached_min {
        // The cache is never needed.
        drop(write_cache(file, &base, &mark));
    }
    Ok(Some(base))
}

/// Removes what a crash left half written. Alone, since a commit may be writing a large delta.
fn remove_unfinished(file: &TableFile<'_>) -> Result<()> {
    let folder = file.path("");
    let folder = folder.trim_end_matches('/');
    if !file.storage().list(folder)?.iter().any(|name| name.ends_with(".new")) {
        return Ok(());
    }
    let _head = file.inner.head();
    let _lock = file.inner.lock()?;
    file.storage().remove_unfinished(folder)
}

/// Remembers the layout of a table's file; and the file itself, if one was adopted just now or before.
fn write_cache(file: &TableFile<'_>, base: &Table, mark: &Mark) -> Result<()> {
    let (storage, name) = (file.storage(), file.state.name());
    let adopted = file.state.adopted().next().is_some();
    cache::write_layout(storage, name, &mark.sha256, &base.base().layout())?;
    if adopted || cache::open_copy(storage, name).is_some() {
        cache::write_copy(storage, name, base)?;
    }
    Ok(())
}

/// Whether the deltas since the last whole copy have come to weigh as much as one.
fn keyframe_is_due(weight: u64, table: &Table, limits: &Limits) -> bool {
    weight > (table.file_len() / limits.keyframe_part.max(1)).max(limits.keyframe_min)
}
