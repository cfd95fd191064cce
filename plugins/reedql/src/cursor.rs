//! A place in a virtual table: rows come in batches, and a cell is cut and read when it is asked for.
#![expect(unsafe_code, reason = "SQLite casts pointers to cursors, and must be told what they are")]

use std::cell::RefCell;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use reedbase_plugin_api::row::{self, RawCell};
use reedbase_plugin_api::sql::{CellValue, encode};
use reedbase_plugin_api::{Batch, ColumnType, Error, IndexView, RowSearch, TableView};
use rusqlite::types::ValueRef;
use rusqlite::vtab::{Context, Filters, VTabCursor, sqlite3_vtab_cursor};
use smallvec::SmallVec;

use crate::access::{BY_INDEX, BY_KEY};
use crate::cell::Given;
use crate::guard::{guarded, panicked};
use crate::probe::{Probe, probe};
use crate::shared::Shared;
use crate::sought::{Sought, sought};
use crate::way::{Order, Way};

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
    rest: Rest,
    size: usize,
    cut: RefCell<Cut>,
}

/// The rows behind those of the batch.
enum Rest {
    Nothing,
    /// All from this slot on.
    Scan(u64),
    Search(Box<dyn RowSearch>),
    /// Those in these slots; the last one comes first.
    Slots(Vec<u64>),
}

/// Where the cells of the row start and end, as far as somebody asked for them.
#[derive(Default)]
struct Cut {
    cells: SmallVec<[(u32, u32); 16]>,
}

/// The first batches are small, since many queries want few rows.
const SIZES: (usize, usize) = (4, 1024);

impl Cursor {
    pub(crate) fn new(shared: Arc<Shared>, name: Arc<str>, view: Arc<dyn TableView>) -> Self {
        Self {
            base: sqlite3_vtab_cursor::default(),
            shared,
            name,
            view,
            passed: 0,
            batch: Batch::default(),
            at: 0,
            rest: Rest::Nothing,
            size: SIZES.0,
            cut: RefCell::default(),
        }
    }

    /// Stands at the row with this key, or at the end.
    fn seek(&mut self, key: &[String]) -> Result<(), Error> {
        if let Some((slot, row)) =
            self.view.find(&key.iter().map(String::as_str).collect::<Vec<_>>())?
        {
            let len = row.len();
            self.batch.add_piece(row);
            self.batch.add_row(slot, 0, len);
        }
        Ok(())
    }

    /// Reads batches until there is a row, or no more.
    fn fill(&mut self) -> Result<(), Error> {
        while self.at >= self.batch.len() {
            self.batch.clear();
            self.at = 0;
            match &mut self.rest {
                Rest::Nothing => return Ok(()),
                Rest::Scan(from) => {
                    let next = self.view.scan(*from, self.size, &mut self.batch)?;
                    self.passed += self.batch.len() as u64;
                    self.rest = next.map_or(Rest::Nothing, Rest::Scan);
                }
                Rest::Search(search) => {
                    if !search.next(self.size, &mut self.batch)? {
                        self.rest = Rest::Nothing;
                    }
                }
                Rest::Slots(slots) => match slots.pop() {
                    None => self.rest = Rest::Nothing,
                    Some(slot) => {
                        let row = self.view.row(slot)?.unwrap_or_default();
                        let len = row.len();
                        self.batch.add_piece(row);
                        self.batch.add_row(slot, 0, len);
                    }
                },
            }
            self.size = (self.size * 4).min(SIZES.1);
        }
        Ok(())
    }

    fn start(&mut self, way: c_int, text: Option<&str>, args: &Filters<'_>) -> Result<(), Error> {
        self.batch.clear();
        (self.at, self.rest, self.size) = (0, Rest::Nothing, SIZES.0);
        self.cut.borrow_mut().cells.clear();
        match way {
            BY_KEY => match key_of(&*self.view, args) {
                Some(Some(key)) => return self.seek(&key),
                Some(None) => return Ok(()),
                None => self.rest = Rest::Scan(0),
            },
            BY_INDEX => {
                let way = Way::parse(text.unwrap_or_default());
                let way = way.ok_or_else(|| Error::internal("a plan says no way"))?;
                self.size = wanted(&way, args).unwrap_or(self.size);
                self.rest = self.search(&way, args)?;
            }
            _ => self.rest = Rest::Scan(0),
        }
        self.fill()
    }

    /// The rows that an index finds; all of them, where it cannot tell.
    fn search(&self, way: &Way<'_>, args: &Filters<'_>) -> Result<Rest, Error> {
        let mut indices = self.view.indices().iter().enumerate();
        let found = indices.find(|(_, view)| view.spec.name == way.index);
        let (number, index) =
            found.ok_or_else(|| Error::internal("the index of a plan is gone"))?;
        let search = match sought(way, index, args.iter()) {
            Sought::Nothing => return Ok(Rest::Nothing),
            Sought::Anything => None,
            Sought::Range(range) => self.view.search(number, &range)?,
        };
        match search {
            Some(search) => Ok(Rest::Search(search)),
            None if way.order == Order::Any => Ok(Rest::Scan(0)),
            None => self.sorted(way, index),
        }
    }

    /// All rows in the order that was promised: by the columns of the index behind those that equal something.
    fn sorted(&self, way: &Way<'_>, index: &IndexView) -> Result<Rest, Error> {
        let columns = index.columns.get(way.equal()..).unwrap_or_default();
        let (mut batch, mut next, mut all) = (Batch::default(), Some(0), Vec::new());
        while let Some(from) = next {
            batch.clear();
            next = self.view.scan(from, SIZES.1, &mut batch)?;
            for (slot, line) in batch.iter() {
                let cells: Vec<_> = row::cells(line, self.view.shape().delimiter()).collect();
                let mut value = Vec::new();
                for column in columns {
                    let cell = cells.get(column.at);
                    let cell = cell.map_or(CellValue::Null, |c| CellValue::read(*c, column.kind));
                    encode(&cell, column.collation, &mut value);
                }
                all.push((value, slot));
            }
        }
        all.sort_unstable();
        if way.order == Order::Ascending {
            all.reverse();
        }
        Ok(Rest::Slots(all.into_iter().map(|(_, slot)| slot).collect()))
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
        way: c_int,
        text: Option<&str>,
        args: &Filters<'_>,
    ) -> rusqlite::Result<()> {
        let done = guarded(|| self.start(way, text, args));
        self.shared.told(done)
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        self.cut.get_mut().cells.clear();
        if self.at < self.batch.len() {
            return Ok(());
        }
        let done = guarded(|| self.fill());
        self.shared.told(done)
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

/// How many rows are wanted, if the query says so.
fn wanted(way: &Way<'_>, args: &Filters<'_>) -> Option<usize> {
    if way.limits == 0 {
        return None;
    }
    let told = args.iter().skip(way.tests.len()).take(way.limits);
    let number = |value: ValueRef<'_>| value.as_i64().ok().and_then(|n| usize::try_from(n).ok());
    let sum = told.map(number).try_fold(0_usize, |sum, n| Some(sum.saturating_add(n?)))?;
    Some(sum.clamp(1, SIZES.1))
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
