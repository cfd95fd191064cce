//! What plugins may ask of a database.

use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::Snapshot as ReadSnapshot;
use reedbase_plugin_api::{Host, Result, Timestamp, Writer};

use super::snapshot::HostSnapshot;
use super::tables::Catalog;
use super::writer::HostWriter;
use crate::database::Database;
use crate::index::Kinds;

/// A database, for plugins. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DatabaseHost {
    database: Database,
    catalog: Arc<Catalog>,
    /// The snapshot that was given last.
    newest: Arc<Mutex<Option<Arc<HostSnapshot>>>>,
}

impl DatabaseHost {
    /// The host that this database is, with these kinds of index.
    pub fn new(database: Database, kinds: Kinds) -> Self {
        Self { database, catalog: Arc::new(Catalog::new(kinds)), newest: Arc::default() }
    }

    fn newest(&self) -> Result<Arc<HostSnapshot>> {
        let snapshot = self.database.snapshot()?;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*newest
            && Arc::ptr_eq(known.snapshot.state(), snapshot.state())
        {
            return Ok(Arc::clone(known));
        }
        let fresh =
            Arc::new(HostSnapshot::new(snapshot, self.database.clone(), Arc::clone(&self.catalog)));
        *newest = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl Host for DatabaseHost {
    fn snapshot(&self) -> Result<Arc<dyn ReadSnapshot>> {
        Ok(self.newest()?)
    }

    fn instant(&self, text: &str) -> Result<Timestamp> {
        self.database.instant(text)
    }

    fn begin(&self) -> Result<Box<dyn Writer>> {
        let transaction = self.database.begin()?.strict();
        let (database, catalog) = (self.database.clone(), Arc::clone(&self.catalog));
        Ok(Box::new(HostWriter::new(transaction, database, catalog)))
    }
}
