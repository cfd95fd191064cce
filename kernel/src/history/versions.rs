//! The versions of one table.

use std::sync::Arc;

use reedbase_plugin_api::{Error, Result, TableName, Timestamp};

use crate::delta::{Codecs, DeltaFile, delta_name};
use crate::log::VersionLog;
use crate::mark::table_path;
use crate::storage::Storage;
use crate::table::{Base, Table};

/// The versions of one table, as far as they are on disk.
#[derive(Clone)]
pub struct History {
    storage: Arc<dyn Storage>,
    codecs: Codecs,
    table: TableName,
}

impl History {
    /// The history of a table.
    pub fn new(storage: Arc<dyn Storage>, codecs: Codecs, table: TableName) -> Self {
        Self { storage, codecs, table }
    }

    /// The log.
    ///
    /// # Errors
    /// Damage.
    pub fn log(&self) -> Result<VersionLog> {
        VersionLog::read(&self.storage, &self.table)
    }

    /// What the version changed.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if there is no such version, or damage.
    pub fn delta(&self, version: Timestamp) -> Result<DeltaFile> {
        let path = table_path(&self.table, &delta_name(version));
        let full = self.storage.full_path(&path);
        let bytes = self.storage.read(&path)?.ok_or_else(|| {
            Error::corrupt("the version is in the log, but its delta is missing")
                .at_path(&full)
                .help("restore the file from a backup")
        })?;
        let delta =
            DeltaFile::decode(&bytes, &self.codecs).map_err(|error| error.at_path(&full))?;
        if delta.timestamp != version {
            return Err(Error::corrupt("the delta is that of another version").at_path(full));
        }
        Ok(delta)
    }

    /// The whole table as it was at a version.
    ///
    /// # Errors
    /// Damage.
    pub fn rebuild(&self, version: Timestamp) -> Result<Table> {
        let mut table: Option<Table> = None;
        for logged in self.log()?.versions() {
            if logged.timestamp > version {
                break;
            }
            let delta = self.delta(logged.timestamp)?;
            let before = match table {
                Some(table) => table,
                None => empty_table(&delta)?,
            };
            table =
                Some(before.apply(&delta.changeset, delta.timestamp).map_err(|error| {
                    error.at_table(self.table.as_str()).at_frame(delta.timestamp)
                })?);
        }
        table.ok_or_else(|| {
            Error::not_found("the table has no version this old").at_table(self.table.as_str())
        })
    }
}

/// The table before its first version: no rows, and whatever header comes first.
pub fn empty_table(first: &DeltaFile) -> Result<Table> {
    let shape = Arc::new(first.changeset.after.clone());
    Ok(Table::new(Arc::new(Base::empty(shape)?), Timestamp::ZERO))
}
