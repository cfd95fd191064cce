//! What tables are computed from.

use reedbase_plugin_api::{Column, Result};

use super::sheet::Sheet;
use crate::database::{Database, Snapshot};
use crate::host::tables::Catalog;
use crate::state::TableState;

/// What tables are computed from.
pub(super) struct Computing<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) database: &'a Database,
    pub(super) catalog: &'a Catalog,
}

impl Computing<'_> {
    pub(super) fn sheet(&self, name: &str, columns: Vec<Column>) -> Result<Sheet> {
        Sheet::new(name, self.snapshot.frame(), columns)
    }

    /// The tables that were not dropped.
    pub(super) fn there(&self) -> impl Iterator<Item = &TableState> {
        self.snapshot.state().tables().filter(|table| !table.is_dropped())
    }
}
