//! `schema.toml`: what a person reads and changes about a table.

use reedbase_plugin_api::{Column, Error, IndexColumn, IndexSpec, LineEnd, Result, Schema};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table as TomlTable, Value, value};

/// Reads a schema.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) with what is wrong.
pub fn parse(text: &str) -> Result<Schema> {
    let document: DocumentMut = text.parse().map_err(|error| not_toml(text, &error))?;
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
    let dropped = document.get("dropped").and_then(Item::as_bool).unwrap_or(false);
    let indices = document.get("indices").and_then(Item::as_array_of_tables);
    let indices = indices.into_iter().flat_map(ArrayOfTables::iter).map(index);
    let indices = indices.collect::<Result<Vec<_>>>()?;
    Ok(Schema { delimiter, line_end, columns, indices, dropped })
}

fn index(table: &TomlTable) -> Result<IndexSpec> {
    let text = |key: &str| table.get(key).and_then(Item::as_str).map(str::to_owned);
    let flag = |key: &str| table.get(key).and_then(Item::as_bool).unwrap_or(false);
    let name = text("name").ok_or_else(|| Error::invalid("an index has no name"))?;
    let wrong = |what: &str| Error::invalid(format!("the index {name} {what}"));
    let names = |key: &str| -> Result<Vec<String>> {
        let Some(item) = table.get(key) else { return Ok(Vec::new()) };
        let texts = item.as_array().into_iter().flatten();
        let texts: Vec<_> = texts.filter_map(|item| item.as_str().map(str::to_owned)).collect();
        match item.as_array().map(toml_edit::Array::len) == Some(texts.len()) {
            true => Ok(texts),
            false => Err(wrong(&format!("needs a list of names in `{key}`"))),
        }
    };
    let (columns, nocase) = (names("columns")?, names("nocase")?);
    if columns.is_empty() {
        return Err(wrong("names no columns").help("write columns = [\"name\"]"));
    }
    let column = |name: String| {
        let nocase = nocase.iter().any(|known| known.eq_ignore_ascii_case(&name));
        IndexColumn { name, nocase }
    };
    Ok(IndexSpec {
        using: text("using").ok_or_else(|| wrong("does not say its kind in `using`"))?,
        columns: columns.into_iter().map(column).collect(),
        unique: flag("unique"),
        sparse: flag("sparse"),
        name,
    })
}

fn not_toml(text: &str, error: &toml_edit::TomlError) -> Error {
    let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or("").lines().count());
    Error::invalid(format!("the schema is not TOML: {}", error.message()))
        .at_line(line.max(1) as u64)
}

fn column(table: &TomlTable) -> Result<Column> {
    let name = table.get("name").and_then(Item::as_str);
    let name = name.ok_or_else(|| Error::invalid("a column has no name"))?.to_owned();
    let kind = match table.get("type") {
        None => Ok(reedbase_plugin_api::ColumnType::default()),
        Some(item) => item.as_str().unwrap_or_default().parse(),
    };
    let kind = kind.map_err(|error| error.at_column(name.clone()))?;
    let flag = |key: &str| table.get(key).and_then(Item::as_bool).unwrap_or(false);
    let text = |key: &str| match table.get(key).map(|item| item.as_str().map(str::to_owned)) {
        Some(None) => {
            Err(Error::invalid(format!("`{key}` must be a text")).at_column(name.clone()))
        }
        known => Ok(known.flatten()),
    };
    Ok(Column {
        kind,
        primary_key: flag("primary_key"),
        merge: text("merge")?,
        unique: flag("unique"),
        references: text("references")?,
        required: flag("required"),
        hidden: flag("hidden"),
        default: default(table).map_err(|error| error.at_column(name.clone()))?,
        generated: match text("key")? {
            Some(word) => Some(word.parse().map_err(|error: Error| error.at_column(name.clone()))?),
            None => None,
        },
        name: name.clone(),
    })
}

