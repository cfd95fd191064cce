//! Who wrote each cell: the newest frame that made it what it is; and the life of one.
//!
//! The changesets are read from the newest back. A row that one of them touched has cells that it changed, which are its
//! own, and cells that it left: these are looked for further back. A row that nothing touched since the first
//! version is that version's, which is therefore not read. Cost: O(what changed since the first version), whatever
//! the size of the table.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changeset, Result, Shape, Timestamp, row};

use super::past::Past;
use super::row::Row;
use super::snapshot::Snapshot;
use crate::changes::RowChanges;
use crate::store::retry;
use crate::table::{Key, Table};

/// Who wrote each cell of a table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Blame {
    table: Table,
    /// The frame of all cells of rows that are not listed.
    first: Timestamp,
    rows: HashMap<Key<'static>, Vec<Timestamp>>,
}

/// A row, with the frame of each of its cells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BlamedRow {
    /// The row.
    pub row: Row,
    /// The frame that made each cell what it is, in the order of the columns.
    pub frames: Vec<Timestamp>,
}

/// One moment in the life of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellVersion {
    /// The frame.
    pub timestamp: Timestamp,
    /// The text as the frame left it; `None` is NULL, or no row.
    pub text: Option<String>,
    /// Whether there was a row.
    pub row: bool,
}

impl Snapshot {
    /// The life of a cell, newest first: the moments of its row that changed it.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or if the row never had such a column;
    /// damage of the history.
    pub fn cell_history<'k>(
        &self,
        table: &str,
        key: impl Into<Key<'k>>,
        column: &str,
    ) -> Result<Vec<CellVersion>> {
        let life = self.history(table, key)?;
        if !life.iter().flat_map(|moment| &moment.row).any(|row| row.has_column(column)) {
            self.column(table, column)?;
        }
        let mut cells: Vec<CellVersion> = Vec::new();
        for moment in life.into_iter().rev() {
            let text = moment.row.as_ref().and_then(|row| row.get(column)).map(Into::into);
            let cell = CellVersion { timestamp: moment.timestamp, text, row: moment.row.is_some() };
            if cells.last().is_none_or(|last| (&last.text, last.row) != (&cell.text, cell.row)) {
                cells.push(cell);
            }
        }
        cells.reverse();
        Ok(cells)
    }

    /// Who wrote each cell of a table. Where a row was given another key, the cells that were there before count as those of
    /// the frame that did it.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or damage of its history.
    pub fn blame(&self, table: &str) -> Result<Blame> {
        retry(|| {
            let past = Past::of(self, table)?;
            let current = self.table(table)?.clone();
            let first = past.timestamps().next().unwrap_or_default();
            let mut open = Open { shape: Arc::clone(current.shape()), rows: HashMap::new() };
            for (timestamp, changeset) in past.changes(first, current.version())?.iter().rev() {
                open.step_back(*timestamp, changeset)?;
            }
            let frames = |cells: Vec<Option<Timestamp>>| -> Vec<Timestamp> {
                cells.into_iter().map(|cell| cell.unwrap_or(first)).collect()
            };
            let rows = open.rows.into_iter().map(|(key, row)| (key, frames(row.cells))).collect();
            Ok(Blame { table: current, first, rows })
        })
    }
}

impl Blame {
    /// The rows, in the order of the file.
    pub fn rows(&self) -> impl Iterator<Item = Result<BlamedRow>> + '_ {
        let shape = self.table.shape();
        self.table
            .rows_iter()
            .map(move |bytes| Ok(self.blamed(Row::new(bytes?, Arc::clone(shape)))))
    }

    /// The row with this key; `None` if there is none.
    ///
    /// # Errors
    /// Those of reading the table.
    pub fn row<'k>(&self, key: impl Into<Key<'k>>) -> Result<Option<BlamedRow>> {
        let bytes = self.table.get(&key.into())?;
        let row = bytes.map(|bytes| Row::new(bytes, Arc::clone(self.table.shape())));
        Ok(row.map(|row| self.blamed(row)))
    }

    fn blamed(&self, row: Row) -> BlamedRow {
        let known = row.key().and_then(|key| self.rows.get(&key.into_owned()).cloned());
        let frames = known.unwrap_or_else(|| vec![self.first; row.columns().len()]);
        BlamedRow { row, frames }
    }
}

/// The rows that were touched so far on the way back.
struct Open {
    shape: Arc<Shape>,
    rows: HashMap<Key<'static>, OpenRow>,
}

/// A row on the way back.
struct OpenRow {
    /// The frame of each cell of today's columns, once it is known.
    cells: Vec<Option<Timestamp>>,
    /// Whether the frames before are about another row of this key, which was removed.
    closed: bool,
}

impl Open {
    fn step_back(&mut self, frame: Timestamp, changeset: &Changeset) -> Result<()> {
        let mut changes = RowChanges::default();
        changes.add(changeset)?;
        for change in changes.finish().rows {
            let width = self.shape.columns().len();
            let row = self
                .rows
                .entry(change.key)
                .or_insert_with(|| OpenRow { cells: vec![None; width], closed: false });
            if row.closed {
                continue;
            }
            match (change.before, change.after) {
                (Some((before, one)), Some((after, other))) => {
                    let same = same_columns(&self.shape, (&before, &one), (&after, &other));
                    for (cell, same) in row.cells.iter_mut().zip(same) {
                        if cell.is_none() && !same {
                            *cell = Some(frame);
                        }
                    }
                }
                _ => {
                    row.cells.iter_mut().for_each(|cell| *cell = cell.or(Some(frame)));
                    row.closed = true;
                }
            }
        }
        Ok(())
    }
}

/// For each of today's columns, whether two states of a row have the same cell.
fn same_columns(
    columns: &Shape,
    (one, shape): (&Bytes, &Shape),
    (other, other_shape): (&Bytes, &Shape),
) -> Vec<bool> {
    if columns.columns() == shape.columns() && shape.columns() == other_shape.columns() {
        let pairs =
            row::cells(one, shape.delimiter()).zip(row::cells(other, other_shape.delimiter()));
        return pairs.map(|(one, other)| one.text() == other.text()).collect();
    }
    let text = |bytes: &Bytes, shape: &Shape, name: &str| {
        let cell = row::cells(bytes, shape.delimiter()).nth(shape.column(name)?)?;
        cell.text().map(|text| text.into_owned())
    };
    let names = columns.columns().iter();
    names.map(|name| text(one, shape, name) == text(other, other_shape, name)).collect()
}
