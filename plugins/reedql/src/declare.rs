//! How the tables of the database are declared to SQLite.

use reedbase_plugin_api::Schema;

use crate::cell::declaration;

/// A name, quoted.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `CREATE TABLE` with the columns of a table.
pub(crate) fn declare(schema: &Schema) -> String {
    let columns = schema.columns.iter();
    let columns: Vec<_> = columns
        .map(|column| {
            let hidden = if column.hidden { " HIDDEN" } else { "" };
            format!("{} {}{hidden}", quoted(&column.name), declaration(column.kind))
        })
        .collect();
    format!("CREATE TABLE x ({})", columns.join(", "))
}
