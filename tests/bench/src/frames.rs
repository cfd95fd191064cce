//! Frames: over many tables, and found by time among many.

use std::sync::Arc;
use std::time::Duration;

use reedbase::{Database, Timestamp};

use crate::Settings;
use crate::data;
use crate::measure::{median_us, time};
use crate::report::Report;

/// Twenty rows in each of fifty tables as one frame, in turn with one row of one table.
pub fn wide(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let database = Database::create(folder.path().join("db")).expect("create");
    let mut transaction = database.begin().expect("begin");
    let table = reedbase::csv(data::csv(settings.middle() / 50), &["id"]).expect("a table");
    for number in 0..50 {
        transaction.create_table(&format!("t{number}"), &table).expect("create");
    }
    transaction.commit().expect("commit");
    database.checkpoint(&[]).expect("checkpoint");
    let (mut many, mut one) = (Vec::new(), Vec::new());
    for round in 0..settings.rounds(200) {
        many.push(commit(&database, 50, 20, round));
        one.push(commit(&database, 1, 1, round));
    }
    let one = median_us(&mut one);
    report.at_most(
        "a frame over 50 tables × 20 rows, p50",
        "µs",
        median_us(&mut many),
        &[("one row of one table", Some(one))],
        &[("2 × one row", Some(2.0 * one))],
    );
}

/// The time from the end of the edits to the frame.
fn commit(database: &Database, tables: usize, rows: i64, round: usize) -> Duration {
    let mut transaction = database.begin().expect("begin");
    for number in 0..tables {
        for row in 0..rows {
            let key = (round as i64 * 7 + row * 13) % 30;
            let views = format!("{tables}{round}{row}");
            transaction.update(&format!("t{number}"), key, [("views", views)]).expect("update");
        }
    }
    time(|| transaction.commit().expect("commit")).0
}

/// Many new rows as one frame: its cost grows with their number, and no faster.
pub fn long(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let insert = |rows: u64| {
        let path = folder.path().join(format!("{rows}"));
        let database = Database::create(&path).expect("create");
        let mut transaction = database.begin().expect("begin");
        let table = reedbase::csv(data::csv(1), &["id"]).expect("a table");
        transaction.create_table("t", &table).expect("create");
        transaction.commit().expect("commit");
        let mut transaction = database.begin().expect("begin");
        for id in 1..=rows {
            let cells = [("id", id.to_string()), ("title", format!("Title {id} of a page"))];
            transaction.insert("t", cells).expect("insert");
        }
        let took = time(|| transaction.commit().expect("commit")).0;
        std::fs::remove_dir_all(&path).expect("removed");
        took
    };
    let rows = settings.middle() / 5;
    let (mut many, mut few): (Vec<_>, Vec<_>) =
        (0..settings.rounds(20)).map(|_| (insert(rows), insert(rows / 4))).unzip();
    let (many, few) = (median_us(&mut many) / 1000.0, median_us(&mut few) / 1000.0);
    report.at_most(
        &format!("a frame of {rows} new rows, p50"),
        "ms",
        many,
        &[("a quarter of them", Some(few))],
        &[("6 × a quarter of them", Some(6.0 * few))],
    );
}

/// The frame at an instant, among 100,000.
pub fn lookup(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    let frames = if settings.quick { 2_000 } else { 100_000 };
    let database = Arc::new(Database::create(&path).expect("create"));
    let mut transaction = database.begin().expect("begin");
    let table = reedbase::csv(data::csv(100), &["id"]).expect("a table");
    transaction.create_table("t", &table).expect("create");
    transaction.commit().expect("commit");
    std::thread::scope(|scope| {
        for thread in 0..16_i64 {
            let database = Arc::clone(&database);
            scope.spawn(move || {
                for round in 0..frames / 16 {
                    let mut transaction = database.begin().expect("begin");
                    transaction.update("t", thread, [("views", round)]).expect("update");
                    transaction.commit().expect("commit");
                }
            });
        }
    });
    database.checkpoint(&[]).expect("checkpoint");
    let all = database.frames().expect("frames");
    let (first, last) = (all[0].timestamp.as_micros(), all[all.len() - 1].timestamp.as_micros());
    drop(database);
    let database = Database::open(&path).expect("open");
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for round in 0..settings.rounds(200) as i64 {
        let at = first + (last - first) * ((round * 37) % 100) / 100;
        let text = jiff::Timestamp::from_microsecond(at).expect("an instant").to_string();
        let (took, frame) = time(|| database.frame_at(&text).expect("a frame"));
        assert!(frame.timestamp <= Timestamp::from_micros(at));
        if round == 0 { cold.push(took) } else { warm.push(took) }
    }
    report.at_most(
        &format!("the frame at an instant, among {}", all.len()),
        "ms",
        median_us(&mut warm) / 1000.0,
        &[("the first time", Some(median_us(&mut cold) / 1000.0))],
        &[("", Some(1.0))],
    );
}