/// The text that a new cell gets: numbers and truth values may stand without quotes.
fn default(table: &TomlTable) -> Result<Option<String>> {
    let Some(item) = table.get("default") else { return Ok(None) };
    let text = match item.as_value() {
        Some(Value::String(text)) => text.value().clone(),
        Some(Value::Integer(number)) => number.value().to_string(),
        Some(Value::Float(number)) => number.value().to_string(),
        Some(Value::Boolean(said)) => said.value().to_string(),
        _ => return Err(Error::invalid("`default` must be a text, a number, true or false")),
    };
    Ok(Some(text))
}

/// Writes a schema.
pub fn to_text(schema: &Schema) -> String {
    let mut document = DocumentMut::new();
    let delimiter = char::from(schema.delimiter).to_string();
    document.insert("delimiter", value(delimiter));
    document.insert("line_end", value(line_end(schema)));
    if schema.dropped {
        document.insert("dropped", value(true));
    }
    let columns: ArrayOfTables = schema.columns.iter().map(column_table).collect();
    document.insert("columns", Item::ArrayOfTables(columns));
    put_indices(&mut document, &schema.indices);
    document.to_string()
}

fn put_indices(document: &mut DocumentMut, indices: &[IndexSpec]) {
    let known = document.remove("indices");
    let known = known.as_ref().and_then(Item::as_array_of_tables);
    let known = |spec: &IndexSpec| {
        let mut tables = known.into_iter().flat_map(ArrayOfTables::iter);
        tables.find(|table| index(table).is_ok_and(|known| known == *spec)).cloned()
    };
    let tables = indices.iter().map(|spec| known(spec).unwrap_or_else(|| index_table(spec)));
    let mut tables: Vec<TomlTable> = tables.collect();
    // They stand behind the columns.
    for (position, table) in (1_000_000..).zip(&mut tables) {
        table.set_position(Some(position));
    }
    if !tables.is_empty() {
        document.insert("indices", Item::ArrayOfTables(tables.into_iter().collect()));
    }
}

fn index_table(spec: &IndexSpec) -> TomlTable {
    let mut table = TomlTable::new();
    table.insert("name", value(&spec.name));
    table.insert("using", value(&spec.using));
    let list = |columns: &mut dyn Iterator<Item = &IndexColumn>| {
        value(columns.map(|column| column.name.as_str()).collect::<toml_edit::Array>())
    };
    table.insert("columns", list(&mut spec.columns.iter()));
    if spec.columns.iter().any(|column| column.nocase) {
        table.insert("nocase", list(&mut spec.columns.iter().filter(|column| column.nocase)));
    }
    for (key, said) in [("unique", spec.unique), ("sparse", spec.sparse)] {
        if said {
            table.insert(key, value(true));
        }
    }
    table
}

/// The text after the table got these indices; what was written about those that stay is kept.
///
/// # Errors
/// Those of [`parse`].
pub fn say_indices(text: &str, indices: &[IndexSpec]) -> Result<String> {
    let mut document: DocumentMut = text.parse().map_err(|error| not_toml(text, &error))?;
    put_indices(&mut document, indices);
    Ok(document.to_string())
}

fn line_end(schema: &Schema) -> &'static str {
    if schema.line_end == LineEnd::CrLf { "crlf" } else { "lf" }
}

fn column_table(column: &Column) -> TomlTable {
    let mut table = TomlTable::new();
    table.insert("name", value(&column.name));
    table.insert("type", value(column.kind.to_string()));
    for (key, said) in [
        ("primary_key", column.primary_key),
        ("unique", column.unique),
        ("required", column.required),
        ("hidden", column.hidden),
    ] {
        if said {
            table.insert(key, value(true));
        }
    }
    let generated = column.generated.map(|rule| rule.word().to_owned());
    for (key, said) in [
        ("merge", &column.merge),
        ("references", &column.references),
        ("default", &column.default),
        ("key", &generated),
    ] {
        if let Some(said) = said {
            table.insert(key, value(said));
        }
    }
    table
}

