//! A statement that SQLite knows, from its plan to its rows.
//!
//! Which connection runs it decides itself in [`Session::path`]: lookups by key, and first scans, run over virtual tables;
//! joins and scans that come again run over mirrors.

use std::collections::HashSet;
use std::sync::Arc;

use reedbase_plugin_api::sql::CellValue;
use reedbase_plugin_api::{
    Error, ErrorKind, Outcome, Params, QueryPath, Result, RowSink, Schema, TableView,
};
use rusqlite::types::Value as SqlValue;
use smallvec::SmallVec;

use crate::access::read_columns;
use crate::connection;
use crate::explain;
use crate::failure::Failed;
use crate::guard::engine_failed;
use crate::mirror::{key_texts, write_back};
use crate::plan::{Plan, Scans};
use crate::run::{Stopped, run};
use crate::script::Kind;
use crate::session::Session;
use crate::side::Side;
use crate::source::Source;
use crate::visible::visible_only;

/// Mirrors may hold so many bytes of tables together.
const MIRROR_BYTES: u64 = 256 << 20;

/// Where a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    Direct,
    Mirrored,
}

/// The tables that a statement names, as it reads them.
pub(crate) type Views<'p> = SmallVec<[(&'p str, Arc<dyn TableView>); 4]>;

/// Whether a table has a column that is seen only by its name.
fn hides(schema: &Schema) -> bool {
    schema.columns.iter().any(|column| column.hidden)
}

impl Session {
    /// Runs a statement that SQLite knows.
    pub(crate) fn query(
        &mut self,
        plan: &Plan,
        params: &Params,
        rows: &mut dyn RowSink,
    ) -> Result<Outcome> {
        let views = self.views(plan)?;
        self.shared.begin_statement(plan.named.clone());
        let path = self.path(plan, &views)?;
        if path == Path::Mirrored {
            self.prepare_mirrors(plan, &views)?;
        }
        self.watch.set_time(self.options.time);
        let side = match (path, &self.mirrored) {
            (Path::Mirrored, Some(mirrored)) => mirrored,
            _ => &self.direct,
        };
        let hidden = plan.target.as_ref().filter(|_| path == Path::Mirrored);
        let hidden = hidden.and_then(|target| side.schema(target)).filter(|schema| hides(schema));
        let seen = hidden.map(|schema| visible_only(&plan.rewritten, plan.named.is_some(), schema));
        let seen = seen.transpose()?;
        let sql = &seen.as_ref().unwrap_or(&plan.rewritten).sql;
        let used = plan.rewritten.highest_given(&plan.statement);
        let done = run(&side.connection, sql, params, used, &self.options, rows);
        if let (Path::Mirrored, Some(target)) = (path, &plan.target) {
            self.write_back(target, done.is_err())?;
        }
        let left = self.shared.end_statement();
        self.note_scans(&views, left.scanned);
        match done {
            Ok(changed) => {
                let mut outcome = Outcome::default();
                (outcome.changed, outcome.key) = (changed, left.inserted);
                Ok(outcome)
            }
            Err(Stopped::Ours(error)) => Err(error),
            Err(Stopped::Sqlite(error)) => Err(self.told(plan, path, error)),
        }
    }

    /// Whether SQLite takes a statement.
    pub(crate) fn check(&mut self, plan: &Plan) -> Result<()> {
        self.views(plan)?;
        let prepared = self.direct.connection.prepare(&plan.rewritten.sql).map(drop);
        prepared.map_err(|error| self.told(plan, Path::Direct, error))
    }

