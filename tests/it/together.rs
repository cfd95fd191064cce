//! All that can be done to a database, at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reedbase::storage::{FileSystem, Storage};
use reedbase::verify::verify;
use reedbase::{
    Adopt, Checkpoints, Compact, Database, ErrorKind, Keep, Limits, OnConflict, OpenOptions,
    Snapshot,
};

use crate::random::Random;

fn open(path: &Path) -> Database {
    // A handle of its own, as another process has it.
    let options = OpenOptions::new().limits(Limits::tiny()).checkpoints(Checkpoints::Inline);
    options.open(path).unwrap()
}

fn span() -> Duration {
    let seconds = std::env::var("REEDBASE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

fn keys(snapshot: &Snapshot, table: &str) -> BTreeSet<String> {
    let rows = snapshot.rows(table).unwrap();
    rows.map(|row| row.unwrap().get("id").unwrap().into_owned()).collect()
}

/// Two handles write, two write files and pack and shorten history, two adopt what an editor saves, and readers read: what was
/// acknowledged is there, a frame is seen whole or not at all, and a snapshot that is held shows what it showed.
/// `REEDBASE_SECONDS` sets for how long.
#[test]
fn everything_can_be_done_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = Database::create(&path).unwrap();
    let mut transaction = database.begin().unwrap();
    for table in ["one", "two", "edited"] {
        let new = reedbase::csv("id,x\nstart,\n", &["id"]).unwrap();
        transaction.create_table(table, &new).unwrap();
    }
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    let held = database.snapshot().unwrap();
    let before: Vec<_> = ["one", "two", "edited"].map(|table| keys(&held, table)).to_vec();
    let (done, committed, saved) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (adopted, kept, read) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (done, path) = (&done, &path);
        let go_on = move || !done.load(Ordering::Relaxed);
        for writer in 0..2 {
            let committed = &committed;
            scope.spawn(move || {
                let database = open(path);
                for number in (0_u64..).take_while(|_| go_on()) {
                    let mut transaction = database.begin().unwrap();
                    let key = format!("{writer}-{number}");
                    for table in ["one", "two"] {
                        transaction.insert(table, [("id", key.as_str()), ("x", "-")]).unwrap();
                    }
                    transaction.commit().unwrap();
                    committed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for keeper in 0..2 {
            let kept = &kept;
            scope.spawn(move || {
                let (database, mut random) = (open(path), Random(keeper));
                while go_on() {
                    let table = ["one", "two", "edited"][random.below(3) as usize];
                    match random.below(4) {
                        0 => drop(database.checkpoint(&[]).unwrap()),
                        1 => drop(database.pack(table).unwrap()),
                        _ => {
                            let keep = Keep::Versions(3 + random.below(60));
                            let how = Compact::keep(keep).young(true);
                            let report = database.compact(&[table], &how).unwrap();
                            kept.fetch_add(report.tables.len() as u64, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        let saved = &saved;
        scope.spawn(move || {
            let file = path.join("tables/edited/current.csv");
            while go_on() {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                let number = saved.load(Ordering::Relaxed);
                let aside = path.with_extension("saved");
                #[expect(clippy::disallowed_methods, reason = "an editor does so")]
                std::fs::write(&aside, format!("{text}saved-{number},\n")).unwrap();
                std::fs::rename(&aside, &file).unwrap();
                saved.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1_300));
            }
        });
        for _ in 0..2 {
            let adopted = &adopted;
            scope.spawn(move || {
                let database = open(path);
                while go_on() {
                    match adopt(&database) {
                        Ok(frames) => adopted.fetch_add(frames, Ordering::Relaxed),
                        Err(error) => {
                            // Somebody saved it just now, or the other was faster.
                            let may =
                                [ErrorKind::Busy, ErrorKind::Conflict, ErrorKind::OutsideEdit];
                            assert!(may.contains(&error.kind()), "{error:?}");
                            0
                        }
                    };
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
        let read = &read;
        scope.spawn(move || {
            let database = open(path);
            while go_on() {
                let snapshot = database.snapshot().unwrap();
                let (one, two) = (keys(&snapshot, "one"), keys(&snapshot, "two"));
                assert_eq!(one, two, "a frame is seen in part");
                read.fetch_add(1, Ordering::Relaxed);
            }
        });
        let start = Instant::now();
        while start.elapsed() < span() {
            std::thread::sleep(Duration::from_millis(20));
            for (table, before) in ["one", "two", "edited"].iter().zip(&before) {
                assert_eq!(keys(&held, table), *before, "a snapshot that is held changed");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let counted = [&committed, &adopted, &kept, &read].map(|count| count.load(Ordering::Relaxed));
    assert!(counted.iter().all(|count| *count > 0), "{counted:?}");
    check(&path, committed.load(Ordering::Relaxed), saved.load(Ordering::Relaxed));
}

fn adopt(database: &Database) -> reedbase::Result<u64> {
    let Some(edit) = database.outside_edit("edited")? else { return Ok(0) };
    let how = Adopt::new().on_conflict(OnConflict::Park);
    Ok(u64::from(database.adopt(vec![edit], &how)?.frame.is_some()))
}

/// Every row that was committed is there, and every one that was saved; and all fits together.
fn check(path: &Path, committed: u64, saved: u64) {
    let database = open(path);
    std::thread::sleep(Duration::from_millis(1_100));
    adopt(&database).unwrap();
    database.checkpoint(&[]).unwrap();
    let snapshot = database.snapshot().unwrap();
    for table in ["one", "two"] {
        assert_eq!(keys(&snapshot, table).len() as u64, 1 + committed, "{table}");
    }
    let there = keys(&snapshot, "edited");
    let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(path));
    let beside = storage.list("tables/edited").unwrap();
    let beside = beside.iter().filter(|name| name.contains(".edited-"));
    let beside: String = beside
        .map(|name| storage.read(&format!("tables/edited/{name}")).unwrap().unwrap())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    for number in 0..saved {
        let row = format!("saved-{number}");
        assert!(there.contains(&row) || beside.contains(&row), "{row} is lost");
    }
    let report = verify(&storage).unwrap();
    assert!(!report.is_damaged(), "{:#?}", report.findings);
}
