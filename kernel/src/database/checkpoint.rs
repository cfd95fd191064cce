//! A checkpoint: writing what the journal holds into tables, deltas and logs. It changes nothing that a
//! reader can see, and at every step a crash leaves a database that opens with the same content.
//!
//! ```text
//! frames/index.csv, users.dict   lines for the frames that lack one
//! <ts>.bsdiff                    each version that lacks one; synced, with the folder
//! version.log                    their lines; synced
//! current.csv.new                the whole table; synced
//! mark.next                      what current.csv is about to be; synced, with the folder
//!   under the lock: exchange current.csv.new and current.csv; look at what came out; mark.next
//!   becomes mark; sync the folder
//! journal                        begun anew when no table needs it any more
//! ```
//!
//! What comes out of the exchange must be the file of the old mark. If it is not, somebody saved an edit
//! at that moment: it is put back, and the table waits.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};

use reedbase_plugin_api::{Bytes, Error, Result, TableName};

use super::inner::{Checkpoints, Inner};
use super::new_versions::write_versions;
use crate::cache;
use crate::history::{Folded, History, fold, pack_everything};
use crate::log::{FrameIndex, UserDictionary};
use crate::mark::{Mark, table_path};
use crate::progress::{Progress, Work};
use crate::state::{State, TableState};
use crate::storage::{Access, File, LockGuard, LockMode, Storage, read_all};
use crate::table::Table;

/// What a checkpoint did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// The tables whose files were written.
    pub written: Vec<TableName>,
    /// The tables whose files were edited outside, and were left as they are.
    pub edited_outside: Vec<TableName>,
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
pub(super) fn checkpoint(
    inner: &Inner,
    names: Option<&Vec<TableName>>,
) -> Result<CheckpointReport> {
    write_tables(inner, names, Which::Behind)
}

/// Which tables a checkpoint writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that lack something.
    Behind,
    /// Those whose journal has grown too long.
    Late,
}

fn write_tables(
    inner: &Inner,
    names: Option<&Vec<TableName>>,
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
    let mut users = UserDictionary::read(&**storage)?;
    log_frames(inner, &state, &mut users)?;
    inner.replace_state(|now| Ok(now.without_frames(state.newest())))?;
    let mut report = CheckpointReport::default();
    for table in state.tables() {
        let wanted = names.is_none_or(|names| names.contains(table.name()));
        let enough = which == Which::Behind || lateness(table, inner) > 0;
        if !wanted || table.pending_len() == 0 || !enough {
            continue;
        }
        let writer = TableWriter { inner, state: table, users: &mut users };
        match writer.write().map_err(|error| error.at_table(table.name().as_str()))? {
            Some(base) => {
                let name = table.name();
                inner.replace_state(|now| now.settle(name, &base, &inner.store))?;
                report.written.push(table.name().clone());
            }
            None => report.edited_outside.push(table.name().clone()),
        }
    }
    begin_journal_anew(inner, names.is_none())?;
    Ok(report)
}

/// Takes in the files that other processes wrote meanwhile: what they hold need not be written again.
fn take_in_written(inner: &Inner) -> Result<()> {
    for table in inner.flush.visible().tables() {
        let Some(oldest) = table.pending().next() else { continue };
        let mark = Mark::read(&**inner.store.storage(), table.name(), "mark")?;
        if mark.is_some_and(|mark| mark.version >= oldest.info.timestamp)
            && let Some(stored) = inner.store.open(table.name())?
        {
            inner.replace_state(|now| now.settle(table.name(), &stored.table, &inner.store))?;
        }
    }
    Ok(())
}

/// Puts all versions of a table into one pack, and all frames into another.
pub(super) fn pack(inner: &Inner, table: &TableName) -> Result<Folded> {
    let Some(lock) = &inner.checkpoint_lock else { return Ok(Folded::default()) };
    let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let _alone = LockGuard::new(&**lock, LockMode::Exclusive)?;
    let storage = inner.store.storage();
    let mut users = UserDictionary::read(&**storage)?;
    FrameIndex::read(storage, &users)?.pack_everything(&mut users)?;
    pack_everything(&inner.store.history(table))
}