/// The text after the table was dropped.
///
/// # Errors
/// Those of [`parse`].
pub fn say_dropped(text: &str) -> Result<String> {
    let mut document: DocumentMut = text.parse().map_err(|error| not_toml(text, &error))?;
    document.insert("dropped", value(true));
    Ok(document.to_string())
}

/// Whether a text says that its table was dropped.
pub fn is_dropped(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"dropped").is_some()
        && std::str::from_utf8(text)
            .is_ok_and(|text| parse(text).is_ok_and(|schema| schema.dropped))
}

/// The text after the table became what `schema` says: whatever was written about a column that stays is
/// kept, comments included. `former` gives the name that a renamed column had.
///
/// # Errors
/// Those of [`parse`].
pub fn adapt(
    text: &str,
    schema: &Schema,
    former: &dyn Fn(&str) -> Option<String>,
) -> Result<String> {
    if says_same(&parse(text)?, schema) {
        return Ok(text.to_owned());
    }
    let fresh = to_text(schema);
    let mut document: DocumentMut = text.parse().map_err(|error| not_toml(text, &error))?;
    let known = document.remove("columns");
    let known = known.as_ref().and_then(Item::as_array_of_tables);
    let mut columns = ArrayOfTables::new();
    for (position, column) in (1..).zip(&schema.columns) {
        let name = former(&column.name).unwrap_or_else(|| column.name.clone());
        let mut tables = known.into_iter().flat_map(ArrayOfTables::iter);
        let old = tables.find(|table| is_named(table, &name));
        let mut table = old.cloned().unwrap_or_else(|| column_table(column));
        say(&mut table, "name", &column.name);
        let was_key = table.get("primary_key").and_then(Item::as_bool).unwrap_or(false);
        match (was_key, column.primary_key) {
            (false, true) => drop(table.insert("primary_key", value(true))),
            (true, false) => drop(table.remove("primary_key")),
            _ => {}
        }
        table.set_position(Some(position));
        columns.push(table);
    }
    let delimiter = char::from(schema.delimiter).to_string();
    for (name, said) in [("delimiter", delimiter.as_str()), ("line_end", line_end(schema))] {
        say(document.as_table_mut(), name, said);
    }
    document.insert("columns", Item::ArrayOfTables(columns));
    let text = document.to_string();
    // What people wrote beside columns must not make the schema say something else.
    Ok(if parse(&text)?.columns.len() == schema.columns.len() { text } else { fresh })
}

/// Sets a text; comments around it stay.
fn say(table: &mut TomlTable, name: &str, said: &str) {
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(known) if known.as_str() == Some(said) => {}
        Some(known) => {
            let decor = known.decor().clone();
            *known = said.into();
            *known.decor_mut() = decor;
        }
        None => drop(table.insert(name, value(said))),
    }
}

/// Whether two schemas name the same columns, key and dialect. Types are no matter: those that stand there stay.
fn says_same(one: &Schema, other: &Schema) -> bool {
    let columns = |schema: &Schema| -> Vec<(String, bool)> {
        schema.columns.iter().map(|column| (column.name.clone(), column.primary_key)).collect()
    };
    (one.delimiter, one.line_end) == (other.delimiter, other.line_end)
        && columns(one) == columns(other)
}

