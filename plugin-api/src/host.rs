//! What a plugin may ask of the database that it works for.

use std::sync::Arc;

use crate::{
    ColumnStep, Function, IndexSpec, Result, Schema, Snapshot, TableName, TableView, Timestamp,
};

/// The database, as a plugin sees it.
pub trait Host: Send + Sync {
    /// All tables as they are now; sees what other processes committed. The same snapshot comes again as long as nothing was
    /// committed.
    ///
    /// # Errors
    /// Damage of the journal, or those of the storage.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>>;

    /// The frame that an instant means: its number, id or name, `HEAD~3`, a date, a time, `20 minutes ago`. Zero for an
    /// instant before the first frame.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it means no frame and no instant.
    fn instant(&self, text: &str) -> Result<Timestamp>;

    /// Counts that rows of a table were looked for by these columns, and that no index has them: so many rows were passed by.
    /// Where the setting `indices.auto` says so, an index is made of what is asked often.
    fn note_search(&self, table: &str, columns: &[String], rows: u64);

    /// The functions that queries may call.
    fn functions(&self) -> Vec<Function>;

    /// Begins a transaction on the newest state.
    ///
    /// # Errors
    /// Those of [`snapshot`](Self::snapshot).
    fn begin(&self) -> Result<Box<dyn Writer>>;
}

/// A transaction: its changes become visible together when it is committed, and not at all if it is not.
pub trait Writer: Send {
    /// What it began with.
    fn snapshot(&self) -> Arc<dyn Snapshot>;

    /// A table as the changes so far left it, found ignoring ASCII case.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest name, or damage.
    fn table(&self, name: &str) -> Result<Arc<dyn TableView>>;

    /// Adds a row with these texts, one for each column; `None` is NULL. A key that is NULL is made, if the schema says how.
    /// Gives the texts of its key.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the key is taken, or a value that must be unique; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a
    /// text that is not of its type or a value that is missing.
    fn insert(&mut self, table: &str, cells: &[Option<&str>]) -> Result<Vec<String>>;

    /// Changes cells of the row with this key, by the position of their columns; all its other bytes stay.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the row; those of [`insert`](Self::insert).
    fn update(&mut self, table: &str, key: &[&str], cells: &[(usize, Option<&str>)]) -> Result<()>;

    /// Removes the row with this key.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the row.
    fn delete(&mut self, table: &str, key: &[&str]) -> Result<()>;

    /// Makes a table without rows.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), or a name that no table can have.
    fn create_table(&mut self, name: &str, schema: &Schema) -> Result<()>;

    /// Removes a table. Its past stays, and it can be restored.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the table.
    fn drop_table(&mut self, name: &str) -> Result<()>;

    /// Gives a table another name. What it was before is found under the old one.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the table, [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for the name.
    fn rename_table(&mut self, name: &str, to: &str) -> Result<()>;

    /// Changes the columns of a table.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for table or column, [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for a
    /// name that is taken.
    fn alter_table(&mut self, name: &str, step: &ColumnStep) -> Result<()>;

    /// Makes an index of a table.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the table, a column or the kind,
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for the name, or if it is to be unique and two rows have the same
    /// values.
    fn create_index(&mut self, table: &str, index: &IndexSpec) -> Result<()>;

    /// Drops an index.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the nearest name.
    fn drop_index(&mut self, name: &str) -> Result<()>;

    /// Whether a table has an index of this name.
    ///
    /// # Errors
    /// Damage of a schema.
    fn has_index(&self, name: &str) -> Result<bool>;

    /// The names of the tables, as the changes so far left them, sorted.
    fn tables(&self) -> Vec<TableName>;

    /// Sets a mark to go back to, and gives its number. Marks set later than one that is gone back to are gone.
    fn mark(&mut self) -> usize;

    /// Undoes what was changed since a mark, which stays.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) if there is no such mark.
    fn go_back(&mut self, mark: usize) -> Result<()>;

    /// Forgets a mark and those set later; what was changed stays.
    fn release(&mut self, mark: usize);

    /// Makes the changes durable and visible. What others committed meanwhile is merged, cell by cell.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) if another writer changed the same cells: then nothing is committed.
    fn commit(self: Box<Self>) -> Result<Committed>;
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The frame; `None` if there was nothing to commit, or if it is a step of an open frame.
    pub frame: Option<Timestamp>,
}

impl Committed {
    /// This frame.
    pub fn new(frame: Option<Timestamp>) -> Self {
        Self { frame }
    }
}
