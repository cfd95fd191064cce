//! Rows as programs read and write them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Shape, row};

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
