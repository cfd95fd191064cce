//! The part of a checkpoint that writes a table's file and puts it in the place of the old one.
//!
//! What comes out of the exchange must be the file of the old mark. If it is not, somebody saved an edit at that
//! moment: it is put back, and the table waits.

use std::sync::mpsc::{SyncSender, sync_channel};

use reedbase_plugin_api::{Bytes, Error, Result};

use super::inner::Inner;
use crate::mark::{Mark, table_path};
use crate::progress::{Progress, Work};
use crate::state::TableState;
use crate::storage::{Access, File, Storage, read_all};
use crate::table::Table;

/// The file of one table.
pub(super) struct TableFile<'a> {
    pub(super) inner: &'a Inner,
    pub(super) state: &'a TableState,
}

impl TableFile<'_> {
    pub(super) fn storage(&self) -> &dyn Storage {
        &**self.inner.store.storage()
    }

    /// The path of a file of the table.
    pub(super) fn path(&self, name: &str) -> String {
        table_path(self.state.name(), name)
    }

    pub(super) fn sync_folder(&self) -> Result<()> {
        self.storage().sync_folder(self.path("").trim_end_matches('/'))
    }

    /// Completes, or takes back, what a crash left between exchange and mark.
    pub(super) fn finish_last_swap(&self) -> Result<()> {
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
    pub(super) fn write(&self, table: &Table) -> Result<Option<Mark>> {
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
