//! What a session and the tables of its connection share: which snapshot is read, and what failed on the way.
//!
//! SQLite calls the tables back in the middle of a statement, and knows of errors only texts. So the error itself
//! waits here until the session asks what went wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use reedbase_plugin_api::{Error, Result, Snapshot, TableView, Writer};
use rusqlite::types::Value as SqlValue;

use crate::source::Source;

/// What a session and its tables share.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The transaction that is open, whose tables are read then.
    writer: Mutex<Option<Box<dyn Writer>>>,
    /// What is known of the statement that runs.
    running: Mutex<Running>,
    /// The rows that were written, by table and key, where somebody wants to know.
    written: Mutex<Written>,
    /// Goes up whenever a table may look different.
    generation: AtomicU64,
}

/// What is known of the statement that runs, and what it leaves.
#[derive(Default)]
pub(crate) struct Running {
    /// The columns that an INSERT names; `None` means all.
    named: Option<Vec<String>>,
    /// The key of the row that was inserted last.
    pub(crate) inserted: Option<Vec<String>>,
    /// How many rows of which table scans passed by.
    pub(crate) scanned: Vec<(String, u64)>,
    /// The keys, as values, of the rows that it touched in mirrors.
    touched: Vec<(String, Vec<SqlValue>)>,
}

#[derive(Default)]
struct Written {
    wanted: bool,
    keys: Vec<(String, Vec<String>)>,
}

#[derive(Default)]
struct State {
    snapshot: Option<Arc<dyn Snapshot>>,
    /// The tables of the connections, by their names there.
    tables: HashMap<String, Known>,
    failure: Option<Error>,
}

/// A table of the connections.
struct Known {
    source: Arc<Source>,
    /// The table as it was read last, and when that was.
    view: Arc<dyn TableView>,
    generation: u64,
}

impl Known {
    fn is_of(&self, generation: u64) -> bool {
        let same = self.generation == generation && !self.source.changes_meanwhile();
        same || matches!(*self.source, Source::Then { .. })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves it as it was: what is in it is only ever replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads this snapshot from now on.
    pub(crate) fn show(&self, snapshot: Arc<dyn Snapshot>) {
        self.state().snapshot = Some(snapshot);
        self.touch();
    }

    /// Reads and writes this transaction from now on, or none. Gives the one before.
    pub(crate) fn set_writer(&self, writer: Option<Box<dyn Writer>>) -> Option<Box<dyn Writer>> {
        let before = std::mem::replace(&mut *self.writer(), writer);
        self.touch();
        before
    }

    /// Does something with the transaction that is open.
    pub(crate) fn write<T>(&self, act: impl FnOnce(&mut dyn Writer) -> Result<T>) -> Result<T> {
        let mut writer = self.writer();
        let writer = writer.as_deref_mut();
        act(writer.ok_or_else(|| Error::internal("no transaction is open"))?)
    }

    fn writer(&self) -> MutexGuard<'_, Option<Box<dyn Writer>>> {
        // A transaction that panicked in the middle is given up by the session.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tables may look different from now on.
    pub(crate) fn touch(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the rows that are written are to be noted from now on.
    pub(crate) fn want_written(&self, wanted: bool) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) =
            Written { wanted, keys: Vec::new() };
    }

    /// Notes a row that is written.
    pub(crate) fn note_written(&self, table: &str, key: &[String]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.wanted {
            written.keys.push((table.to_owned(), key.to_vec()));
        }
    }

    /// The rows that were written since this was asked last.
    pub(crate) fn take_written(&self) -> Vec<(String, Vec<String>)> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut written.keys)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A statement is about to run; if it is an INSERT, it names these columns.
    pub(crate) fn begin_statement(&self, named: Option<Vec<String>>) {
        *self.running() = Running { named, ..Running::default() };
    }

    /// The statement is done. Gives what it left.
    pub(crate) fn end_statement(&self) -> Running {
        std::mem::take(&mut *self.running())
    }

    /// Whether the INSERT that runs leaves a column to its default.
    pub(crate) fn is_left_out(&self, column: &str) -> bool {
        let running = self.running();
        let mut named = running.named.iter();
        named.any(|named| !named.iter().any(|name| name.eq_ignore_ascii_case(column)))
    }

    /// Notes how many rows a scan passed by.
    pub(crate) fn note_scanned(&self, table: &str, rows: u64) {
        self.running().scanned.push((table.to_owned(), rows));
    }

    /// Notes a row of a mirror that the statement touches.
    pub(crate) fn note_touched(&self, table: String, key: Vec<SqlValue>) {
        self.running().touched.push((table, key));
    }

    /// The rows of mirrors that were touched since this was asked last.
    pub(crate) fn take_touched(&self) -> Vec<(String, Vec<SqlValue>)> {
        std::mem::take(&mut self.running().touched)
    }

    /// Notes the key of a row that was inserted.
    pub(crate) fn note_inserted(&self, key: Vec<String>) {
        self.running().inserted = Some(key);
    }

    /// A number that changes with whatever is read.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What is read.
    pub(crate) fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        let snapshot = self.state().snapshot.clone();
        snapshot.ok_or_else(|| Error::internal("the session reads no snapshot"))
    }

    /// Forgets where rows come from: a table that was computed may be one of the database now.
    pub(crate) fn forget_sources(&self) {
        self.state().tables.clear();
    }

    /// Where the rows of a table of the connection come from.
    pub(crate) fn source(&self, name: &str) -> Result<Arc<Source>> {
        let source = self.state().tables.get(name).map(|known| Arc::clone(&known.source));
        source.ok_or_else(|| Error::internal(format!("the table {name} has no source")))
    }

    /// A table of the connection as it is read now. Where its rows come from is noted the first time.
    pub(crate) fn view(
        &self,
        name: &str,
        source: impl FnOnce() -> Arc<Source>,
    ) -> Result<Arc<dyn TableView>> {
        let generation = self.generation();
        let source = match self.state().tables.get(name) {
            Some(known) if known.is_of(generation) => return Ok(Arc::clone(&known.view)),
            Some(known) => Arc::clone(&known.source),
            None => source(),
        };
        let view = self.read(&source)?;
        let known = Known { source, view: Arc::clone(&view), generation };
        self.state().tables.insert(name.to_owned(), known);
        Ok(view)
    }

    fn read(&self, source: &Source) -> Result<Arc<dyn TableView>> {
        match source {
            Source::Now(table) => match self.writer().as_deref() {
                Some(writer) => writer.table(table),
                None => self.snapshot()?.table(table),
            },
            Source::Then { table, frame } => self.snapshot()?.as_of(*frame)?.table(table),
            Source::Computed(what) => self.snapshot()?.computed(what),
        }
    }

    /// Hands on what was done, and keeps what went wrong.
    pub(crate) fn told<T>(&self, done: Result<T>) -> rusqlite::Result<T> {
        done.map_err(|error| self.fail(error))
    }

    /// Keeps what went wrong, and gives SQLite the text of it. The first failure counts.
    pub(crate) fn fail(&self, error: Error) -> rusqlite::Error {
        let text = error.to_string();
        self.state().failure.get_or_insert(error);
        rusqlite::Error::ModuleError(text)
    }

    /// What went wrong.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.state().failure.take()
    }
}
