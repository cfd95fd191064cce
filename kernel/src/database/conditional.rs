//! Changes that depend on what is there when they are committed, not when they were made.

use reedbase_plugin_api::{Error, Result};

use super::conditions::{Expected, ExpectedCell};
use super::row::Cell;
use super::snapshot::{find_column, find_table};
use super::transaction::{Transaction, no_such_row};
use crate::merge::Decimal;
use crate::table::Key;

impl Transaction {
    /// Changes cells of a row if others hold what is expected, now and still when this is committed: compare and swap
    /// on as many cells as matter.
    ///
    /// # Errors
    /// [`Conflict`](reedbase_plugin_api::ErrorKind::Conflict), with the cell, if one holds something else, now or at the commit;
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for table, row or column.
    pub fn update_if<'k, 'e, 'c, E: Into<Cell<'e>>, C: Into<Cell<'c>>>(
        &mut self,
        table: &str,
        key: impl Into<Key<'k>>,
        expected: impl IntoIterator<Item = (&'e str, E)>,
        cells: impl IntoIterator<Item = (&'c str, C)>,
    ) -> Result<()> {
        let key = key.into().into_owned();
        let name = find_table(self.snapshot.state(), table)?.name().clone();
        let new: Vec<(String, Option<String>)> = owned(cells);
        let made = |column: &str| {
            let mut new = new.iter().rev();
            let found = new.find(|(name, _)| name.eq_ignore_ascii_case(column));
            found.map(|(_, text)| text.clone())
        };
        let cells = owned(expected).into_iter().map(|(column, text)| {
            let new = made(&column).unwrap_or_else(|| text.clone());
            ExpectedCell { column, text, new }
        });
        let expected = Expected { table: name, key: key.clone(), cells: cells.collect() };
        let row = self.get(table, &key)?;
        let row = row.ok_or_else(|| match self.snapshot.table(table) {
            Ok(table) => no_such_row(&key, table.shape()),
            Err(error) => error,
        })?;
        expected.check(&row)?;
        let new = new.iter().map(|(column, text)| (column.as_str(), text.clone()));
        self.update(table, &key, new)?;
        self.expected.push(expected);
        Ok(())
    }

    /// Adds to a number, whatever others add to it meanwhile: all that was added is added up. NULL counts as 0, and a
    /// decimal keeps its digits.
    ///
    /// # Errors
    /// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if the cell holds no decimal number, or the sum would be too long;
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for table, row or column.
    pub fn increment<'k>(
        &mut self,
        table: &str,
        key: impl Into<Key<'k>>,
        column: &str,
        by: impl Into<Amount>,
    ) -> Result<()> {
        let key = key.into().into_owned();
        let Amount(by) = by.into();
        let name = find_table(self.snapshot.state(), table)?.name().clone();
        let row = self.get(table, &key)?;
        let columns = self.snapshot.table(table)?.shape();
        let row = row.ok_or_else(|| no_such_row(&key, columns))?;
        let at = find_column(row.shape(), column)?;
        let column = row.columns().get(at).cloned().unwrap_or_default();
        let wrong = |what: &str| {
            Error::invalid(what)
                .at_table(name.as_str())
                .at_key(key.display(row.key_columns()))
                .at_column(&column)
        };
        let now = match row.get(&column) {
            Some(text) => Decimal::parse(&text)
                .ok_or_else(|| wrong(&format!("`{text}` is no number to add to")))?,
            None => Decimal::ZERO,
        };
        let by =
            Decimal::parse(&by).ok_or_else(|| wrong(&format!("`{by}` is no number to add")))?;
        let sum = now.plus(by).ok_or_else(|| wrong("the sum is too long"))?.to_string();
        self.update(table, &key, [(column.as_str(), sum)])?;
        self.counted.entry(name).or_default().entry(key).or_default().insert(column);
        Ok(())
    }
}

/// What is added: a whole number, or a decimal as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount(String);

impl From<i64> for Amount {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl From<&str> for Amount {
    fn from(number: &str) -> Self {
        Self(number.to_owned())
    }
}

fn owned<'c, C: Into<Cell<'c>>>(
    cells: impl IntoIterator<Item = (&'c str, C)>,
) -> Vec<(String, Option<String>)> {
    let cell = |(column, cell): (&str, C)| {
        (column.to_owned(), cell.into().0.map(|text| text.into_owned()))
    };
    cells.into_iter().map(cell).collect()
}