/// Puts the frames that lack a line into the index, and their users into the dictionary.
fn log_frames(inner: &Inner, state: &State, users: &mut UserDictionary) -> Result<()> {
    let (storage, kept) = (inner.store.storage(), inner.store.limits().log_lines);
    let mut index = FrameIndex::read(storage, users)?;
    let newest = index.newest();
    let frames: Vec<_> = state.frames().filter(|frame| frame.timestamp > newest).cloned().collect();
    if frames.is_empty() {
        return Ok(());
    }
    let known = users.count();
    for frame in &frames {
        users.code(&frame.user, frame.timestamp);
    }
    if users.count() > known {
        users.write(storage)?;
    }
    index.append(frames, users, kept)
}

/// Begins the journal anew if no table needs it any more.
fn begin_journal_anew(inner: &Inner, always: bool) -> Result<()> {
    let mut head = inner.head();
    let _lock = inner.lock()?;
    inner.read_on(&mut head)?;
    head.journal.prepare()?;
    let worth_it = always || head.journal.bytes() > inner.store.limits().journal_kept;
    let settled = head.state.is_settled() && head.state.frames().next().is_none();
    if !worth_it || !settled {
        return Ok(());
    }
    head.journal.roll()?;
    head.journal.remove_old_segments()?;
    inner.note(&head);
    Ok(())
}

/// Writes one table.
struct TableWriter<'a> {
    inner: &'a Inner,
    state: &'a TableState,
    users: &'a mut UserDictionary,
}

