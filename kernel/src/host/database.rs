//! What plugins may ask of a database.

use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::Snapshot as ReadSnapshot;
use reedbase_plugin_api::{Error, Function, Host, IndexSpec, Result, TableName, Timestamp, Writer};

use super::index_report::{self, IndexStat};
use super::snapshot::HostSnapshot;
use super::tables::{Catalog, Plugins};
use super::writer::HostWriter;
use crate::database::Database;
use crate::index::index_name;
use crate::results::Results;

/// A database, for plugins. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DatabaseHost {
    database: Database,
    catalog: Arc<Catalog>,
    /// The snapshot that was given last.
    newest: Arc<Mutex<Option<Arc<HostSnapshot>>>>,
}

impl DatabaseHost {
    /// The host that this database is, with these plugins.
    pub fn new(database: Database, plugins: Plugins) -> Self {
        let catalog = Arc::new(Catalog::new(&database, plugins));
        Self { database, catalog, newest: Arc::default() }
    }

    /// The same, by another handle of the same database: one that notes what is read, say.
    #[must_use]
    pub fn by(&self, database: Database) -> Self {
        Self { database, catalog: Arc::clone(&self.catalog), newest: Arc::default() }
    }

    /// The functions that queries may call.
    pub fn known_functions(&self) -> &[Function] {
        &self.catalog.functions
    }

    /// What functions gave; `None` where no result is kept.
    pub fn results(&self) -> Option<&Results> {
        self.catalog.results.as_deref()
    }

    fn newest(&self) -> Result<Arc<HostSnapshot>> {
        let snapshot = self.database.snapshot()?;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*newest
            && known.snapshot.is_same(&snapshot)
        {
            return Ok(Arc::clone(known));
        }
        let fresh =
            Arc::new(HostSnapshot::new(snapshot, self.database.clone(), Arc::clone(&self.catalog)));
        *newest = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

/// Fewer rows than this are passed by as fast as an index is searched.
const WORTH_MIN: u64 = 1000;

/// What was asked so many times is asked often.
const OFTEN: u64 = 8;

impl DatabaseHost {
    /// What an index takes. It is made if need be.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) with the nearest name, or those of reading the table.
    pub fn index_stat(&self, name: &str) -> Result<IndexStat> {
        index_report::stat(&self.newest()?.snapshot, &self.catalog, name, false)
    }

    /// Makes an index anew, of the rows alone.
    ///
    /// # Errors
    /// Those of [`index_stat`](Self::index_stat).
    pub fn rebuild_index(&self, name: &str) -> Result<IndexStat> {
        index_report::stat(&self.newest()?.snapshot, &self.catalog, name, true)
    }

    /// Makes an index of what is asked often.
    fn make_wanted(&self, table: &TableName, columns: &[String]) -> Result<()> {
        let kind = self.catalog.indices.kinds.with_columns(columns.len());
        let kind = kind.ok_or_else(|| Error::not_found("there is no kind of index for this"))?;
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let spec =
            IndexSpec::new(index_name("auto", table.as_str(), &columns), kind.id(), &columns);
        let mut writer = self.begin()?;
        writer.create_index(table.as_str(), &spec)?;
        writer.commit().map(drop)
    }
}

impl Host for DatabaseHost {
    fn snapshot(&self) -> Result<Arc<dyn ReadSnapshot>> {
        Ok(self.newest()?)
    }

    fn instant(&self, text: &str) -> Result<Timestamp> {
        self.database.instant(text)
    }

    fn note_search(&self, table: &str, columns: &[String], rows: u64) {
        let (Ok(name), true) = (TableName::new(table), rows >= WORTH_MIN) else { return };
        let times = self.catalog.wanted.note(&name, columns, rows);
        if times == OFTEN && self.database.config().indices_auto {
            // It is a favour: where it cannot be done, in a folder that cannot be written say, nobody waits for it.
            drop(self.make_wanted(&name, columns));
        }
    }

    fn functions(&self) -> Vec<Function> {
        self.catalog.functions.clone()
    }

    fn begin(&self) -> Result<Box<dyn Writer>> {
        let transaction = self.database.begin()?.strict();
        let (database, catalog) = (self.database.clone(), Arc::clone(&self.catalog));
        Ok(Box::new(HostWriter::new(transaction, database, catalog)))
    }
}
