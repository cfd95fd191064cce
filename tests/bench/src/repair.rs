//! Making a lost table anew, and removing history.

use std::sync::Arc;

use reedbase::repair::repair;
use reedbase::storage::{FileSystem, Storage};
use reedbase::{Compact, Database, Keep, Limits};

use crate::Settings;
use crate::commit::{database, update};
use crate::measure::{median_s, time};
use crate::report::Report;

/// How many versions a table has, the first left out.
const VERSIONS: u64 = 1000;

/// A large table over frames of one row each, checkpointed a few at a time.
fn versions(settings: &Settings, path: &std::path::Path) -> Database {
    let rows = settings.large();
    let database = database(path, rows);
    for frame in 0..VERSIONS {
        update(&database, frame * 7919 % rows, frame);
    }
    database.checkpoint(&[]).expect("checkpoint");
    database
}

/// `current.csv` is gone.
pub fn lost_table(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    drop(versions(settings, &path));
    let file = path.join("tables/t/current.csv");
    let whole = std::fs::read(&file).expect("the table is there");
    let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(&path));
    let mut took = Vec::new();
    for _ in 0..settings.rounds(3) {
        std::fs::remove_file(&file).expect("the table can be removed");
        let (seconds, done) = time(|| repair(&storage, Limits::default()).expect("repaired"));
        assert!(done.lost.is_empty(), "{done:?}");
        assert!(std::fs::read(&file).expect("the table is back") == whole);
        took.push(seconds);
    }
    let seconds = median_s(&mut took);
    report.at_most(
        "repair of a lost table over 1,000 versions",
        "s",
        seconds,
        &[],
        &[("", Some(5.0))],
    );
}

/// All but the newest 32 versions are removed.
pub fn compact(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let database = versions(settings, &folder.path().join("db"));
    let how = Compact::keep(Keep::Versions(32)).young(true);
    let (took, done) = time(|| database.compact(&[], &how).expect("compacted"));
    assert_eq!(done.tables.len(), 1);
    let seconds = took.as_secs_f64();
    report.figure("compact to 32 versions, of 1,001", "s", seconds, &[]);
}
