//! Snapshots as plugins read them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::Snapshot as ReadSnapshot;
use reedbase_plugin_api::{Computed, Result, TableName, TableView, Timestamp};

use super::computed::compute;
use super::tables::{Catalog, HostTable};
use crate::database::{Database, Snapshot};

/// All tables at one instant.
pub(super) struct HostSnapshot {
    pub(super) snapshot: Snapshot,
    database: Database,
    catalog: Arc<Catalog>,
    /// The tables that were asked for, by the name they were asked for.
    tables: Mutex<HashMap<String, Arc<HostTable>>>,
}

impl HostSnapshot {
    pub(super) fn new(snapshot: Snapshot, database: Database, catalog: Arc<Catalog>) -> Self {
        Self { snapshot, database, catalog, tables: Mutex::default() }
    }
}

impl ReadSnapshot for HostSnapshot {
    fn frame(&self) -> Timestamp {
        self.snapshot.frame()
    }

    fn tables(&self) -> Vec<TableName> {
        self.snapshot.all_tables()
    }

    fn table(&self, name: &str) -> Result<Arc<dyn TableView>> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(name) {
            return Ok(Arc::clone(table) as _);
        }
        let (exact, table) = self.snapshot.named_table(name)?;
        let (table, snapshot) = (table.clone(), self.snapshot.clone());
        let table = Arc::new(HostTable::new(exact, table, snapshot, None, &self.catalog));
        tables.insert(name.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    fn computed(&self, what: &Computed) -> Result<Arc<dyn TableView>> {
        compute(what, &self.snapshot, &self.database, &self.catalog)
    }

    fn as_of(&self, frame: Timestamp) -> Result<Arc<dyn ReadSnapshot>> {
        let (snapshot, catalog) = (self.snapshot.as_of(frame)?, Arc::clone(&self.catalog));
        Ok(Arc::new(Self::new(snapshot, self.database.clone(), catalog)))
    }
}

impl fmt::Debug for HostSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSnapshot").field("frame", &self.snapshot.frame()).finish()
    }
}
