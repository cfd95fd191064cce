//! Tables and snapshots as plugins read them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{
    Batch, Bytes, Column, ColumnType, LineEnd, Result, Schema, Shape, TableName, Timestamp,
};
use reedbase_plugin_api::{Snapshot as ReadSnapshot, TableView};

use crate::database::Snapshot;
use crate::schema;
use crate::table::{Key, Table};

/// What the schemas of tables say: each text is read once.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<HashMap<TableName, (Option<Bytes>, Shape, Arc<Schema>)>>);

impl Schemas {
    pub(super) fn of(&self, name: &TableName, table: &Table) -> Arc<Schema> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, shape) = (table.schema(), table.shape());
        if let Some((said, cut, schema)) = known.get(name)
            && said.as_ref() == text
            && cut == &**shape
        {
            return Arc::clone(schema);
        }
        let schema = Arc::new(schema_of(text, shape));
        known.insert(name.clone(), (text.cloned(), (**shape).clone(), Arc::clone(&schema)));
        schema
    }
}

/// What is said of the columns that the file has; nothing is said of a column that schema.toml does not name.
fn schema_of(text: Option<&Bytes>, shape: &Shape) -> Schema {
    let said = text.and_then(|text| schema::parse(std::str::from_utf8(text).ok()?).ok());
    let said = said.map(|schema| schema.columns).unwrap_or_default();
    let column = |(at, name): (usize, &String)| {
        let known = said.iter().find(|column| column.name.eq_ignore_ascii_case(name)).cloned();
        let column = known.unwrap_or_else(|| Column::new(name, ColumnType::String));
        Column { name: name.clone(), ..column.in_key(shape.key().contains(&at)) }
    };
    let columns = shape.columns().iter().enumerate().map(column).collect();
    let line_end: LineEnd = shape.line_end();
    Schema { delimiter: shape.delimiter(), line_end, columns }
}

/// All tables at one instant.
pub(super) struct HostSnapshot {
    pub(super) snapshot: Snapshot,
    schemas: Arc<Schemas>,
    /// The tables that were asked for, by the name they were asked for.
    tables: Mutex<HashMap<String, Arc<HostTable>>>,
}

impl HostSnapshot {
    pub(super) fn new(snapshot: Snapshot, schemas: Arc<Schemas>) -> Self {
        Self { snapshot, schemas, tables: Mutex::default() }
    }
}

impl ReadSnapshot for HostSnapshot {
    fn frame(&self) -> Timestamp {
        self.snapshot.frame()
    }

    fn tables(&self) -> Vec<TableName> {
        self.snapshot.state().tables().map(|table| table.name().clone()).collect()
    }

    fn table(&self, name: &str) -> Result<Arc<dyn TableView>> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(name) {
            return Ok(Arc::clone(table) as _);
        }
        let (exact, table) = self.snapshot.named_table(name)?;
        let schema = self.schemas.of(&exact, table);
        let snapshot = self.snapshot.clone();
        let table = Arc::new(HostTable { name: exact, table: table.clone(), schema, snapshot });
        tables.insert(name.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    fn as_of(&self, frame: Timestamp) -> Result<Arc<dyn ReadSnapshot>> {
        let (snapshot, schemas) = (self.snapshot.as_of(frame)?, Arc::clone(&self.schemas));
        Ok(Arc::new(Self::new(snapshot, schemas)))
    }
}

/// A table at one instant.
#[derive(Debug)]
pub(super) struct HostTable {
    pub(super) name: TableName,
    pub(super) table: Table,
    pub(super) schema: Arc<Schema>,
    /// What it is a part of.
    pub(super) snapshot: Snapshot,
}

impl TableView for HostTable {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn version(&self) -> Timestamp {
        self.table.version()
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
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
}

impl fmt::Debug for HostSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSnapshot").field("frame", &self.snapshot.frame()).finish()
    }
}
