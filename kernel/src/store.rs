//! A table as it stands on disk: `current.csv`, if it is what its mark says.
//!
//! A file that matches neither mark was edited outside. It is never overwritten; the table is then made
//! from history, as it was at the mark, and the edit waits to be adopted or discarded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{Bytes, Error, Result, TableName};

use crate::cache;
use crate::delta::Codecs;
use crate::history::{History, Listing, Versions};
use crate::limits::Limits;
use crate::mark::{Mark, table_path};
use crate::progress::Progress;
use crate::storage::{Access, File, LockFile, LockGuard, LockMode, Storage, read_all, read_range};
use crate::table::{BLOCK, Base, Table};

/// Opens tables. Shared by all snapshots of a handle.
pub struct Store {
    storage: Arc<dyn Storage>,
    codecs: Codecs,
    limits: Limits,
    progress: Arc<dyn Progress>,
    /// The versions of tables, as they were listed last.
    listed: Mutex<HashMap<TableName, (Listing, Arc<Versions>)>>,
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
    /// Whether `current.csv` is not what the mark says.
    pub edited_outside: bool,
}

/// A mark, with the file if that is what the mark says.
type Looked = (Mark, Option<Arc<dyn File>>);

impl Store {
    /// A store that takes the database's lock where there is one.
    pub fn new(
        storage: Arc<dyn Storage>,
        codecs: Codecs,
        limits: Limits,
        progress: Arc<dyn Progress>,
        lock: Option<Box<dyn LockFile>>,
    ) -> Self {
        let listed = Mutex::default();
        Self { storage, codecs, limits, progress, listed, lock: lock.map(Mutex::new) }
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
        let versions = Arc::new(history.versions()?);
        listed.insert(table.clone(), (listing, Arc::clone(&versions)));
        Ok(versions)
    }

    /// The table on disk; `None` if it was never checkpointed. Must not be called by a holder of the
    /// database's lock.
    ///
    /// # Errors
    /// Damage, or those of the storage.
    pub fn open(&self, table: &TableName) -> Result<Option<Stored>> {
        let Some((mark, file)) = self.with_lock(|| self.look(table))? else { return Ok(None) };
        let stored = match file {
            Some(file) => match self.cached(table, &mark, &file)? {
                Some(base) => Some(base),
                None => self.parsed(table, &mark, &*file)?,
            },
            None => None,
        };
        let edited_outside = stored.is_none();
        let table = match stored {
            Some(base) => Table::new(Arc::new(base), mark.version),
            None => self.history(table).rebuild(mark.version)?,
        };
        Ok(Some(Stored { table, mark, edited_outside }))
    }

    /// Whether `current.csv` is what neither mark says.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn is_edited_outside(&self, table: &TableName) -> Result<bool> {
        let looked = self.with_lock(|| self.look(table))?;
        Ok(looked.is_some_and(|(_, file)| file.is_none()))
    }

    fn with_lock<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(lock) = &self.lock else { return act() };
        let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _guard = LockGuard::new(&**lock, LockMode::Shared)?;
        act()
    }

    /// The mark that the file matches, with the file; the current mark alone if it matches none.
    pub(crate) fn look(&self, table: &TableName) -> Result<Option<Looked>> {
        let storage = &*self.storage;
        let current = Mark::read(storage, table, "mark")?;
        // A mark that was torn by a crash while it was written was never valid.
        let next = Mark::read(storage, table, "mark.next").ok().flatten();
        let marks: Vec<Mark> = [next, current].into_iter().flatten().collect();
        let Some(newest) = marks.last().cloned() else { return Ok(None) };
        let Some(file) = storage.open(&table_path(table, "current.csv"), Access::Read)? else {
            return Ok(Some((newest, None)));
        };
        let stat = file.stat()?;
        if let Some(mark) = marks.iter().find(|mark| mark.has_stamp(&stat)) {
            return Ok(Some((mark.clone(), Some(file))));
        }
        if marks.iter().all(|mark| mark.size != stat.len) {
            return Ok(Some((newest, None)));
        }
        // A copied or restored folder has other stamps: look at the bytes.
        let bytes = read_all(&*file)?;
        match marks.iter().find(|mark| mark.matches(&bytes)) {
            Some(mark) => Ok(Some((mark.clone(), Some(file)))),
            None => Ok(Some((newest, None))),
        }
    }

    /// The base by what the cache remembers.
    fn cached(&self, table: &TableName, mark: &Mark, file: &Arc<dyn File>) -> Result<Option<Base>> {
        if mark.size < self.limits.cached_min {
            return Ok(None);
        }
        let Some(layout) = cache::read(&*self.storage, table, &mark.sha256) else {
            return Ok(None);
        };
        let start = read_range(&**file, 0, mark.header.max(BLOCK))?;
        let shape = Arc::new(mark.shape(&start)?);
        let (history, version) = (self.history(table), mark.version);
        let rebuild = move || history.rebuild(version)?.to_bytes();
        let checksums = mark.checksums.clone();
        let file = Arc::clone(file);
        Base::from_layout(shape, layout, file, checksums, Box::new(rebuild)).map(Some)
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
            drop(cache::write(&*self.storage, table, &mark.sha256, &base.layout()));
        }
        Ok(Some(base))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("storage", &self.storage).finish_non_exhaustive()
    }
}
