//! The indices of a database: for each the newest one that was asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{Index, IndexView, Result, TableName, Timestamp};

use super::build::{build, reconcile};
use super::file::{self, Written, describe};
use super::kinds::Kinds;
use crate::database::Snapshot;
use crate::table::{Key, Table};

/// The indices of a database.
pub struct Indices {
    /// The kinds that there are.
    pub kinds: Kinds,
    kept: Mutex<HashMap<(TableName, String), Arc<Mutex<Option<Kept>>>>>,
}

/// A table of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// Its name.
    pub name: &'a TableName,
    /// As the snapshot shows it.
    pub table: &'a Table,
    /// What it is a part of.
    pub snapshot: &'a Snapshot,
}

/// An index, and what it answers for.
struct Kept {
    /// What it is an index of, in words.
    what: String,
    index: Arc<dyn Index>,
    table: Table,
    snapshot: Snapshot,
    /// How many rows changed since it was written to the cache.
    unwritten: u64,
}

/// Rather than look at more rows than this, or a quarter of the table, an index is built anew.
const ROWS_MIN: u64 = 1000;

fn most(table: &Table) -> usize {
    usize::try_from(ROWS_MIN.max(table.rows() / 4)).unwrap_or(usize::MAX)
}

impl Indices {
    /// None yet, of these kinds.
    pub fn new(kinds: Kinds) -> Self {
        Self { kinds, kept: Mutex::default() }
    }

    /// An index of a table as a snapshot shows it; `None` if it is better to scan the table. Cost: nothing where it was asked
    /// for before; about 2 µs for each row that changed since; else it is read from the cache, or built.
    ///
    /// # Errors
    /// Those of reading the table and its history.
    pub fn get(&self, at: At<'_>, view: &IndexView) -> Result<Option<Arc<dyn Index>>> {
        let name = (at.name.clone(), view.spec.name.clone());
        let slot = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(kept.entry(name).or_default())
        };
        // Others that want the same wait for the one that builds it.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|kept| kept.what != describe(view)) {
            *slot = None;
        }
        let Some(kept) = &mut *slot else {
            let kept = match self.read(at, view)? {
                Some(kept) => kept,
                None => self.build(at, view)?,
            };
            return Ok(Some(Arc::clone(&slot.insert(kept).index)));
        };
        let (known, wanted) = (kept.table.version(), at.table.version());
        if wanted < known {
            return kept.back_to(at, view);
        }
        if wanted > known && !kept.advance(at, view)? {
            *kept = self.build(at, view)?;
        }
        if kept.unwritten as usize >= most(at.table) {
            self.write(at, view, kept);
        }
        Ok(Some(Arc::clone(&kept.index)))
    }

    fn build(&self, at: At<'_>, view: &IndexView) -> Result<Kept> {
        let kind = self.kinds.get(&view.spec.using)?;
        let index = build(&**kind, at.table, view)?;
        let mut kept = Kept::new(at, view, index);
        self.write(at, view, &mut kept);
        Ok(kept)
    }

    /// The one that the cache has, brought to where it is asked for.
    fn read(&self, at: At<'_>, view: &IndexView) -> Result<Option<Kept>> {
        let Some(written) = file::read(&**at.snapshot.store().storage(), at.name, view) else {
            return Ok(None);
        };
        if written.version > at.table.version() || written.version == Timestamp::ZERO {
            return Ok(None);
        }
        let then = at.snapshot.as_of(written.version)?;
        let Ok(table) = then.table(at.name.as_str()) else { return Ok(None) };
        if (table.version(), table.rows()) != (written.version, written.rows) {
            return Ok(None);
        }
        let Ok(index) = self.kinds.get(&view.spec.using)?.open(written.bytes) else {
            return Ok(None);
        };
        let there = At { table, snapshot: &then, ..at };
        let mut kept = Kept::new(there, view, index);
        Ok(kept.advance(at, view)?.then_some(kept))
    }

    /// Remembers an index in the cache; small tables are built faster than read.
    fn write(&self, at: At<'_>, view: &IndexView, kept: &mut Kept) {
        kept.unwritten = 0;
        if at.table.file_len() < at.snapshot.store().limits().cached_min {
            return;
        }
        let (version, rows) = (kept.table.version(), kept.table.rows());
        let written = Written { version, rows, bytes: kept.index.to_bytes().into() };
        // A cache that cannot be written, in a read-only folder say, is done without.
        drop(file::write(&**at.snapshot.store().storage(), at.name, view, &written));
    }

    /// How many entries an index has, and about how many bytes it takes; `None` if nobody asked for it yet.
    pub fn known(&self, table: &TableName, name: &str) -> Option<(u64, u64)> {
        let slot = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(kept.get(&(table.clone(), name.to_owned()))?)
        };
        let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(|kept| (kept.index.len(), kept.index.byte_count()))
    }

    /// Forgets an index that was dropped.
    pub fn forget(&self, snapshot: &Snapshot, table: &TableName, name: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&(table.clone(), name.to_owned()));
        // Nothing in the cache is needed, and nothing there is in the way.
        drop(file::remove(&**snapshot.store().storage(), table, name));
    }
}

/// Keys, as history tells them.
fn told(keys: Option<Vec<Vec<String>>>) -> Option<Vec<Key<'static>>> {
    keys.map(|keys| keys.iter().map(|parts| Key::from_parts(parts)).collect())
}

impl Kept {
    fn new(at: At<'_>, view: &IndexView, index: Arc<dyn Index>) -> Self {
        let (table, snapshot) = (at.table.clone(), at.snapshot.clone());
        Self { what: describe(view), index, table, snapshot, unwritten: 0 }
    }

    /// Brings it to a later version; `false` if too much differs.
    fn advance(&mut self, at: At<'_>, view: &IndexView) -> Result<bool> {
        let (name, known) = (at.name.as_str(), self.table.version());
        if known != at.table.version() {
            let most = most(at.table);
            let keys = match at.table.keys_differing(&self.table, most)? {
                Some(keys) => Some(keys),
                None => told(at.snapshot.keys_changed_since(name, known, most)?),
            };
            let Some(keys) = keys else { return Ok(false) };
            self.unwritten += keys.len() as u64;
            self.index = reconcile(&self.index, view, &self.table, at.table, keys)?;
        }
        (self.table, self.snapshot) = (at.table.clone(), at.snapshot.clone());
        Ok(true)
    }

    /// The one of an earlier version; `None` if too much differs.
    fn back_to(&self, at: At<'_>, view: &IndexView) -> Result<Option<Arc<dyn Index>>> {
        let name = at.name.as_str();
        let most = most(at.table);
        let keys = match at.table.keys_differing(&self.table, most)? {
            Some(keys) => Some(keys),
            None => told(self.snapshot.keys_changed_since(name, at.table.version(), most)?),
        };
        let Some(keys) = keys else { return Ok(None) };
        reconcile(&self.index, view, &self.table, at.table, keys).map(Some)
    }
}

impl fmt::Debug for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indices").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}
