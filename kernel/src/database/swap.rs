//! The part of a checkpoint that puts the table's files in the place of the old ones.
//!
//! What comes out of an exchange must be what the old mark says, or what a frame adopted. If it is not, somebody
//! saved an edit at that moment: it is put back, and the table waits.

use std::sync::mpsc::sync_channel;

use reedbase_plugin_api::{Bytes, Error, Result, Timestamp};

use super::table_file::{CURRENT, DISCARDED, EDITED, SCHEMA, TableFile, aside};
use crate::look::{SAME_TIME, is_file_of};
use crate::mark::{Mark, MarkBuilder};
use crate::progress::Work;
use crate::storage::{Access, read_range};
use crate::table::Table;

/// What is to be put in its place.
struct Staged {
    mark: Mark,
    /// Whether there is a new `current.csv`, else the one that is there is as it should be.
    table: bool,
    /// Whether there is a new `schema.toml`.
    schema: bool,
}

impl TableFile<'_> {
    /// Writes the files and puts them in the place of the old ones. `None` if those were edited outside.
    pub(super) fn write(&self, table: &Table) -> Result<Option<Mark>> {
        let look = self.inner.store.look(self.state.name())?;
        let unmarked = look.as_ref().is_some_and(|look| look.edited.table);
        let edited = self.edited_of(look)?;
        let mark = if unmarked { self.mark_of_same(table)? } else { None };
        if edited.schema || (edited.table && mark.is_none()) {
            return Ok(None);
        }
        let staged = self.stage(table, mark)?;
        Ok(self.swap(&staged)?.then_some(staged.mark))
    }

    /// Puts the table's files in the place of whatever is there, which stays under another name.
    pub(super) fn write_over(&self, table: &Table, now: Timestamp) -> Result<Mark> {
        let staged = self.stage(table, None)?;
        let _head = self.inner.head();
        let _lock = self.inner.lock()?;
        let old = Mark::read(self.storage(), self.state.name(), "mark")?;
        for (name, is_new) in [(CURRENT, true), (SCHEMA, staged.schema)] {
            if is_new {
                self.exchange(name)?;
            }
        }
        let displaced = self.storage().open(&self.path(&aside(CURRENT)), Access::Read)?;
        match (&displaced, &old) {
            (Some(file), Some(old)) if is_file_of(file, old)? => self.keep_displaced(Some(old))?,
            (Some(_), _) => self.keep(&aside(CURRENT), DISCARDED, now)?,
            (None, _) => {}
        }
        let schema = self.read(&aside(SCHEMA))?;
        if schema.is_some() && staged.schema && schema != old.and_then(|old| old.schema) {
            self.keep(&aside(SCHEMA), DISCARDED, now)?;
        }
        self.publish()?;
        Ok(staged.mark)
    }

    /// Writes the new files aside, and the mark of what they are.
    fn stage(&self, table: &Table, mark: Option<Mark>) -> Result<Staged> {
        let is_new = mark.is_none();
        let mark = match mark {
            Some(mark) => mark,
            None => self.stage_table(table)?,
        };
        let schema = table.schema().filter(|_| mark.schema.is_some());
        let schema_differs = schema.is_some() && self.read(SCHEMA)?.as_ref() != schema;
        if let Some(text) = schema.filter(|_| schema_differs) {
            self.storage().write_new(&self.path(&aside(SCHEMA)), text)?;
        }
        self.storage().write_new(&self.path("mark.next"), mark.to_text().as_bytes())?;
        self.sync_folder()?;
        Ok(Staged { mark, table: is_new, schema: schema_differs })
    }

    fn stage_table(&self, table: &Table) -> Result<Mark> {
        let file = self.storage().create(&self.path(&aside(CURRENT)))?;
        let progress = self.inner.store.progress();
        let builder = hashed(table, |piece, at| {
            file.write_at(piece, at)?;
            progress.at(Work::Write, at + piece.len() as u64, table.file_len());
            Ok(())
        })?;
        file.set_modified(file.stat()?.modified - SAME_TIME)?;
        file.sync()?;
        builder.finish(table, &*file)
    }

    /// The mark of `current.csv`, if it holds what the table holds: it was adopted, or saved with the same content.
    fn mark_of_same(&self, table: &Table) -> Result<Option<Mark>> {
        let Some(file) = self.storage().open(&self.path(CURRENT), Access::Read)? else {
            return Ok(None);
        };
        let stat = file.stat()?;
        if stat.len != table.file_len() {
            return Ok(None);
        }
        let mut same = true;
        let builder = hashed(table, |piece, at| {
            same = same && read_range(&*file, at, piece.len() as u64)? == *piece;
            Ok(())
        })?;
        file.sync()?;
        let mark = builder.finish(table, &*file)?;
        Ok((same && file.stat()?.version() == stat.version()).then_some(mark))
    }

    /// Exchanges old and new under the lock. `false` if what came out is not ours: then all is as before.
    fn swap(&self, staged: &Staged) -> Result<bool> {
        let _head = self.inner.head();
        let _lock = self.inner.lock()?;
        let old = Mark::read(self.storage(), self.state.name(), "mark")?;
        if staged.table && !self.exchange_table(staged, old.as_ref())? {
            self.storage().remove(&self.path(&aside(SCHEMA)))?;
            self.storage().remove(&self.path("mark.next"))?;
            return Ok(false);
        }
        if staged.schema && !self.exchange_schema(old.as_ref())? {
            if staged.table {
                self.exchange(CURRENT)?;
                self.keep_taken_back(&staged.mark, old.as_ref())?;
            }
            self.storage().remove(&self.path("mark.next"))?;
            return Ok(false);
        }
        if staged.table {
            self.keep_displaced(old.as_ref())?;
        }
        self.publish()?;
        Ok(true)
    }

    /// `false` if what came out is not ours: then it is put back.
    fn exchange_table(&self, staged: &Staged, old: Option<&Mark>) -> Result<bool> {
        let there = self.storage().open(&self.path(CURRENT), Access::Read)?.is_some();
        if !there && old.is_some() {
            self.storage().remove(&self.path(&aside(CURRENT)))?;
            return Ok(false);
        }
        self.exchange(CURRENT)?;
        let displaced = self.storage().open(&self.path(&aside(CURRENT)), Access::Read)?;
        let ours = match (&displaced, old) {
            (None, old) => old.is_none(),
            (Some(file), Some(old)) if is_file_of(file, old)? => true,
            (Some(_), _) => self.is_adopted(&aside(CURRENT))?,
        };
        if !ours {
            self.exchange(CURRENT)?;
            self.keep_taken_back(&staged.mark, old)?;
        }
        Ok(ours)
    }

    /// `false` if what came out is not ours: then it is put back.
    fn exchange_schema(&self, old: Option<&Mark>) -> Result<bool> {
        let new = self.read(&aside(SCHEMA))?;
        self.exchange(SCHEMA)?;
        let displaced = self.read(&aside(SCHEMA))?;
        let ours = match (&displaced, old.map(|old| old.schema.as_ref())) {
            (None, _) | (_, None | Some(None)) => true,
            (Some(text), Some(Some(schema))) if text == schema => true,
            _ => self.is_adopted(&aside(SCHEMA))?,
        };
        if !ours {
            self.exchange(SCHEMA)?;
            if self.read(&aside(SCHEMA))? == new {
                self.storage().remove(&self.path(&aside(SCHEMA)))?;
            } else {
                self.keep(&aside(SCHEMA), EDITED, old.map_or(Timestamp::ZERO, |m| m.version))?;
            }
        }
        Ok(ours)
    }

    /// Exchanges a file with the new one; a file that is not there gets its name.
    fn exchange(&self, name: &str) -> Result<()> {
        let (aside, path) = (self.path(&aside(name)), self.path(name));
        if self.storage().len(&path)?.is_some() {
            return self.storage().exchange(&aside, &path);
        }
        self.storage().rename(&aside, &path)?;
        self.storage().sync_folder("tables")
    }

    /// Makes the next mark the current one: from here on the new files are the table's.
    fn publish(&self) -> Result<()> {
        self.storage().remove(&self.path(&aside(SCHEMA)))?;
        self.storage().rename(&self.path("mark.next"), &self.path("mark"))?;
        self.sync_folder()
    }

    /// Completes, or takes back, what a crash left between exchange and mark.
    pub(super) fn finish_last_swap(&self) -> Result<()> {
        let next = Mark::read(self.storage(), self.state.name(), "mark.next").ok().flatten();
        let Some(next) = next else { return self.look_at_old() };
        let current = self.storage().open(&self.path(CURRENT), Access::Read)?;
        let swapped = match &current {
            Some(file) => is_file_of(file, &next)?,
            None => false,
        };
        let old = Mark::read(self.storage(), self.state.name(), "mark")?;
        self.finish_schema(if swapped { Some(&next) } else { old.as_ref() }, &next, old.as_ref())?;
        if swapped {
            self.keep_displaced(old.as_ref())?;
            self.storage().rename(&self.path("mark.next"), &self.path("mark"))?;
        } else {
            self.keep_taken_back(&next, old.as_ref())?;
            self.storage().remove(&self.path("mark.next"))?;
        }
        self.sync_folder()?;
        self.look_at_old()
    }

    /// Makes schema.toml that of one mark, if it is that of the other.
    fn finish_schema(&self, wanted: Option<&Mark>, next: &Mark, old: Option<&Mark>) -> Result<()> {
        let found = self.read(SCHEMA)?;
        let ours = [Some(next), old].into_iter().flatten().any(|mark| mark.schema == found);
        let text = wanted.and_then(|mark| mark.schema.as_ref());
        if let Some(text) = text.filter(|text| Some(*text) != found.as_ref())
            && (ours || found.is_none())
        {
            self.storage().replace(&self.path(SCHEMA), text)?;
        }
        let left = self.read(&aside(SCHEMA))?;
        let known = [Some(next), old].into_iter().flatten().any(|mark| mark.schema == left);
        if left.is_none() || known || self.is_adopted(&aside(SCHEMA))? {
            return self.storage().remove(&self.path(&aside(SCHEMA)));
        }
        self.keep(&aside(SCHEMA), EDITED, old.map_or(Timestamp::ZERO, |mark| mark.version))
    }
}

