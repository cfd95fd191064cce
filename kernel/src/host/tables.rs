//! Tables and snapshots as plugins read them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::TableView;
use reedbase_plugin_api::{
    Batch, Bytes, Column, ColumnType, LineEnd, Result, Schema, Shape, TableName, Timestamp,
};

use crate::database::Snapshot;
use crate::schema;
use crate::table::{Key, Table};

/// What the schemas of tables say: each text is read once.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<HashMap<TableName, Said>>);

/// What a schema was read from: the text, and the columns of the file; and what it says.
type Said = (Option<Bytes>, Shape, Arc<Schema>);

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
pub(super) fn schema_of(text: Option<&Bytes>, shape: &Shape) -> Schema {
    let said = text.and_then(|text| schema::parse(std::str::from_utf8(text).ok()?).ok());
    let said = said.map(|schema| schema.columns).unwrap_or_default();
    let column = |(at, name): (usize, &String)| {
        let known = said.iter().find(|column| column.name.eq_ignore_ascii_case(name)).cloned();
        let column = known.unwrap_or_else(|| Column::new(name, ColumnType::String));
        Column { name: name.clone(), ..column.in_key(shape.key().contains(&at)) }
    };
    let columns = shape.columns().iter().enumerate().map(column).collect();
    let line_end: LineEnd = shape.line_end();
    Schema::new(shape.delimiter(), line_end, columns)
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
