//! A session: a connection, what it reads, and the statements that it runs.
//!
//! ```text
//! text → statements → rewritten (time) → tables declared → prepared by SQLite → rows
//! ```

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use reedbase_plugin_api::{
    Committed, Error, ErrorKind, Host, Interrupt, Outcome, Params, QueryLimits, QuerySession,
    Result, RowSink, Schema, Snapshot, Timestamp, Value, ValueRef,
};
use rusqlite::types::{ToSqlOutput, ValueRef as SqlRef};
use rusqlite::{Connection, Statement as SqlStatement};

use crate::connection::{self, Watch};
use crate::declare::quoted;
use crate::failure::Failed;
use crate::rewrite::{PastTable, Rewritten, rewrite};
use crate::script::{Kind, Statement, statements};
use crate::shared::{Shared, Source};
use crate::transaction::Transactions;
use crate::virtual_table::MODULE;

/// A session of ReedQL.
pub(crate) struct Session {
    host: Arc<dyn Host>,
    connection: Connection,
    shared: Arc<Shared>,
    /// Whether SQLite runs a statement of ours.
    internal: Arc<AtomicBool>,
    /// The tables that the connection knows, with the schema that they were declared with.
    declared: HashMap<String, Arc<Schema>>,
    /// What is read, until something newer is.
    snapshot: Option<Arc<dyn Snapshot>>,
    /// The frame that everything is read after, if it is not the newest.
    instant: Option<Timestamp>,
    transactions: Transactions,
    limits: QueryLimits,
    interrupt: Interrupt,
}

/// How often a statement by itself is tried, where others changed the same cells meanwhile.
const ATTEMPTS: usize = 100;

impl Session {
    /// A session on a database.
    pub(crate) fn open(host: Arc<dyn Host>) -> Result<Self> {
        let (shared, internal) = (Arc::new(Shared::default()), Arc::new(AtomicBool::new(false)));
        let connection = connection::open(&shared).and_then(|mut connection| {
            connection::restrict(&mut connection, &internal)?;
            Ok(connection)
        });
        let connection = connection.map_err(engine_failed)?;
        let (declared, limits) = (HashMap::new(), QueryLimits::default());
        let interrupt = Interrupt::default();
        Ok(Self {
            host,
            connection,
            shared,
            internal,
            declared,
            snapshot: None,
            instant: None,
            transactions: Transactions::default(),
            limits,
            interrupt,
        })
    }

    /// Reads what is newest, or what was at the instant that was set.
    fn refresh(&mut self) -> Result<Arc<dyn Snapshot>> {
        let held = self.instant.is_some() || self.transactions.is_open();
        if let (true, Some(snapshot)) = (held, &self.snapshot) {
            return Ok(Arc::clone(snapshot));
        }
        let newest = self.host.snapshot()?;
        if let Some(known) = self.snapshot.as_ref().filter(|known| Arc::ptr_eq(known, &newest)) {
            return Ok(Arc::clone(known));
        }
        self.read(newest.clone());
        Ok(newest)
    }

    fn read(&mut self, snapshot: Arc<dyn Snapshot>) {
        self.shared.show(Arc::clone(&snapshot));
        self.snapshot = Some(snapshot);
    }

    fn statement(
        &mut self,
        statement: &Statement<'_>,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        match statement.kind()? {
            Kind::Read => {
                self.refresh()?;
                self.query(statement, params, rows)
            }
            Kind::Write => self.write(statement, params, rows),
            Kind::Begin => {
                self.check_present()?;
                self.begin().map(|()| Outcome::default())
            }
            Kind::Commit => self.transactions.commit(&self.shared).map(committed),
            Kind::Rollback => self.transactions.rollback(&self.shared).map(|()| Outcome::default()),
            Kind::Savepoint(name) => {
                self.check_present()?;
                if !self.transactions.is_open() {
                    self.snapshot = None;
                }
                self.transactions.savepoint(name, &*self.host, &self.shared)?;
                self.snapshot.get_or_insert(self.shared.snapshot()?);
                Ok(Outcome::default())
            }
            Kind::RollbackTo(name) => {
                self.transactions.rollback_to(&name, &self.shared).map(|()| Outcome::default())
            }
            Kind::Release(name) => self.transactions.release(&name, &self.shared).map(committed),
            Kind::Explain => Err(statement.error(0, Error::usage("this is not done yet"))),
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.transactions.begin(&*self.host, &self.shared)?;
        self.snapshot = Some(self.shared.snapshot()?);
        Ok(())
    }

