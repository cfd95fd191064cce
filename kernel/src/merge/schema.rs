//! What two sides wrote into schema.toml, put together: property by property of each column.
//!
//! The text of ours is what the result is made of, so that what people wrote around it stays. What only theirs changed is
//! written into it. Where both changed a property, each in another way, ours stays and a person decides.

use reedbase_plugin_api::{Bytes, Error, Result, Schema, TableName};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value};

use super::columns::{Columns, Sides};
use super::conflict::{Conflict, ConflictKind};
use crate::schema;

/// The text of schema.toml on three sides.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "a merge has three sides")]
pub struct SchemaSides<'a> {
    /// When both sides began.
    pub base: &'a Bytes,
    /// In the database.
    pub ours: &'a Bytes,
    /// In what is merged.
    pub theirs: &'a Bytes,
}

/// The text that both sides together make, and what is disputed. `made` is the schema that the merged table has:
/// columns, key and dialect.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if a text is no schema.
pub fn merge_schema(
    table: &TableName,
    sides: SchemaSides<'_>,
    columns: &Columns,
    made: &dyn Fn(Schema) -> Schema,
) -> Result<(Bytes, Vec<Conflict>)> {
    let SchemaSides { base, ours, theirs } = sides;
    if (ours == theirs || base == theirs) && columns.are_ours(&names(ours)?) {
        return Ok((ours.clone(), Vec::new()));
    }
    if base == ours && is_theirs(columns, &names(theirs)?) {
        return Ok((theirs.clone(), Vec::new()));
    }
    let [base, ours, theirs] = [document(base)?, document(ours)?, document(theirs)?];
    let mut merger = Merger { table, conflicts: Vec::new() };
    let mut result = ours.clone();
    let whole = [base.as_table(), ours.as_table(), theirs.as_table()];
    merger.properties(result.as_table_mut(), whole, None);
    let mut merged = ArrayOfTables::new();
    for (name, column) in &columns.kept {
        let found = [(&base, column.base), (&ours, column.ours), (&theirs, column.theirs)]
            .map(|(document, at)| at.and_then(|at| column_at(document, at)));
        let mut table = found[1].or(found[2]).cloned().unwrap_or_default();
        if let [Some(base), Some(ours), Some(theirs)] = found {
            merger.properties(&mut table, [base, ours, theirs], Some(name));
        }
        table.insert("name", toml_edit::value(name));
        table.set_position(None);
        merged.push(table);
    }
    result.insert("columns", Item::ArrayOfTables(merged));
    let said = made(schema::parse(&result.to_string())?);
    let text = schema::adapt(&result.to_string(), &said, &|_| None)?;
    Ok((Bytes::from(text), merger.conflicts))
}

/// The table with another property of a column, or of the table, as somebody decided.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if that makes no schema.
pub fn set_property(
    table: &crate::table::Table,
    conflict: &Conflict,
    text: Option<&str>,
) -> Result<crate::table::Table> {
    let said = table.schema().cloned().unwrap_or_default();
    let mut document = document(&said)?;
    let key = conflict.key.first().map_or("", String::as_str);
    let place: &mut Table = match &conflict.column {
        None => document.as_table_mut(),
        Some(name) => {
            let columns = document.get_mut("columns").and_then(Item::as_array_of_tables_mut);
            let mut columns = columns.into_iter().flat_map(ArrayOfTables::iter_mut);
            let named = |table: &&mut Table| {
                let known = table.get("name").and_then(Item::as_str);
                known.is_some_and(|known| known.eq_ignore_ascii_case(name))
            };
            columns.find(named).ok_or_else(|| Error::not_found("the column is gone"))?
        }
    };
    // A number or a yes stays one: texts are what stood between quotes.
    let is_text = place.get(key).is_none_or(Item::is_str);
    let said = |text: &str| match text.parse::<Value>() {
        Ok(value) if !is_text || matches!(value, Value::Boolean(_) | Value::Integer(_)) => value,
        _ => Value::from(text),
    };
    match text {
        Some(text) => drop(place.insert(key, Item::Value(said(text)))),
        None => drop(place.remove(key)),
    }
    let text = document.to_string();
    schema::parse(&text)?;
    Ok(table.clone().with_schema(Some(Bytes::from(text))))
}

fn document(text: &Bytes) -> Result<DocumentMut> {
    let text = std::str::from_utf8(text).map_err(|_| Error::invalid("the schema is not UTF-8"))?;
    schema::parse(text)?;
    text.parse().map_err(|error: toml_edit::TomlError| {
        Error::invalid("the schema is not TOML").caused_by(error)
    })
}

fn names(text: &Bytes) -> Result<Vec<String>> {
    let text = std::str::from_utf8(text).map_err(|_| Error::invalid("the schema is not UTF-8"))?;
    Ok(schema::parse(text)?.columns.into_iter().map(|column| column.name).collect())
}

/// Whether the result has the columns of theirs.
fn is_theirs(columns: &Columns, theirs: &[String]) -> bool {
    let place = |(at, ((name, sides), theirs)): (usize, (&(String, Sides), &String))| {
        sides.theirs == Some(at) && name == theirs
    };
    columns.kept.len() == theirs.len() && columns.kept.iter().zip(theirs).enumerate().all(place)
}