    /// How a statement would be run, in words.
    pub(crate) fn explained(&mut self, plan: &Plan) -> Result<Vec<String>> {
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

    /// The tables that a statement names, as it reads them; where their rows come from is known from now on.
    pub(crate) fn views<'p>(&mut self, plan: &'p Plan) -> Result<Views<'p>> {
        let now = plan.tables.iter().map(|table| (table, None));
        let derived = plan.rewritten.derived.iter().map(|(name, source)| (name, Some(source)));
        let mut views = Views::new();
        for (name, source) in now.chain(derived) {
            let known = || source.cloned().unwrap_or_else(|| Arc::new(Source::Now(name.clone())));
            let view = self.shared.view(name, known)?;
            self.direct.declare(name, view.schema())?;
            views.push((name.as_str(), view));
        }
        for (name, sql) in &plan.views {
            self.direct.declare_view(name, sql)?;
        }
        Ok(views)
    }

    /// Where a statement runs best.
    pub(crate) fn path(
        &mut self,
        plan: &Plan,
        views: &[(&str, Arc<dyn TableView>)],
    ) -> Result<Path> {
        if plan.needs_mirror {
            return Ok(Path::Mirrored);
        }
        // A native table cannot hide a column.
        let takes_all = plan.takes_all_columns || plan.kind == Kind::Write;
        if takes_all && views.iter().any(|(_, view)| hides(view.schema())) {
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
            scans.unwrap_or_default()
        });
        for (name, columns) in &scans.wanted {
            let now = plan.tables.contains(name).then(|| views.iter().find(|(n, _)| n == name));
            if let Some((_, view)) = now.flatten() {
                self.host.note_search(view.name().as_str(), columns, view.row_count());
            }
        }
        let passed = |(name, view): &(&str, Arc<dyn TableView>)| {
            self.scanned.get(*name).is_some_and(|rows| *rows >= view.row_count())
        };
        Ok(match scans.count {
            0 => Path::Direct,
            1 if !views.iter().any(passed) => Path::Direct,
            _ => Path::Mirrored,
        })
    }

    pub(crate) fn mirror_bytes(&self) -> u64 {
        self.options.mirror_bytes.unwrap_or(MIRROR_BYTES)
    }

    /// Makes mirrors of the tables that a statement names, in the state that it reads.
    pub(crate) fn prepare_mirrors(
        &mut self,
        plan: &Plan,
        views: &[(&str, Arc<dyn TableView>)],
    ) -> Result<()> {
        if self.mirrored.is_none() {
            let side = Side::open(&self.shared, &self.watch, &self.host.functions())?;
            connection::limit(&side.connection, &self.options).map_err(engine_failed)?;
            self.mirrored = Some(side);
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
                Err(error) if plan.target.as_deref() == Some(*name) => return Err(error),
                // What cannot be mirrored is read as it is.
                Err(_) => side.declare(name, view.schema())?,
            }
        }
        for (name, sql) in &plan.views {
            side.declare_view(name, sql)?;
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
    pub(crate) fn write_back(&mut self, target: &str, failed: bool) -> Result<()> {
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
    pub(crate) fn note_scans(
        &mut self,
        views: &[(&str, Arc<dyn TableView>)],
        scanned: Vec<(String, u64)>,
    ) {
        for (name, rows) in scanned {
            if views.iter().any(|(known, _)| *known == name) {
                *self.scanned.entry(name).or_default() += rows;
            }
        }
    }

    fn key_of_target(&self, plan: &Plan) -> Vec<String> {
        let schema = plan.target.as_ref().and_then(|target| self.direct.schema(target));
        let columns = schema.into_iter().flat_map(|schema| &schema.columns);
        columns.filter(|column| column.primary_key).map(|column| column.name.clone()).collect()
    }

    /// What SQLite says of a statement, in our words.
    pub(crate) fn told(&self, plan: &Plan, path: Path, error: rusqlite::Error) -> Error {
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
            key: self.key_of_target(plan),
        };
        let side = match (path, &self.mirrored) {
            (Path::Mirrored, Some(mirrored)) => mirrored,
            _ => &self.direct,
        };
        failed.error(&side.connection, error)
    }
}

/// The whole tables that a statement scans.
fn scans(connection: &rusqlite::Connection, sql: &str) -> rusqlite::Result<Scans> {
    let mut explain = connection.prepare_cached(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = explain.raw_query();
    let mut scans = Scans::default();
    while let Some(row) = rows.next()? {
        let detail: String = row.get(3)?;
        if let Some((_, columns)) = detail.split_once("VIRTUAL TABLE INDEX 0:") {
            scans.count += 1;
            scans.wanted.extend(read_columns(columns));
        }
    }
    Ok(scans)
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
