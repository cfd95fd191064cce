//! Logic tests, in the format of SQLite's: scripts of our own in `tests/it/logic`, and public ones in the folder that
//! `REEDBASE_LOGIC_TESTS` names, each over both paths. `https://sqlite.org/sqllogictest` has the public ones.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use reedbase::{Database, QueryOptions, QueryPath, Session, Value};
use sqllogictest::{DB, DBOutput, DefaultColumnType, Record, Runner};

use crate::sql::database;

/// Longer answers stand as a hash in the public tests, unless they say otherwise.
const HASHED_MIN: usize = 8;

/// The types that the next answer is written by: SQLite's own runner asks for a value as the type that is expected.
type Types = Arc<Mutex<Vec<DefaultColumnType>>>;

struct Driver {
    session: Session,
    types: Types,
}

#[derive(Debug)]
struct Failed(reedbase::Error);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl DB for Driver {
    type Error = Failed;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failed> {
        let rows = self.session.query(sql, ()).map_err(Failed)?;
        if rows.columns().is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        let mut types = self.types.lock().unwrap().clone();
        types.resize(rows.columns().len(), DefaultColumnType::Text);
        let written = |row: &Vec<Value>| {
            row.iter().zip(&types).map(|(value, kind)| written(value, kind)).collect()
        };
        let rows = rows.values().iter().map(written).collect();
        Ok(DBOutput::Rows { types, rows })
    }

    fn engine_name(&self) -> &str {
        "sqlite"
    }
}

/// A value as SQLite's runner writes it.
fn written(value: &Value, kind: &DefaultColumnType) -> String {
    let text = value.to_string();
    match (value, kind) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Float(value), DefaultColumnType::Integer) => (*value as i64).to_string(),
        (Value::Text(text), DefaultColumnType::Integer) => {
            let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text[..digits].parse::<i64>().unwrap_or_default().to_string()
        }
        (Value::Integer(value), DefaultColumnType::FloatingPoint) => format!("{value}.000"),
        (Value::Float(value), DefaultColumnType::FloatingPoint) => format!("{value:.3}"),
        _ if text.is_empty() => "(empty)".to_owned(),
        _ => text,
    }
}

/// The text as the crate reads it: it knows no `halt` for some engines, no comment behind the name of one, and no statement
/// without a word before it.
fn readable(text: &str) -> String {
    let said = |line: &'_ str| line.starts_with("onlyif") || line.starts_with("skipif");
    let plain =
        |line| if said(line) { line.split('#').next().unwrap_or(line).trim_end() } else { line };
    let lines: Vec<&str> = text.lines().map(plain).collect();
    let mut made = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        let of_an_engine = said(line);
        match of_an_engine && next.trim() == "halt" {
            true => {
                assert!(!line.starts_with("onlyif sqlite"), "it says nothing to us");
                at += 2;
            }
            false => {
                made += &format!("{line}\n");
                if of_an_engine && next.starts_with("DROP") {
                    made += "statement ok\n";
                }
                at += 1;
            }
        }
    }
    made
}

/// Runs a script; gives how many records there were.
fn run(path: &Path, by: QueryPath, hashed: usize, database: &Database) -> usize {
    let types = Types::default();
    let mut session = database.session().unwrap();
    let mut options = QueryOptions::default();
    options.path = by;
    session.set_options(&options);
    let driver = Mutex::new(Some(Driver { session, types: Arc::clone(&types) }));
    let mut runner = Runner::new(|| {
        let driver = driver.lock().unwrap().take();
        async { Ok(driver.expect("one connection is made")) }
    });
    runner.with_hash_threshold(hashed);
    // One value on a line.
    runner.with_validator(|normalizer, actual, expected| {
        let actual = actual.iter().flatten().map(normalizer);
        actual.eq(expected.iter().map(normalizer))
    });
    let text = readable(&std::fs::read_to_string(path).unwrap());
    let records = sqllogictest::parse::<DefaultColumnType>(&text).unwrap();
    let mut count = 0;
    for record in records {
        if let Record::Query {
            expected: sqllogictest::QueryExpect::Results { types: of, .. },
            ..
        } = &record
        {
            types.lock().unwrap().clone_from(of);
        }
        if let Record::Query { .. } | Record::Statement { .. } = &record {
            count += 1;
        }
        runner.run(record).unwrap_or_else(|error| panic!("{} ({by:?}): {error}", path.display()));
    }
    count
}

fn scripts(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == end));
    paths.sort();
    paths
}

const PATHS: [QueryPath; 3] = [QueryPath::Direct, QueryPath::Mirror, QueryPath::Auto];

fn run_all(folder: &Path, end: &str, hashed: usize) -> usize {
    let mut count = 0;
    for path in scripts(folder, end) {
        for by in PATHS {
            let (_folder, database) = database();
            count += run(&path, by, hashed, &database);
        }
    }
    count
}

#[test]
fn scripts_of_our_own_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/logic");
    assert!(run_all(&folder, "slt", 0) > 100);
}

#[test]
fn public_scripts_hold() {
    let Some(folder) = std::env::var_os("REEDBASE_LOGIC_TESTS") else {
        eprintln!("skipped: REEDBASE_LOGIC_TESTS names no folder with SQLite's logic tests");
        return;
    };
    let count = run_all(Path::new(&folder), "test", HASHED_MIN);
    assert!(count > 0, "there are no .test files");
    eprintln!("{count} records of public logic tests hold");
}
