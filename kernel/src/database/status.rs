//! How things stand.

use reedbase_plugin_api::{Result, TableName, Timestamp};

use super::inner::Inner;
use super::parked::CONFLICTS;
use super::snapshot::Snapshot;
use super::table_file::TableFile;
use crate::schema;
use crate::state::TableState;

/// How a database stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The newest frame; zero if there is none.
    pub frame: Timestamp,
    /// The tables, by name, with those that ReedBase keeps itself.
    pub tables: Vec<TableStatus>,
    /// How many conflicts wait for somebody to resolve them.
    pub conflicts: u64,
}

/// How a table stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableStatus {
    /// The table.
    pub name: TableName,
    /// The frame that touched it last.
    pub version: Timestamp,
    /// How many rows it has.
    pub rows: u64,
    /// How long its file is, or will be.
    pub size: u64,
    /// How many frames its file lacks.
    pub behind: u64,
    /// Whether its file or its schema.toml was changed outside ReedBase.
    pub edited_outside: bool,
    /// The files beside `current.csv` that hold an edit which could not stay there.
    pub kept: Vec<String>,
    /// Columns whose merge driver this program does not have, with its id: what two sides change there is a conflict.
    pub unknown_drivers: Vec<(String, String)>,
}

/// The columns of a table whose merge driver is not there.
fn unknown_drivers(inner: &Inner, table: &TableState) -> Vec<(String, String)> {
    let text = table.schema_text().and_then(|text| std::str::from_utf8(text).ok());
    let columns = text.and_then(|text| schema::parse(text).ok()).map(|schema| schema.columns);
    let named =
        columns.into_iter().flatten().filter_map(|column| Some((column.name, column.merge?)));
    named.filter(|(_, id)| inner.drivers.get(id).is_none()).collect()
}

pub(super) fn status(inner: &Inner, snapshot: &Snapshot) -> Result<Status> {
    let mut tables = Vec::new();
    for state in snapshot.state().tables().filter(|table| !table.is_dropped()) {
        let (size, rows) = state.totals(&inner.store)?;
        let file = TableFile::new(inner, state);
        tables.push(TableStatus {
            name: state.name().clone(),
            version: state.version(),
            rows,
            size,
            behind: state.pending_len(),
            edited_outside: file.edited()?.any(),
            kept: file.kept()?,
            unknown_drivers: unknown_drivers(inner, state),
        });
    }
    let parked = tables.iter().find(|table| table.name.as_str() == CONFLICTS);
    let conflicts = parked.map_or(0, |table| table.rows);
    Ok(Status { frame: snapshot.frame(), tables, conflicts })
}
