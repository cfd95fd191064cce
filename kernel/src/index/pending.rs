//! Indices in a transaction: what it touched, in the order in which it did, is a log that only grows. Each state of a
//! table in the transaction is a place in that log, and an index is brought from one place to another by the rows
//! between, either way. Going back to a mark is a further step: what is undone is touched once more.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reedbase_plugin_api::{Index, IndexView, Result};

use super::build::{build, reconcile};
use super::file::describe;
use super::kept::{At, Indices};
use crate::table::{Key, Table};

/// What a transaction touched in one table.
#[derive(Default)]
pub struct Touched {
    /// Whether the table was made or changed as a whole, so that its past says nothing.
    is_new: bool,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    keys: Vec<Key<'static>>,
    /// The indices that were asked for, by what they are of.
    indices: HashMap<String, Reached>,
}

/// An index, and the state of the table that it answers for.
struct Reached {
    place: usize,
    table: Table,
    index: Arc<dyn Index>,
}

/// A state of a table in a transaction.
#[derive(Debug, Clone)]
pub struct Pending {
    touched: Arc<Touched>,
    place: usize,
}

impl Touched {
    /// Nothing, of a table that was made or changed as a whole.
    pub fn of_new() -> Self {
        Self { is_new: true, log: Mutex::default() }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // A panic leaves indices that are right for their places.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a row is touched.
    pub fn note(&self, key: Key<'static>) {
        self.log().keys.push(key);
    }

    /// How much was noted.
    pub fn place(&self) -> usize {
        self.log().keys.len()
    }

    /// Everything that was touched behind a place is touched once more.
    pub fn repeat(&self, place: usize) {
        let mut log = self.log();
        let again: Vec<_> = log.keys.get(place..).unwrap_or_default().to_vec();
        log.keys.extend(again);
    }
}

impl Pending {
    /// The state that a table is in now.
    pub fn now(touched: &Arc<Touched>) -> Self {
        Self { place: touched.place(), touched: Arc::clone(touched) }
    }

    /// An index of the table in this state; `None` if it is better to scan the table. `at` is the table as the
    /// transaction's snapshot shows it, if it does.
    ///
    /// # Errors
    /// Those of reading the table.
    pub fn get(
        &self,
        indices: &Indices,
        at: Option<At<'_>>,
        table: &Table,
        view: &IndexView,
    ) -> Result<Option<Arc<dyn Index>>> {
        let what = describe(view);
        let mut log = self.touched.log();
        let Log { keys, indices: reached } = &mut *log;
        if !reached.contains_key(&what) {
            let first = match at.filter(|_| !self.touched.is_new) {
                Some(at) => indices.get(at, view)?.map(|index| (0, at.table, index)),
                None => {
                    let kind = indices.kinds.get(&view.spec.using)?;
                    Some((self.place, table, build(&**kind, table, view)?))
                }
            };
            let Some((place, table, index)) = first else { return Ok(None) };
            reached.insert(what.clone(), Reached { place, table: table.clone(), index });
        }
        let Some(known) = reached.get_mut(&what) else { return Ok(None) };
        let (from, to) = (known.place.min(self.place), known.place.max(self.place));
        let between = keys.get(from..to).unwrap_or_default().iter().map(Key::from);
        let index = reconcile(Arc::clone(&known.index), view, &known.table, table, between)?;
        if known.place < self.place {
            *known = Reached { place: self.place, table: table.clone(), index: Arc::clone(&index) };
        }
        Ok(Some(index))
    }
}

impl fmt::Debug for Touched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Touched").field("rows", &self.place()).finish_non_exhaustive()
    }
}
