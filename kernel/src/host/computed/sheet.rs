//! The rows of a computed table, as a file would hold them.

use std::sync::Arc;

use jiff::Timestamp as Instant;
use reedbase_plugin_api::{
    Batch, Bytes, Column, ColumnType, Result, Schema, Shape, TableName, TableView, Timestamp, row,
};

/// A computed table: its rows, as a file would hold them.
#[derive(Debug)]
pub(super) struct Sheet {
    name: TableName,
    version: Timestamp,
    schema: Arc<Schema>,
    shape: Shape,
    rows: Vec<Bytes>,
}

/// The byte between the cells.
const DELIMITER: u8 = b',';

impl Sheet {
    pub(super) fn new(name: &str, version: Timestamp, columns: Vec<Column>) -> Result<Self> {
        let names: Vec<_> = columns.iter().map(|column| Some(column.name.as_str())).collect();
        let header = Bytes::from(row::write_row(&names, DELIMITER, b"\n"));
        let schema = Schema::new(DELIMITER, Default::default(), columns);
        Ok(Self {
            name: TableName::new(name)?,
            version,
            schema: Arc::new(schema),
            shape: Shape::new(DELIMITER, header, vec![0])?,
            rows: Vec::new(),
        })
    }

    pub(super) fn push(&mut self, cells: &[Option<&str>]) {
        self.rows.push(Bytes::from(row::write_row(cells, DELIMITER, b"\n")));
    }
}

impl TableView for Sheet {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn version(&self) -> Timestamp {
        self.version
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn row_count(&self) -> u64 {
        self.rows.len() as u64
    }

    fn byte_count(&self) -> u64 {
        self.rows.iter().map(|row| row.len() as u64).sum()
    }

    fn has_plain_keys(&self) -> bool {
        false
    }

    fn scan(&self, from: u64, max: usize, batch: &mut Batch) -> Result<Option<u64>> {
        let start = usize::try_from(from).unwrap_or(usize::MAX).min(self.rows.len());
        let end = start.saturating_add(max).min(self.rows.len());
        for (slot, row) in (from..).zip(self.rows.get(start..end).unwrap_or_default()) {
            batch.add_piece(row.clone());
            batch.add_row(slot, 0, row.len());
        }
        Ok((end < self.rows.len()).then_some(end as u64))
    }

    fn row(&self, slot: u64) -> Result<Option<Bytes>> {
        Ok(usize::try_from(slot).ok().and_then(|slot| self.rows.get(slot)).cloned())
    }

    fn changed_since(&self, _: Timestamp, _: usize) -> Result<Option<Vec<Vec<String>>>> {
        Ok(None)
    }

    fn find(&self, _: &[&str]) -> Result<Option<(u64, Bytes)>> {
        Ok(None)
    }
}

pub(super) fn text(name: &str) -> Column {
    Column::new(name, ColumnType::String)
}

pub(super) fn integer(name: &str) -> Column {
    Column::new(name, ColumnType::Integer)
}

pub(super) fn boolean(name: &str) -> Column {
    Column::new(name, ColumnType::Boolean)
}

pub(super) fn instant(name: &str) -> Column {
    Column::new(name, ColumnType::Timestamp)
}

pub(super) fn flag(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// An instant as RFC 3339, in UTC.
pub(super) fn time(timestamp: Timestamp) -> String {
    match Instant::from_microsecond(timestamp.as_micros()) {
        Ok(instant) => instant.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        Err(_) => timestamp.to_string(),
    }
}
