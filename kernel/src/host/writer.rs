//! A transaction as plugins write: cells are texts by position, and each is looked at before it is written.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reedbase_plugin_api::Snapshot as ReadSnapshot;
use reedbase_plugin_api::sql::Affinity;
use reedbase_plugin_api::{
    Bytes, Column, ColumnStep, Committed, Error, IndexSpec, KeyRule, Result, Schema, TableName,
    TableView, Writer, nearest, row,
};

use super::snapshot::HostSnapshot;
use super::tables::{Catalog, Described, HostTable};
use super::traces::{Traces, Trail};
use super::unique::{check_row, check_table};
use crate::database::{Database, Mark, NewTable, Transaction};
use crate::index::Kinds;
use crate::merge::fits;
use crate::table::{Key, KeyOrder, Table, key_of};

/// A transaction, for plugins.
#[derive(Debug)]
pub(super) struct HostWriter {
    transaction: Transaction,
    catalog: Arc<Catalog>,
    snapshot: Arc<HostSnapshot>,
    marks: Vec<(Mark, Trail)>,
    /// What it touched in tables that have indices.
    traces: Traces,
    /// The indices that it dropped, by table.
    dropped: Vec<(TableName, String)>,
    /// The largest numbers that keys are.
    largest: HashMap<TableName, i64>,
}

impl HostWriter {
    pub(super) fn new(transaction: Transaction, database: Database, catalog: Arc<Catalog>) -> Self {
        let snapshot = transaction.snapshot().clone();
        let snapshot = Arc::new(HostSnapshot::new(snapshot, database, Arc::clone(&catalog)));
        Self {
            transaction,
            catalog,
            snapshot,
            marks: Vec::new(),
            traces: Traces::default(),
            dropped: Vec::new(),
            largest: HashMap::new(),
        }
    }

    fn described(&self, table: &str) -> Result<(TableName, Described)> {
        let (name, table) = self.transaction.table(table)?;
        let described = self.catalog.describe(&name, table);
        Ok((name, described))
    }

    /// A table as it is left by what was done so far.
    fn now(&self, table: &str) -> Result<HostTable> {
        let (name, table) = self.transaction.table(table)?;
        let (table, snapshot) = (table.clone(), self.transaction.snapshot().clone());
        let pending = self.traces.pending(&name);
        Ok(HostTable::new(name, table, snapshot, pending, &self.catalog))
    }

