//! A frame held still for reading.

use std::sync::Arc;

use reedbase_plugin_api::{Error, Result, Shape, TableName, Timestamp, nearest};

use super::reads::Reads;
use super::row::Row;
use crate::state::{State, TableState};
use crate::store::Store;
use crate::table::{Key, Table};

/// All tables as they were after one frame. Cheap to make and to clone; never blocks a writer, and no
/// writer changes it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    state: Arc<State>,
    store: Arc<Store>,
    /// Who notes what is read.
    reads: Option<Arc<Reads>>,
}

impl Snapshot {
    pub(super) fn new(state: Arc<State>, store: Arc<Store>) -> Self {
        Self { state, store, reads: None }
    }

    /// The same; what is read of it is noted.
    pub(super) fn watched(self, reads: Option<Arc<Reads>>) -> Self {
        Self { reads, ..self }
    }

    fn note(&self, act: impl FnOnce(&Reads)) {
        if let Some(reads) = &self.reads {
            act(reads);
        }
    }

    /// Whether it shows the same as another.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// The version of a table; `None` if there is none of this name. Nothing is read.
    pub fn version_of(&self, table: &TableName) -> Option<Timestamp> {
        let table = self.state.table(table).filter(|table| !table.is_dropped())?;
        Some(table.version())
    }

    /// The newest frame it shows; zero if there is none.
    pub fn frame(&self) -> Timestamp {
        self.state.newest()
    }

    /// All tables as they were after an older frame (`AS OF`). Cost: a look at the versions of each table that changed
    /// since; a table is rebuilt when it is first read, O(what changed since).
    ///
    /// # Errors
    /// Damage of a log.
    pub fn as_of(&self, at: Timestamp) -> Result<Self> {
        let state = self.state.as_of(at, &self.store)?;
        Ok(self.with_state(state))
    }

    /// Another state in its place, which was made of this one.
    pub(super) fn with_state(&self, state: State) -> Self {
        Self { state: Arc::new(state), store: Arc::clone(&self.store), reads: self.reads.clone() }
    }

    /// Where its tables are read from.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The state behind it.
    pub fn state(&self) -> &Arc<State> {
        self.note(Reads::everything);
        &self.state
    }

    /// The names of the tables, sorted; those that ReedBase keeps itself left out.
    pub fn tables(&self) -> Vec<TableName> {
        let names = self.all_tables().into_iter();
        names.filter(|name| !name.is_reserved()).collect()
    }

    /// The names of the tables, sorted, with those that ReedBase keeps itself.
    pub fn all_tables(&self) -> Vec<TableName> {
        self.note(Reads::names);
        let there = self.state.tables().filter(|table| !table.is_dropped());
        there.map(|table| table.name().clone()).collect()
    }

    /// What is known of a table, dropped or not.
    pub(super) fn known(&self, name: &str) -> Result<&TableState> {
        let known = find_known(&self.state, name);
        self.note(|reads| match &known {
            Ok(table) => reads.table(table.name()),
            Err(_) => reads.names(),
        });
        known
    }

    fn there(&self, name: &str) -> Result<&TableState> {
        let there = find_table(&self.state, name);
        self.note(|reads| match &there {
            Ok(table) => reads.table(table.name()),
            Err(_) => reads.names(),
        });
        there
    }

    /// A table, to read more than one row of. Reads its file when it is first needed.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) with the nearest name, or damage.
    pub fn table(&self, name: &str) -> Result<&Table> {
        self.there(name)?.table(&self.store)
    }

    /// The name of a table as it is spelled.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) with the nearest name.
    pub fn exact_name(&self, name: &str) -> Result<TableName> {
        Ok(self.there(name)?.name().clone())
    }

    /// A table with its name as it is spelled.
    ///
    /// # Errors
    /// Those of [`table`](Self::table).
    pub fn named_table(&self, name: &str) -> Result<(TableName, &Table)> {
        let state = self.there(name)?;
        Ok((state.name().clone(), state.table(&self.store)?))
    }

    /// The row with this key; `None` if there is none. Cost: one probe of the index, about 0.2 µs when the
    /// table is warm, whatever its size.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or those of reading it.
    pub fn get<'k>(&self, table: &str, key: impl Into<Key<'k>>) -> Result<Option<Row>> {
        let table = self.table(table)?;
        let row = table.get(&key.into())?;
        Ok(row.map(|bytes| Row::new(bytes, Arc::clone(table.shape()))))
    }

    /// The names of the columns of the key.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or those of reading it.
    pub fn key_columns(&self, table: &str) -> Result<Vec<String>> {
        let shape = self.table(table)?.shape();
        let names = shape.key().iter().filter_map(|index| shape.columns().get(*index));
        Ok(names.cloned().collect())
    }

    /// The position of a column.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) with the nearest name.
    pub fn column(&self, table: &str, name: &str) -> Result<usize> {
        find_column(self.table(table)?.shape(), name)
    }

    /// All rows of a table, in the order of its file.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table; each row those of reading it.
    pub fn rows(&self, table: &str) -> Result<impl Iterator<Item = Result<Row>> + use<>> {
        let table = self.table(table)?;
        let shape = Arc::clone(table.shape());
        Ok(table.rows_iter().map(move |row| row.map(|bytes| Row::new(bytes, Arc::clone(&shape)))))
    }
}

/// The table of this name, found ignoring ASCII case.
pub(super) fn find_table<'a>(state: &'a State, name: &str) -> Result<&'a TableState> {
    let table = find_known(state, name)?;
    match table.is_dropped() {
        true => Err(Error::not_found(format!("there is no table `{name}` any more"))
            .help(format!("it was dropped; to bring it back: rdb restore {name} --at HEAD~1"))),
        false => Ok(table),
    }
}

/// The same, also if the table was dropped.
pub(super) fn find_known<'a>(state: &'a State, name: &str) -> Result<&'a TableState> {
    if let Some(table) = TableName::new(name).ok().and_then(|name| state.table(&name)) {
        return Ok(table);
    }
    let mut tables = state.tables();
    if let Some(table) = tables.find(|table| table.name().as_str().eq_ignore_ascii_case(name)) {
        return Ok(table);
    }
    let there = state.tables().filter(|table| !table.is_dropped());
    let names = there.map(|table| table.name()).filter(|name| !name.is_reserved());
    let names = names.map(TableName::as_str);
    Err(not_found("table", name, names))
}

/// The position of a column.
pub(super) fn find_column(shape: &Shape, name: &str) -> Result<usize> {
    let names = shape.columns().iter().map(String::as_str);
    shape.column(name).ok_or_else(|| not_found("column", name, names))
}

/// That something of this name does not exist, with the nearest name that does.
pub(super) fn not_found<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let error = Error::not_found(format!("there is no {what} `{name}`"));
    let mut names = names.peekable();
    match names.peek() {
        Some(_) => nearest(error, what, name, names),
        None => error.help("there is none yet: rdb import FILE makes one"),
    }
}
