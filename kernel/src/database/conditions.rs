//! What a transaction relies on when it is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, Result, TableName};

use super::row::Row;
use super::snapshot::find_column;
use crate::merge::{Conflict, ConflictKind, Conflicts};
use crate::state::State;
use crate::store::Store;
use crate::table::{Key, Table};

/// The cells in which a transaction counted, by table and key: the names of their columns.
pub(super) type Counted = BTreeMap<TableName, BTreeMap<Key<'static>, BTreeSet<String>>>;

/// What a row must hold.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) table: TableName,
    pub(super) key: Key<'static>,
    pub(super) cells: Vec<ExpectedCell>,
}

#[derive(Debug, Clone)]
pub(super) struct ExpectedCell {
    pub(super) column: String,
    /// What it must hold.
    pub(super) text: Option<String>,
    /// What the transaction makes of it.
    pub(super) new: Option<String>,
}

impl Expected {
    /// That a row holds it.
    pub(super) fn check(&self, row: &Row) -> Result<()> {
        for expected in &self.cells {
            find_column(row.shape(), &expected.column)?;
            let found = row.get(&expected.column).map(|text| text.into_owned());
            if found != expected.text {
                return Err(Conflicts::into_error(vec![Conflict {
                    table: self.table.clone(),
                    kind: ConflictKind::Cell,
                    key: self.key.parts(row.key_columns()),
                    column: Some(expected.column.clone()),
                    base: expected.text.clone(),
                    ours: found,
                    theirs: expected.new.clone(),
                }]));
            }
        }
        Ok(())
    }
}

/// That what a transaction relied on is still so.
pub(super) fn check_expected(expected: &[Expected], state: &State, store: &Store) -> Result<()> {
    for expected in expected {
        let table = state.table(&expected.table).map(|table| table.table(store)).transpose()?;
        let row = table.map(|table| table.get(&expected.key)).transpose()?.flatten();
        match (row, table.map(Table::shape)) {
            (Some(bytes), Some(shape)) => expected.check(&Row::new(bytes, Arc::clone(shape)))?,
            _ => {
                return Err(Error::new(ErrorKind::Conflict, "the row was removed meanwhile")
                    .at_table(expected.table.as_str())
                    .at_key(expected.key.display(1)));
            }
        }
    }
    Ok(())
}
