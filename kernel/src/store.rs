//! A table as it stands on disk: `current.csv`, if it is what its mark says.
//!
//! A file that matches neither mark was edited outside. It is never overwritten; the table is then made
//! of the copy in the cache, or from history, as it was at the mark, and the edit waits to be adopted or discarded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{Bytes, Error, Result, TableName};

use crate::cache;
use crate::delta::Codecs;
use crate::history::{History, Listing, Versions};
use crate::limits::Limits;
use crate::look::{Hashes, Look, look};
use crate::mark::{Mark, table_path};
use crate::progress::Progress;
use crate::storage::{File, LockFile, LockGuard, LockMode, Storage, read_all, read_range};
use crate::table::{BLOCK, Base, Table};

/// Opens tables. Shared by all snapshots of a handle.
pub struct Store {
    storage: Arc<dyn Storage>,
    codecs: Codecs,
    limits: Limits,
    progress: Arc<dyn Progress>,
    /// The versions of tables, as they were listed last.
    listed: Mutex<HashMap<TableName, (Listing, Arc<Versions>)>>,
    hashes: Hashes,
    /// Held while marks are read and files opened, so that no file is swapped in between.
    lock: Option<Mutex<Box<dyn LockFile>>>,
}

/// What the disk holds of a table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stored {
    /// The table at the version of its mark.
    pub table: Table,
    /// The mark.
    pub mark: Mark,
}

impl Store {
    /// A store that takes the database's lock where there is one.
    pub fn new(
        storage: Arc<dyn Storage>,
        codecs: Codecs,
        limits: Limits,
        progress: Arc<dyn Progress>,
        lock: Option<Box<dyn LockFile>>,
    ) -> Self {
        let (listed, hashes) = (Mutex::default(), Hashes::default());
        Self { storage, codecs, limits, progress, listed, hashes, lock: lock.map(Mutex::new) }
    }

    /// The sizes at which things change.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Who is told how far long work has come.
    pub fn progress(&self) -> &dyn Progress {
        &*self.progress
    }

    /// The storage.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The codecs of deltas.
    pub fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// The history of a table.
    pub fn history(&self, table: &TableName) -> History {
        let (storage, progress) = (Arc::clone(&self.storage), Arc::clone(&self.progress));
        History::new(storage, self.codecs.clone(), table.clone(), progress)
    }

