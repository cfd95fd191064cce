//! Databases of older formats, written by the versions of ReedBase that had them, beside what those said of them. They
//! stay for ever.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reedbase::storage::{MemoryStorage, Storage};
use reedbase::verify::verify;
use reedbase::{Checkpoints, Database, Limits, OpenOptions};

fn folder(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/fixtures").join(format)
}

/// The files of a folder, by their paths below it.
fn files(folder: &Path, below: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = Path::new(below).join(entry.file_name()).to_str().unwrap().to_owned();
        match entry.file_type().unwrap().is_dir() {
            true => files(folder, &path, found),
            false => drop(found.insert(path, std::fs::read(entry.path()).unwrap())),
        }
    }
}

fn open(storage: &MemoryStorage) -> Database {
    let options = OpenOptions::new().limits(Limits::tiny()).user("cem");
    options.storage(Arc::new(storage.clone())).checkpoints(Checkpoints::Inline).open("").unwrap()
}

/// Frames, versions and lives of rows, as the program wrote them down that made the fixture.
fn said(database: &Database, until: i64) -> String {
    let mut said = String::new();
    for frame in database.frames().unwrap() {
        if frame.timestamp.as_micros() <= until {
            let tables = &frame.tables;
            let (user, name) = (&frame.user, &frame.name);
            writeln!(said, "frame {} {user} {name:?} {tables:?}", frame.timestamp).unwrap();
        }
    }
    let snapshot = database.snapshot().unwrap();
    for table in ["t", "u"] {
        for version in snapshot.versions(table).unwrap() {
            if version.timestamp.as_micros() <= until {
                let text = snapshot.table_at(table, version.timestamp).unwrap().to_bytes().unwrap();
                let (text, action) = (String::from_utf8_lossy(&text), version.action);
                let (at, base) = (version.timestamp, version.base);
                writeln!(said, "{table} at {at} from {base} {action:?} {text:?}").unwrap();
            }
        }
        for key in ["0", "5", "9", "a", "b"] {
            for moment in snapshot.history(table, key).unwrap() {
                if moment.timestamp.as_micros() <= until {
                    let (at, row) = (moment.timestamp, &moment.row);
                    writeln!(said, "{table} {key} {at} {row:?}").unwrap();
                }
            }
        }
    }
    said
}

/// Marks without rows and schema, frames packed without their wall clocks, no registry/mark: from before outside edits
/// were adopted.
#[test]
fn format_1_says_what_it_said() {
    let folder = folder("format-1");
    let mut content = BTreeMap::new();
    files(&folder.join("files"), "", &mut content);
    assert!(content["tables/t/mark"].starts_with(b"mark|1\n"));
    assert!(!content.contains_key("registry/mark"));
    assert_eq!(content["frames/1000000-7000000.pack"][8..10], [1, 0]);
    let storage = MemoryStorage::from_files(content);
    let wanted = std::fs::read_to_string(folder.join("said.txt")).unwrap();
    let last = 12_000_001;
    let all_well = |context: &str| {
        let storage: Arc<dyn Storage> = Arc::new(storage.clone());
        let found = verify(&storage).unwrap().findings;
        assert!(found.is_empty(), "{context}: {found:?}");
    };
    all_well("as it was");
    let database = open(&storage);
    assert_eq!(said(&database, last), wanted);
    assert!(database.edited_outside().unwrap().is_empty());
    assert!(database.edited_settings().unwrap().is_empty());
    // What is written now goes beside it, and it still says the same.
    for step in 0..12 {
        let mut transaction = database.begin().unwrap();
        transaction.update("t", 5_i64, [("x", format!("new {step}"))]).unwrap();
        transaction.update("u", "a", [("v", format!("new {step}"))]).unwrap();
        transaction.commit().unwrap();
        if step % 4 == 3 {
            database.checkpoint(&[]).unwrap();
        }
        assert_eq!(said(&database, last), wanted, "step {step}");
    }
    database.pack("t").unwrap();
    database.pack("u").unwrap();
    all_well("packed");
    assert_eq!(said(&open(&storage), last), wanted);
    assert!(storage.files()["tables/t/mark"].starts_with(b"mark|2\n"));
}