fn is_named(table: &TomlTable, name: &str) -> bool {
    let known = table.get("name").and_then(Item::as_str);
    known.is_some_and(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedbase_plugin_api::ColumnType;

    #[test]
    fn a_schema_comes_back() {
        let column = |name: &str, kind, primary_key| Column::new(name, kind).in_key(primary_key);
        let schema = Schema {
            delimiter: b'\t',
            line_end: LineEnd::CrLf,
            columns: vec![
                column("id", ColumnType::Integer, true),
                column("a \"b\"", ColumnType::Json, false),
                Column {
                    merge: Some("newest".into()),
                    unique: true,
                    references: Some("users".into()),
                    required: true,
                    hidden: true,
                    default: Some("7".into()),
                    generated: Some(reedbase_plugin_api::KeyRule::Next),
                    ..column("c", ColumnType::String, false)
                },
            ],
            indices: vec![
                IndexSpec::new("plain", "hash", &["id"]),
                IndexSpec {
                    columns: vec![
                        IndexColumn { name: "c".into(), nocase: true },
                        IndexColumn { name: "id".into(), nocase: false },
                    ],
                    unique: true,
                    sparse: true,
                    ..IndexSpec::new("all", "composite", &[])
                },
            ],
            dropped: true,
        };
        assert_eq!(parse(&to_text(&schema)).unwrap(), schema);
    }

    #[test]
    fn indices_come_and_go_and_comments_stay() {
        let text = "[[columns]] # the key\nname = \"id\"\nprimary_key = true\n\n\
            [[indices]] # for the start page\nname = \"a\"\nusing = \"hash\"\ncolumns = [\"id\"]\n";
        let mut indices = parse(text).unwrap().indices;
        assert_eq!(say_indices(text, &indices).unwrap(), text);
        indices.push(IndexSpec::new("b", "btree", &["id"]));
        let more = say_indices(text, &indices).unwrap();
        assert!(more.starts_with(text), "{more}");
        assert_eq!(parse(&more).unwrap().indices, indices);
        assert_eq!(say_indices(&more, &indices[..1]).unwrap(), text);
        let none = say_indices(text, &[]).unwrap();
        assert!(!none.contains("indices") && none.contains("# the key"), "{none}");
    }

    #[test]
    fn what_people_wrote_about_columns_that_stay_is_kept() {
        let text = "# Our pages\ndelimiter = \",\"\nline_end = \"lf\"\n\n# The path\n[[columns]]\n\
            name = \"id\"\ntype = \"string\" # short\nprimary_key = true\n\n\
            [[columns]]\nname = \"title\"\ntype = \"string\"\nmax_length = 60\n\n\
            [[columns]]\nname = \"hits\"\ntype = \"integer\"\n";
        let mut schema = parse(text).unwrap();
        assert_eq!(adapt(text, &schema, &|_| None).unwrap(), text);
        // `hits` goes, `lang` comes, `title` becomes `heading` and the first column.
        schema.columns.pop();
        schema.columns[1].name = "heading".into();
        schema.columns.swap(0, 1);
        schema.columns.push(Column::new("lang", ColumnType::String));
        schema.delimiter = b';';
        let former = |name: &str| (name == "heading").then(|| "title".to_owned());
        let adapted = adapt(text, &schema, &former).unwrap();
        assert_eq!(parse(&adapted).unwrap(), schema);
        for kept in ["# Our pages", "# The path", "# short", "max_length = 60"] {
            assert!(adapted.contains(kept), "{adapted}");
        }
        assert!(adapted.find("heading") < adapted.find("\"id\""), "{adapted}");
        assert!(!adapted.contains("hits"), "{adapted}");
    }

    #[test]
    fn bad_schemas_say_what_is_wrong() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("x = ").starts_with("line 1: the schema is not TOML"));
        assert_eq!(message(""), "the schema has no [[columns]]");
        assert_eq!(message("delimiter = \"ab\""), "`delimiter` must be one ASCII character");
        assert_eq!(message("[[columns]]\nname = \"a\""), "the schema has no primary key");
        assert_eq!(
            message("[[columns]]\nname = \"a\"\nmerge = 1"),
            "column a: `merge` must be a text"
        );
        let index = |rest: &str| {
            message(&format!("[[columns]]\nname = \"a\"\nprimary_key = true\n[[indices]]\n{rest}"))
        };
        assert_eq!(index(""), "an index has no name");
        assert_eq!(index("name = \"i\""), "the index i names no columns");
        assert_eq!(
            index("name = \"i\"\ncolumns = [1]"),
            "the index i needs a list of names in `columns`"
        );
        assert_eq!(
            index("name = \"i\"\ncolumns = [\"a\"]"),
            "the index i does not say its kind in `using`"
        );
        assert_eq!(
            message("[[columns]]\nname = \"a\"\ntype = \"int\""),
            "column a: `int` is not a type"
        );
    }
}
