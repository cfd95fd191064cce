//! Questions in ReedQL and what they are answered, through the library and through the command.

use std::path::Path;
use std::process::Command;

use reedbase::{Database, Value};
use serde_json::Value as Json;

use crate::sessions::rdb;

/// A value as JSON writes it.
pub(crate) fn json(value: &Value) -> Json {
    match value {
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        _ => Json::Null,
    }
}

/// Makes a table of columns and rows in JSON.
fn make_table(database: &Database, name: &str, columns: &Json, rows: &Json) {
    let columns: Vec<_> = columns.as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    let mut text = columns.join(",") + "\n";
    for row in rows.as_array().unwrap() {
        let cells = row.as_array().unwrap().iter().map(|cell| match cell {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        });
        text += &(cells.collect::<Vec<_>>().join(",") + "\n");
    }
    let mut transaction = database.begin().unwrap();
    transaction.create_table(name, &reedbase::csv(text, &[columns[0]]).unwrap()).unwrap();
    transaction.commit().unwrap();
}

/// The rows that the library gives.
fn by_library(database: &Database, query: &str) -> Vec<Vec<Json>> {
    let rows = database.query(query, ()).unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.values().iter().map(|row| row.iter().map(json).collect()).collect()
}

/// The rows that the command prints.
fn by_command(folder: &Path, query: &str) -> Vec<Vec<Json>> {
    let output =
        Command::new(rdb()).args(["--db"]).arg(folder).args(["query", query, "--json"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let cells = |line: &str| -> Vec<Json> {
        let row: serde_json::Map<String, Json> = serde_json::from_str(line).unwrap();
        row.into_iter().map(|(_, value)| value).collect()
    };
    lines.lines().map(cells).collect()
}

/// Whether the rows are those of a case; their order counts if it says so.
fn check(query: &str, mut rows: Vec<Vec<Json>>, expected: &Json, ordered: bool) {
    let mut expected: Vec<Vec<Json>> = serde_json::from_value(expected.clone()).unwrap();
    if !ordered {
        rows.sort_by_key(|row| format!("{row:?}"));
        expected.sort_by_key(|row| format!("{row:?}"));
    }
    assert_eq!(rows, expected, "{query}");
}

#[test]
fn the_queries_of_the_first_seed_are_answered() {
    let cases: Json = serde_json::from_str(include_str!("cases/sql.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = Database::create(&path).unwrap();
    for table in ["users", "orders"] {
        make_table(&database, table, &cases["columns"][table], &cases[table]);
    }
    let queries = cases["queries"].as_array().unwrap();
    assert_eq!(queries.len(), 5);
    for case in queries {
        let query = case["query"].as_str().unwrap();
        check(query, by_library(&database, query), &case["unordered_result"], false);
        check(query, by_command(&path, query), &case["unordered_result"], false);
    }
}
