//! Tables and snapshots as plugins read them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reedbase_plugin_api::{
    Batch, Bytes, Column, ColumnType, Function, FunctionCache, Index, IndexSearch, IndexView, Keys,
    LineEnd, Range, Result, RowSearch, Schema, Shape, TableName, TableView, Timestamp,
};
use smallvec::SmallVec;

use super::remembering::remembering;
use crate::database::{Database, Snapshot};
use crate::index::{At, Indices, Kinds, Pending, Wanted, views};
use crate::results::Results;
use crate::schema;
use crate::table::{Key, Table};

/// The plugins that a database is opened with.
#[derive(Clone, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is made in one place, where all plugins are named"
)]
pub struct Plugins {
    /// The kinds of index.
    pub kinds: Kinds,
    /// The functions that queries may call.
    pub functions: Vec<Function>,
    /// What keeps their results.
    pub function_cache: Option<Arc<dyn FunctionCache>>,
    /// All of them, for people.
    pub list: Vec<Plugin>,
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugins").field("list", &self.list).finish_non_exhaustive()
    }
}

/// A plugin, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is made in one place, where all plugins are named"
)]
pub struct Plugin {
    /// The name of its crate.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it brings, such as `index btree`.
    pub brings: String,
}

/// What is known of the tables of a database beside their rows.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) indices: Indices,
    /// What was asked without an index.
    pub(super) wanted: Wanted,
    pub(super) plugins: Vec<Plugin>,
    pub(super) functions: Vec<Function>,
    /// What functions gave.
    pub(super) results: Option<Arc<Results>>,
    /// What schemas say: each text is read once.
    said: Mutex<HashMap<TableName, Said>>,
}

/// What a schema was read from, the text and the columns of the file; and what it says.
#[derive(Debug)]
struct Said {
    text: Option<Bytes>,
    shape: Shape,
    described: Described,
}

/// What is said of a table.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) schema: Arc<Schema>,
    pub(super) indices: Arc<[IndexView]>,
}

impl Catalog {
    pub(super) fn new(database: &Database, plugins: Plugins) -> Self {
        let (indices, wanted) = (Indices::new(plugins.kinds), Wanted::new(database.storage()));
        // What an open frame did may be undone: nothing that was made of it is kept.
        let cache = plugins.function_cache.filter(|_| database.open_frame().is_none());
        let results = cache.map(|cache| {
            let kept = cache.open(database.config().functions_cache_bytes);
            Arc::new(Results::new(database.clone(), kept))
        });
        let functions = match &results {
            Some(results) => plugins.functions.iter().map(|f| remembering(f, results)).collect(),
            None => plugins.functions,
        };
        let (plugins, said) = (plugins.list, Mutex::default());
        Self { indices, wanted, plugins, functions, results, said }
    }

    pub(super) fn describe(&self, name: &TableName, table: &Table) -> Described {
        let mut known = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, shape) = (table.schema(), table.shape());
        if let Some(said) = known.get(name)
            && said.text.as_ref() == text
            && said.shape == **shape
        {
            return said.described.clone();
        }
        let schema = schema_of(text, shape);
        let indices = views(&schema, &self.indices.kinds).into();
        let described = Described { schema: Arc::new(schema), indices };
        let (text, shape) = (text.cloned(), (**shape).clone());
        known.insert(name.clone(), Said { text, shape, described: described.clone() });
        described
    }
}

/// What is said of the columns that the file has; nothing is said of a column that schema.toml does not name.
pub(super) fn schema_of(text: Option<&Bytes>, shape: &Shape) -> Schema {
    let said = text.and_then(|text| schema::parse(std::str::from_utf8(text).ok()?).ok());
    let (said, indices) = said.map(|schema| (schema.columns, schema.indices)).unwrap_or_default();
    let column = |(at, name): (usize, &String)| {
        let known = said.iter().find(|column| column.name.eq_ignore_ascii_case(name)).cloned();
        let column = known.unwrap_or_else(|| Column::new(name, ColumnType::String));
        Column { name: name.clone(), ..column.in_key(shape.key().contains(&at)) }
    };
    let columns = shape.columns().iter().enumerate().map(column).collect();
    let line_end: LineEnd = shape.line_end();
    Schema { indices, ..Schema::new(shape.delimiter(), line_end, columns) }
}