    /// Whether a row may be written, in a table where values must be unique.
    fn check_unique(
        &self,
        name: &TableName,
        described: &Described,
        cells: &[Option<Cow<'_, str>>],
        key: &Key<'_>,
    ) -> Result<()> {
        match described.indices.iter().any(|view| view.spec.unique) {
            true => check_row(&self.now(name.as_str())?, cells, key),
            false => Ok(()),
        }
    }

    /// Notes that rows were touched, where an index wants to know.
    fn note(&mut self, name: &TableName, described: &Described, keys: [Option<Key<'static>>; 2]) {
        if !described.indices.is_empty() {
            keys.into_iter().flatten().for_each(|key| self.traces.note(name, key));
        }
    }

    /// The cells of a row after some of them are changed.
    fn changed_row(
        &self,
        name: &TableName,
        key: &Key<'_>,
        cells: &[(usize, Option<&str>)],
    ) -> Result<Vec<Option<Cow<'static, str>>>> {
        let (_, table) = self.transaction.table(name.as_str())?;
        let row = table.get(key)?.unwrap_or_default();
        let old = row::cells(&row, table.shape().delimiter());
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let mut changed: Vec<_> = old.map(|cell| cell.text().map(owned)).collect();
        for (at, cell) in cells {
            if let Some(place) = changed.get_mut(*at) {
                *place = cell.map(|text| Cow::Owned(text.to_owned()));
            }
        }
        Ok(changed)
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

/// Whether an index can be made.
fn check_index(kinds: &Kinds, schema: &Schema, index: &IndexSpec) -> Result<()> {
    let kind = kinds.get(&index.using)?;
    let most = kind.max_columns();
    if index.columns.len() > most {
        let most =
            if most == 1 { "one column".to_owned() } else { format!("up to {most} columns") };
        let message = format!("an index of the kind {} has {most}", kind.id());
        return Err(Error::usage(message).help("write USING composite"));
    }
    let mut names = HashSet::new();
    for column in &index.columns {
        let named = |known: &&Column| known.name.eq_ignore_ascii_case(&column.name);
        let Some(known) = schema.columns.iter().find(named) else {
            let names = schema.columns.iter().map(|column| column.name.as_str());
            let error = Error::not_found(format!("there is no column `{}`", column.name));
            return Err(nearest(error, "column", &column.name, names));
        };
        if !names.insert(known.name.as_str()) {
            return Err(Error::usage("the column is named twice").at_column(&column.name));
        }
        if column.nocase && Affinity::of(known.kind) != Affinity::Text {
            return Err(Error::usage("only texts can be compared without regard to case")
                .at_column(&column.name));
        }
    }
    Ok(())
}

impl Writer for HostWriter {
    fn snapshot(&self) -> Arc<dyn ReadSnapshot> {
        Arc::clone(&self.snapshot) as _
    }

    fn table(&self, name: &str) -> Result<Arc<dyn TableView>> {
        Ok(Arc::new(self.now(name)?))
    }

    fn insert(&mut self, table: &str, cells: &[Option<&str>]) -> Result<Vec<String>> {
        let (name, described) = self.described(table)?;
        let schema = &described.schema;
        let mut cells: Vec<_> = cells.iter().map(|cell| cell.map(Cow::Borrowed)).collect();
        cells.resize(schema.columns.len(), None);
        self.fill_key(&name, schema, &mut cells)?;
        for (column, cell) in schema.columns.iter().zip(&cells) {
            check(column, cell.as_deref()).map_err(|error| error.at_table(name.as_str()))?;
        }
        let texts = schema.key().into_iter().filter_map(|at| cells.get(at)?.as_deref());
        let texts: Vec<String> = texts.map(str::to_owned).collect();
        let key = Key::from_parts(&texts);
        self.check_unique(&name, &described, &cells, &key)?;
        self.transaction.insert_cells(name.as_str(), cells)?;
        self.note(&name, &described, [Some(key), None]);
        Ok(texts)
    }

    fn update(&mut self, table: &str, key: &[&str], cells: &[(usize, Option<&str>)]) -> Result<()> {
        let (name, described) = self.described(table)?;
        let mut named = Vec::with_capacity(cells.len());
        for (at, cell) in cells {
            let Some(column) = described.schema.columns.get(*at) else { continue };
            check(column, *cell).map_err(|error| error.at_table(name.as_str()))?;
            named.push((column.name.as_str(), *cell));
        }
        let mut new_key = None;
        let key = Key::from_parts(key);
        if !described.indices.is_empty() {
            let row = self.changed_row(&name, &key, cells)?;
            self.check_unique(&name, &described, &row, &key)?;
            let parts = described.schema.key().into_iter().filter_map(|at| row.get(at)?.as_deref());
            new_key = Some(Key::from_parts(&parts.collect::<Vec<_>>()));
        }
        self.transaction.update(name.as_str(), Key::from(&key), named)?;
        self.note(&name, &described, [Some(key), new_key]);
        Ok(())
    }

    fn delete(&mut self, table: &str, key: &[&str]) -> Result<()> {
        let (name, described) = self.described(table)?;
        let key = Key::from_parts(key);
        self.transaction.delete(name.as_str(), Key::from(&key))?;
        self.note(&name, &described, [Some(key), None]);
        Ok(())
    }

    fn create_table(&mut self, name: &str, schema: &Schema) -> Result<()> {
        let names = schema.columns.iter().map(|column| Some(column.name.as_str()));
        let names: Vec<_> = names.collect();
        let header = row::write_row(&names, schema.delimiter, schema.line_end.as_bytes());
        self.transaction.create_table(name, &NewTable::new(schema.clone(), Bytes::from(header)))?;
        self.traces.renew(&TableName::new(name)?);
        Ok(())
    }

    fn drop_table(&mut self, name: &str) -> Result<()> {
        let (exact, _) = self.described(name)?;
        self.transaction.drop_table(name)?;
        self.traces.renew(&exact);
        Ok(())
    }

    fn rename_table(&mut self, name: &str, to: &str) -> Result<()> {
        let (exact, _) = self.described(name)?;
        self.transaction.rename_table(name, to)?;
        self.traces.renew(&exact);
        self.traces.renew(&TableName::new(to)?);
        Ok(())
    }

    fn alter_table(&mut self, name: &str, step: &ColumnStep) -> Result<()> {
        let (exact, _) = self.described(name)?;
        self.transaction.alter_table(name, step)?;
        self.traces.renew(&exact);
        Ok(())
    }

    fn create_index(&mut self, table: &str, index: &IndexSpec) -> Result<()> {
        let (name, described) = self.described(table)?;
        check_index(&self.catalog.indices.kinds, &described.schema, index)
            .map_err(|error| error.at_table(name.as_str()))?;
        self.transaction.create_index(table, index)?;
        self.traces.renew(&name);
        if index.unique {
            let table = self.now(name.as_str())?;
            let made = table.indices().iter().position(|view| view.spec == *index);
            made.map_or(Ok(()), |made| check_table(&table, made))?;
        }
        Ok(())
    }

    fn drop_index(&mut self, name: &str) -> Result<()> {
        let table = self.transaction.drop_index(name)?;
        self.traces.renew(&table);
        self.dropped.push((table, name.to_owned()));
        Ok(())
    }

    fn has_index(&self, name: &str) -> Result<bool> {
        Ok(self.transaction.table_of_index(name)?.is_some())
    }

    fn tables(&self) -> Vec<TableName> {
        self.transaction.tables()
    }

    fn mark(&mut self) -> usize {
        self.marks.push((self.transaction.mark(), self.traces.trail()));
        self.marks.len() - 1
    }

    fn go_back(&mut self, mark: usize) -> Result<()> {
        self.marks.truncate(mark + 1);
        let there = self.marks.get(mark).cloned();
        let (there, trail) =
            there.ok_or_else(|| Error::usage("there is no such mark in the transaction"))?;
        self.transaction.go_back(there);
        self.traces.go_back(&trail);
        self.largest.clear();
        Ok(())
    }

    fn release(&mut self, mark: usize) {
        self.marks.truncate(mark);
    }

    fn commit(self: Box<Self>) -> Result<Committed> {
        let commit = self.transaction.commit()?;
        for (table, index) in &self.dropped {
            self.catalog.indices.forget(&self.snapshot.snapshot, table, index);
        }
        Ok(Committed::new(commit.frame.map(|frame| frame.timestamp)))
    }
}
