//! A transaction as plugins write: cells are texts by position, and each is looked at before it is written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::Snapshot as ReadSnapshot;
use reedbase_plugin_api::{
    Bytes, Column, ColumnStep, Committed, Error, KeyRule, Result, Schema, TableName, TableView,
    Writer, row,
};

use super::snapshot::HostSnapshot;
use super::tables::{HostTable, Schemas};
use crate::database::{Database, Mark, NewTable, Transaction};
use crate::merge::fits;
use crate::table::{Key, KeyOrder, Table, key_of};

/// A transaction, for plugins.
#[derive(Debug)]
pub(super) struct HostWriter {
    transaction: Transaction,
    schemas: Arc<Schemas>,
    snapshot: Arc<HostSnapshot>,
    marks: Vec<Mark>,
    /// The largest numbers that keys are.
    largest: HashMap<TableName, i64>,
}

impl HostWriter {
    pub(super) fn new(transaction: Transaction, database: Database, schemas: Arc<Schemas>) -> Self {
        let snapshot = transaction.snapshot().clone();
        let snapshot = HostSnapshot::new(snapshot, database, Arc::clone(&schemas));
        let (snapshot, marks, largest) = (Arc::new(snapshot), Vec::new(), HashMap::new());
        Self { transaction, schemas, snapshot, marks, largest }
    }

    fn schema(&self, table: &str) -> Result<(TableName, Arc<Schema>)> {
        let (name, table) = self.transaction.table(table)?;
        let schema = self.schemas.of(&name, table);
        Ok((name, schema))
    }

    /// Makes the cells of the key that are missing.
    fn fill_key(
        &mut self,
        name: &TableName,
        schema: &Schema,
        cells: &mut [Option<Cow<'_, str>>],
    ) -> Result<()> {
        for (column, cell) in schema.columns.iter().zip(cells) {
            let Some(rule) = column.generated.filter(|_| cell.is_none()) else { continue };
            *cell = Some(Cow::Owned(match rule {
                KeyRule::Next => self.next_key(name)?.to_string(),
                _ => uuid::Uuid::now_v7().to_string(),
            }));
        }
        Ok(())
    }

    /// The whole number after the largest one that is a key.
    fn next_key(&mut self, name: &TableName) -> Result<i64> {
        let largest = match self.largest.get(name) {
            Some(known) => *known,
            None => largest_key(self.transaction.table(name.as_str())?.1)?,
        };
        let next = largest.checked_add(1).ok_or_else(|| {
            Error::invalid("there is no whole number after the largest key").at_table(name.as_str())
        })?;
        self.largest.insert(name.clone(), next);
        Ok(next)
    }
}

/// The largest key that is a whole number; 0 if there is none. Cost: one line of a table that is sorted by such keys, else
/// the whole table.
fn largest_key(table: &Table) -> Result<i64> {
    let number = |row: &[u8]| {
        let key = key_of(row, table.shape())?;
        std::str::from_utf8(key.as_bytes()).ok()?.parse::<i64>().ok()
    };
    if table.order() == Some(KeyOrder::Number)
        && let Some(row) =
            table.lines().checked_sub(1).map(|last| table.row(last)).transpose()?.flatten()
    {
        return Ok(number(&row).unwrap_or(0).max(0));
    }
    let mut largest = 0;
    table.for_each_row(|row| {
        largest = largest.max(number(&row).unwrap_or(0));
        Ok(())
    })?;
    Ok(largest)
}

/// Whether a text may stand in a column.
fn check(column: &Column, cell: Option<&str>) -> Result<()> {
    match cell {
        None if column.primary_key => Err(Error::invalid("a cell of the key is missing")
            .help(format!(
                "give it a value, or write key = \"next\" for {} in schema.toml",
                column.name
            ))
            .at_column(&column.name)),
        None if column.required => {
            Err(Error::invalid("the cell must have a value, and is NULL").at_column(&column.name))
        }
        Some(text) if !fits(column.kind, text) => {
            Err(Error::invalid(format!("`{text}` is no {}", column.kind))
                .help("write a value of this type, or give the column another type in schema.toml")
                .at_column(&column.name))
        }
        _ => Ok(()),
    }
}

impl Writer for HostWriter {
    fn snapshot(&self) -> Arc<dyn ReadSnapshot> {
        Arc::clone(&self.snapshot) as _
    }

