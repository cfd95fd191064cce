//! Finds results, and has them computed where there are none that hold.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reedbase_plugin_api::{Bytes, CachedFunction, Error, KeptResults, Result, Timestamp};

use super::call::{Call, function_of};
use super::depends::Depends;
use super::entry::{Counts, Entry};
use super::file::{self, Known};
use super::flight::Flights;
use crate::database::{Database, Noted, Reads};

/// The results of a database's functions.
pub struct Results {
    database: Database,
    kept: Box<dyn KeptResults>,
    flights: Flights,
    functions: Mutex<BTreeMap<String, Arc<Counts>>>,
}

/// What is kept of a function, and how often it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionStat {
    /// Its name.
    pub function: String,
    /// How many results are kept.
    pub results: u64,
    /// About how many bytes they take.
    pub bytes: u64,
    /// How many calls found a result.
    pub hits: u64,
    /// How many calls found none.
    pub misses: u64,
}

/// The bytes of a result.
#[derive(Debug)]
pub struct Found(Arc<Entry>);

impl Deref for Found {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0.value
    }
}

impl FunctionStat {
    /// How many of 100 calls found a result; 0 if there was none.
    pub fn hit_rate(&self) -> f64 {
        let calls = self.hits + self.misses;
        if calls == 0 { 0.0 } else { self.hits as f64 * 100.0 / calls as f64 }
    }
}

/// Fewer bytes than this are not worth a file while the program runs.
const UNWRITTEN_MIN: u64 = 64 << 10;

/// A file up to this size is written for its counts alone.
const SMALL: u64 = 1 << 20;

impl Results {
    /// Those of a database, in a cache.
    pub fn new(database: Database, kept: Box<dyn KeptResults>) -> Self {
        Self { database, kept, flights: Flights::default(), functions: Mutex::default() }
    }

    /// The result of a call: one that is kept and holds, or the one that is computed now. `compute` is given a handle that
    /// notes what it reads; who asked with such a handle notes it too. Of several that ask for the same at once, one computes.
    /// Cost of a hit: about 0.2 µs.
    ///
    /// # Errors
    /// Those of `compute`, which are not kept; those of reading the journal.
    pub fn call<E: From<Error>>(
        &self,
        function: &CachedFunction<'_>,
        call: &Call,
        asking: Option<&Reads>,
        compute: impl FnOnce(Database) -> Result<Bytes, E>,
    ) -> Result<Found, E> {
        let entry = match self.find(call)? {
            Some(entry) => entry,
            None => self.find_or_compute(function, call, compute)?,
        };
        if let Some(reads) = asking {
            reads.add(&entry.depends.noted());
        }
        Ok(Found(entry))
    }

    /// Keeps the result of a call that was computed elsewhere.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for a table that the function says it reads.
    pub fn put(&self, function: &CachedFunction<'_>, call: &Call, value: Bytes) -> Result<()> {
        let depends = Depends::of(&Noted::default(), function, &self.database.snapshot()?)?;
        self.keep(function, call, value, depends);
        Ok(())
    }

    /// Forgets the result of a call.
    pub fn forget(&self, call: &Call) {
        self.kept.remove(call.as_bytes());
    }

