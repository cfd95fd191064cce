//! What becomes of a row when somebody decides a conflict about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, ColumnType, Error, ErrorKind, Result, Shape, row};

use super::snapshot::find_column;
use crate::merge::Conflict;
use crate::schema;
use crate::table::{Edit, Key, Table};

/// How a conflict is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// What the database holds stays.
    Ours,
    /// What was to be merged takes its place.
    Theirs,
    /// What both sides began with.
    Base,
    /// Something else: the text of a cell, or a row as JSON; `None` is NULL, or no row.
    Value(Option<String>),
    /// Both rows, under the key with `-a` and with `-b` behind it.
    Both,
}

impl Pick {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
            Self::Base => "base",
            Self::Both => "both",
            Self::Value(_) => "value",
        }
    }

    /// The pick of this name; `value` needs something else beside it.
    pub(super) fn from_name(name: &str, value: Option<String>) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "ours" => Some(Self::Ours),
            "theirs" => Some(Self::Theirs),
            "base" => Some(Self::Base),
            "both" => Some(Self::Both),
            "value" => Some(Self::Value(value)),
            _ => None,
        }
    }
}

/// Decides conflicts about rows in a table that is being edited. Those about columns and the schema are not for here.
pub(super) fn decide(edit: &mut Edit, conflict: &Conflict, pick: &Pick) -> Result<()> {
    let text = match pick {
        Pick::Ours => return Ok(()),
        Pick::Theirs => conflict.theirs.clone(),
        Pick::Base => conflict.base.clone(),
        Pick::Value(text) => text.clone(),
        Pick::Both => return keep_both(edit, &[conflict]),
    };
    let key = Key::from_parts(&conflict.key);
    let shape = Arc::clone(edit.table().shape());
    if conflict.kind.is_of_rows() || conflict.column.is_none() {
        let row = text.map(|text| row_of_json(&text, &shape)).transpose()?;
        return edit.put(&key, row);
    }
    let now = edit.table().get(&key)?.ok_or_else(|| row_is_gone(conflict))?;
    let at = column_of(conflict, &shape)?;
    let new = row::replace_cells(&now, shape.delimiter(), &[(at, text.as_deref())]);
    edit.replace(&key, Bytes::from(new))
}

/// Decides all that is disputed about rows in the same way; gives what it cannot decide.
pub(super) fn decide_all(
    edit: &mut Edit,
    conflicts: Vec<Conflict>,
    pick: &Pick,
) -> Result<Vec<Conflict>> {
    if *pick == Pick::Ours {
        return Ok(Vec::new());
    }
    let (rows, rest): (Vec<_>, Vec<_>) =
        conflicts.into_iter().partition(|conflict| !conflict.is_about_table());
    let mut by_key: BTreeMap<&[String], Vec<&Conflict>> = BTreeMap::new();
    for conflict in &rows {
        by_key.entry(&conflict.key).or_default().push(conflict);
    }
    for conflicts in by_key.into_values() {
        match pick {
            Pick::Both => keep_both(edit, &conflicts)?,
            _ => conflicts.into_iter().try_for_each(|conflict| decide(edit, conflict, pick))?,
        }
    }
    Ok(rest)
}

/// What the database holds of what a conflict is about: a cell, or a row as JSON.
pub(super) fn held(table: &Table, conflict: &Conflict) -> Result<Option<String>> {
    let shape = table.shape();
    let Some(row) = table.get(&Key::from_parts(&conflict.key))? else { return Ok(None) };
    let Some(column) = conflict.column.as_ref().filter(|_| !conflict.kind.is_of_rows()) else {
        return Ok(Some(crate::merge::row_json(&row, shape)));
    };
    let at = shape.column(column);
    let cell = at.and_then(|at| row::cells(&row, shape.delimiter()).nth(at));
    Ok(cell.and_then(|cell| Some(cell.text()?.into_owned())))
}

