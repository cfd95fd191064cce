//! A table of the database as a virtual table of SQLite, read straight from a snapshot.
//!
//! ```text
//! SQLite asks         and hears
//! best_index          by key: one row; else: all rows
//! open                a cursor on the table as it is read now; what is written meanwhile does not show in it
//! filter, next        rows in batches that grow from 1 to 1024
//! column              the cell, cut and read when it is asked for
//! ```
//!
//! A panic must not reach C code, where it would end the process: every call is guarded, and a panic becomes an
//! error of the query.
#![expect(
    unsafe_code,
    reason = "SQLite casts pointers to tables and cursors, and must be told what they are"
)]

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use reedbase_plugin_api::row::{self, RawCell};
use reedbase_plugin_api::sql::CellValue;
use reedbase_plugin_api::{Batch, Bytes, ColumnType, Error, Schema, TableView};
use rusqlite::types::ValueRef;
use rusqlite::vtab::{
    Context, CreateVTab, Filters, IndexInfo, Inserts, Module, UpdateVTab, Updates, VTab,
    VTabConnection, VTabCursor, VTabKind, sqlite3_vtab, sqlite3_vtab_cursor,
};

use crate::access::{self, BY_KEY};
use crate::cell::{self, AsSql, Given};
use crate::declare::declare;
use crate::probe::{Probe, probe};
use crate::shared::{Shared, Source};

/// The name of the module.
pub(crate) const MODULE: &str = "reedbase";

/// How SQLite calls us.
pub(crate) const TABLES: &Module<'static, VirtualTable> = &Module::update_module();

/// A table of the connection.
#[repr(C)]
pub(crate) struct VirtualTable {
    /// SQLite's part; must be first.
    base: sqlite3_vtab,
    shared: Arc<Shared>,
    /// The name that the connection knows it by.
    name: Arc<str>,
    source: Arc<Source>,
    schema: Arc<Schema>,
    /// How many rows it had when it was declared.
    rows: u64,
    /// The table as it was read last, and when that was.
    view: Option<(u64, Arc<dyn TableView>)>,
}

// SAFETY: the struct is `repr(C)` and its first field is a `sqlite3_vtab`.
unsafe impl VTab<'static> for VirtualTable {
    type Aux = Arc<Shared>;
    type Cursor = Cursor;

    fn connect(
        _: &mut VTabConnection,
        aux: Option<&Self::Aux>,
        _: &[u8],
        _: &[u8],
        name: &[u8],
        _: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let shared = aux.ok_or_else(|| module_error("the module has no session"))?;
        guard(shared, || {
            let name = String::from_utf8_lossy(name);
            let source = shared.source(&name)?;
            let view = shared.view(&name, &source)?;
            let (schema, rows) = (Arc::clone(view.schema()), view.row_count());
            let declared = CString::new(declare(&schema))
                .map_err(|_| Error::invalid("a name of a column holds a zero byte"))?;
            let (shared, base) = (Arc::clone(shared), sqlite3_vtab::default());
            let name = Arc::from(name.as_ref());
            Ok((declared.into(), Self { base, shared, name, source, schema, rows, view: None }))
        })
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        guard(&self.shared, || access::choose(info, &self.schema, self.rows).map_err(from_sqlite))
    }

    fn open(&'static mut self) -> rusqlite::Result<Cursor> {
        let shared = Arc::clone(&self.shared);
        guard(&shared, || {
            let generation = shared.generation();
            let view = match &self.view {
                Some((known, view)) if *known == generation => Arc::clone(view),
                _ => {
                    let view = shared.view(&self.name, &self.source)?;
                    self.view = Some((generation, Arc::clone(&view)));
                    view
                }
            };
            Ok(Cursor::new(Arc::clone(&shared), Arc::clone(&self.name), view))
        })
    }
}

impl CreateVTab<'static> for VirtualTable {
    const KIND: VTabKind = VTabKind::Default;
}

