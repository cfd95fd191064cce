//! A session: two connections, what they read, and the statements that they run.
//!
//! ```text
//! text → statements → plan (rewritten, tables, path) → tables declared → run by SQLite → rows
//! ```
//!
//! Which connection runs a statement decides itself in [`Session::path`]: lookups by key or index, and first scans, run over
//! virtual tables; joins and scans that come again run over mirrors.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use reedbase_plugin_api::{
    Committed, Error, ErrorKind, Host, Interrupt, Outcome, Params, QueryOptions, QueryPath,
    QuerySession, Result, RowSink, Schema, Snapshot, TableName, TableView, Timestamp, ValueRef,
};
use rusqlite::types::Value as SqlValue;

use crate::cell;
use crate::cell::CellValue;
use crate::connection::{self, Watch};
use crate::ddl::{self, Ddl};
use crate::explain;
use crate::failure::Failed;
use crate::mirror::{key_texts, write_back};
use crate::plan::Plan;
use crate::rewrite::Derived;
use crate::run::{Held, Stopped, run, sql_ref};
use crate::script::{Kind, Statement, statements};
use crate::shared::{Shared, Source};
use crate::side::Side;
use crate::transaction::Transactions;

/// A session of ReedQL.
pub(crate) struct Session {
    host: Arc<dyn Host>,
    shared: Arc<Shared>,
    /// All tables are virtual there.
    direct: Side,
    /// Some tables are mirrors there; made when it is first needed.
    mirrored: Option<Side>,
    /// What is read, until something newer is.
    snapshot: Option<Arc<dyn Snapshot>>,
    /// The frame that everything is read after, if it is not the newest.
    instant: Option<Timestamp>,
    transactions: Transactions,
    /// The rows that the transaction wrote, by table, if it has several statements.
    written: HashMap<String, BTreeSet<Vec<String>>>,
    /// How many rows of a table were passed by in scans.
    scanned: HashMap<String, u64>,
    options: QueryOptions,
    watch: Watch,
    /// Plans by their texts, of the tables as they look now.
    plans: HashMap<String, Arc<Plan>>,
    /// The tables as they looked when the plans were made.
    catalog: Catalog,
}

/// The names of all tables, and the schemas of those that plans read.
#[derive(Default)]
struct Catalog {
    names: Vec<TableName>,
    schemas: Vec<(String, Arc<Schema>)>,
}

/// At most this many plans are kept.
const PLANS_MAX: usize = 256;

/// How often a statement by itself is tried, where others changed the same cells meanwhile.
const ATTEMPTS: usize = 100;

/// Mirrors may hold so many bytes of tables together.
const MIRROR_BYTES: u64 = 256 << 20;

/// Where a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Direct,
    Mirrored,
}

