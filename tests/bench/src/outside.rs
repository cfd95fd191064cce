//! Outside edits: adopting one of a large table, and looking whether there is any.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reedbase::clock::{Clock, SystemClock};
use reedbase::{Adopt, Checkpoints, Database, OpenOptions, Timestamp};

use crate::Settings;
use crate::commit::database;
use crate::data;
use crate::measure::{median_s, time};
use crate::report::Report;

/// A clock that is an hour ahead: a person adopts what was saved a while ago, and a file must have held still for a
/// second.
#[derive(Debug)]
pub struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.now().as_micros() + 3_600_000_000)
    }
}

/// Opens a database as a command does, an hour ahead.
pub fn open_ahead(path: &Path) -> Database {
    let options = OpenOptions::new().create(true).clock(Arc::new(Ahead));
    options.checkpoints(Checkpoints::Eager).open(path).expect("open")
}

/// Adopts whatever was edited, as one frame.
pub fn adopt(database: &Database) {
    let tables = database.edited_outside().expect("a look");
    let edits = tables.iter().filter_map(|name| database.outside_edit(name.as_str()).transpose());
    let edits = edits.collect::<reedbase::Result<Vec<_>>>().expect("the edits");
    database.adopt(edits, &Adopt::new()).expect("adopted");
}

/// A thousand rows of the large table edited, from opening the database to the frame.
pub fn edits(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    let rows = settings.large();
    drop(database(&path, rows));
    let file = path.join("tables/t/current.csv");
    let mut took = Vec::new();
    for round in 0..settings.rounds(5) {
        let mut text = String::from(data::HEADER);
        for id in 0..rows {
            let row = data::row(id);
            let edited = id % (rows / 1000) == 0;
            let row = if edited { row.replace("Title", &format!("Edit {round} of")) } else { row };
            text.push_str(&row);
            text.push('\n');
        }
        std::fs::write(&file, &text).expect("saved");
        took.push(time(|| adopt(&open_ahead(&path))).0);
        let database = open_ahead(&path);
        assert!(database.edited_outside().expect("a look").is_empty());
        let diff = database.snapshot().expect("a snapshot");
        let frames = database.frames().expect("frames");
        let before = diff.frame().previous();
        assert_eq!(diff.diff("t", before, diff.frame()).expect("a diff").rows.len(), 1000);
        assert_eq!(frames.last().expect("a frame").tables.len(), 1);
    }
    let seconds = median_s(&mut took);
    report.at_most("adopting 1,000 edited rows", "s", seconds, &[], &[("", Some(1.5))]);
}

/// How a database of many tables stands, from opening it.
pub fn status(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    let tables = if settings.quick { 50 } else { 1000 };
    let database = open_ahead(&path);
    let mut transaction = database.begin().expect("begin");
    for number in 0..tables {
        let table = reedbase::csv(data::csv(50), &["id"]).expect("a table");
        transaction.create_table(&format!("t{number}"), &table).expect("create");
    }
    transaction.commit().expect("commit");
    database.checkpoint(&[]).expect("checkpoint");
    drop(database);
    let (mut with_open, mut alone): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds(20) {
        let start = std::time::Instant::now();
        let database = Database::open(&path).expect("open");
        let (took, status) = time(|| database.status().expect("status"));
        assert_eq!(status.tables.len(), tables);
        assert!(!status.tables.iter().any(|table| table.edited_outside));
        alone.push(took);
        with_open.push(start.elapsed());
    }
    report.at_most(
        &format!("status of {tables} tables, opening included"),
        "ms",
        median_s(&mut with_open) * 1000.0,
        &[("open already", Some(median_s(&mut alone) * 1000.0))],
        &[("", Some(50.0))],
    );
}