impl UpdateVTab<'static> for VirtualTable {
    fn delete(&mut self, row: ValueRef<'_>) -> rusqlite::Result<()> {
        let shared = Arc::clone(&self.shared);
        guard(&shared, || {
            let (table, view) = self.writable()?;
            let key = texts_of_key(&**view, &row_of(&**view, row)?);
            shared.write(|writer| writer.delete(table, &borrowed(&key)))?;
            shared.note_written(table, &key);
            Ok(())
        })
    }

    fn insert(&mut self, args: &Inserts<'_>) -> rusqlite::Result<i64> {
        let shared = Arc::clone(&self.shared);
        guard(&shared, || {
            let Source::Now(table) = &*self.source else { return Err(not_writable(&self.source)) };
            let mut cells = Vec::with_capacity(self.schema.columns.len());
            for (column, value) in self.schema.columns.iter().zip(args.iter().skip(2)) {
                let cell = match &column.default {
                    Some(text) if shared.is_left_out(&column.name) => Some(text.as_str().into()),
                    _ => cell::write(value, column)?,
                };
                cells.push(cell);
            }
            let cells: Vec<_> = cells.iter().map(Option::as_deref).collect();
            let key = shared.write(|writer| writer.insert(table, &cells))?;
            shared.note_written(table, &key);
            shared.note_inserted(key);
            Ok(0)
        })
    }

    fn update(&mut self, args: &Updates<'_>) -> rusqlite::Result<()> {
        let shared = Arc::clone(&self.shared);
        guard(&shared, || {
            let (table, view) = self.writable()?;
            let row = row_of(&**view, args.iter().next().unwrap_or(ValueRef::Null))?;
            let old = row::cells(&row, view.shape().delimiter());
            let columns = self.schema.columns.iter().enumerate();
            let mut cells = Vec::new();
            for (((at, column), old), new) in columns.zip(old).zip(args.iter().skip(2)) {
                // A cell whose value stays keeps its bytes.
                if CellValue::read(old, column.kind).as_sql() != new {
                    cells.push((at, cell::write(new, column)?));
                }
            }
            let cells: Vec<_> = cells.iter().map(|(at, cell)| (*at, cell.as_deref())).collect();
            let key = texts_of_key(&**view, &row);
            shared.write(|writer| writer.update(table, &borrowed(&key), &cells))?;
            shared.note_written(table, &key);
            if view.shape().key().iter().any(|at| cells.iter().any(|(cell, _)| cell == at)) {
                shared.note_written(table, &renamed(key, view.shape().key(), &cells));
            }
            Ok(())
        })
    }
}

impl VirtualTable {
    /// The name of the table, and what the statement reads of it: the rows that it changes are named in that.
    fn writable(&self) -> Result<(&str, &Arc<dyn TableView>), Error> {
        let Source::Now(table) = &*self.source else { return Err(not_writable(&self.source)) };
        let view = self.view.as_ref().map(|(_, view)| view);
        Ok((table, view.ok_or_else(|| Error::internal("the statement reads no rows"))?))
    }
}

fn not_writable(source: &Source) -> Error {
    match source {
        Source::Computed(_) => Error::usage("a table that is computed cannot be changed"),
        _ => Error::usage("the past cannot be changed")
            .help("change the table as it is now, or bring the past back: rdb restore"),
    }
}

/// The row that SQLite names.
fn row_of(view: &dyn TableView, row: ValueRef<'_>) -> Result<Bytes, Error> {
    let slot = row.as_i64().ok().and_then(|slot| u64::try_from(slot).ok());
    let row = slot.map(|slot| view.row(slot)).transpose()?.flatten();
    row.ok_or_else(|| Error::internal("the row that is changed is not there"))
}

/// The texts of the cells of a row's key.
fn texts_of_key(view: &dyn TableView, row: &[u8]) -> Vec<String> {
    let shape = view.shape();
    let cells: Vec<_> = row::cells(row, shape.delimiter()).collect();
    let text = |at: &usize| Some(cells.get(*at)?.text()?.into_owned());
    shape.key().iter().map(|at| text(at).unwrap_or_default()).collect()
}

/// The key after some cells of the row were changed.
fn renamed(
    mut key: Vec<String>,
    columns: &[usize],
    cells: &[(usize, Option<&str>)],
) -> Vec<String> {
    for (text, column) in key.iter_mut().zip(columns) {
        if let Some((_, Some(new))) = cells.iter().find(|(at, _)| at == column) {
            (*new).clone_into(text);
        }
    }
    key
}

fn borrowed(key: &[String]) -> Vec<&str> {
    key.iter().map(String::as_str).collect()
}

/// A place in a table.
#[repr(C)]
pub(crate) struct Cursor {
    /// SQLite's part; must be first.
    base: sqlite3_vtab_cursor,
    shared: Arc<Shared>,
    name: Arc<str>,
    view: Arc<dyn TableView>,
    /// How many rows scans passed by.
    passed: u64,
    batch: Batch,
    /// Which row of the batch it stands at.
    at: usize,
    /// Where to read on, and how many rows at once.
    next: Option<u64>,
    size: usize,
    cut: RefCell<Cut>,
}

/// Where the cells of the row start and end, as far as somebody asked for them.
#[derive(Default)]
struct Cut {
    cells: Vec<(u32, u32)>,
}

/// The first batches are small, since many queries want few rows.
const SIZES: (usize, usize) = (16, 1024);

impl Cursor {
    fn new(shared: Arc<Shared>, name: Arc<str>, view: Arc<dyn TableView>) -> Self {
        Self {
            base: sqlite3_vtab_cursor::default(),
            shared,
            name,
            view,
            passed: 0,
            batch: Batch::default(),
            at: 0,
            next: None,
            size: SIZES.0,
            cut: RefCell::default(),
        }
    }

