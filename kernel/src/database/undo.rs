//! Going back: a row, a cell, a table or all of them as they were, or the undoing of one frame. All of it is done in
//! a transaction like any other change, so that the past stays as it is; and what a transaction is about to do can be
//! looked at before it is committed.

use std::sync::Arc;

use reedbase_plugin_api::{Error, Result, TableName, Timestamp};

use super::fit::fit;
use super::fitted::{Fit, RowName};
use super::frame_list::REVERTS;
use super::history::{Diff, RowDiff};
use super::row::{Row, spelled_for};
use super::snapshot::{Snapshot, find_column, find_known};
use super::transaction::Transaction;
use super::work::{Whole, Work};
use crate::changes::RowChanges;
use crate::frame::{Action, FrameInfo};
use crate::merge::Conflict;
use crate::table::{Edit, Key};

impl Transaction {
    /// Makes a row what it was after a frame: also one that was removed since, or that did not exist then. Cells of
    /// columns that came since stay.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or if it did not exist then; damage of its history.
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
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for table, row or column, now or then; damage of the history.
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

    /// Undoes what a frame did; what other frames did since stays. Undoing is a change of what the frame left, merged with
    /// what is there now: where later frames changed the same cells, that is a conflict. A table that was touched by no
    /// frame since is what it was before, byte for byte.
    ///
    /// # Errors
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if the frame made a table; damage of the history.
    pub fn revert(&mut self, frame: &FrameInfo) -> Result<()> {
        for (name, action) in &frame.tables {
            let at_table = |error: Error| error.at_table(name.as_str());
            let made = *action == Action::INIT;
            if made && !name.is_reserved() {
                return Err(at_table(Error::usage(
                    "the frame made the table: that cannot be undone yet",
                ))
                .help("restore the rows you need, or leave the table as it is"));
            }
            self.undo(name, frame.timestamp, made).map_err(at_table)?;
        }
        self.details.insert(REVERTS.to_owned(), frame.id().to_string());
        Ok(())
    }

    /// Undoes what a frame did to one table. One that it made loses its rows.
    fn undo(&mut self, name: &TableName, frame: Timestamp, made: bool) -> Result<()> {
        let (snapshot, before) = (self.snapshot.clone(), frame.previous());
        if !made && find_known(snapshot.state(), name.as_str())?.version() == frame {
            return self.restore_table(name.as_str(), before, Action::ROLLBACK);
        }
        let diff = snapshot.diff(name.as_str(), frame, before)?;
        let left = snapshot.table_at(name.as_str(), frame)?;
        if !made && (diff.columns.is_some() || diff.schema.is_some()) {
            let then = snapshot.table_at(name.as_str(), before)?.flatten()?;
            let whole = Whole::replacing(&left.flatten()?, then, Action::ROLLBACK)?;
            let work = whole.map(|whole| (name.clone(), Work::Whole(Box::new(whole))));
            self.work.extend(work);
            return Ok(());
        }
        let shape = Arc::clone(left.shape());
        let mut edit = Box::new(Edit::new(left, self.stamp.clone()));
        for RowDiff { key, after, .. } in diff.rows {
            let now = edit.table().get(&key)?;
            edit.put(&key, after.map(|row| spelled_for(&shape, &row, now.as_ref())))?;
        }
        self.work.insert(name.clone(), Work::Rows { edit, action: Action::ROLLBACK });
        Ok(())
    }

    /// What it would change, and what it would meet, if it were committed now.
    ///
    /// # Errors
    /// Those of reading the tables; [`Conflict`](reedbase_plugin_api::ErrorKind::Conflict) for what cannot be merged at all.
    pub fn preview(&self) -> Result<Preview> {
        self.preview_on(&self.snapshot)
    }

    /// The same, on another state.
    pub(super) fn preview_on(&self, snapshot: &Snapshot) -> Result<Preview> {
        let mut found = fit(self, snapshot.state(), &self.inner)?;
        while !found.missing.is_empty() {
            for name in found.missing {
                snapshot.table(name.as_str())?;
            }
            found = fit(self, snapshot.state(), &self.inner)?;
        }
        let Fit { tables, merged, conflicts, .. } = found;
        let mut changes = Vec::new();
        for fitted in tables {
            let mut rows = RowChanges::default();
            rows.add(&fitted.changeset)?;
            let diff = Diff::new(rows.finish(), fitted.base(), Timestamp::MAX);
            changes.extend((!diff.is_empty()).then_some((fitted.name, diff)));
        }
        Ok(Preview { changes, merged, conflicts })
    }
}

/// What a transaction comes to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Preview {
    /// What it changes, table by table.
    pub changes: Vec<(TableName, Diff)>,
    /// The rows that others changed, too, and that will hold what both wrote.
    pub merged: Vec<RowName>,
    /// What others changed in another way.
    pub conflicts: Vec<Conflict>,
}
