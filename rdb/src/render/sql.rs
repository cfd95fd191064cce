//! Statements that make the same change in an SQL database, in one transaction. They keep to what SQLite, PostgreSQL and
//! DuckDB share. Values are written as text: databases read it as what the column is. A backslash is a character like any
//! other in it, as standard SQL has it: MySQL needs `NO_BACKSLASH_ESCAPES`.

use reedbase::{ColumnType, Result, Row, RowDiff, Schema};

use super::document::Heading;
use super::sheet::{Change, Column, Sheet, Standing};
use crate::output::Output;

pub(super) fn begin(heading: &Heading, output: &mut Output) -> Result<()> {
    for line in heading.title.lines() {
        output.line(&format!("-- {line}"))?;
    }
    output.line("BEGIN;")
}

pub(super) fn end(output: &mut Output) -> Result<()> {
    output.line("COMMIT;")
}

pub(super) fn table(sheet: &Sheet<'_>, output: &mut Output) -> Result<()> {
    let table = name(sheet.table);
    if sheet.is_created() {
        output.line(&create(sheet))?;
    } else {
        rename(sheet, output)?;
        for column in sheet.columns.iter().filter(|column| column.standing == Standing::Added) {
            let (column, kind) = (name(column.name), kind(sheet, column.name));
            output.line(&format!("ALTER TABLE {table} ADD COLUMN {column} {kind};"))?;
        }
    }
    // What is removed makes room for what is added.
    for change in [Change::Delete, Change::Update, Change::Insert] {
        for row in sheet.diff.rows.iter().filter(|row| Change::of(row) == change) {
            if let Some(statement) = statement(sheet, row, change) {
                output.line(&statement)?;
            }
        }
    }
    for column in sheet.columns.iter().filter(|column| column.standing == Standing::Removed) {
        output.line(&format!("ALTER TABLE {table} DROP COLUMN {};", name(column.name)))?;
    }
    Ok(())
}

/// Gives columns their new names. Where one takes the name that another had, all step aside first.
fn rename(sheet: &Sheet<'_>, output: &mut Output) -> Result<()> {
    let table = name(sheet.table);
    let renamed: Vec<_> =
        sheet.columns.iter().map(|c| (c.was, c.name)).filter(|(was, name)| was != name).collect();
    let taken = renamed.iter().any(|(_, new)| renamed.iter().any(|(was, _)| was == new));
    let aside = |at: usize| format!("renamed {}", at + 1);
    let mut steps: Vec<(String, String)> = Vec::new();
    if taken {
        steps.extend(renamed.iter().enumerate().map(|(at, (was, _))| ((*was).into(), aside(at))));
    }
    steps.extend(
        renamed
            .iter()
            .enumerate()
            .map(|(at, (was, new))| (if taken { aside(at) } else { (*was).into() }, (*new).into())),
    );
    for (from, to) in steps {
        let (from, to) = (name(&from), name(&to));
        output.line(&format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to};"))?;
    }
    Ok(())
}

fn create(sheet: &Sheet<'_>) -> String {
    // A table without rows has its columns in the schema alone.
    let schema = schema(sheet);
    let columns = schema.iter().flat_map(|schema| &schema.columns);
    let mut parts: Vec<String> = columns
        .clone()
        .map(|column| format!("{} {}", name(&column.name), sql_type(column.kind)))
        .collect();
    let key = columns.filter(|column| column.primary_key).map(|column| name(&column.name));
    parts.push(format!("PRIMARY KEY ({})", key.collect::<Vec<_>>().join(", ")));
    format!("CREATE TABLE {} ({});", name(sheet.table), parts.join(", "))
}

/// What schema.toml says afterwards, if that changed.
fn schema(sheet: &Sheet<'_>) -> Option<Schema> {
    let (_, after) = sheet.diff.schema.as_ref()?;
    reedbase_kernel::schema::parse(after).ok()
}

/// The type of a column, as far as schema.toml changed and tells.
fn kind(sheet: &Sheet<'_>, column: &str) -> &'static str {
    let schema = schema(sheet);
    let mut columns = schema.iter().flat_map(|schema| &schema.columns);
    let found = columns.find(|known| known.name.eq_ignore_ascii_case(column));
    found.map_or("TEXT", |column| sql_type(column.kind))
}

fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Integer => "BIGINT",
        ColumnType::Float => "DOUBLE PRECISION",
        ColumnType::Decimal => "NUMERIC",
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::Timestamp => "TIMESTAMP",
        ColumnType::Date => "DATE",
        _ => "TEXT",
    }
}

fn statement(sheet: &Sheet<'_>, row: &RowDiff, change: Change) -> Option<String> {
    let table = name(sheet.table);
    match change {
        Change::Delete => {
            Some(format!("DELETE FROM {table} WHERE {};", is_row(sheet, row.before.as_ref()?)))
        }
        Change::Insert => {
            let after = row.after.as_ref()?;
            let columns: Vec<_> = sheet.columns_after().map(|column| name(column.name)).collect();
            let text = |column: &Column<'_>| column.after(after).flatten();
            let values = sheet.columns_after().map(|column| value(text(column).as_deref()));
            let values: Vec<_> = values.collect();
            let (columns, values) = (columns.join(", "), values.join(", "));
            Some(format!("INSERT INTO {table} ({columns}) VALUES ({values});"))
        }
        Change::Update => {
            let (before, after) = row.before.as_ref().zip(row.after.as_ref())?;
            let texts = sheet.columns_after().map(|column| {
                (column, column.before(before).flatten(), column.after(after).flatten())
            });
            let changed = texts.filter(|(_, before, after)| before != after);
            let sets = changed.map(|(column, _, after)| {
                format!("{} = {}", name(column.name), value(after.as_deref()))
            });
            let sets: Vec<_> = sets.collect();
            let row = is_row(sheet, before);
            let sets = (!sets.is_empty()).then(|| sets.join(", "))?;
            Some(format!("UPDATE {table} SET {sets} WHERE {row};"))
        }
    }
}

/// That it is this row.
fn is_row(sheet: &Sheet<'_>, row: &Row) -> String {
    let key = sheet.columns.iter().filter(|column| sheet.is_key(column.name));
    let parts = key.map(|column| match column.before(row).flatten() {
        Some(text) => format!("{} = {}", name(column.name), value(Some(&text))),
        None => format!("{} IS NULL", name(column.name)),
    });
    parts.collect::<Vec<_>>().join(" AND ")
}

fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn value(text: Option<&str>) -> String {
    match text {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}
