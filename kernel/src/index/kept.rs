//! The indices of a database: for each the newest one that was asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{Index, IndexView, Result, TableName, Timestamp};

use super::build::{build, reconcile};
use super::file::{self, Written};
use super::kinds::Kinds;
use crate::database::Snapshot;
use crate::table::{Key, Table};

/// The indices of a database.
pub struct Indices {
    /// The kinds that there are.
    pub kinds: Kinds,
    kept: Mutex<HashMap<TableName, HashMap<String, Slot>>>,
}

/// Where an index is kept; others wait for the one that makes it.
type Slot = Arc<Mutex<Option<Kept>>>;

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
    /// What it is an index of.
    view: IndexView,
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
    /// for before; about 4 µs for each row that changed since; else it is read from the cache, or built.
    ///
    /// # Errors
    /// Those of reading the table and its history.
    pub fn get(&self, at: At<'_>, view: &IndexView) -> Result<Option<Arc<dyn Index>>> {
        let slot = self.slot(at.name, &view.spec.name);
        // Others that want the same wait for the one that builds it.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match slot.take().filter(|kept| kept.is_of(view)) {
            Some(kept) => Some(kept),
            None => self.read(at, view)?,
        };
        if let Some(kept) = &known
            && at.table.version() < kept.table.version()
        {
            let back = kept.back_to(at, view);
            *slot = known;
            return back;
        }
        let advanced = known.map(|kept| kept.advance(at, view)).transpose()?.flatten();
        let mut kept = match advanced {
            Some(kept) => kept,
            None => self.build(at, view)?,
        };
        if kept.unwritten >= most(at.table) as u64 {
            self.write(at, view, &mut kept);
        }
        Ok(Some(Arc::clone(&slot.insert(kept).index)))
    }

    fn slot(&self, table: &TableName, name: &str) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = kept.get(table).and_then(|indices| indices.get(name)) {
            return Arc::clone(slot);
        }
        Arc::clone(kept.entry(table.clone()).or_default().entry(name.to_owned()).or_default())
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
        Ok(Some(Kept::new(At { table, snapshot: &then, ..at }, view, index)))
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
            Arc::clone(kept.get(table)?.get(name)?)
        };
        let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(|kept| (kept.index.len(), kept.index.byte_count()))
    }

    /// Forgets an index that was dropped.
    pub fn forget(&self, snapshot: &Snapshot, table: &TableName, name: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(indices) = kept.get_mut(table) {
            indices.remove(name);
        }
        // Nothing in the cache is needed, and nothing there is in the way.
        drop(file::remove(&**snapshot.store().storage(), table, name));
    }
}

/// The keys of rows that a table and an earlier state of it have differently; `None` if they are too many.
fn differing(
    (table, snapshot): (&Table, &Snapshot),
    earlier: &Table,
    name: &TableName,
) -> Result<Option<Vec<Key<'static>>>> {
    let most = most(table);
    if let Some(keys) = table.keys_differing(earlier, most)? {
        return Ok(Some(keys));
    }
    let keys = snapshot.keys_changed_since(name.as_str(), earlier.version(), most)?;
    Ok(keys.map(|keys| keys.iter().map(|parts| Key::from_parts(parts)).collect()))
}

impl Kept {
    fn new(at: At<'_>, view: &IndexView, index: Arc<dyn Index>) -> Self {
        let (table, snapshot) = (at.table.clone(), at.snapshot.clone());
        Self { view: view.clone(), index, table, snapshot, unwritten: 0 }
    }

    /// Whether it is an index of the same.
    fn is_of(&self, view: &IndexView) -> bool {
        let (one, other) = (&self.view.spec, &view.spec);
        self.view.columns == view.columns
            && (&one.using, one.sparse) == (&other.using, other.sparse)
    }

    /// The one of a later version; `None` if too much differs.
    fn advance(mut self, at: At<'_>, view: &IndexView) -> Result<Option<Self>> {
        if self.table.version() != at.table.version() {
            let Some(keys) = differing((at.table, at.snapshot), &self.table, at.name)? else {
                return Ok(None);
            };
            self.unwritten += keys.len() as u64;
            self.index = reconcile(self.index, view, &self.table, at.table, keys)?;
        }
        (self.table, self.snapshot) = (at.table.clone(), at.snapshot.clone());
        Ok(Some(self))
    }

    /// The one of an earlier version; `None` if too much differs.
    fn back_to(&self, at: At<'_>, view: &IndexView) -> Result<Option<Arc<dyn Index>>> {
        let keys = differing((&self.table, &self.snapshot), at.table, at.name)?;
        let Some(keys) = keys else { return Ok(None) };
        reconcile(Arc::clone(&self.index), view, &self.table, at.table, keys).map(Some)
    }
}

impl fmt::Debug for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indices").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}
