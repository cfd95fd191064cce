//! A table of the database as a native table of SQLite, in memory: what joins, groups, sorts and scans a table again and
//! again is done there, and so is what virtual tables do not know (UPSERT, RETURNING, OR REPLACE).
//!
//! ```text
//! loaded       from one snapshot, every cell by the same mapping as in a virtual table
//! advanced     by the keys that frames touched since: these rows are read again
//! written      triggers note the keys that a statement touches; what became of these rows is then written to the
//!              transaction, which is the truth
//! ```
//!
//! A table in which two keys mean the same to SQL, `7` and `07` in a column of integers, has no mirror.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use reedbase_plugin_api::row;
use reedbase_plugin_api::sql::CellValue;
use reedbase_plugin_api::{
    Batch, ColumnType, Error, ErrorKind, IndexColumn, IndexView, KeyRule, Result, Schema,
    TableView, Timestamp, Writer,
};
use rusqlite::{Connection, Statement};

use crate::cell::{self, AsSql, Given, declaration};
use crate::declare::quoted;
use crate::guard::engine_failed;

/// A native table.
pub(crate) struct Mirror {
    pub(crate) schema: Arc<Schema>,
    /// The version of the table that it holds.
    version: Timestamp,
    /// The rows that it may hold in another state than that.
    stale: BTreeSet<Vec<String>>,
    /// Whether nothing is known of what it holds.
    lost: bool,
    /// The bytes of the table's file: what it takes in memory is about as much.
    pub(crate) bytes: u64,
    /// Whether triggers note what is written.
    watched: bool,
}

/// The function that triggers call.
pub(crate) const TOUCHED: &str = "reed_touched";

/// How many rows are read at once.
const BATCH: usize = 1024;

/// More keys than this are not read one by one: the table is loaded again.
const ADVANCE_MAX: usize = 20_000;

impl Mirror {
    /// Makes a native table of this name, and fills it.
    ///
    /// # Errors
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if two keys mean the same.
    pub(crate) fn load(connection: &Connection, name: &str, view: &dyn TableView) -> Result<Self> {
        let schema = view.schema();
        let rowid = is_rowid(view)?;
        connection.execute_batch(&create(name, schema, rowid)).map_err(engine_failed)?;
        let mut batch = Batch::default();
        let mut next = Some(0);
        connection.execute_batch("BEGIN").map_err(engine_failed)?;
        let filled = (|| {
            let mut insert = connection.prepare(&insert(name, schema)).map_err(engine_failed)?;
            while let Some(from) = next {
                batch.clear();
                next = view.scan(from, BATCH, &mut batch)?;
                for (_, row) in batch.iter() {
                    bind_row(&mut insert, row, view)
                        .and_then(|()| insert.raw_execute())
                        .map_err(|error| same_key(error, name))?;
                }
            }
            Ok(())
        })();
        connection.execute_batch("COMMIT").map_err(engine_failed)?;
        filled?;
        for sql in unique_indices(name, view) {
            match connection.execute_batch(&sql) {
                // An edit of the file may break the rule; what is written is looked at by the transaction in any case.
                Err(error) if is_constraint(&error) => {}
                done => done.map_err(engine_failed)?,
            }
        }
        Ok(Self {
            schema: Arc::clone(schema),
            version: view.version(),
            stale: BTreeSet::new(),
            lost: false,
            bytes: view.byte_count(),
            watched: false,
        })
    }

    /// These rows may be in another state than they were.
    pub(crate) fn forget(&mut self, keys: impl IntoIterator<Item = Vec<String>>) {
        self.stale.extend(keys);
    }