/// A table at one instant.
#[derive(Debug)]
pub(super) struct HostTable {
    name: TableName,
    table: Arc<Table>,
    described: Described,
    catalog: Arc<Catalog>,
    /// What it is a part of.
    snapshot: Snapshot,
    /// What a transaction did to it.
    pending: Option<Pending>,
    /// The indices, as far as somebody searched in them; `None` inside for one that does not help.
    opened: Box<[OnceLock<Option<Opened>>]>,
}

#[derive(Clone)]
struct Opened(Arc<dyn Index>);

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries", self.0.len())
    }
}

impl HostTable {
    pub(super) fn new(
        name: TableName,
        table: Table,
        snapshot: Snapshot,
        pending: Option<Pending>,
        catalog: &Arc<Catalog>,
    ) -> Self {
        let described = catalog.describe(&name, &table);
        let opened = described.indices.iter().map(|_| OnceLock::new()).collect();
        let (catalog, table) = (Arc::clone(catalog), Arc::new(table));
        Self { name, table, described, catalog, snapshot, pending, opened }
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// An index; `None` if it is better to scan the table.
    pub(super) fn index(&self, at: usize) -> Result<Option<Arc<dyn Index>>> {
        let Some(slot) = self.opened.get(at) else { return Ok(None) };
        if let Some(opened) = slot.get() {
            return Ok(opened.as_ref().map(|opened| Arc::clone(&opened.0)));
        }
        let index = self.open(at)?;
        // Two that open it at once open the same.
        let opened = slot.get_or_init(|| index.map(Opened));
        Ok(opened.as_ref().map(|opened| Arc::clone(&opened.0)))
    }

    fn open(&self, at: usize) -> Result<Option<Arc<dyn Index>>> {
        let Some(view) = self.described.indices.get(at) else { return Ok(None) };
        let (name, snapshot, indices) = (&self.name, &self.snapshot, &self.catalog.indices);
        match &self.pending {
            None => indices.get(At { name, table: &self.table, snapshot }, view),
            Some(pending) => {
                let known = snapshot.table(name.as_str()).ok();
                let known = known.map(|table| At { name, table, snapshot });
                pending.get(indices, known, &self.table, view)
            }
        }
    }
}

/// Most searches find no more than so many rows at once.
const FEW: usize = 4;

/// A search in an index of a table.
struct HostSearch {
    table: Arc<Table>,
    search: Box<dyn IndexSearch>,
    keys: Keys,
}

impl RowSearch for HostSearch {
    fn next(&mut self, max: usize, batch: &mut Batch) -> Result<bool> {
        self.keys.clear();
        let more = self.search.next(max, &mut self.keys);
        let keys: SmallVec<[_; FEW]> = self.keys.iter().map(Key::from_bytes).collect();
        self.table.find_rows(&keys, &mut |slot, row| {
            let len = row.len();
            batch.add_piece(row);
            batch.add_row(slot, 0, len);
        })?;
        Ok(more)
    }
}

impl TableView for HostTable {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn version(&self) -> Timestamp {
        self.table.version()
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.described.schema
    }

    fn shape(&self) -> &Shape {
        self.table.shape()
    }

    fn row_count(&self) -> u64 {
        self.table.rows()
    }

    fn byte_count(&self) -> u64 {
        self.table.file_len()
    }

    fn has_plain_keys(&self) -> bool {
        self.table.has_plain_keys()
    }

    fn scan(&self, from: u64, max: usize, batch: &mut Batch) -> Result<Option<u64>> {
        self.table.scan(from, max, batch)
    }

    fn row(&self, slot: u64) -> Result<Option<Bytes>> {
        self.table.row(slot)
    }

    fn changed_since(&self, version: Timestamp, most: usize) -> Result<Option<Vec<Vec<String>>>> {
        self.snapshot.keys_changed_since(self.name.as_str(), version, most)
    }

    fn find(&self, key: &[&str]) -> Result<Option<(u64, Bytes)>> {
        match key {
            [part] => self.table.find_row(&Key::from(*part)),
            parts => self.table.find_row(&Key::from_parts(parts)),
        }
    }

    fn indices(&self) -> &[IndexView] {
        &self.described.indices
    }

    fn search(&self, index: usize, range: &Range) -> Result<Option<Box<dyn RowSearch>>> {
        let Some(index) = self.index(index)? else { return Ok(None) };
        let (table, search) = (Arc::clone(&self.table), index.search(range));
        Ok(Some(Box::new(HostSearch { table, search, keys: Keys::default() })))
    }
}
