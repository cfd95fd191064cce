//! How a plugin reads: the interface `read/1`, the same for plugins that are linked and that are loaded.
//!
//! A [`Snapshot`] is all tables at one instant, a [`TableView`] one of them. Rows come in a [`Batch`]: the kernel's own
//! bytes and offsets into them, never one row to a call. A row is named by its *slot*, which means something
//! in this view only and must not be stored.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Batch, Column, IndexView, Range, Result, Schema, Shape, TableName, Timestamp};

/// All tables at one instant. Nothing that is committed later shows in it.
pub trait Snapshot: Send + Sync {
    /// The newest frame it shows; zero if there is none.
    fn frame(&self) -> Timestamp;

    /// The names of the tables, sorted, with those that ReedBase keeps itself.
    fn tables(&self) -> Vec<TableName>;

    /// A table, found ignoring ASCII case. Cost: its file is read when it is first needed.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest name, or damage.
    fn table(&self, name: &str) -> Result<Arc<dyn TableView>>;

    /// A table that is in no file, up to the frame that this shows.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the table it is about, or damage of the history.
    fn computed(&self, what: &Computed) -> Result<Arc<dyn TableView>>;

    /// All tables after an older frame.
    ///
    /// # Errors
    /// Damage of a log.
    fn as_of(&self, frame: Timestamp) -> Result<Arc<dyn Snapshot>>;
}

/// A table that is in no file. Its schema names no key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Computed {
    /// `reed_tables`: the tables there are.
    Tables,
    /// `reed_columns`: their columns.
    Columns,
    /// `reed_frames`: who changed what, and when.
    Frames,
    /// `reed_indices`: the indices of the tables.
    Indices,
    /// `reed_searches`: by which columns rows were looked for without an index.
    Searches,
    /// `reed_plugins`: what is switched on.
    Plugins,
    /// `reed_conflicts` before the first conflict: no rows.
    Conflicts,
    /// A table that is not made yet, without rows: its name and its columns.
    Empty {
        /// The name.
        name: String,
        /// The columns.
        columns: Vec<Column>,
    },
    /// Each state of each row of a table, or of the row with a key.
    History {
        /// The table.
        table: String,
        /// The key of the row.
        key: Option<String>,
    },
    /// The rows that differ between two instants.
    Diff {
        /// The table.
        table: String,
        /// The earlier frame.
        from: Timestamp,
        /// The later frame.
        to: Timestamp,
    },
    /// Who wrote each cell of a table.
    Blame {
        /// The table.
        table: String,
    },
    /// The versions of a table.
    Versions {
        /// The table.
        table: String,
    },
}

/// A table at one instant.
pub trait TableView: Send + Sync {
    /// The name.
    fn name(&self) -> &TableName;

    /// The frame that touched it last.
    fn version(&self) -> Timestamp;

    /// What its columns mean, as of then.
    fn schema(&self) -> &Arc<Schema>;

    /// How its rows are cut into cells.
    fn shape(&self) -> &Shape;

    /// How many rows there are.
    fn row_count(&self) -> u64;

    /// How many bytes its file has.
    fn byte_count(&self) -> u64;

    /// Whether no key may be a number in another spelling: then a number finds its row by its text. `7` is plain, `07` and
    /// `7.0` are not.
    fn has_plain_keys(&self) -> bool;

    /// Adds rows to a batch, in the order of the file, beginning with this slot (0 is the first): those among the next
    /// `max` lines. Gives the slot to go on from, or `None` at the end.
    ///
    /// # Errors
    /// Those of reading the file.
    fn scan(&self, from: u64, max: usize, batch: &mut Batch) -> Result<Option<u64>>;

    /// The row in a slot.
    ///
    /// # Errors
    /// Those of reading the file.
    fn row(&self, slot: u64) -> Result<Option<Bytes>>;

    /// The keys of rows that frames touched after a version of the table and up to this one; `None` if there are more than
    /// `most`, or if it cannot be told.
    ///
    /// # Errors
    /// Damage of the history.
    fn changed_since(&self, version: Timestamp, most: usize) -> Result<Option<Vec<Vec<String>>>>;

    /// The row whose key has these texts, one for each column of the key, with its slot.
    ///
    /// # Errors
    /// Those of reading the file.
    fn find(&self, key: &[&str]) -> Result<Option<(u64, Bytes)>>;

    /// The indices that can be searched.
    fn indices(&self) -> &[IndexView] {
        &[]
    }

    /// Begins a search in one of the [`indices`](Self::indices); `None` if the table must be scanned. Cost: the index is made
    /// when it is first needed.
    ///
    /// # Errors
    /// Those of reading the file.
    fn search(&self, index: usize, range: &Range) -> Result<Option<Box<dyn RowSearch>>> {
        let _ = (index, range);
        Ok(None)
    }
}

/// A search in an index that is under way.
pub trait RowSearch: Send {
    /// Adds the next rows to a batch, at most `max`, in the order of the index; `false` if there are no more behind them.
    /// There may be rows among them that were not asked for.
    ///
    /// # Errors
    /// Those of reading the file.
    fn next(&mut self, max: usize, batch: &mut Batch) -> Result<bool>;
}