    /// Stands at the row with this key, or at the end.
    fn seek(&mut self, key: &[String]) -> Result<(), Error> {
        if let Some((slot, row)) = self.view.find(&borrowed(key))? {
            let len = row.len();
            self.batch.add_piece(row);
            self.batch.add_row(slot, 0, len);
        }
        Ok(())
    }

    /// Reads batches until there is a row, or no more.
    fn fill(&mut self) -> Result<(), Error> {
        while self.at >= self.batch.len() {
            let Some(from) = self.next else { return Ok(()) };
            self.batch.clear();
            self.at = 0;
            self.next = self.view.scan(from, self.size, &mut self.batch)?;
            self.passed += self.batch.len() as u64;
            self.size = (self.size * 4).min(SIZES.1);
        }
        Ok(())
    }

    fn start(&mut self, index: c_int, args: &Filters<'_>) -> Result<(), Error> {
        self.batch.clear();
        (self.at, self.next, self.size) = (0, None, SIZES.0);
        self.cut.borrow_mut().cells.clear();
        if index == BY_KEY {
            match key_of(&*self.view, args) {
                Some(Some(key)) => return self.seek(&key),
                Some(None) => return Ok(()),
                None => {}
            }
        }
        self.next = Some(0);
        self.fill()
    }

    /// The value of a cell, for SQLite.
    fn give(&self, context: &mut Context, column: c_int) -> rusqlite::Result<()> {
        let shape = self.view.shape();
        let line = row::content(self.batch.row(self.at));
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        let mut cut = self.cut.borrow_mut();
        let Some(cell) = cut.cell(line, shape.delimiter(), column) else {
            return context.set_result(rusqlite::types::Null);
        };
        let kind = self.view.schema().columns.get(column).map_or(ColumnType::String, |c| c.kind);
        context.set_result(Given(CellValue::read(cell, kind)))
    }
}

impl Cut {
    /// The cell of a line, cut as far as that.
    fn cell<'a>(&mut self, line: &'a [u8], delimiter: u8, column: usize) -> Option<RawCell<'a>> {
        while self.cells.len() <= column {
            let from = match self.cells.last() {
                Some((_, end)) if (*end as usize) < line.len() => *end as usize + 1,
                Some(_) => return None,
                None => 0,
            };
            let cell = row::cells(line.get(from..)?, delimiter).next()?;
            let end = from + cell.bytes().len();
            self.cells.push((u32::try_from(from).ok()?, u32::try_from(end).ok()?));
        }
        let (from, to) = *self.cells.get(column)?;
        Some(RawCell::new(line.get(from as usize..to as usize)?))
    }
}

// SAFETY: the struct is `repr(C)` and its first field is a `sqlite3_vtab_cursor`.
unsafe impl VTabCursor for Cursor {
    fn filter(
        &mut self,
        index: c_int,
        _: Option<&str>,
        args: &Filters<'_>,
    ) -> rusqlite::Result<()> {
        let shared = Arc::clone(&self.shared);
        guard(&shared, || self.start(index, args))
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        self.cut.get_mut().cells.clear();
        if self.at < self.batch.len() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        guard(&shared, || self.fill())
    }

    fn eof(&self) -> bool {
        self.at >= self.batch.len()
    }

    fn column(&self, context: &mut Context, column: c_int) -> rusqlite::Result<()> {
        let given = catch_unwind(AssertUnwindSafe(|| self.give(context, column)));
        given.unwrap_or_else(|_| Err(self.shared.fail(panicked())))
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(i64::try_from(self.batch.slot(self.at)).unwrap_or(i64::MAX))
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        if self.passed > 0 {
            self.shared.note_scanned(&self.name, self.passed);
        }
    }
}

/// The key that the constraints name: the texts of its cells, `Some(None)` if no row can have it, `None` if it must be searched
/// otherwise.
fn key_of(view: &dyn TableView, args: &Filters<'_>) -> Option<Option<Vec<String>>> {
    let plain = view.has_plain_keys();
    let mut key = Vec::with_capacity(args.len());
    for (column, value) in view.shape().key().iter().zip(args.iter()) {
        let value: ValueRef<'_> = value;
        match probe(value, view.schema().columns.get(*column)?.kind, plain) {
            Probe::Text(text) => key.push(text),
            Probe::Nothing => return Some(None),
            Probe::Anything => return None,
        }
    }
    Some(Some(key))
}

/// Does what SQLite asks for; what fails, and a panic, becomes an error of the query.
fn guard<T>(shared: &Shared, act: impl FnOnce() -> Result<T, Error>) -> rusqlite::Result<T> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(done) => done.map_err(|error| shared.fail(error)),
        Err(_) => Err(shared.fail(panicked())),
    }
}

fn panicked() -> Error {
    Error::internal("a table of the query panicked").help("please report it, with the query")
}

fn from_sqlite(error: rusqlite::Error) -> Error {
    Error::internal(error.to_string()).caused_by(error)
}

fn module_error(text: &str) -> rusqlite::Error {
    rusqlite::Error::ModuleError(text.to_owned())
}