    /// What is read may not be the past if something is to be written.
    fn check_present(&self) -> Result<()> {
        match self.instant {
            Some(_) => Err(Error::usage("the session reads the past, which cannot be changed")
                .help("write in a session that reads what is newest")),
            None => Ok(()),
        }
    }

    /// A statement that writes: a part of the transaction that is open, or one of its own, which is done again as long as
    /// others change the same cells meanwhile.
    fn write(
        &mut self,
        statement: &Statement<'_>,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        self.check_present()?;
        if self.transactions.is_open() {
            return self.write_step(statement, params, rows);
        }
        let mut attempt = 0;
        loop {
            self.begin()?;
            let done = self.query(statement, params, rows);
            let done = match done {
                Ok(mut outcome) => self.transactions.commit(&self.shared).map(|done| {
                    outcome.frame = done.frame;
                    outcome
                }),
                Err(error) => {
                    self.transactions.rollback(&self.shared)?;
                    Err(error)
                }
            };
            attempt += 1;
            match done {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => {}
                done => return done,
            }
        }
    }

    /// A statement of the transaction that is open: if it fails, it did nothing.
    fn write_step(
        &mut self,
        statement: &Statement<'_>,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let mark = self.shared.write(|writer| Ok(writer.mark()))?;
        let done = self.query(statement, params, rows);
        self.shared.write(|writer| {
            if done.is_err() {
                writer.go_back(mark)?;
            }
            writer.release(mark);
            Ok(())
        })?;
        self.shared.touch();
        done
    }

    fn query(
        &mut self,
        statement: &Statement<'_>,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let snapshot = self.shared.snapshot()?;
        let host = Arc::clone(&self.host);
        let rewritten = rewrite(statement, params, &|instant| host.instant(instant))?;
        let tables = self.declare(statement, &rewritten, &*snapshot)?;
        self.watch()?;
        self.shared.take_inserted();
        let done = self.step(&rewritten.sql, params, rows);
        done.map_err(|failed| match failed {
            Stopped::Ours(error) => error,
            Stopped::Sqlite(error) => self.explain_failure(statement, &rewritten, &tables, error),
        })
    }

