//! Going back: a row, a cell, a table or all of them as they were, or the undoing of one frame. All of it is done in
//! a transaction like any other change, so that the past stays as it is; and what a transaction is about to do can be
//! looked at before it is committed.

use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, Result, TableName, Timestamp};

use super::compare::changeset;
use super::frame_list::REVERTS;
use super::history::{Diff, RowDiff};
use super::outside::Conflict;
use super::row::{Row, same, spelled_for};
use super::snapshot::{find_column, find_table};
use super::transaction::{Transaction, Work};
use crate::changes::RowChanges;
use crate::frame::{Action, FrameInfo};
use crate::table::{Difference, Key};

impl Transaction {
    /// Makes a row what it was after a frame: also one that was removed since, or that did not exist then. Cells of
    /// columns that came since stay.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table, or if it did not exist then; damage of its history.
    pub fn restore_row<'k>(
        &mut self,
        table: &str,
        key: impl Into<Key<'k>>,
        at: Timestamp,
    ) -> Result<()> {
        let key = key.into();
        let then = self.row_at(table, &key, at)?;
        self.edit(table, Action::RESTORE, |edit| {
            let now = edit.table().get(&key)?;
            let shape = Arc::clone(edit.table().shape());
            edit.put(&key, then.map(|then| spelled_for(&shape, &then, now.as_ref())))
        })
    }

    /// Makes one cell what it was after a frame.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for table, row or column, now or then; damage of the history.
    pub fn restore_cell<'k>(
        &mut self,
        table: &str,
        key: impl Into<Key<'k>>,
        column: &str,
        at: Timestamp,
    ) -> Result<()> {
        let key = key.into();
        let then = self
            .row_at(table, &key, at)?
            .ok_or_else(|| Error::not_found("there was no row with this key then").at_frame(at))?;
        find_column(then.shape(), column).map_err(|error| error.at_frame(at))?;
        let text = then.get(column).map(|text| text.into_owned());
        self.update_as(Action::RESTORE, table, key, [(column, text)])
    }

    fn row_at(&self, table: &str, key: &Key<'_>, at: Timestamp) -> Result<Option<Row>> {
        let then = self.snapshot.table_at(table, at)?;
        Ok(then.get(key)?.map(|bytes| Row::new(bytes, Arc::clone(then.shape()))))
    }

    /// Undoes what a frame did, row by row; what other frames did since stays. Where they changed the same rows, it
    /// gives these and changes nothing. A table that was touched by no frame since is what it was before, byte for byte;
    /// in others the order of rows and their spelling stay as they are now.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) if the frame made a table, [`Conflict`](ErrorKind::Conflict) if it changed the
    /// columns of one that changed since; damage of the history.
    pub fn revert(&mut self, frame: &FrameInfo) -> Result<Vec<Conflict>> {
        let before = frame.timestamp.previous();
        let mut undo = Vec::new();
        let mut conflicts = Vec::new();
        for (name, action) in &frame.tables {
            let at_table = |error: Error| error.at_table(name.as_str());
            if *action == Action::INIT {
                return Err(at_table(Error::usage(
                    "the frame made the table: that cannot be undone yet",
                ))
                .help("restore the rows you need, or leave the table as it is"));
            }
            let state = find_table(self.snapshot.state(), name.as_str())?;
            if state.version() == frame.timestamp {
                undo.push((name, None));
                continue;
            }
            let diff = self.snapshot.diff(name.as_str(), frame.timestamp, before)?;
            if diff.columns.is_some() || diff.schema.is_some() {
                return Err(at_table(Error::new(
                    ErrorKind::Conflict,
                    "the frame changed the columns, and the table changed since",
                ))
                .help("restore the table: rdb restore TABLE --at FRAME"));
            }
            conflicts.extend(self.conflicts(name, &diff)?);
            undo.push((name, Some(diff)));
        }
        if conflicts.is_empty() {
            self.details.insert(REVERTS.to_owned(), frame.id().to_string());
            for (name, diff) in undo {
                self.undo(name, diff, before)?;
            }
        }
        Ok(conflicts)
    }

    /// The rows that are no longer what the frame left.
    fn conflicts(&self, name: &TableName, diff: &Diff) -> Result<Vec<Conflict>> {
        let mut conflicts = Vec::new();
        for undone in &diff.rows {
            let now = self.snapshot.get(name.as_str(), &undone.key)?;
            if !same(now.as_ref(), undone.before.as_ref()) {
                let ours = RowDiff { after: now, ..undone.clone() };
                conflicts.push(Conflict { ours, theirs: undone.clone() });
            }
        }
        Ok(conflicts)
    }

    fn undo(&mut self, name: &TableName, diff: Option<Diff>, before: Timestamp) -> Result<()> {
        let Some(diff) = diff else {
            return self.restore_table(name.as_str(), before, Action::ROLLBACK);
        };
        self.edit(name.as_str(), Action::ROLLBACK, |edit| {
            let shape = Arc::clone(edit.table().shape());
            for RowDiff { key, after, .. } in diff.rows {
                let now = edit.table().get(&key)?;
                edit.put(&key, after.map(|row| spelled_for(&shape, &row, now.as_ref())))?;
            }
            Ok(())
        })
    }

    /// What it would change, table by table, if it were committed now.
    ///
    /// # Errors
    /// Those of reading the tables.
    pub fn changes(&self) -> Result<Vec<(TableName, Diff)>> {
        let mut all = Vec::new();
        for (name, work) in &self.work {
            let mut rows = RowChanges::default();
            let base = match work {
                Work::Whole(whole) => {
                    rows.add(&whole.changeset)?;
                    whole.base
                }
                Work::Rows { edit, .. } => {
                    let before = edit.before().clone();
                    let (after, removed, added) = edit.as_ref().clone().finish()?;
                    rows.add(&changeset(&before, &after, Difference::lines(removed, added))?)?;
                    before.version()
                }
            };
            all.push((name.clone(), Diff::new(rows.finish(), base, Timestamp::MAX)));
        }
        all.retain(|(_, diff)| !diff.is_empty());
        Ok(all)
    }
}