/// From this many bytes on another thread computes the checksums.
const BESIDE_MIN: u64 = 1 << 20;

/// How many pieces of a table may wait for their checksums.
const PIECES_AHEAD: usize = 64;

/// Does something with each piece of a table's file, and computes the checksums meanwhile: for a large file
/// they take as long as writing it, so another thread computes them.
fn hashed(table: &Table, mut act: impl FnMut(&Bytes, u64) -> Result<()>) -> Result<MarkBuilder> {
    if table.file_len() < BESIDE_MIN {
        let mut builder = Mark::builder();
        for_each_piece(table, |piece, at| {
            act(&piece, at)?;
            builder.update(&piece);
            Ok(())
        })?;
        return Ok(builder);
    }
    std::thread::scope(|scope| {
        let (pieces, hashed) = sync_channel::<Bytes>(PIECES_AHEAD);
        let hashing = std::thread::Builder::new().spawn_scoped(scope, move || {
            let mut builder = Mark::builder();
            hashed.iter().for_each(|piece| builder.update(&piece));
            builder
        });
        let hashing = hashing.map_err(|source| Error::io("start a thread", "", source))?;
        let done = for_each_piece(table, |piece, at| {
            act(&piece, at)?;
            // The receiver is there as long as the sender is.
            drop(pieces.send(piece));
            Ok(())
        });
        drop(pieces);
        let builder = hashing.join();
        done?;
        builder.map_err(|_| Error::internal("the checksums could not be computed"))
    })
}

fn for_each_piece(table: &Table, mut act: impl FnMut(Bytes, u64) -> Result<()>) -> Result<()> {
    let mut at = 0;
    table.for_each_piece(|piece: Bytes| {
        let start = at;
        at += piece.len() as u64;
        act(piece, start)
    })
}