    /// Runs a statement of SQLite.
    fn step(&self, sql: &str, params: &Params, rows: &mut dyn RowSink) -> Result<Outcome, Stopped> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let columns = statement.column_count();
        rows.columns(&statement.column_names().collect::<Vec<_>>())?;
        let mut found = statement.raw_query();
        let mut count = 0;
        while let Some(row) = found.next()? {
            count += 1;
            if self.limits.rows.is_some_and(|most| count > most) {
                return Err(too_many(self.limits.rows.unwrap_or_default()).into());
            }
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(value_ref(row.get_ref(column)?)?);
            }
            if rows.row(&values)? == ControlFlow::Break(()) {
                break;
            }
        }
        drop(found);
        let mut outcome = Outcome::default();
        if !statement.readonly() {
            outcome.changed = self.connection.changes();
            outcome.key = self.shared.take_inserted();
        }
        Ok(outcome)
    }

    /// Tells the connection of the tables that a statement names, where it does not know them yet, or not as they are now.
    fn declare(
        &mut self,
        statement: &Statement<'_>,
        rewritten: &Rewritten,
        snapshot: &dyn Snapshot,
    ) -> Result<Vec<String>> {
        let mut used = Vec::new();
        let names = snapshot.tables();
        for token in &statement.tokens {
            let Some(name) = token.name(statement.text) else { continue };
            let known = names.iter().find(|known| known.as_str().eq_ignore_ascii_case(&name));
            if let Some(table) = known
                && !used.iter().any(|used| used == table.as_str())
            {
                used.push(table.as_str().to_owned());
            }
        }
        for table in &used {
            let schema = Arc::clone(snapshot.table(table)?.schema());
            self.declare_table(table, schema, Source::Now(table.clone()))?;
        }
        for PastTable { name, table, frame } in &rewritten.past {
            if !self.declared.contains_key(name) {
                let view = snapshot.as_of(*frame)?.table(table)?;
                let (table, frame, schema) = (table.clone(), *frame, Arc::clone(view.schema()));
                let source = Source::Then { table, frame, view: view.into() };
                self.declare_table(name, schema, source)?;
            }
        }
        Ok(used)
    }

    fn declare_table(&mut self, name: &str, schema: Arc<Schema>, source: Source) -> Result<()> {
        let known = self.declared.get(name);
        if known.is_some_and(|known| Arc::ptr_eq(known, &schema)) {
            return Ok(());
        }
        let (quoted, known) = (quoted(name), known.is_some());
        self.shared.add_source(name, source);
        let drop_first = if known { format!("DROP TABLE main.{quoted};") } else { String::new() };
        self.own(&format!("{drop_first} CREATE VIRTUAL TABLE main.{quoted} USING {MODULE}"))?;
        self.declared.insert(name.to_owned(), schema);
        Ok(())
    }

    /// Runs statements of our own.
    fn own(&self, sql: &str) -> Result<()> {
        self.internal.store(true, Ordering::Relaxed);
        let done = self.connection.execute_batch(sql);
        self.internal.store(false, Ordering::Relaxed);
        done.map_err(|error| self.shared.take_failure().unwrap_or_else(|| engine_failed(error)))
    }

    /// The names of the functions there are.
    fn functions(&self) -> Vec<String> {
        self.internal.store(true, Ordering::Relaxed);
        let names = || -> rusqlite::Result<Vec<String>> {
            let list = "SELECT DISTINCT name FROM pragma_function_list";
            self.connection.prepare(list)?.query_map([], |row| row.get(0))?.collect()
        };
        let names = names().unwrap_or_default();
        self.internal.store(false, Ordering::Relaxed);
        names
    }

    /// Lets the clock and other threads stop what comes.
    fn watch(&mut self) -> Result<()> {
        let deadline = self.limits.time.map(|time| Instant::now() + time);
        let watch = Watch { interrupt: self.interrupt.clone(), deadline };
        connection::watch(&mut self.connection, watch).map_err(engine_failed)
    }

    fn explain_failure(
        &self,
        statement: &Statement<'_>,
        rewritten: &Rewritten,
        tables: &[String],
        error: rusqlite::Error,
    ) -> Error {
        if let Some(failure) = self.shared.take_failure() {
            return failure;
        }
        let stopped = error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted);
        if let Some(time) = self.limits.time.filter(|_| stopped && !self.interrupt.is_stopped()) {
            return Error::new(
                ErrorKind::Limit,
                format!("the query took longer than {time:?} (limit: time)"),
            );
        }
        let names = self.snapshot.as_ref().map(|snapshot| snapshot.tables()).unwrap_or_default();
        let names = names.iter().filter(|name| !name.is_reserved());
        let schemas = tables.iter().filter_map(|table| self.declared.get(table));
        let columns = schemas.flat_map(|schema| &schema.columns).map(|column| column.name.clone());
        let failed = Failed {
            statement,
            rewritten,
            tables: names.map(|name| name.as_str().to_owned()).collect(),
            columns: columns.collect(),
            functions: self.functions(),
        };
        failed.error(&self.connection, error)
    }
}

impl QuerySession for Session {
    fn run(&mut self, text: &str, params: &Params, rows: &mut dyn RowSink) -> Result<Outcome> {
        let statements = statements(text)?;
        if statements.len() > 1 && !params.positional.is_empty() {
            return Err(Error::usage("several statements cannot share parameters by position")
                .help("run them one by one, or give the parameters names"));
        }
        let mut outcome = Outcome::default();
        for statement in &statements {
            outcome = self.statement(statement, params, rows)?;
        }
        Ok(outcome)
    }