impl Session {
    /// A session on a database.
    pub(crate) fn open(host: Arc<dyn Host>) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let watch = Watch::default();
        let direct = Side::open(&shared, &watch)?;
        Ok(Self {
            host,
            shared,
            direct,
            mirrored: None,
            snapshot: None,
            instant: None,
            transactions: Transactions::default(),
            written: HashMap::new(),
            scanned: HashMap::new(),
            options: QueryOptions::default(),
            watch,
            plans: HashMap::new(),
            catalog: Catalog::default(),
        })
    }

    /// Reads what is newest, unless something is held still.
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
        plan: &Plan,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let done = |()| Outcome::default();
        match plan.kind.clone() {
            Kind::Read => self.query(plan, params, rows),
            Kind::Write => self.write(plan, params, rows),
            Kind::Shape => self.shape(plan, params),
            Kind::Begin => self.begin_several().map(done),
            Kind::Commit => self.transactions.commit(&self.shared).map(committed),
            Kind::Rollback => {
                self.forget_written();
                self.transactions.rollback(&self.shared).map(done)
            }
            Kind::Savepoint(name) => {
                if !self.transactions.is_open() {
                    self.begin_several()?;
                    self.transactions.begun_by_savepoint();
                }
                self.transactions.savepoint(name, &self.shared).map(done)
            }
            Kind::RollbackTo(name) => {
                self.forget_written();
                self.transactions.rollback_to(&name, &self.shared).map(done)
            }
            Kind::Release(name) => self.transactions.release(&name, &self.shared).map(committed),
            Kind::Explain => self.explain_plan(plan, params, rows),
        }
    }

    /// The plan of a text, if it was made when the tables looked as they do now.
    fn known_plan(&mut self, text: &str) -> Result<Option<Arc<Plan>>> {
        let before = self.shared.generation();
        let snapshot = self.refresh()?;
        if self.shared.generation() != before && !self.catalog.is_of(&*snapshot)? {
            self.plans.clear();
            self.catalog = Catalog { names: snapshot.tables(), schemas: Vec::new() };
        }
        Ok(self.plans.get(text).cloned())
    }

    fn plan(&mut self, statement: Statement, params: &Params) -> Result<Plan> {
        let snapshot = self.refresh()?;
        let tables = match self.transactions.is_open() {
            true => self.shared.write(|writer| Ok(writer.tables()))?,
            false => snapshot.tables(),
        };
        let host = Arc::clone(&self.host);
        Plan::of(statement, params, &tables, &|at| host.instant(at))
    }

    fn keep_plan(&mut self, text: &str, plan: Plan) {
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        for table in &plan.tables {
            let known = self.catalog.schemas.iter().any(|(name, _)| name == table);
            if let Some(schema) = self.direct.schema(table).filter(|_| !known) {
                self.catalog.schemas.push((table.clone(), Arc::clone(schema)));
            }
        }
        self.plans.insert(text.to_owned(), Arc::new(plan));
    }

    fn begin(&mut self) -> Result<()> {
        self.check_present()?;
        self.transactions.begin(&*self.host, &self.shared)?;
        self.snapshot = Some(self.shared.snapshot()?);
        Ok(())
    }

    /// Begins a transaction of several statements: what they write may be undone.
    fn begin_several(&mut self) -> Result<()> {
        self.begin()?;
        self.written.clear();
        self.shared.want_written(true);
        Ok(())
    }

    /// CREATE, ALTER and DROP TABLE: in the transaction that is open, or in one of its own.
    fn shape(&mut self, plan: &Plan, params: &Params) -> Result<Outcome> {
        let ddl = ddl::read(&plan.statement)?;
        self.check_present()?;
        let alone = !self.transactions.is_open();
        if alone {
            self.begin()?;
        }
        let mark = self.shared.write(|writer| Ok(writer.mark()))?;
        let done = self.reshape(&ddl, plan, params);
        self.shared.write(|writer| {
            if done.is_err() {
                writer.go_back(mark)?;
            }
            writer.release(mark);
            Ok(())
        })?;
        self.forget_plans();
        match (alone, done) {
            (true, Ok(mut outcome)) => {
                outcome.frame = self.transactions.commit(&self.shared)?.frame;
                Ok(outcome)
            }
            (true, Err(error)) => {
                self.transactions.rollback(&self.shared)?;
                Err(plan.statement.error(0, error))
            }
            (false, done) => done.map_err(|error| plan.statement.error(0, error)),
        }
    }

    fn reshape(&mut self, ddl: &Ddl, plan: &Plan, params: &Params) -> Result<Outcome> {
        let exists = |name: &str| self.shared.write(|writer| Ok(writer.table(name).is_ok()));
        match ddl {
            Ddl::CreateTable { name, if_not_exists: true, .. }
            | Ddl::CreateTableAs { name, if_not_exists: true, .. }
                if exists(name)? => {}
            Ddl::DropTable { name, if_exists: true } if !exists(name)? => {}
            Ddl::CreateTable { name, schema, .. } => {
                self.shared.write(|writer| writer.create_table(name, schema))?;
            }
            Ddl::CreateTableAs { name, query, .. } => {
                return self.create_as(name, plan.statement.from(*query), params);
            }
            Ddl::DropTable { name, .. } => self.shared.write(|writer| writer.drop_table(name))?,
            Ddl::RenameTable { name, to } => {
                self.shared.write(|writer| writer.rename_table(name, to))?;
            }
            Ddl::AlterTable { name, step } => {
                self.shared.write(|writer| writer.alter_table(name, step))?;
            }
        }
        Ok(Outcome::default())
    }

    /// CREATE TABLE … AS: the columns are those of the query, each of the type of its first value.
    fn create_as(&mut self, name: &str, query: Statement, params: &Params) -> Result<Outcome> {
        let plan = self.plan(query, params)?;
        let mut held = Held::default();
        self.query(&plan, params, &mut held)?;
        let schema = ddl::schema_of_rows(held.names(), held.rows());
        let rows = held.rows();
        self.shared.write(|writer| {
            writer.create_table(name, &schema)?;
            for row in rows {
                let mut cells = vec![None];
                for (value, column) in row.iter().zip(schema.columns.iter().skip(1)) {
                    cells.push(cell::write(sql_ref(value), column)?);
                }
                let cells: Vec<_> = cells.iter().map(Option::as_deref).collect();
                writer.insert(name, &cells)?;
            }
            Ok(())
        })?;
        let mut outcome = Outcome::default();
        outcome.changed = rows.len() as u64;
        Ok(outcome)
    }

    /// Tables look different from now on.
    fn forget_plans(&mut self) {
        self.shared.touch();
        self.plans.clear();
        self.catalog = Catalog::default();
    }

    /// What is read may not be the past if something is to be written.
    fn check_present(&self) -> Result<()> {
        match self.instant {
            Some(_) => Err(Error::usage("the session reads the past, which cannot be changed")
                .help("write in a session that reads what is newest")),
            None => Ok(()),
        }
    }

    /// What a transaction wrote is undone: mirrors do not know what became of these rows.
    fn forget_written(&mut self) {
        for (name, mirror) in self.mirrored.iter_mut().flat_map(Side::mirrors) {
            mirror.forget(self.written.get(name).into_iter().flatten().cloned());
        }
    }

    /// A statement that writes: a part of the transaction that is open, or one of its own, which is done again as long as
    /// others change the same cells meanwhile.
    fn write(&mut self, plan: &Plan, params: &Params, rows: &mut dyn RowSink) -> Result<Outcome> {
        self.check_present()?;
        // What RETURNING gives is told when it is so.
        let mut held = Held::default();
        if self.transactions.is_open() {
            let outcome = self.write_step(plan, params, &mut held)?;
            return held.release(rows).map(|()| outcome);
        }
        let mut attempt = 0;
        loop {
            self.begin()?;
            let done = match self.write_step(plan, params, &mut held) {
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
                Err(error) => return Err(error),
                Ok(outcome) => return held.release(rows).map(|()| outcome),
            }
        }
    }

    /// A statement of the transaction that is open: if it fails, it did nothing.
    fn write_step(
        &mut self,
        plan: &Plan,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let mark = self.shared.write(|writer| Ok(writer.mark()))?;
        let done = self.query(plan, params, rows);
        self.shared.write(|writer| {
            if done.is_err() {
                writer.go_back(mark)?;
            }
            writer.release(mark);
            Ok(())
        })?;
        self.shared.touch();
        for (table, key) in self.shared.take_written() {
            let mut mirrors = self.mirrored.iter_mut().flat_map(Side::mirrors);
            if let Some((_, mirror)) = mirrors.find(|(name, _)| **name == table) {
                mirror.forget([key.clone()]);
            }
            self.written.entry(table).or_default().insert(key);
        }
        done
    }

    /// EXPLAIN: what it would do, a line each.
    fn explain_plan(
        &mut self,
        plan: &Plan,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let explained = self.plan(plan.statement.explained(), params)?;
        let lines = self.explained(&explained)?;
        rows.columns(&["explanation"])?;
        for line in &lines {
            if rows.row(&[ValueRef::Text(line)])? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(Outcome::default())
    }

    /// How a statement would be run, in words.
    fn explained(&mut self, plan: &Plan) -> Result<Vec<String>> {
        if !matches!(plan.kind, Kind::Read | Kind::Write) {
            return Ok(vec!["done by ReedBase itself, not by SQLite".to_owned()]);
        }
        let views = self.views(plan)?;
        let path = self.path(plan, &views)?;
        if path == Path::Mirrored {
            self.prepare_mirrors(plan, &views)?;
        }
        let side = match (path, &self.mirrored) {
            (Path::Mirrored, Some(mirrored)) => mirrored,
            _ => &self.direct,
        };
        let mut lines = vec![match path {
            Path::Direct => "read straight from the snapshot:".to_owned(),
            Path::Mirrored => "read from a copy in memory:".to_owned(),
        }];
        let steps = explain::steps(&side.connection, &plan.rewritten.sql);
        lines.extend(steps.map_err(|error| self.told(plan, path, error))?);
        Ok(lines)
    }

    /// Runs a statement that SQLite knows.
    fn query(&mut self, plan: &Plan, params: &Params, rows: &mut dyn RowSink) -> Result<Outcome> {
        let views = self.views(plan)?;
        self.shared.take_inserted();
        self.shared.set_named(plan.named.clone());
        let path = self.path(plan, &views)?;
        if path == Path::Mirrored {
            self.prepare_mirrors(plan, &views)?;
        }
        self.watch.set_deadline(self.options.time.map(|time| Instant::now() + time));
        let side = match (path, &self.mirrored) {
            (Path::Mirrored, Some(mirrored)) => mirrored,
            _ => &self.direct,
        };
        let done = run(&side.connection, &plan.rewritten.sql, params, &self.options, rows);
        if let (Path::Mirrored, Some(target)) = (path, &plan.target) {
            self.write_back(target, done.is_err())?;
        }
        self.note_scans(&views);
        match done {
            Ok(changed) => {
                let mut outcome = Outcome::default();
                (outcome.changed, outcome.key) = (changed, self.shared.take_inserted());
                Ok(outcome)
            }
            Err(Stopped::Ours(error)) => Err(error),
            Err(Stopped::Sqlite(error)) => Err(self.told(plan, path, error)),
        }
    }

    /// The tables that a statement names, as it reads them; where their rows come from is known from now on.
    fn views(&mut self, plan: &Plan) -> Result<Vec<(String, Arc<dyn TableView>)>> {
        let now = plan.tables.iter().map(|table| (table, None));
        let derived = plan.rewritten.derived.iter().map(|(name, derived)| (name, Some(derived)));
        let mut views = Vec::new();
        for (name, derived) in now.chain(derived) {
            let source = self.shared.add_source(name, || match derived {
                None => Source::Now(name.clone()),
                Some(Derived::Then { table, frame }) => {
                    Source::Then { table: table.clone(), frame: *frame }
                }
                Some(Derived::Computed(what)) => Source::Computed(what.clone()),
            });
            let view = self.shared.view(name, &source)?;
            self.direct.declare(name, view.schema())?;
            views.push((name.clone(), view));
        }
        Ok(views)
    }

    /// Where a statement runs best.
    fn path(&mut self, plan: &Plan, views: &[(String, Arc<dyn TableView>)]) -> Result<Path> {
        if plan.needs_mirror {
            return Ok(Path::Mirrored);
        }
        // A native table cannot hide a column from `*`.
        let hides = |(_, view): &(String, Arc<dyn TableView>)| {
            view.schema().columns.iter().any(|column| column.hidden)
        };
        if plan.has_star && views.iter().any(hides) {
            return Ok(Path::Direct);
        }
        match self.options.path {
            QueryPath::Direct => return Ok(Path::Direct),
            QueryPath::Mirror => return Ok(Path::Mirrored),
            _ => {}
        }
        let bytes: u64 = views.iter().map(|(_, view)| view.byte_count()).sum();
        if plan.kind == Kind::Write || bytes > self.mirror_bytes() {
            return Ok(Path::Direct);
        }
        let scans = plan.scans.get_or_init(|| {
            let scans = self.direct.own(|connection| scans(connection, &plan.rewritten.sql));
            // What SQLite cannot prepare is told when it is run.
            scans.unwrap_or(0)
        });
        let passed = |(name, view): &(String, Arc<dyn TableView>)| {
            self.scanned.get(name).is_some_and(|rows| *rows >= view.row_count())
        };
        Ok(match scans {
            0 => Path::Direct,
            1 if !views.iter().any(passed) => Path::Direct,
            _ => Path::Mirrored,
        })
    }

    fn mirror_bytes(&self) -> u64 {
        self.options.mirror_bytes.unwrap_or(MIRROR_BYTES)
    }

    /// Makes mirrors of the tables that a statement names, in the state that it reads.
    fn prepare_mirrors(
        &mut self,
        plan: &Plan,
        views: &[(String, Arc<dyn TableView>)],
    ) -> Result<()> {
        if self.mirrored.is_none() {
            self.mirrored = Some(Side::open(&self.shared, &self.watch)?);
        }
        let most = self.mirror_bytes();
        let Some(side) = &mut self.mirrored else { return Ok(()) };
        let needed: u64 = views.iter().map(|(_, view)| view.byte_count()).sum();
        let known: u64 = side.mirrors().map(|(_, mirror)| mirror.bytes).sum();
        if known + needed > most {
            let unused = side.mirrors().map(|(name, _)| name.clone());
            let unused: Vec<_> =
                unused.filter(|name| !views.iter().any(|(used, _)| used == name)).collect();
            unused.iter().try_for_each(|name| side.forget(name))?;
        }
        for (name, view) in views {
            match side.mirror(name, &**view) {
                Ok(_) => {}
                Err(error) if plan.target.as_ref() == Some(name) => return Err(error),
                // What cannot be mirrored is read as it is.
                Err(_) => side.declare(name, view.schema())?,
            }
        }
        if let Some(target) = &plan.target {
            let view = views.iter().find(|(name, _)| name == target).map(|(_, view)| view);
            if let Some(view) = view {
                side.watch(target, &**view)?;
            }
        }
        self.shared.take_touched();
        Ok(())
    }

    /// Writes to the transaction what a statement did to a mirror.
    fn write_back(&mut self, target: &str, failed: bool) -> Result<()> {
        let Some(side) = &mut self.mirrored else { return Ok(()) };
        let Some(schema) = side.schema(target).cloned() else { return Ok(()) };
        let mut keys: Vec<Vec<String>> = Vec::new();
        let mut seen = HashSet::new();
        for (_, values) in self.shared.take_touched() {
            let values: Vec<_> = values.iter().map(cell_value).collect();
            let key = key_texts(&schema, &values)?;
            if seen.insert(key.clone()) {
                keys.push(key);
            }
        }
        for (name, mirror) in side.mirrors() {
            if name == target {
                mirror.forget(keys.iter().cloned());
            }
        }
        if failed {
            return Ok(());
        }
        let shared = &self.shared;
        keys.iter().for_each(|key| shared.note_written(target, key));
        let inserted = side.own_act(|connection| {
            shared.write(|writer| write_back(connection, target, &keys, writer))
        })?;
        if let Some(key) = inserted {
            shared.note_inserted(key);
        }
        shared.touch();
        Ok(())
    }

    /// Counts the rows that were passed by.
    fn note_scans(&mut self, views: &[(String, Arc<dyn TableView>)]) {
        for (name, rows) in self.shared.take_scanned() {
            if views.iter().any(|(known, _)| *known == name) {
                *self.scanned.entry(name).or_default() += rows;
            }
        }
    }

    /// What SQLite says of a statement, in our words.
    fn told(&self, plan: &Plan, path: Path, error: rusqlite::Error) -> Error {
        if let Some(failure) = self.shared.take_failure() {
            return failure;
        }
        let stopped = error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted);
        if let Some(time) =
            self.options.time.filter(|_| stopped && !self.watch.interrupt.is_stopped())
        {
            return Error::new(
                ErrorKind::Limit,
                format!("the query took longer than {time:?} (limit: time)"),
            );
        }
        let names = self.snapshot.as_ref().map(|snapshot| snapshot.tables()).unwrap_or_default();
        let names = names.iter().filter(|name| !name.is_reserved());
        let schemas = plan.tables.iter().filter_map(|table| self.direct.schema(table));
        let columns = schemas.flat_map(|schema| &schema.columns).map(|column| column.name.clone());
        let failed = Failed {
            statement: &plan.statement,
            rewritten: &plan.rewritten,
            tables: names.map(|name| name.as_str().to_owned()).collect(),
            columns: columns.collect(),
            functions: self.direct.functions(),
        };
        let side = match (path, &self.mirrored) {
            (Path::Mirrored, Some(mirrored)) => mirrored,
            _ => &self.direct,
        };
        failed.error(&side.connection, error)
    }
}

