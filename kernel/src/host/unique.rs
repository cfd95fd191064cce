//! Values that must be unique: looked for in the indices before a row is written.

use std::borrow::Cow;

use reedbase_plugin_api::sql::CellValue;
use reedbase_plugin_api::{Error, ErrorKind, IndexView, Result, TableView};

use super::tables::HostTable;
use crate::index::{find_other, find_twin, value_of_cells};
use crate::table::Key;

/// Whether a row with these cells may be written in the place of the row with this key, or as a new one.
///
/// # Errors
/// [`AlreadyExists`](ErrorKind::AlreadyExists) with the row that has the value, or those of reading the table.
pub(super) fn check_row(
    table: &HostTable,
    cells: &[Option<Cow<'_, str>>],
    key: &Key<'_>,
) -> Result<()> {
    for (number, view) in table.indices().iter().enumerate().filter(|(_, view)| view.spec.unique) {
        let texts: Option<Vec<&str>> =
            view.columns.iter().map(|column| cells.get(column.at)?.as_deref()).collect();
        // A row with a NULL in it does not count.
        let Some(texts) = texts else { continue };
        let values = view.columns.iter().zip(texts);
        let values = values.map(|(column, text)| CellValue::of_text(text, column.kind));
        let Some(value) = value_of_cells(values, view) else { continue };
        let Some(index) = table.index(number)? else { continue };
        if let Some(other) = find_other(&index, table.table(), view, &value, key)? {
            return Err(taken(table, view, &other));
        }
    }
    Ok(())
}

/// Whether no two rows of a table have the same values in a unique index.
///
/// # Errors
/// [`AlreadyExists`](ErrorKind::AlreadyExists) with two rows that do.
pub(super) fn check_table(table: &HostTable, number: usize) -> Result<()> {
    let Some(view) = table.indices().get(number) else { return Ok(()) };
    let Some(index) = table.index(number)? else { return Ok(()) };
    let columns = table.shape().key().len();
    match find_twin(&index, table.table(), view)? {
        Some((one, other)) => Err(taken(table, view, &other)
            .help("change one of them, or make an index that is not unique")
            .at_key(one.display(columns))),
        None => Ok(()),
    }
}

fn taken(table: &HostTable, view: &IndexView, other: &Key<'_>) -> Error {
    let columns: Vec<_> = view.spec.columns.iter().map(|column| column.name.as_str()).collect();
    let other = other.display(table.shape().key().len());
    let message = match columns[..] {
        [_] => format!("the value is taken by the row {other}, and must be unique"),
        _ => format!("the values are taken by the row {other}, and must be unique"),
    };
    Error::new(ErrorKind::AlreadyExists, message)
        .at_table(table.name().as_str())
        .at_column(columns.join(", "))
}
