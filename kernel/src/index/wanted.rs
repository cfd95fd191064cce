//! What was asked without an index: for each table the columns by which rows were looked for, how often, and how many rows
//! were passed by. `cache/index/wanted.csv` remembers it: table, times, rows, columns.
//!
//! It is advice: what two processes count at the same moment may be counted once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reedbase_plugin_api::{Bytes, TableName, row};

use crate::storage::{FileWriter, Storage};

/// What was asked, and is not written yet.
pub struct Wanted {
    storage: Arc<dyn Storage>,
    counted: Mutex<BTreeMap<Columns, Counts>>,
}

/// The columns of a table, in the order in which an index should have them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Columns {
    /// The table.
    pub table: TableName,
    /// Their names.
    pub names: Vec<String>,
}

/// How often something was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// How many times.
    pub times: u64,
    /// How many rows were passed by, all times together.
    pub rows: u64,
}

const PATH: &str = "cache/index/wanted.csv";

impl Wanted {
    /// What was asked of the database in this storage.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, counted: Mutex::default() }
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<Columns, Counts>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts that rows were looked for by these columns. Gives how often that was, since this was opened.
    pub fn note(&self, table: &TableName, names: &[String], rows: u64) -> u64 {
        let columns = Columns { table: table.clone(), names: names.to_vec() };
        let mut counted = self.counted();
        let counts = counted.entry(columns).or_default();
        counts.times += 1;
        counts.rows = counts.rows.saturating_add(rows);
        counts.times
    }

    /// All that was asked, also before and by others.
    pub fn all(&self) -> Vec<(Columns, Counts)> {
        let mut all = self.read();
        add(&mut all, &self.counted());
        all.into_iter().collect()
    }

    /// Writes what was counted. A cache that cannot be written is done without.
    pub fn save(&self) {
        let mut counted = self.counted();
        if counted.is_empty() {
            return;
        }
        let mut all = self.read();
        add(&mut all, &std::mem::take(&mut counted));
        let written = || {
            self.storage.create_folder("cache/index")?;
            let mut file = FileWriter::create(&*self.storage, PATH)?;
            all.iter().try_for_each(|entry| file.put(&line(entry)))?;
            file.finish_unsynced(&*self.storage)
        };
        drop(written());
    }

    fn read(&self) -> BTreeMap<Columns, Counts> {
        // Nothing in the cache is needed: a file that cannot be read is as good as none.
        let bytes = self.storage.read(PATH).ok().flatten().unwrap_or_else(Bytes::new);
        bytes.split_inclusive(|byte| *byte == b'\n').filter_map(parse).collect()
    }
}

/// A name for an index of these columns.
pub fn index_name(first: &str, table: &str, columns: &[&str]) -> String {
    let words = std::iter::once(table).chain(columns.iter().copied());
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    words.fold(first.to_owned(), |name, word| {
        name + "_" + &word.chars().map(plain).collect::<String>()
    })
}

fn add(all: &mut BTreeMap<Columns, Counts>, more: &BTreeMap<Columns, Counts>) {
    for (columns, counts) in more {
        let known = all.entry(columns.clone()).or_default();
        known.times = known.times.saturating_add(counts.times);
        known.rows = known.rows.saturating_add(counts.rows);
    }
}

fn line((columns, counts): (&Columns, &Counts)) -> Vec<u8> {
    let (times, rows) = (counts.times.to_string(), counts.rows.to_string());
    let mut cells = vec![Some(columns.table.as_str()), Some(&times), Some(&rows)];
    cells.extend(columns.names.iter().map(|name| Some(name.as_str())));
    row::write_row(&cells, b',', b"\n")
}

fn parse(line: &[u8]) -> Option<(Columns, Counts)> {
    let mut cells = row::cells(line, b',').map(|cell| cell.text().map(|text| text.into_owned()));
    let table = TableName::new(&cells.next()??).ok()?;
    let (times, rows) = (cells.next()??.parse().ok()?, cells.next()??.parse().ok()?);
    let names = cells.collect::<Option<Vec<_>>>()?;
    (!names.is_empty()).then_some((Columns { table, names }, Counts { times, rows }))
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.save();
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn what_was_asked_is_remembered_and_added_up() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let table = TableName::new("t").unwrap();
        let names = ["a, \"b\"".to_owned(), "c".to_owned()];
        for times in 1..=3 {
            let wanted = Wanted::new(Arc::clone(&storage));
            assert_eq!(wanted.note(&table, &names, 10), 1);
            wanted.note(&table, &names[1..], 5);
            let all = wanted.all();
            assert_eq!(all.len(), 2);
            assert_eq!(all[0].0.names, names);
            assert_eq!(all[0].1, Counts { times, rows: 10 * times });
        }
        assert_eq!(parse(b"t,1\n"), None);
        assert_eq!(parse(b"t,x,1,a\n"), None);
    }
}
