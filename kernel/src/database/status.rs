//! How things stand.

use reedbase_plugin_api::{Result, TableName, Timestamp};

use super::inner::Inner;
use super::snapshot::Snapshot;

/// How a database stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The newest frame; zero if there is none.
    pub frame: Timestamp,
    /// The tables, by name.
    pub tables: Vec<TableStatus>,
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
    /// Whether its file was changed outside ReedBase.
    pub edited_outside: bool,
}

pub(super) fn status(inner: &Inner, snapshot: &Snapshot) -> Result<Status> {
    let mut tables = Vec::new();
    for state in snapshot.state().tables() {
        let table = state.table(&inner.store)?;
        tables.push(TableStatus {
            name: state.name().clone(),
            version: state.version(),
            rows: table.rows(),
            size: table.file_len(),
            behind: state.pending_len(),
            edited_outside: inner.store.is_edited_outside(state.name())?,
        });
    }
    Ok(Status { frame: snapshot.frame(), tables })
}