    /// Brings it to the state of a view; `false` if it must be loaded again.
    ///
    /// # Errors
    /// Those of reading the table.
    pub(crate) fn advance(
        &mut self,
        connection: &Connection,
        name: &str,
        view: &dyn TableView,
    ) -> Result<bool> {
        if self.lost || !Arc::ptr_eq(&self.schema, view.schema()) {
            return Ok(false);
        }
        if self.version != view.version() {
            match view.changed_since(self.version, ADVANCE_MAX)? {
                Some(keys) => self.stale.extend(keys),
                None => return Ok(false),
            }
        }
        if !self.stale.is_empty() {
            // Until all of it is done, nothing is known.
            self.lost = true;
            if !refresh(connection, name, view, &self.stale)? {
                return Ok(false);
            }
            self.stale.clear();
            self.lost = false;
        }
        (self.version, self.bytes) = (view.version(), view.byte_count());
        Ok(true)
    }

    /// Sees to it that what is written to it is noted.
    pub(crate) fn watch(&mut self, connection: &Connection, name: &str) -> Result<()> {
        if !self.watched {
            connection.execute_batch(&triggers(name, &self.schema)).map_err(engine_failed)?;
            self.watched = true;
        }
        Ok(())
    }
}

/// Whether the key can be SQLite's own number of a row: then finding by key and joining by it are fastest.
fn is_rowid(view: &dyn TableView) -> Result<bool> {
    let schema = view.schema();
    let [key] = schema.key()[..] else { return Ok(false) };
    let integer = schema.columns.get(key).is_some_and(|c| c.kind == ColumnType::Integer);
    if !integer || !view.has_plain_keys() {
        return Ok(false);
    }
    let (mut batch, mut next) = (Batch::default(), Some(0));
    while let Some(from) = next {
        batch.clear();
        next = view.scan(from, BATCH, &mut batch)?;
        for (_, row) in batch.iter() {
            let cell = row::cells(row, view.shape().delimiter()).nth(key);
            let value = cell.map(|cell| CellValue::read(cell, ColumnType::Integer));
            if !matches!(value, Some(CellValue::Integer(_))) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// `CREATE TABLE` for a mirror.
fn create(name: &str, schema: &Schema, rowid: bool) -> String {
    let key = schema.key();
    let mut parts = Vec::new();
    for (at, column) in schema.columns.iter().enumerate() {
        let mut part = format!("{} {}", quoted(&column.name), declaration(column.kind));
        if rowid && key.contains(&at) {
            part += " PRIMARY KEY";
        } else if column.kind == ColumnType::Integer {
            // Of one column with this type SQLite would make its own number of the row.
            part = format!("{} INT", quoted(&column.name));
        }
        if column.required || (key.contains(&at) && !rowid) {
            part += " NOT NULL";
        }
        if column.generated == Some(KeyRule::Uuid7) {
            part += " ON CONFLICT REPLACE DEFAULT (reed_uuid7())";
        } else if let Some(text) = &column.default {
            part += &format!(" DEFAULT {}", literal(text, column.kind));
        }
        parts.push(part);
    }
    if !rowid && !key.is_empty() {
        let names = key.iter().filter_map(|at| schema.columns.get(*at)).map(|c| quoted(&c.name));
        parts.push(format!("PRIMARY KEY ({})", names.collect::<Vec<_>>().join(", ")));
    }
    format!("CREATE TABLE main.{} ({})", quoted(name), parts.join(", "))
}

/// A cell as a literal of SQL.
fn literal(text: &str, kind: ColumnType) -> String {
    match CellValue::of_text(text, kind) {
        CellValue::Integer(value) => value.to_string(),
        CellValue::Real(value) => format!("{value:?}"),
        CellValue::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{digits}'")
        }
        _ => format!("'{}'", text.replace('\'', "''")),
    }
}

fn insert(name: &str, schema: &Schema) -> String {
    let marks = vec!["?"; schema.columns.len()].join(", ");
    format!("INSERT INTO main.{} VALUES ({marks})", quoted(name))
}

/// The condition that a row has a key.
fn by_key(schema: &Schema) -> String {
    let key = schema.key().into_iter().filter_map(|at| schema.columns.get(at));
    let parts: Vec<_> = key.map(|column| format!("{} = ?", quoted(&column.name))).collect();
    parts.join(" AND ")
}

/// What notes the keys of rows that a statement inserts, changes or removes.
fn triggers(name: &str, schema: &Schema) -> String {
    let key: Vec<_> = schema.key().into_iter().filter_map(|at| schema.columns.get(at)).collect();
    let text = quoted(name);
    let call = |row: &str| {
        let cells: Vec<_> = key.iter().map(|c| format!("{row}.{}", quoted(&c.name))).collect();
        format!("SELECT {TOUCHED}('{}', {});", name.replace('\'', "''"), cells.join(", "))
    };
    let (old, new) = (call("OLD"), call("NEW"));
    let trigger = |event: &str, calls: &str| {
        let trigger = quoted(&format!("{name} {event}"));
        format!("CREATE TRIGGER main.{trigger} AFTER {event} ON {text} BEGIN {calls} END;")
    };
    [trigger("INSERT", &new), trigger("UPDATE", &format!("{old} {new}")), trigger("DELETE", &old)]
        .concat()
}

fn bind_row(insert: &mut Statement<'_>, row: &[u8], view: &dyn TableView) -> rusqlite::Result<()> {
    let cells = row::cells(row, view.shape().delimiter());
    for ((at, column), cell) in (1..).zip(&view.schema().columns).zip(cells) {
        insert.raw_bind_parameter(at, Given(CellValue::read(cell, column.kind)))?;
    }
    Ok(())
}

/// The indices by which a mirror knows which values must be unique.
fn unique_indices(name: &str, view: &dyn TableView) -> Vec<String> {
    let unique = view.indices().iter().filter(|index| index.spec.unique);
    let statement = |index: &IndexView| {
        let column = |column: &IndexColumn| {
            let collation = if column.nocase { " COLLATE NOCASE" } else { "" };
            quoted(&column.name) + collation
        };
        let columns: Vec<_> = index.spec.columns.iter().map(column).collect();
        let (index, table) = (quoted(&format!("{name} {}", index.spec.name)), quoted(name));
        format!("CREATE UNIQUE INDEX main.{index} ON {table} ({})", columns.join(", "))
    };
    unique.map(statement).collect()
}

/// Reads rows again; `false` if they do not go together as they come.
fn refresh(
    connection: &Connection,
    name: &str,
    view: &dyn TableView,
    keys: &BTreeSet<Vec<String>>,
) -> Result<bool> {
    let schema = view.schema();
    let delete = format!("DELETE FROM main.{} WHERE {}", quoted(name), by_key(schema));
    let mut delete = connection.prepare(&delete).map_err(engine_failed)?;
    let mut insert = connection.prepare(&insert(name, schema)).map_err(engine_failed)?;
    for key in keys {
        bind_key(&mut delete, schema, key)
            .and_then(|()| delete.raw_execute())
            .map_err(engine_failed)?;
    }
    for key in keys {
        let texts: Vec<&str> = key.iter().map(String::as_str).collect();
        if let Some((_, row)) = view.find(&texts)? {
            let bound = bind_row(&mut insert, &row, view);
            match bound.and_then(|()| insert.raw_execute()) {
                Err(error) if is_constraint(&error) => return Ok(false),
                done => done.map_err(engine_failed)?,
            };
        }
    }
    Ok(true)
}

fn bind_key(
    statement: &mut Statement<'_>,
    schema: &Schema,
    key: &[String],
) -> rusqlite::Result<()> {
    let columns = schema.key().into_iter().filter_map(|at| schema.columns.get(at));
    for ((at, column), text) in (1..).zip(columns).zip(key) {
        statement.raw_bind_parameter(at, Given(CellValue::of_text(text, column.kind)))?;
    }
    Ok(())
}

/// Writes to the transaction what became of these rows. Gives the key of the last that is new.
///
/// # Errors
/// What may not be written, with its place.
pub(crate) fn write_back(
    connection: &Connection,
    name: &str,
    keys: &[Vec<String>],
    writer: &mut dyn Writer,
) -> Result<Option<Vec<String>>> {
    let view = writer.table(name)?;
    let schema = Arc::clone(view.schema());
    let select = format!("SELECT * FROM main.{} WHERE {}", quoted(name), by_key(&schema));
    let mut select = connection.prepare(&select).map_err(engine_failed)?;
    let mut written = Vec::new();
    for key in keys {
        let texts: Vec<&str> = key.iter().map(String::as_str).collect();
        let before = view.find(&texts)?.map(|(_, row)| row);
        bind_key(&mut select, &schema, key).map_err(engine_failed)?;
        let mut rows = select.raw_query();
        match (rows.next().map_err(engine_failed)?, before) {
            // What is gone goes first: another row may get a cell that must be unique.
            (None, Some(_)) => writer.delete(name, &texts)?,
            (None, None) => {}
            (Some(row), before) => {
                let old = before.as_deref().unwrap_or_default();
                let mut old = row::cells(old, view.shape().delimiter());
                let mut cells = Vec::with_capacity(schema.columns.len());
                for (at, column) in schema.columns.iter().enumerate() {
                    let value = row.get_ref(at).map_err(engine_failed)?;
                    let stays = old.next().is_some_and(|old| {
                        before.is_some() && CellValue::read(old, column.kind).as_sql() == value
                    });
                    if !stays {
                        cells.push((at, cell::write(value, column)?.map(Cow::into_owned)));
                    }
                }
                written.push((key, before.is_some(), cells));
            }
        }
    }
    put_rows(name, written, writer)
}

/// A row to write: its key, whether there is one already, and its cells.
type Written<'k> = (&'k Vec<String>, bool, Vec<(usize, Option<String>)>);

/// Writes rows. One may wait for a value that must be unique until another has given it up.
fn put_rows(
    name: &str,
    mut rows: Vec<Written<'_>>,
    writer: &mut dyn Writer,
) -> Result<Option<Vec<String>>> {
    let mut inserted = None;
    while !rows.is_empty() {
        let (count, mut waiting, mut why) = (rows.len(), Vec::new(), None);
        for row in rows {
            match put_row(name, &row, writer) {
                Ok(key) => inserted = key.or(inserted),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    why.get_or_insert(error);
                    waiting.push(row);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = why.filter(|_| waiting.len() == count) {
            return Err(error);
        }
        rows = waiting;
    }
    Ok(inserted)
}

/// Gives the key of a row that is new.
fn put_row(name: &str, row: &Written<'_>, writer: &mut dyn Writer) -> Result<Option<Vec<String>>> {
    let (key, known, cells) = row;
    let texts: Vec<&str> = key.iter().map(String::as_str).collect();
    let cells: Vec<_> = cells.iter().map(|(at, cell)| (*at, cell.as_deref())).collect();
    if *known {
        return writer.update(name, &texts, &cells).map(|()| None);
    }
    let cells: Vec<_> = cells.into_iter().map(|(_, cell)| cell).collect();
    writer.insert(name, &cells).map(Some)
}

fn same_key(error: rusqlite::Error, name: &str) -> Error {
    if is_constraint(&error) {
        return Error::usage("two rows have keys that mean the same in SQL, as 7 and 07 do")
            .at_table(name)
            .help("give one of them another key; simple statements work on the table as it is")
            .caused_by(error);
    }
    engine_failed(error)
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

/// The cells of a key as texts.
pub(crate) fn key_texts(schema: &Schema, values: &[CellValue<'_>]) -> Result<Vec<String>> {
    let columns = schema.key().into_iter().filter_map(|at| schema.columns.get(at));
    let text = |(column, value): (_, &CellValue<'_>)| {
        Ok(cell::write(value.as_sql(), column)?.unwrap_or_default().into_owned())
    };
    columns.zip(values).map(text).collect()
}