fn column_at(document: &DocumentMut, at: usize) -> Option<&Table> {
    document.get("columns").and_then(Item::as_array_of_tables)?.get(at)
}

struct Merger<'a> {
    table: &'a TableName,
    conflicts: Vec<Conflict>,
}

impl Merger<'_> {
    /// Writes what theirs changed into `result`, which is ours.
    fn properties(&mut self, result: &mut Table, sides: [&Table; 3], column: Option<&str>) {
        let [base, ours, theirs] = sides;
        let mut keys: Vec<&str> = [base, theirs]
            .into_iter()
            .flat_map(|side| side.iter().map(|(key, _)| key))
            .filter(|key| !STRUCTURE.contains(key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let [base, ours, theirs] = [base, ours, theirs].map(|side| said(side, key));
            if base == theirs || ours == theirs {
                continue;
            }
            if base == ours {
                match sides[2].get(key) {
                    Some(item) => drop(result.insert(key, item.clone())),
                    None => drop(result.remove(key)),
                }
                continue;
            }
            self.conflicts.push(Conflict {
                table: self.table.clone(),
                kind: ConflictKind::Schema,
                key: vec![key.to_owned()],
                column: column.map(str::to_owned),
                base,
                ours,
                theirs,
            });
        }
    }
}

/// What the files of the tables say, or the columns themselves.
const STRUCTURE: [&str; 5] = ["columns", "name", "primary_key", "delimiter", "line_end"];

/// What stands under a key, without the space around it.
fn said(table: &Table, key: &str) -> Option<String> {
    table.get(key).map(|item| match item.as_value() {
        Some(Value::String(text)) => text.value().clone(),
        Some(other) => other.to_string().trim().to_owned(),
        None => item.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Side, origins};
    use super::*;

    fn merge(base: &str, ours: &str, theirs: &str) -> (String, Vec<String>) {
        let name = TableName::new("t").unwrap();
        let texts = [base, ours, theirs].map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let names = texts.each_ref().map(|text| names(text).unwrap());
        let (from_ours, from_theirs) =
            (origins(&names[0], &names[1]), origins(&names[0], &names[2]));
        let ours = Side { names: &names[1], origins: &from_ours };
        let theirs = Side { names: &names[2], origins: &from_theirs };
        let columns = Columns::merge(&names[0], ours, theirs);
        let sides = SchemaSides { base: &texts[0], ours: &texts[1], theirs: &texts[2] };
        let (text, conflicts) = merge_schema(&name, sides, &columns, &|schema| schema).unwrap();
        let disputed = conflicts.iter().map(|conflict| {
            let column = conflict.column.as_deref().unwrap_or("-");
            format!("{column}.{}: {:?} {:?}", conflict.key_text(), conflict.ours, conflict.theirs)
        });
        (String::from_utf8(text.to_vec()).unwrap(), disputed.collect())
    }

    const BASE: &str = "delimiter = \",\"\nline_end = \"lf\"\n\n# The path\n[[columns]]\nname = \"id\"\ntype = \"string\"\n\
        primary_key = true\n\n[[columns]]\nname = \"hits\"\ntype = \"string\"\n";

    #[test]
    fn properties_of_columns_are_merged_and_comments_stay() {
        let ours = BASE.replace("# The path", "# The path of the page");
        let theirs = BASE.replace(
            "name = \"hits\"\ntype = \"string\"",
            "name = \"hits\"\ntype = \"integer\"\nmerge = \"sum\"",
        );
        let (text, disputed) = merge(BASE, &ours, &theirs);
        assert!(
            text.contains("# The path of the page") && text.contains("merge = \"sum\""),
            "{text}"
        );
        assert!(text.contains("\"integer\"") && disputed.is_empty(), "{text}");
        assert_eq!(merge(BASE, &ours, BASE).0, ours);
        assert_eq!(merge(BASE, BASE, &theirs).0, theirs);
    }

    #[test]
    fn a_property_that_both_changed_is_disputed() {
        let ours = BASE
            .replace("name = \"hits\"\ntype = \"string\"", "name = \"hits\"\ntype = \"integer\"");
        let theirs =
            BASE.replace("name = \"hits\"\ntype = \"string\"", "name = \"hits\"\ntype = \"float\"");
        let (text, disputed) = merge(BASE, &ours, &theirs);
        assert!(text.contains("\"integer\""), "{text}");
        assert_eq!(disputed, ["hits.type: Some(\"integer\") Some(\"float\")"]);
    }

    #[test]
    fn columns_of_both_sides_bring_what_was_said_of_them() {
        let add = |name: &str| format!("{BASE}\n[[columns]]\nname = \"{name}\"\ntype = \"date\"\n");
        let (text, disputed) = merge(BASE, &add("one"), &add("two"));
        assert!(disputed.is_empty());
        let names: Vec<String> =
            schema::parse(&text).unwrap().columns.into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["id", "hits", "one", "two"], "{text}");
    }
}