impl TableWriter<'_> {
    /// Writes versions, logs and file. `None` if the file was edited outside.
    fn write(self) -> Result<Option<Table>> {
        let table = self.state.table(&self.inner.store)?.clone();
        let folder = self.path("");
        self.storage().create_folder(folder.trim_end_matches('/'))?;
        self.finish_last_swap()?;
        self.remove_unfinished()?;
        write_versions(self.inner, self.state, self.users)?;
        let history = self.inner.store.history(self.state.name());
        let versions = fold(&history, self.inner.store.limits())?;
        self.write_keyframe_if_due(&table, &history, versions.weight_since_copy()?)?;
        let Some(mark) = self.write_file(&table)? else { return Ok(None) };
        let base = table.flatten()?;
        if mark.size >= self.inner.store.limits().cached_min {
            // The cache is never needed.
            let layout = base.base().layout();
            drop(cache::write(self.storage(), self.state.name(), &mark.sha256, &layout));
        }
        Ok(Some(base))
    }

    fn storage(&self) -> &dyn Storage {
        &**self.inner.store.storage()
    }

    fn path(&self, name: &str) -> String {
        table_path(self.state.name(), name)
    }

    fn sync_folder(&self) -> Result<()> {
        self.storage().sync_folder(self.path("").trim_end_matches('/'))
    }

    /// Writes a keyframe if the deltas since the last whole copy have come to weigh as much.
    fn write_keyframe_if_due(&self, table: &Table, history: &History, weight: u64) -> Result<()> {
        let limits = self.inner.store.limits();
        let enough = (table.file_len() / limits.keyframe_part.max(1)).max(limits.keyframe_min);
        if weight > enough {
            history.write_keyframe(table)?;
            self.sync_folder()?;
        }
        Ok(())
    }

    /// Completes, or takes back, what a crash left between exchange and mark.
    fn finish_last_swap(&self) -> Result<()> {
        let Some(next) = Mark::read(self.storage(), self.state.name(), "mark.next").ok().flatten()
        else {
            return Ok(());
        };
        let current = self.storage().read(&self.path("current.csv"))?;
        if current.is_some_and(|bytes| next.matches(&bytes)) {
            self.keep_displaced()?;
            self.storage().rename(&self.path("mark.next"), &self.path("mark"))?;
        } else {
            self.storage().remove(&self.path("mark.next"))?;
        }
        self.storage().remove(&self.path("current.csv.new"))?;
        self.sync_folder()
    }

    /// Files that a crash left half written.
    fn remove_unfinished(&self) -> Result<()> {
        for name in self.storage().list(self.path("").trim_end_matches('/'))? {
            if name.ends_with(".new") {
                self.storage().remove(&self.path(&name))?;
            }
        }
        Ok(())
    }

    /// What came out of an exchange is the file of the old mark, or an edit that must not be lost.
    fn keep_displaced(&self) -> Result<()> {
        let Some(bytes) = self.storage().read(&self.path("current.csv.new"))? else {
            return Ok(());
        };
        let old = Mark::read(self.storage(), self.state.name(), "mark")?;
        if old.is_none_or(|old| old.matches(&bytes)) {
            return Ok(());
        }
        let kept = format!("current.csv.edited-{}", self.state.version());
        self.storage().rename(&self.path("current.csv.new"), &self.path(&kept))
    }

    /// Writes the file and puts it in the place of the old one. `None` if that was edited outside.
    fn write_file(&self, table: &Table) -> Result<Option<Mark>> {
        if self.inner.store.is_edited_outside(self.state.name())? {
            return Ok(None);
        }
        let aside = self.path("current.csv.new");
        let file = self.storage().create(&aside)?;
        // The checksums of a large file take as long as writing it does: another thread computes them.
        let builder = std::thread::scope(|scope| {
            let (pieces, hashed) = sync_channel::<Bytes>(PIECES_AHEAD);
            let hashing = std::thread::Builder::new().spawn_scoped(scope, move || {
                let mut builder = Mark::builder();
                hashed.iter().for_each(|piece| builder.update(&piece));
                builder
            });
            let hashing = hashing.map_err(|source| Error::io("start a thread", "", source))?;
            let progress = self.inner.store.progress();
            write_pieces(table, &*file, &pieces, progress)?;
            drop(pieces);
            hashing.join().map_err(|_| Error::internal("the checksums could not be computed"))
        })?;
        let mark = builder.finish(table.version(), table.shape(), &*file)?;
        self.storage().write_new(&self.path("mark.next"), mark.to_text().as_bytes())?;
        self.sync_folder()?;
        if !self.swap()? {
            self.storage().remove(&self.path("mark.next"))?;
            self.storage().remove(&aside)?;
            return Ok(None);
        }
        self.storage().remove(&aside)?;
        Ok(Some(mark))
    }

    /// Exchanges old and new under the lock. `false` if what came out is not ours: then all is as before.
    fn swap(&self) -> Result<bool> {
        let _head = self.inner.head();
        let _lock = self.inner.lock()?;
        let (aside, current) = (self.path("current.csv.new"), self.path("current.csv"));
        let old = Mark::read(self.storage(), self.state.name(), "mark")?;
        if self.storage().open(&current, Access::Read)?.is_none() {
            if old.is_some() {
                return Ok(false);
            }
            self.storage().rename(&aside, &current)?;
            self.storage().sync_folder("tables")?;
        } else {
            self.storage().exchange(&aside, &current)?;
            let displaced = self.storage().open(&aside, Access::Read)?;
            let ours = match (displaced, old) {
                (Some(file), Some(old)) => {
                    old.has_stamp(&file.stat()?) || old.matches(&read_all(&*file)?)
                }
                _ => false,
            };
            if !ours {
                self.storage().exchange(&aside, &current)?;
                return Ok(false);
            }
        }
        self.storage().rename(&self.path("mark.next"), &self.path("mark"))?;
        self.sync_folder()?;
        Ok(true)
    }
}

/// How many pieces of a table may wait for their checksums.
const PIECES_AHEAD: usize = 64;

/// Writes the table's file and syncs it; each piece is passed on.
fn write_pieces(
    table: &Table,
    file: &dyn File,
    pieces: &SyncSender<Bytes>,
    progress: &dyn Progress,
) -> Result<()> {
    let mut at = 0;
    table.for_each_piece(|piece: Bytes| {
        file.write_at(&piece, at)?;
        at += piece.len() as u64;
        progress.at(Work::Write, at, table.file_len());
        // The receiver is there as long as the sender is.
        drop(pieces.send(piece));
        Ok(())
    })?;
    file.sync()
}
