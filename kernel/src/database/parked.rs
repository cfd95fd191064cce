//! Conflicts that wait for somebody to decide them: rows of a table that ReedBase keeps itself.
//!
//! The table `reed_conflicts` is a table like any other. So a conflict is parked by the very frame that committed the rest,
//! and resolved by the one that writes the cell; all that ever was disputed can be read in its history; and its file can be
//! opened in a spreadsheet: whoever writes `ours`, `theirs`, `base`, `both` or `value` into the column `pick`, saves
//! and adopts, has resolved it.

use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Column, ColumnType, LineEnd, Result, Schema, Shape, TableName, Timestamp, row,
};

use super::fitted::Fitted;
use super::resolve::Pick;
use super::row::Row;
use crate::frame::Action;
use crate::merge::{Conflict, ConflictKind};
use crate::schema;
use crate::table::{Base, Edit, Key, Stamp, Table};

/// The name of the table.
pub const CONFLICTS: &str = "reed_conflicts";

/// Its columns; the first is the key.
pub const CONFLICT_COLUMNS: [&str; 11] =
    ["id", "frame", "table", "kind", "key", "column", "base", "ours", "theirs", "pick", "value"];

/// A conflict that waits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenConflict {
    /// What names it: 12 hexadecimal digits.
    pub id: String,
    /// The frame that parked it.
    pub frame: Timestamp,
    /// What it is about.
    pub conflict: Conflict,
    /// What somebody wrote into its line, if that is a pick.
    pub pick: Option<Pick>,
}

pub(super) fn table_name() -> Result<TableName> {
    TableName::new(CONFLICTS)
}

/// Adds conflicts to the table, which is made if there is none; to what the frame does to it already, if it does anything.
pub(super) fn park(
    conflicts: &[Conflict],
    table: Option<&Table>,
    known: Option<Fitted>,
    frame: Timestamp,
    stamp: &Stamp,
) -> Result<Fitted> {
    let name = table_name()?;
    let mut edit = match &known {
        Some(fitted) => fitted.editing(stamp),
        None => Edit::new(table.map_or_else(empty, |table| Ok(table.clone()))?, stamp.clone()),
    };
    for conflict in conflicts {
        let id = conflict.id();
        let key = Key::from(id.as_str()).into_owned();
        let known = edit.table().get(&key)?.and_then(|row| read(&row, edit.table().shape()));
        if known.is_none_or(|known| known.conflict != *conflict) {
            let row = write(&id, frame, conflict, edit.table().shape())?;
            edit.put(&key, Some(row))?;
        }
    }
    match (known, table) {
        (Some(fitted), _) => fitted.edited(&edit),
        (None, Some(_)) => Fitted::rows(&name, &edit, Action::CONFLICT),
        (None, None) => Fitted::new_table(&name, edit.finish()?.0.flatten()?),
    }
}

/// All that is parked, oldest first.
pub(super) fn all(table: &Table) -> Result<Vec<OpenConflict>> {
    let mut open = Vec::new();
    for row in table.rows_iter() {
        open.extend(read(&row?, table.shape()));
    }
    open.sort_by_key(|open| open.frame);
    Ok(open)
}

/// The conflict that a row of the table says; `None` if it says none.
pub(super) fn read(bytes: &Bytes, shape: &Arc<Shape>) -> Option<OpenConflict> {
    let row = Row::new(bytes.clone(), Arc::clone(shape));
    let text = |column: &str| row.get(column).map(|text| text.into_owned());
    let key: Vec<String> = match text("key") {
        None => Vec::new(),
        Some(parts) if parts.starts_with('[') => serde_json::from_str(&parts).ok()?,
        Some(part) => vec![part],
    };
    let conflict = Conflict {
        table: TableName::new(&text("table")?).ok()?,
        kind: ConflictKind::from_name(&text("kind")?)?,
        key,
        column: text("column"),
        base: text("base"),
        ours: text("ours"),
        theirs: text("theirs"),
    };
    let pick = text("pick").and_then(|pick| Pick::from_name(&pick, text("value")));
    let frame = Timestamp::from_micros(text("frame")?.parse().ok()?);
    Some(OpenConflict { id: text("id")?, frame, conflict, pick })
}

fn write(id: &str, frame: Timestamp, conflict: &Conflict, shape: &Shape) -> Result<Bytes> {
    let (frame, kind) = (frame.to_string(), conflict.kind.to_string());
    let key = match conflict.key.as_slice() {
        [] => None,
        [part] if !part.starts_with('[') => Some(part.clone()),
        parts => Some(serde_json::Value::from(parts).to_string()),
    };
    let said = |column: &String| match column.as_str() {
        "id" => Some(id),
        "frame" => Some(frame.as_str()),
        "table" => Some(conflict.table.as_str()),
        "kind" => Some(kind.as_str()),
        "key" => key.as_deref(),
        "column" => conflict.column.as_deref(),
        "base" => conflict.base.as_deref(),
        "ours" => conflict.ours.as_deref(),
        "theirs" => conflict.theirs.as_deref(),
        _ => None,
    };
    let cells: Vec<Option<&str>> = shape.columns().iter().map(said).collect();
    Ok(Bytes::from(row::write_row(&cells, shape.delimiter(), shape.line_end().as_bytes())))
}

/// The table without a row. Commas, since spreadsheets take them for granted.
fn empty() -> Result<Table> {
    let columns = CONFLICT_COLUMNS.iter().map(|name| Column::new(*name, ColumnType::String));
    let columns = columns.enumerate().map(|(at, column)| column.in_key(at == 0)).collect();
    let schema = Schema::new(b',', LineEnd::Lf, columns);
    let names: Vec<Option<&str>> = CONFLICT_COLUMNS.iter().map(|name| Some(*name)).collect();
    let header = Bytes::from(row::write_row(&names, b',', b"\n"));
    let base = Base::empty(Arc::new(Shape::new(b',', header, schema.key())?))?;
    let text = Bytes::from(schema::to_text(&schema));
    Ok(Table::new(Arc::new(base), Timestamp::ZERO).with_schema(Some(text)))
}