    /// The versions of a table on disk; listed anew only if a file came or went, or the log grew.
    ///
    /// # Errors
    /// Damage of the log or of a pack.
    pub fn versions(&self, table: &TableName) -> Result<Arc<Versions>> {
        let history = self.history(table);
        let listing = history.listing()?;
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, versions)) = listed.get(table).filter(|(known, _)| *known == listing) {
            return Ok(Arc::clone(versions));
        }
        let versions = retry(|| history.versions())?;
        if let Some((_, before)) = listed.get(table) {
            versions.take_over(before);
        }
        let versions = Arc::new(versions);
        listed.insert(table.clone(), (listing, Arc::clone(&versions)));
        Ok(versions)
    }

    /// The table on disk; `None` if it was never checkpointed. Must not be called by a holder of the
    /// database's lock.
    ///
    /// # Errors
    /// Damage, or those of the storage.
    pub fn open(&self, table: &TableName) -> Result<Option<Stored>> {
        let Some(Look { mark, file, .. }) = self.look(table)? else { return Ok(None) };
        let stored = match file {
            Some(file) => match self.cached(table, &mark, &file)? {
                Some(base) => Some(base),
                None => self.parsed(table, &mark, &*file)?,
            },
            None => self.copied(table, &mark)?,
        };
        let table = match stored {
            Some(base) => {
                let schema = self.schema_of(&mark, table)?;
                Table::new(Arc::new(base), mark.version).with_schema(schema)
            }
            None => self.history(table).rebuild(mark.version).map_err(|error| {
                let log = || self.storage.full_path(&table_path(table, "version.log"));
                match error.is_not_found() {
                    true => Error::corrupt("the log lacks the version of the table").at_path(log()),
                    false => error,
                }
            })?,
        };
        Ok(Some(Stored { table, mark }))
    }

    /// The text of schema.toml at a mark; where a mark of format 1 lacks it, what the file holds.
    fn schema_of(&self, mark: &Mark, table: &TableName) -> Result<Option<Bytes>> {
        match &mark.schema {
            Some(text) => Ok(Some(text.clone())),
            None => self.storage.read(&table_path(table, "schema.toml")),
        }
    }

    /// Looks at the files of a table. Must not be called by a holder of the database's lock.
    ///
    /// # Errors
    /// Damage of the mark, or those of the storage.
    pub fn look(&self, table: &TableName) -> Result<Option<Look>> {
        self.with_files_still(|| self.look_alone(table))
    }

    /// The same, for a holder of the lock.
    ///
    /// # Errors
    /// Those of [`look`](Self::look).
    pub fn look_alone(&self, table: &TableName) -> Result<Option<Look>> {
        look(&*self.storage, table, &self.hashes)
    }

    /// The hashes of files that had to be read.
    pub fn hashes(&self) -> &Hashes {
        &self.hashes
    }

    /// Does something while no file is exchanged. Must not be called by a holder of the database's lock.
    ///
    /// # Errors
    /// Those of locking, and of what is done.
    pub fn with_files_still<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(lock) = &self.lock else { return act() };
        let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _guard = LockGuard::new(&**lock, LockMode::Shared)?;
        act()
    }

    /// The base by what the cache remembers.
    fn cached(&self, table: &TableName, mark: &Mark, file: &Arc<dyn File>) -> Result<Option<Base>> {
        if mark.size < self.limits.cached_min {
            return Ok(None);
        }
        let Some(layout) = cache::read_layout(&*self.storage, table, &mark.sha256) else {
            return Ok(None);
        };
        let start = read_range(&**file, 0, mark.header.max(1).next_multiple_of(BLOCK))?;
        if !mark.starts_with(&start) {
            // Somebody writes into it right now.
            return Ok(None);
        }
        let shape = Arc::new(mark.shape(&start)?);
        let (history, version) = (self.history(table), mark.version);
        let rebuild = move || history.rebuild(version)?.to_bytes();
        let checksums = mark.checksums.clone();
        let file = Arc::clone(file);
        Base::from_layout(shape, layout, file, checksums, Box::new(rebuild)).map(Some)
    }

    /// The base by the copy that the cache has of the file.
    fn copied(&self, table: &TableName, mark: &Mark) -> Result<Option<Base>> {
        let Some(file) = cache::open_copy(&*self.storage, table) else { return Ok(None) };
        if file.stat()?.len != mark.size {
            return Ok(None);
        }
        match self.cached(table, mark, &file) {
            Ok(Some(base)) => Ok(Some(base)),
            _ => self.parsed(table, mark, &*file),
        }
    }

    /// The base by reading the whole file; `None` if it is not what the mark says.
    fn parsed(&self, table: &TableName, mark: &Mark, file: &dyn File) -> Result<Option<Base>> {
        let bytes: Bytes = read_all(file)?;
        if !mark.blocks_match(&bytes) {
            return Ok(None);
        }
        let shape = Arc::new(mark.shape(&bytes)?);
        let base = Base::parse(bytes, shape).map_err(|error| {
            Error::corrupt("the table does not parse, though it is what its mark says")
                .at_path(self.storage.full_path(&table_path(table, "current.csv")))
                .caused_by(error)
        })?;
        if mark.size >= self.limits.cached_min {
            // A cache that cannot be written, in a read-only folder say, is done without.
            drop(cache::write_layout(&*self.storage, table, &mark.sha256, &base.layout()));
        }
        Ok(Some(base))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("storage", &self.storage).finish_non_exhaustive()
    }
}

/// How often something is done again: on a busy machine files may be folded together several times while one reads.
const RETRIES: usize = 4;

/// Does something again that failed since another process folded files together between our listing them and reading them.
///
/// # Errors
/// Those of the act.
pub fn retry<T>(act: impl Fn() -> Result<T>) -> Result<T> {
    let mut result = act();
    for _ in 0..RETRIES {
        match result {
            Err(error) if error.is_corrupt() => result = act(),
            result => return result,
        }
    }
    result
}
