//! `schema.toml`: what a person reads and changes about a table.

use reedbase_plugin_api::{Column, Error, LineEnd, Result, Schema};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table as TomlTable, value};

/// Reads a schema.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) with what is wrong.
pub fn parse(text: &str) -> Result<Schema> {
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let line =
            error.span().map_or(0, |span| text.get(..span.start).unwrap_or("").lines().count());
        Error::invalid(format!("the schema is not TOML: {}", error.message()))
            .at_line(line.max(1) as u64)
    })?;
    let delimiter = match document.get("delimiter").and_then(Item::as_str).map(str::as_bytes) {
        None => b'|',
        Some([byte]) if byte.is_ascii() && !b"\"\r\n".contains(byte) => *byte,
        Some(_) => return Err(Error::invalid("`delimiter` must be one ASCII character")),
    };
    let line_end = match document.get("line_end").and_then(Item::as_str) {
        None | Some("lf") => LineEnd::Lf,
        Some("crlf") => LineEnd::CrLf,
        Some(_) => return Err(Error::invalid("`line_end` must be \"lf\" or \"crlf\"")),
    };
    let columns = document.get("columns").and_then(Item::as_array_of_tables);
    let columns = columns.ok_or_else(|| Error::invalid("the schema has no [[columns]]"))?;
    let columns = columns.iter().map(column).collect::<Result<Vec<_>>>()?;
    if !columns.iter().any(|column| column.primary_key) {
        return Err(Error::invalid("the schema has no primary key")
            .help("write `primary_key = true` under at least one column"));
    }
    Ok(Schema { delimiter, line_end, columns })
}

fn column(table: &TomlTable) -> Result<Column> {
    let name = table.get("name").and_then(Item::as_str);
    let name = name.ok_or_else(|| Error::invalid("a column has no name"))?.to_owned();
    let kind = match table.get("type") {
        None => Ok(reedbase_plugin_api::ColumnType::default()),
        Some(item) => item.as_str().unwrap_or_default().parse(),
    };
    let kind = kind.map_err(|error| error.at_column(name.clone()))?;
    let primary_key = table.get("primary_key").and_then(Item::as_bool).unwrap_or(false);
    Ok(Column { name, kind, primary_key })
}

/// Writes a schema.
pub fn to_text(schema: &Schema) -> String {
    let mut document = DocumentMut::new();
    let delimiter = char::from(schema.delimiter).to_string();
    document.insert("delimiter", value(delimiter));
    document
        .insert("line_end", value(if schema.line_end == LineEnd::CrLf { "crlf" } else { "lf" }));
    let mut columns = ArrayOfTables::new();
    for column in &schema.columns {
        let mut table = TomlTable::new();
        table.insert("name", value(&column.name));
        table.insert("type", value(column.kind.to_string()));
        if column.primary_key {
            table.insert("primary_key", value(true));
        }
        columns.push(table);
    }
    document.insert("columns", Item::ArrayOfTables(columns));
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedbase_plugin_api::ColumnType;

    #[test]
    fn a_schema_comes_back() {
        let column =
            |name: &str, kind, primary_key| Column { name: name.into(), kind, primary_key };
        let schema = Schema {
            delimiter: b'\t',
            line_end: LineEnd::CrLf,
            columns: vec![
                column("id", ColumnType::Integer, true),
                column("a \"b\"", ColumnType::Json, false),
            ],
        };
        assert_eq!(parse(&to_text(&schema)).unwrap(), schema);
    }

    #[test]
    fn bad_schemas_say_what_is_wrong() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert!(message("x = ").starts_with("line 1: the schema is not TOML"));
        assert_eq!(message(""), "the schema has no [[columns]]");
        assert_eq!(message("delimiter = \"ab\""), "`delimiter` must be one ASCII character");
        assert_eq!(message("[[columns]]\nname = \"a\""), "the schema has no primary key");
        assert_eq!(
            message("[[columns]]\nname = \"a\"\ntype = \"int\""),
            "column a: `int` is not a type"
        );
    }
}
