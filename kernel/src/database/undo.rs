//! Going back: a row, a cell, a table or all of them as they were, or the undoing of one frame. All of it is done in
//! a transaction like any other change, so that the past stays as it is; and what a transaction is about to do can be
//! looked at before it is committed.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, ErrorKind, Result, Shape, TableName, Timestamp, row};

use super::history::{Diff, RowDiff};
use super::outside::Clash;
use super::row::Row;
use super::snapshot::{find_column, find_table};
use super::transaction::{Transaction, Work, changeset};
use crate::changes::{RowChanges, same_cells};
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
            edit.put(&key, then.map(|then| in_shape(&then, now.as_ref(), &shape)))
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
    /// gives these and changes nothing.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) if the frame made a table, [`Conflict`](ErrorKind::Conflict) if it changed the
    /// columns of one that changed since; damage of the history.
    pub fn revert(&mut self, frame: &FrameInfo) -> Result<Vec<Clash>> {
        let before = Timestamp::from_micros(frame.timestamp.as_micros() - 1);
        let mut undo = Vec::new();
        let mut clashes = Vec::new();
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
            clashes.extend(self.clashes(name, &diff)?);
            undo.push((name, Some(diff)));
        }
        if clashes.is_empty() {
            for (name, diff) in undo {
                self.undo(name, diff, before)?;
            }
        }
        Ok(clashes)
    }

    /// The rows that are no longer what the frame left.
    fn clashes(&self, name: &TableName, diff: &Diff) -> Result<Vec<Clash>> {
        let mut clashes = Vec::new();
        for undone in &diff.rows {
            let now = self.snapshot.get(name.as_str(), &undone.key)?;
            let same = match (&now, &undone.before) {
                (None, None) => true,
                (Some(now), Some(left)) => {
                    same_cells(now.bytes(), now.shape(), left.bytes(), left.shape())
                }
                _ => false,
            };
            if !same {
                let ours = RowDiff { after: now, ..undone.clone() };
                clashes.push(Clash { ours, theirs: undone.clone() });
            }
        }
        Ok(clashes)
    }

    fn undo(&mut self, name: &TableName, diff: Option<Diff>, before: Timestamp) -> Result<()> {
        let Some(diff) = diff else {
            return self.restore_table(name.as_str(), before, Action::ROLLBACK);
        };
        self.edit(name.as_str(), Action::ROLLBACK, |edit| {
            let shape = Arc::clone(edit.table().shape());
            for RowDiff { key, after, .. } in diff.rows {
                let now = edit.table().get(&key)?;
                edit.put(&key, after.map(|row| in_shape(&row, now.as_ref(), &shape)))?;
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

/// A row as the table is cut now: its own bytes if that has not changed, else cell by cell. What it does not say of a
/// column is taken from the row that stands there.
fn in_shape(then: &Row, now: Option<&Bytes>, shape: &Arc<Shape>) -> Bytes {
    if **then.shape() == **shape {
        return then.bytes().clone();
    }
    let now = now.map(|now| Row::new(now.clone(), Arc::clone(shape)));
    let cells: Vec<Option<String>> = shape
        .columns()
        .iter()
        .map(|name| {
            let from = if then.shape().column(name).is_some() { Some(then) } else { now.as_ref() };
            from.and_then(|row| row.get(name)).map(|text| text.into_owned())
        })
        .collect();
    let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
    Bytes::from(row::write_row(&cells, shape.delimiter(), shape.line_end().as_bytes()))
}
