//! What an index says of a row: the values of its columns, as bytes that compare as they do.

use reedbase_plugin_api::sql::{CellValue, Collation, encode};
use reedbase_plugin_api::{IndexColumn, IndexSpec, IndexView, IndexedColumn, Schema, Shape, row};

use super::kinds::Kinds;

/// The indices of a table that can be used: those of which the columns and the kind are there, and one for each unique
/// column that has none.
pub fn views(schema: &Schema, kinds: &Kinds) -> Vec<IndexView> {
    let mut views: Vec<_> =
        schema.indices.iter().filter_map(|spec| view(spec.clone(), schema, kinds)).collect();
    for (at, column) in schema.columns.iter().enumerate().filter(|(_, column)| column.unique) {
        let known = |view: &IndexView| view.spec.unique && is_alone(view, at);
        let Some(kind) = kinds.with_columns(1).filter(|_| !views.iter().any(known)) else {
            continue;
        };
        let name = format!("reed_unique_{at}");
        let mut spec = IndexSpec::new(name, kind.id(), &[&column.name]);
        (spec.unique, spec.sparse) = (true, true);
        views.extend(view(spec, schema, kinds));
    }
    views
}

fn is_alone(view: &IndexView, at: usize) -> bool {
    matches!(&view.columns[..], [column] if column.at == at)
}

fn view(spec: IndexSpec, schema: &Schema, kinds: &Kinds) -> Option<IndexView> {
    let kind = kinds.get(&spec.using).ok()?;
    let columns = spec.columns.iter().map(|column| indexed(column, schema));
    let columns = columns.collect::<Option<Vec<_>>>()?;
    let fits = !columns.is_empty() && columns.len() <= kind.max_columns();
    let ordered = kind.is_ordered();
    fits.then_some(IndexView { spec, columns, ordered })
}

fn indexed(column: &IndexColumn, schema: &Schema) -> Option<IndexedColumn> {
    let named = |known: &reedbase_plugin_api::Column| known.name.eq_ignore_ascii_case(&column.name);
    let at = schema.columns.iter().position(named)?;
    let kind = schema.columns.get(at)?.kind;
    let collation = if column.nocase { Collation::NoCase } else { Collation::of(kind) };
    Some(IndexedColumn { at, kind, collation })
}

/// The value of a row; `None` if the index leaves it out.
pub(super) fn value_of_row(line: &[u8], shape: &Shape, view: &IndexView) -> Option<Vec<u8>> {
    if let [column] = &view.columns[..] {
        let cell = row::cells(line, shape.delimiter()).nth(column.at);
        let value = cell.map_or(CellValue::Null, |cell| CellValue::read(cell, column.kind));
        return value_of_cells(std::iter::once(value), view);
    }
    let cells: Vec<_> = row::cells(line, shape.delimiter()).collect();
    let values = view.columns.iter().map(|column| {
        cells.get(column.at).map_or(CellValue::Null, |cell| CellValue::read(*cell, column.kind))
    });
    value_of_cells(values, view)
}

/// The value of the cells of an index, in the order of its columns; `None` if the index leaves such a row out.
pub fn value_of_cells<'a>(
    cells: impl Iterator<Item = CellValue<'a>>,
    view: &IndexView,
) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(16 * view.columns.len());
    let mut any = false;
    for (cell, column) in cells.zip(&view.columns) {
        any |= cell != CellValue::Null;
        encode(&cell, column.collation, &mut value);
    }
    (any || !view.spec.sparse).then_some(value)
}
