//! A table of the database as a virtual table of SQLite, read straight from a snapshot.
//!
//! ```text
//! SQLite asks         and hears
//! best_index          by key: one row; by an index: some rows, maybe in order; else: all rows
//! open                a cursor on the table as it is read now; what is written meanwhile does not show in it
//! filter, next        rows in batches that grow from 1 to 1024
//! column              the cell, cut and read when it is asked for
//! ```
#![expect(unsafe_code, reason = "SQLite casts pointers to tables, and must be told what they are")]

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::sync::Arc;

use reedbase_plugin_api::row;
use reedbase_plugin_api::sql::CellValue;
use reedbase_plugin_api::{Bytes, Error, IndexView, Schema, TableView};
use rusqlite::types::ValueRef;
use rusqlite::vtab::{
    CreateVTab, IndexInfo, Inserts, Module, UpdateVTab, Updates, VTab, VTabConnection, VTabKind,
    sqlite3_vtab,
};

use crate::access;
use crate::cell::{self, AsSql};
use crate::cursor::Cursor;
use crate::declare::declare;
use crate::guard::{engine_failed, guarded, module_error};
use crate::shared::Shared;
use crate::source::Source;

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
    indices: Vec<IndexView>,
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
        shared.told(guarded(|| {
            let name = String::from_utf8_lossy(name);
            let source = shared.source(&name)?;
            let view = shared.view(&name, || Arc::clone(&source))?;
            let (schema, rows) = (Arc::clone(view.schema()), view.row_count());
            let declared = CString::new(declare(&schema))
                .map_err(|_| Error::invalid("a name of a column holds a zero byte"))?;
            let (shared, base) = (Arc::clone(shared), sqlite3_vtab::default());
            let name = Arc::from(name.as_ref());
            let indices = view.indices().to_vec();
            let table = Self { base, shared, name, source, schema, indices, rows, view: None };
            Ok((declared.into(), table))
        }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        self.shared.told(guarded(|| {
            access::choose(info, &self.name, &self.schema, &self.indices, self.rows)
                .map_err(engine_failed)
        }))
    }

    fn open(&'static mut self) -> rusqlite::Result<Cursor> {
        let view = guarded(|| self.read());
        let view = self.shared.told(view)?;
        Ok(Cursor::new(Arc::clone(&self.shared), Arc::clone(&self.name), view))
    }
}

impl CreateVTab<'static> for VirtualTable {
    const KIND: VTabKind = VTabKind::Default;
}

impl UpdateVTab<'static> for VirtualTable {
    fn delete(&mut self, row: ValueRef<'_>) -> rusqlite::Result<()> {
        self.shared.told(guarded(|| {
            let (table, view) = self.writable()?;
            let key = texts_of_key(&**view, &row_of(&**view, row)?);
            self.shared.write(|writer| writer.delete(table, &borrowed(&key)))?;
            self.shared.note_written(table, &key);
            Ok(())
        }))
    }

    fn insert(&mut self, args: &Inserts<'_>) -> rusqlite::Result<i64> {
        let shared = &self.shared;
        shared.told(guarded(|| {
            let Source::Now(table) = &*self.source else { return Err(self.source.not_writable()) };
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
        }))
    }

    fn update(&mut self, args: &Updates<'_>) -> rusqlite::Result<()> {
        let shared = &self.shared;
        shared.told(guarded(|| {
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
        }))
    }
}

impl VirtualTable {
    /// The table as it is read now.
    fn read(&mut self) -> Result<Arc<dyn TableView>, Error> {
        let generation = self.shared.generation();
        if let Some((known, view)) = &self.view
            && *known == generation
        {
            return Ok(Arc::clone(view));
        }
        let view = self.shared.view(&self.name, || Arc::clone(&self.source))?;
        self.view = Some((generation, Arc::clone(&view)));
        Ok(view)
    }

    /// The name of the table, and what the statement reads of it: the rows that it changes are named in that.
    fn writable(&self) -> Result<(&str, &Arc<dyn TableView>), Error> {
        let Source::Now(table) = &*self.source else { return Err(self.source.not_writable()) };
        let view = self.view.as_ref().map(|(_, view)| view);
        Ok((table, view.ok_or_else(|| Error::internal("the statement reads no rows"))?))
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
