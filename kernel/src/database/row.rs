//! Rows as programs read and write them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Shape, row};

use crate::changes::same_cells;
use crate::table::{Key, key_of};

/// One row. It keeps the bytes it was read from, and cuts them when a cell is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    bytes: Bytes,
    shape: Arc<Shape>,
}

impl Row {
    /// The row with these bytes.
    pub fn new(bytes: Bytes, shape: Arc<Shape>) -> Self {
        Self { bytes, shape }
    }

    /// The exact bytes, line end included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How it is cut into cells.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        self.shape.columns()
    }

    /// Whether it has a column of this name.
    pub fn has_column(&self, column: &str) -> bool {
        self.shape.column(column).is_some()
    }

    /// The text of a cell; `None` if it is NULL or there is no such column.
    pub fn get(&self, column: &str) -> Option<Cow<'_, str>> {
        let index = self.shape.column(column)?;
        row::cells(&self.bytes, self.shape.delimiter()).nth(index)?.text()
    }

    /// The texts of all cells, in the order of the columns; `None` is NULL.
    pub fn cells(&self) -> impl Iterator<Item = Option<Cow<'_, str>>> {
        row::cells(&self.bytes, self.shape.delimiter()).map(|cell| cell.text())
    }

    /// How many columns the key has.
    pub fn key_columns(&self) -> usize {
        self.shape.key().len()
    }

    /// The key.
    pub fn key(&self) -> Option<Key<'_>> {
        key_of(&self.bytes, &self.shape)
    }
}

/// Whether two rows have the same cells, or neither is there.
pub(super) fn same(one: Option<&Row>, other: Option<&Row>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => same_cells(&one.bytes, &one.shape, &other.bytes, &other.shape),
        _ => false,
    }
}

/// A row as a table is cut into cells: its own bytes where it is cut the same way, else cell by cell. What it does not say
/// of a column is taken from the row that stands there.
pub(super) fn spelled_for(shape: &Arc<Shape>, row: &Row, there: Option<&Bytes>) -> Bytes {
    let from = &row.shape;
    if from.columns() == shape.columns() && from.delimiter() == shape.delimiter() {
        if from.line_end() == shape.line_end() {
            return row.bytes.clone();
        }
        return Bytes::from([row::content(&row.bytes), shape.line_end().as_bytes()].concat());
    }
    let there = there.map(|bytes| Row::new(bytes.clone(), Arc::clone(shape)));
    let cell = |name: &String| {
        let from = if row.has_column(name) { Some(row) } else { there.as_ref() };
        from.and_then(|row| row.get(name)).map(Cow::into_owned)
    };
    let cells: Vec<Option<String>> = shape.columns().iter().map(cell).collect();
    let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
    Bytes::from(row::write_row(&cells, shape.delimiter(), shape.line_end().as_bytes()))
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.columns().iter().zip(self.cells())).finish()
    }
}

/// What is written into a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell<'a>(pub(super) Option<Cow<'a, str>>);

impl Cell<'_> {
    /// No value.
    pub const NULL: Self = Self(None);
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self(Some(Cow::Borrowed(text)))
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Self(Some(Cow::Borrowed(text)))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self(Some(Cow::Owned(text)))
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self(Some(Cow::Owned(number.to_string())))
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self(text.map(Cow::Borrowed))
    }
}

impl From<Option<String>> for Cell<'_> {
    fn from(text: Option<String>) -> Self {
        Self(text.map(Cow::Owned))
    }
}