impl Catalog {
    /// Whether the tables still look like this.
    fn is_of(&self, snapshot: &dyn Snapshot) -> Result<bool> {
        if self.names != snapshot.tables() {
            return Ok(false);
        }
        for (name, schema) in &self.schemas {
            if !Arc::ptr_eq(snapshot.table(name)?.schema(), schema) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// How often a statement scans a whole table; a scan inside of another counts as many.
fn scans(connection: &rusqlite::Connection, sql: &str) -> rusqlite::Result<usize> {
    let mut explain = connection.prepare_cached(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = explain.raw_query();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let detail: String = row.get(3)?;
        count += usize::from(detail.contains("VIRTUAL TABLE INDEX 0:"));
    }
    Ok(count)
}

fn cell_value(value: &SqlValue) -> CellValue<'_> {
    match value {
        SqlValue::Null => CellValue::Null,
        SqlValue::Integer(value) => CellValue::Integer(*value),
        SqlValue::Real(value) => CellValue::Real(*value),
        SqlValue::Text(text) => CellValue::Text(text.as_bytes().into()),
        SqlValue::Blob(bytes) => CellValue::Blob(bytes.clone()),
    }
}

impl QuerySession for Session {
    fn run(&mut self, text: &str, params: &Params, rows: &mut dyn RowSink) -> Result<Outcome> {
        if !self.transactions.is_open()
            && let Some(plan) = self.known_plan(text)?
        {
            return self.statement(&plan, params, rows);
        }
        let statements = statements(text)?;
        if statements.len() > 1 && !params.positional.is_empty() {
            return Err(Error::usage("several statements cannot share parameters by position")
                .help("run them one by one, or give the parameters names"));
        }
        let mut outcome = Outcome::default();
        let alone = statements.len() == 1;
        for statement in statements {
            let plan = self.plan(statement, params)?;
            outcome = self.statement(&plan, params, rows)?;
            let plain = matches!(plan.kind, Kind::Read | Kind::Write);
            if alone && plain && plan.lasts() && !self.transactions.is_open() {
                self.keep_plan(text, plan);
            }
        }
        Ok(outcome)
    }

    fn explain(&mut self, text: &str, params: &Params) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for statement in statements(text)? {
            let plan = self.plan(statement, params)?;
            lines.extend(self.explained(&plan)?);
        }
        Ok(lines)
    }

    fn is_complete(&self, text: &str) -> bool {
        text.trim_end().ends_with(';') && statements(text).is_ok()
    }

    fn set_options(&mut self, options: &QueryOptions) {
        self.options = options.clone();
        for side in [Some(&self.direct), self.mirrored.as_ref()].into_iter().flatten() {
            // A length that SQLite does not take is as good as none.
            drop(connection::limit(&side.connection, options));
        }
    }

    fn interrupt(&self) -> Interrupt {
        self.watch.interrupt.clone()
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