    /// Forgets the results of a function, or of all.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn clear(&self, function: Option<&str>) -> Result<()> {
        for known in self.all_functions() {
            if function.is_some_and(|function| function != known) {
                continue;
            }
            self.results_of(&known).iter().for_each(|(call, _)| self.kept.remove(call));
            file::remove(&*self.database.storage(), &known)?;
            self.functions().remove(&known);
        }
        Ok(())
    }

    /// What is kept of each function, by name; results that hold no more are dropped first.
    ///
    /// # Errors
    /// Those of reading the journal.
    pub fn stats(&self) -> Result<Vec<FunctionStat>> {
        let mut stats = Vec::new();
        for function in self.all_functions() {
            let counts = self.counts(&function, true);
            let (mut results, mut bytes) = (0, 0);
            for (call, entry) in self.results_of(&function) {
                if entry.holds(&self.database)? {
                    results += 1;
                    bytes += u64::from(entry.byte_count(&call));
                } else {
                    self.kept.remove(&call);
                }
            }
            let (hits, misses) = (&counts.hits, &counts.misses);
            let (hits, misses) = (hits.load(Ordering::Relaxed), misses.load(Ordering::Relaxed));
            stats.push(FunctionStat { function, results, bytes, hits, misses });
        }
        Ok(stats)
    }

    /// A result that is kept and holds.
    fn find(&self, call: &Call) -> Result<Option<Arc<Entry>>> {
        let Some(kept) = self.kept.get(call.as_bytes()) else { return Ok(None) };
        let Ok(entry) = kept.downcast::<Entry>() else { return Ok(None) };
        if !entry.holds(&self.database)? {
            return Ok(None);
        }
        entry.counts.hits.fetch_add(1, Ordering::Relaxed);
        Ok(Some(entry))
    }

    fn find_or_compute<E: From<Error>>(
        &self,
        function: &CachedFunction<'_>,
        call: &Call,
        compute: impl FnOnce(Database) -> Result<Bytes, E>,
    ) -> Result<Arc<Entry>, E> {
        // Asking for the counts reads what the disk has.
        let counts = self.counts(function.name(), function.outlives_the_program());
        let _turn = loop {
            let turn = self.flights.begin(call.as_bytes())?;
            if let Some(entry) = self.find(call)? {
                return Ok(entry);
            }
            if let Some(turn) = turn {
                break turn;
            }
        };
        counts.misses.fetch_add(1, Ordering::Relaxed);
        let before = self.database.snapshot()?;
        let (watched, reads) = self.database.watched();
        let value = compute(watched)?;
        let depends = Depends::of(&reads.so_far(), function, &before)?;
        Ok(self.keep(function, call, value, depends))
    }

    fn keep(
        &self,
        function: &CachedFunction<'_>,
        call: &Call,
        value: Bytes,
        depends: Depends,
    ) -> Arc<Entry> {
        let counts = self.counts(function.name(), function.outlives_the_program());
        let ttl = i64::try_from(function.time_to_live().as_micros()).unwrap_or(i64::MAX);
        let until = self.database.now().as_micros().saturating_add(ttl);
        let entry = Entry::new(value, Timestamp::from_micros(until), depends, &counts);
        let (entry, bytes) = (Arc::new(entry), call.as_bytes());
        let size = entry.byte_count(bytes);
        self.kept.put(bytes, Arc::clone(&entry) as _, size);
        let unwritten =
            counts.unwritten.fetch_add(size.into(), Ordering::Relaxed) + u64::from(size);
        if unwritten >= UNWRITTEN_MIN.max(counts.written.load(Ordering::Relaxed)) {
            self.write(function.name(), &counts);
        }
        entry
    }

    /// What is counted of a function; the first who asks has what the disk has of it read.
    fn counts(&self, function: &str, outlives: bool) -> Arc<Counts> {
        let mut functions = self.functions();
        if let Some(counts) = functions.get(function) {
            return Arc::clone(counts);
        }
        let counts = Arc::new(Counts { in_memory: !outlives, ..Counts::default() });
        self.put_all(file::read(&*self.database.storage(), function, &counts));
        functions.insert(function.to_owned(), Arc::clone(&counts));
        counts
    }

    fn put_all(&self, known: Vec<Known>) {
        for (call, entry) in known {
            let size = entry.byte_count(&call);
            self.kept.put(&call, entry as _, size);
        }
    }

    fn functions(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Counts>>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The functions that were asked for, and those that the disk has results of.
    fn all_functions(&self) -> Vec<String> {
        let mut functions = self.functions();
        let others = file::read_others(&*self.database.storage(), functions.keys());
        for (function, counts, known) in others {
            self.put_all(known);
            functions.insert(function, counts);
        }
        functions.keys().cloned().collect()
    }

    fn results_of(&self, function: &str) -> Vec<Known> {
        let all = self.kept.list().into_iter();
        let of = all.filter(|(call, _)| function_of(call) == function);
        of.filter_map(|(call, kept)| Some((call, kept.downcast::<Entry>().ok()?))).collect()
    }

    fn write(&self, function: &str, counts: &Counts) {
        if counts.in_memory {
            return;
        }
        let now = self.database.now();
        let mut known = self.results_of(function);
        known.retain(|(_, entry)| entry.until >= now);
        // Nothing in the cache is needed: what cannot be written is computed again.
        drop(file::write(&*self.database.storage(), function, counts, &known));
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        let functions = std::mem::take(&mut *self.functions());
        for (function, counts) in functions {
            let is_small = counts.written.load(Ordering::Relaxed) < SMALL;
            if is_small || counts.unwritten.load(Ordering::Relaxed) > 0 {
                self.write(&function, &counts);
            }
        }
    }
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").field("functions", &self.functions()).finish_non_exhaustive()
    }
}