    fn explain(&mut self, _: &str, _: &Params) -> Result<Vec<String>> {
        Err(Error::usage("this is not done yet"))
    }

    fn is_complete(&self, text: &str) -> bool {
        text.trim_end().ends_with(';') && statements(text).is_ok()
    }

    fn set_limits(&mut self, limits: &QueryLimits) {
        self.limits = limits.clone();
        // A length that SQLite does not take is as good as none.
        drop(connection::limit(&self.connection, limits));
    }

    fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    fn set_instant(&mut self, frame: Option<Timestamp>) -> Result<()> {
        if self.transactions.is_open() {
            return Err(Error::usage("a transaction is open").help("end it first"));
        }
        (self.instant, self.snapshot) = (None, None);
        let newest = self.refresh()?;
        if let Some(frame) = frame {
            self.read(newest.as_of(frame)?);
            self.instant = Some(frame);
        }
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.transactions.is_open()
    }
}

/// What a commit did, as a statement says it.
fn committed(committed: Committed) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.frame = committed.frame;
    outcome
}

/// Why a statement ended early.
enum Stopped {
    Ours(Error),
    Sqlite(rusqlite::Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Gives the parameters their values.
fn bind(statement: &mut SqlStatement<'_>, params: &Params) -> Result<(), Stopped> {
    let count = statement.parameter_count();
    let mut positional = 0;
    for index in 1..=count {
        let name = statement.parameter_name(index).map(str::to_owned);
        let value = match name.as_deref().filter(|name| !name.starts_with('?')) {
            Some(name) => {
                let known = params.named.iter().find(|(known, _)| name.get(1..) == Some(known));
                known.map(|(_, value)| value).ok_or_else(|| missing(name, params))?
            }
            None => {
                positional = positional.max(index);
                let value = params.positional.get(index - 1);
                value.ok_or_else(|| wrong_count(index.max(count), params.positional.len()))?
            }
        };
        statement.raw_bind_parameter(index, sql_value(value))?;
    }
    if params.positional.len() > positional {
        return Err(wrong_count(positional, params.positional.len()).into());
    }
    Ok(())
}

fn missing(name: &str, params: &Params) -> Error {
    let names: Vec<_> = params.named.iter().map(|(name, _)| format!(":{name}")).collect();
    let error = Error::usage(format!("the parameter {name} has no value"));
    match names.is_empty() {
        true => error.help(format!("give it one: {}", name.get(1..).unwrap_or(name))),
        false => error.help(format!("there are values for {}", names.join(", "))),
    }
}

fn wrong_count(needed: usize, given: usize) -> Error {
    let plural = if needed == 1 { "" } else { "s" };
    Error::usage(format!("the query has {needed} parameter{plural}, and {given} were given"))
}

fn too_many(most: u64) -> Error {
    Error::new(ErrorKind::Limit, format!("the query gives more than {most} rows (limit: rows)"))
        .help("add LIMIT to the query, or allow more rows")
}

fn engine_failed(error: rusqlite::Error) -> Error {
    Error::internal(format!("SQLite failed: {error}")).caused_by(error)
}

fn sql_value(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Value::Boolean(value) => SqlRef::Integer(i64::from(*value)),
        Value::Integer(value) => SqlRef::Integer(*value),
        Value::Float(value) => SqlRef::Real(*value),
        Value::Text(text) => SqlRef::Text(text.as_bytes()),
        Value::Binary(bytes) => SqlRef::Blob(bytes),
        _ => SqlRef::Null,
    })
}

fn value_ref(value: SqlRef<'_>) -> Result<ValueRef<'_>> {
    Ok(match value {
        SqlRef::Null => ValueRef::Null,
        SqlRef::Integer(value) => ValueRef::Integer(value),
        SqlRef::Real(value) => ValueRef::Float(value),
        SqlRef::Text(text) => ValueRef::Text(
            std::str::from_utf8(text).map_err(|_| Error::invalid("a text is not UTF-8"))?,
        ),
        SqlRef::Blob(bytes) => ValueRef::Binary(bytes),
    })
}
