//! Tables written anew: with other columns, or as another is written.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, Result, Shape, TableName, Timestamp, row};

use super::columns::{Columns, Origins, origins};
use super::conflict::Conflict;
use super::drivers::Drivers;
use super::lines::Lines;
use super::table::Tables;
use crate::table::{Base, Table, key_of};

/// A table as another writes its rows: delimiter, line ends and quotes of that one, where it has the same row even the
/// same bytes.
///
/// # Errors
/// Those of reading the tables.
pub fn written_like(table: &Table, model: &Table) -> Result<Table> {
    let (shape, like) = (table.shape(), model.shape());
    let (delimiter, ends) = (like.delimiter(), like.line_end().as_bytes());
    let same_columns = shape.columns() == like.columns();
    let header = match same_columns {
        true => like.header().clone(),
        false => {
            let names: Vec<Option<&str>> =
                shape.columns().iter().map(|n| Some(n.as_str())).collect();
            Bytes::from(row::write_row(&names, delimiter, ends))
        }
    };
    let places = origins(like.columns(), shape.columns());
    let mut lines = Lines::new(&header, like.line_end());
    for bytes in table.rows_iter() {
        let bytes = bytes?;
        let known = match key_of(&bytes, shape) {
            Some(key) => model.get(&key)?,
            None => None,
        };
        let texts: Vec<_> = row::cells(&bytes, shape.delimiter()).map(|cell| cell.text()).collect();
        let known_cells = known.as_ref().map(|known| row::cells(known, delimiter).collect());
        let known_cells: Vec<row::RawCell<'_>> = known_cells.unwrap_or_default();
        let mut out = Vec::with_capacity(bytes.len());
        for (at, (text, origin)) in texts.iter().zip(&places).enumerate() {
            if at > 0 {
                out.push(delimiter);
            }
            let cell = origin.and_then(|origin| known_cells.get(origin));
            match cell.filter(|cell| cell.text() == *text) {
                Some(cell) => out.extend_from_slice(cell.bytes()),
                None => {
                    let quoted = cell.is_some_and(|cell| cell.is_quoted());
                    row::write_cell(&mut out, text.as_deref(), delimiter, quoted);
                }
            }
        }
        let end =
            known.as_ref().filter(|_| same_columns).map_or(ends, |known| row::line_end(known));
        out.extend_from_slice(end);
        lines.push(&out);
    }
    let text = lines.finish();
    let len = header.len() + usize::from(table.rows() > 0 && !header.ends_with(b"\n")) * ends.len();
    let shape = Arc::new(Shape::new(delimiter, text.slice(..len), shape.key().to_vec())?);
    let base = Base::parse(text, shape)
        .map_err(|error| Error::internal("the copy does not parse any more").caused_by(error))?;
    Ok(Table::new(Arc::new(base), table.version()).with_schema(table.schema().cloned()))
}

/// The table without the column that a conflict is about.
///
/// # Errors
/// Those of reading the table.
pub fn without_column(table: &Table, conflict: &Conflict) -> Result<Table> {
    let mut columns = Columns::same(table.shape().columns());
    columns.kept.retain(|(name, _)| Some(name) != conflict.column.as_ref());
    with_columns(table, &conflict.table, &columns)
}

/// The table with another name for the column that a conflict is about.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if the name is taken, or those of reading the table.
pub fn renamed(table: &Table, conflict: &Conflict, name: &str) -> Result<Table> {
    let mut columns = Columns::same(table.shape().columns());
    let mut known = columns.kept.iter_mut().map(|(known, _)| known);
    if let Some(known) = known.find(|known| Some(&**known) == conflict.column.as_ref()) {
        name.clone_into(known);
    }
    match columns.name_taken_twice() {
        Some(name) => Err(Error::invalid("there is such a column already").at_column(name)),
        None => with_columns(table, &conflict.table, &columns),
    }
}

fn with_columns(table: &Table, name: &TableName, columns: &Columns) -> Result<Table> {
    let all: Origins = (0..table.shape().columns().len()).map(Some).collect();
    let tables = Tables {
        name,
        base: table,
        ours: table,
        theirs: table,
        our_origins: &all,
        their_origins: &all,
        drivers: &Drivers::default(),
        theirs_at: Timestamp::ZERO,
    };
    Ok(tables.put_together(columns)?.table)
}