    fn table(&self, name: &str) -> Result<Arc<dyn TableView>> {
        let (name, table) = self.transaction.table(name)?;
        let schema = self.schemas.of(&name, table);
        let (table, snapshot) = (table.clone(), self.transaction.snapshot().clone());
        Ok(Arc::new(HostTable { name, table, schema, snapshot }))
    }

    fn insert(&mut self, table: &str, cells: &[Option<&str>]) -> Result<Vec<String>> {
        let (name, schema) = self.schema(table)?;
        let mut cells: Vec<_> = cells.iter().map(|cell| cell.map(Cow::Borrowed)).collect();
        cells.resize(schema.columns.len(), None);
        self.fill_key(&name, &schema, &mut cells)?;
        for (column, cell) in schema.columns.iter().zip(&cells) {
            check(column, cell.as_deref()).map_err(|error| error.at_table(name.as_str()))?;
        }
        let key = schema.key().into_iter().filter_map(|at| cells.get(at)?.as_deref());
        let key: Vec<String> = key.map(str::to_owned).collect();
        self.transaction.insert_cells(name.as_str(), cells)?;
        Ok(key)
    }

    fn update(&mut self, table: &str, key: &[&str], cells: &[(usize, Option<&str>)]) -> Result<()> {
        let (name, schema) = self.schema(table)?;
        let mut named = Vec::with_capacity(cells.len());
        for (at, cell) in cells {
            let Some(column) = schema.columns.get(*at) else { continue };
            check(column, *cell).map_err(|error| error.at_table(name.as_str()))?;
            named.push((column.name.as_str(), *cell));
        }
        self.transaction.update(name.as_str(), Key::from_parts(key), named)
    }

    fn delete(&mut self, table: &str, key: &[&str]) -> Result<()> {
        self.transaction.delete(table, Key::from_parts(key))
    }

    fn create_table(&mut self, name: &str, schema: &Schema) -> Result<()> {
        let names = schema.columns.iter().map(|column| Some(column.name.as_str()));
        let names: Vec<_> = names.collect();
        let header = row::write_row(&names, schema.delimiter, schema.line_end.as_bytes());
        self.transaction.create_table(name, &NewTable::new(schema.clone(), Bytes::from(header)))
    }

    fn drop_table(&mut self, name: &str) -> Result<()> {
        self.transaction.drop_table(name)
    }

    fn rename_table(&mut self, name: &str, to: &str) -> Result<()> {
        self.transaction.rename_table(name, to)
    }

    fn alter_table(&mut self, name: &str, step: &ColumnStep) -> Result<()> {
        self.transaction.alter_table(name, step)
    }

    fn tables(&self) -> Vec<TableName> {
        self.transaction.tables()
    }

    fn mark(&mut self) -> usize {
        self.marks.push(self.transaction.mark());
        self.marks.len() - 1
    }

    fn go_back(&mut self, mark: usize) -> Result<()> {
        self.marks.truncate(mark + 1);
        let there = self.marks.get(mark).cloned();
        let there =
            there.ok_or_else(|| Error::usage("there is no such mark in the transaction"))?;
        self.transaction.go_back(there);
        self.largest.clear();
        Ok(())
    }

    fn release(&mut self, mark: usize) {
        self.marks.truncate(mark);
    }

    fn commit(self: Box<Self>) -> Result<Committed> {
        let commit = self.transaction.commit()?;
        Ok(Committed::new(commit.frame.map(|frame| frame.timestamp)))
    }
}