/// Both rows stay: ours under its key with `-a` behind it, theirs with `-b`.
fn keep_both(edit: &mut Edit, conflicts: &[&Conflict]) -> Result<()> {
    let Some(first) = conflicts.first() else { return Ok(()) };
    let shape = Arc::clone(edit.table().shape());
    let ([column], [part]) = (shape.key(), first.key.as_slice()) else {
        return Err(cannot_keep_both(first, "the key has several columns"));
    };
    if is_number(edit.table(), *column) {
        return Err(cannot_keep_both(first, "the key is a number"));
    }
    let key = Key::from_parts(&first.key);
    let ours = edit.table().get(&key)?;
    let mut theirs = match first.kind.is_of_rows() {
        true => first.theirs.as_ref().map(|text| row_of_json(text, &shape)).transpose()?,
        false => ours.clone(),
    };
    for conflict in conflicts.iter().filter(|conflict| !conflict.kind.is_of_rows()) {
        let at = column_of(conflict, &shape)?;
        let cells = [(at, conflict.theirs.as_deref())];
        theirs = theirs.map(|row| Bytes::from(row::replace_cells(&row, shape.delimiter(), &cells)));
    }
    let named = |bytes: &Bytes, suffix: &str| {
        let name = format!("{part}-{suffix}");
        Bytes::from(row::replace_cells(bytes, shape.delimiter(), &[(*column, Some(&name))]))
    };
    if let (Some(ours), Some(theirs)) = (&ours, &theirs) {
        edit.replace(&key, named(ours, "a"))?;
        return edit.insert(named(theirs, "b"));
    }
    // Where one side removed the row there are no two: the one that is left stays under its key.
    edit.put(&key, ours.or(theirs))
}

fn is_number(table: &Table, column: usize) -> bool {
    let text = table.schema().and_then(|text| std::str::from_utf8(text).ok());
    let schema = text.and_then(|text| schema::parse(text).ok());
    let kind = schema.and_then(|schema| schema.columns.get(column).map(|column| column.kind));
    matches!(kind, Some(ColumnType::Integer | ColumnType::Float | ColumnType::Decimal))
}

fn cannot_keep_both(conflict: &Conflict, why: &str) -> Error {
    let message = format!("both rows cannot stay: {why}, and needs something behind it");
    Error::new(ErrorKind::InvalidChoice, message)
        .at_table(conflict.table.as_str())
        .at_key(conflict.key_text())
        .help("choose one of them, or write a row of your own")
}

fn column_of(conflict: &Conflict, shape: &Shape) -> Result<usize> {
    let name = conflict.column.as_deref().unwrap_or_default();
    find_column(shape, name).map_err(|error| {
        error
            .at_table(conflict.table.as_str())
            .help("the column was dropped: keep ours, or bring the column back first")
    })
}

fn row_is_gone(conflict: &Conflict) -> Error {
    Error::new(ErrorKind::Conflict, "the row was removed since the conflict came up")
        .at_table(conflict.table.as_str())
        .at_key(conflict.key_text())
        .help("keep ours, or bring the row back first")
}

/// The row that a JSON object of texts says. Columns that it lacks are NULL.
fn row_of_json(text: &str, shape: &Shape) -> Result<Bytes> {
    let wrong =
        || Error::invalid("a row is written as a JSON object of texts: {\"column\": \"text\"}");
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| wrong().caused_by(error))?;
    let mut cells: Vec<Option<String>> = vec![None; shape.columns().len()];
    for (name, value) in object {
        let Some(at) = shape.column(&name) else {
            if value.is_null() {
                continue;
            }
            return Err(Error::new(
                ErrorKind::InvalidChoice,
                "the row has a cell for a column that is not there any more",
            )
            .at_column(name)
            .help("write the row you want as a value, or bring the column back first"));
        };
        let text = match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        if let Some(cell) = cells.get_mut(at) {
            *cell = text;
        }
    }
    let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
    Ok(Bytes::from(row::write_row(&cells, shape.delimiter(), shape.line_end().as_bytes())))
}
