//! The rows that a query gives.

use std::ops::ControlFlow;
use std::sync::Arc;

use reedbase_plugin_api::{Result, RowSink, Value, ValueRef};
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

/// Gathers the rows of the last statement that has some.
#[derive(Debug, Default)]
pub struct Gather {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    /// Stops after the first row.
    first: bool,
}

impl Gather {
    /// Gathers one row.
    pub(crate) fn one() -> Self {
        Self { first: true, ..Self::default() }
    }

    /// What was gathered.
    pub fn finish(self) -> QueryRows {
        QueryRows { columns: self.columns.into(), rows: self.rows }
    }
}

impl RowSink for Gather {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.columns = names.iter().map(|name| (*name).to_owned()).collect();
        self.rows.clear();
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> Result<ControlFlow<()>> {
        self.rows.push(values.iter().map(|value| value.to_value()).collect());
        Ok(if self.first { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}
