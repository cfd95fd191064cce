//! The rows that a query gives.

use std::sync::Arc;

use reedbase_plugin_api::{Gather, Result, Value};
use serde::de::DeserializeOwned;

use crate::typed::typed;

/// All rows of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryRows {
    columns: Arc<[String]>,
    rows: Vec<Vec<Value>>,
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryRow {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl QueryRows {
    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows as a type of the caller's: a struct takes columns by their names, a tuple or a single value by their order.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) with the column that does not fit.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        self.rows.iter().map(|row| typed(&self.columns, row)).collect()
    }

    /// The values, row by row.
    pub fn values(&self) -> &[Vec<Value>] {
        &self.rows
    }
}

impl From<Gather> for QueryRows {
    fn from(gathered: Gather) -> Self {
        let (columns, rows) = gathered.finish();
        Self { columns: columns.into(), rows }
    }
}

impl IntoIterator for QueryRows {
    type Item = QueryRow;
    type IntoIter =
        std::iter::Map<std::vec::IntoIter<Vec<Value>>, Box<dyn FnMut(Vec<Value>) -> QueryRow>>;

    fn into_iter(self) -> Self::IntoIter {
        let columns = self.columns;
        let row = move |values| QueryRow { columns: Arc::clone(&columns), values };
        self.rows.into_iter().map(Box::new(row))
    }
}

impl QueryRow {
    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The row as a type of the caller's: a struct takes columns by their names, a tuple or a single value by their order.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) with the column that does not fit.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T> {
        typed(&self.columns, &self.values)
    }

    /// The value of a column, found ignoring ASCII case; `None` if there is no such column.
    pub fn get(&self, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.values.get(at)
    }
}
