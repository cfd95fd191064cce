//! What tests of ReedQL have in common.

use reedbase::{Database, Session, Value};

/// An empty database.
pub(crate) fn database() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join("db")).unwrap();
    (folder, database)
}

/// The rows of an answer as one text: values with `|` between, rows with `;`.
pub(crate) fn asked(session: &mut Session, text: &str) -> String {
    let rows = session.query(text, ()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let row = |row: &Vec<Value>| row.iter().map(Value::to_string).collect::<Vec<_>>().join("|");
    rows.values().iter().map(row).collect::<Vec<_>>().join(";")
}

/// Runs statements.
pub(crate) fn done(session: &mut Session, text: &str) {
    session.execute(text, ()).unwrap_or_else(|error| panic!("{text}: {error}"));
}
