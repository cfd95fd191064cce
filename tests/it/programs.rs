use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase::storage::MemoryStorage;
use reedbase::{
    Action, Database, Error, ErrorKind, Frame, FrameId, FrameStatus, OpenOptions, Timestamp,
};

fn open(storage: &MemoryStorage) -> Database {
    OpenOptions::new().create(true).user("ann").storage(Arc::new(storage.clone())).open("").unwrap()
}

fn cell(database: &Database) -> String {
    let row = database.snapshot().unwrap().get("t", 1_i64).unwrap().unwrap();
    row.get("x").unwrap().into_owned()
}

/// A database, and a frame that a program works on.
fn at_work(storage: &MemoryStorage) -> (Database, Frame) {
    let database = open(storage);
    let mut transaction = database.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,x\n1,a\n2,b\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    let mut frame = Frame::begin(&database, "migration").unwrap();
    frame.update("t", 1_i64, [("x", "half")]).unwrap();
    frame.log_operation("rows changed", Some("t")).unwrap();
    (database, frame)
}

/// The files as another machine, or the same one after a crash, finds them: nobody holds a lock.
fn left_behind(files: BTreeMap<String, Vec<u8>>) -> MemoryStorage {
    MemoryStorage::from_files(files)
}

#[test]
fn a_frame_whose_program_died_is_told_once_and_never_visible() {
    let storage = MemoryStorage::new();
    let (_database, frame) = at_work(&storage);
    let id = frame.id();
    // While the program lives, nobody takes its frame for crashed.
    let other = open(&storage);
    assert!(other.notices().is_empty(), "{:?}", other.notices());
    assert_eq!(other.uncommitted_frames().unwrap().len(), 1);
    let storage = left_behind(storage.files());
    let database = open(&storage);
    let told = database.notices().join("\n");
    assert!(told.contains("migration") && told.contains("its program died"), "{told}");
    assert_eq!(cell(&database), "a");
    let entries = database.frame_entries().unwrap();
    let entry = entries.iter().find(|entry| entry.info.id() == id).unwrap();
    assert_eq!(entry.status, FrameStatus::Crashed);
    assert!(storage.files().contains_key(&format!("frames/{id}.crashed")));
    let log = String::from_utf8(storage.files()["frames/frame.log"].clone()).unwrap();
    assert!(log.lines().nth(1).unwrap().contains(&format!("|crashed|{id}|migration|")), "{log}");
    assert!(open(&storage).notices().is_empty(), "it was told already");
    let cleaned = database.clean_up_frames().unwrap();
    assert_eq!(cleaned.frames.len(), 1);
    assert!(!storage.files().keys().any(|path| path.contains(&id.to_string())));
}

/// The program died when its frame was committed already, and its file not yet removed.
#[test]
fn a_committed_frame_is_not_taken_for_crashed() {
    let storage = MemoryStorage::new();
    let (database, frame) = at_work(&storage);
    let path = format!("frames/{}.open", frame.id());
    let left = storage.files()[&path].clone();
    frame.commit().unwrap();
    drop(database);
    let mut files = storage.files();
    files.insert(path.clone(), left);
    let storage = left_behind(files);
    let database = open(&storage);
    assert!(database.notices().is_empty(), "{:?}", database.notices());
    assert_eq!(cell(&database), "half");
    assert!(!storage.files().contains_key(&path));
}

/// A frame that is rolled back, or forgotten, leaves nothing, and nobody is told that it crashed.
#[test]
fn a_frame_that_is_rolled_back_leaves_nothing() {
    for forgotten in [false, true] {
        let storage = MemoryStorage::new();
        let (database, frame) = at_work(&storage);
        let path = format!("frames/{}.open", frame.id());
        assert!(storage.files().contains_key(&path));
        match forgotten {
            true => drop(frame),
            false => frame.roll_back().unwrap(),
        }
        assert!(!storage.files().contains_key(&path));
        assert_eq!(cell(&database), "a");
        assert_eq!(database.frames().unwrap().len(), 1);
        assert!(open(&storage).notices().is_empty());
    }
}

/// What is older than `frame.retention.days` is archived, and its snapshot is removed.
#[test]
fn old_frames_are_archived_and_lose_their_snapshot() {
    let storage = MemoryStorage::new();
    let (database, frame) = at_work(&storage);
    let committed = frame.commit().unwrap().commit.frame.unwrap();
    database.checkpoint(&[]).unwrap();
    let path = format!("frames/{}.snapshot.csv", committed.timestamp);
    assert!(storage.files().contains_key(&path));
    let statuses = |database: &Database| {
        let entries = database.frame_entries().unwrap();
        entries.iter().map(|entry| entry.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&database), [FrameStatus::Committed; 2]);
    assert_eq!(database.clean_up_frames().unwrap().snapshots, 0);
    assert!(storage.files().contains_key(&path));
    database.set_setting("frame.retention.days", "0").unwrap();
    drop(database);
    let database = open(&storage);
    assert_eq!(statuses(&database), [FrameStatus::Archived; 2]);
    assert_eq!(database.clean_up_frames().unwrap().snapshots, 1);
    assert!(!storage.files().contains_key(&path));
    assert_eq!(cell(&database), "half", "the frame itself stays");
}

/// Rows that were only updated are put back without making the table of then: each version is what it was, byte for byte,
/// also where the sizes tell nothing.
#[test]
fn every_version_of_updated_rows_comes_back() {
    let storage = MemoryStorage::new();
    let database = open(&storage);
    let mut transaction = database.begin().unwrap();
    let rows: String = (0..9).map(|row| format!("{row},00\n")).collect();
    let table = reedbase::csv(format!("id,x\n{rows}"), &["id"]).unwrap();
    transaction.create_table("t", &table).unwrap();
    transaction.commit().unwrap();
    let whole = |database: &Database| {
        let snapshot = database.snapshot().unwrap();
        let bytes = snapshot.table("t").unwrap().to_bytes().unwrap();
        (snapshot.frame(), bytes)
    };
    let mut versions = vec![whole(&database)];
    for step in 0..20_i64 {
        let mut transaction = database.begin().unwrap();
        for row in 0..=step % 3 {
            let key = (step * 5 + row * 2) % 9;
            transaction.update("t", key, [("x", format!("{:02}", step + 1))]).unwrap();
        }
        transaction.commit().unwrap();
        versions.push(whole(&database));
        if step % 6 == 5 {
            database.checkpoint(&[]).unwrap();
        }
    }
    for (at, bytes) in versions.iter().step_by(3).chain(versions.iter().rev().step_by(4)) {
        let mut transaction = database.begin().unwrap();
        transaction.restore_table("t", *at, Action::RESTORE).unwrap();
        transaction.commit().unwrap();
        assert_eq!(whole(&database).1, bytes, "frame {at}");
    }
}

/// What a diff says of every row, as `key: column before → after`.
fn changes(database: &Database, from: &str) -> Vec<String> {
    let from = database.instant(from).unwrap();
    let snapshot = database.snapshot().unwrap();
    let diff = snapshot.diff("t", from, snapshot.frame()).unwrap();
    let now = |name: &str| {
        let renamed = diff.renamed.iter().find(|(before, _)| before == name);
        renamed.map_or(name.to_owned(), |(_, after)| after.clone())
    };
    let row = |row: &reedbase::RowDiff| {
        let text = |side: &Option<reedbase::Row>, rename: bool| {
            let cell = |row: &reedbase::Row, name: &String| {
                let value = row.get(name).unwrap_or_default().into_owned();
                format!("{}={value}", if rename { now(name) } else { name.clone() })
            };
            side.as_ref().map_or("-".to_owned(), |row| {
                row.columns().iter().map(|name| cell(row, name)).collect::<Vec<_>>().join(" ")
            })
        };
        format!("{} → {}", text(&row.before, true), text(&row.after, false))
    };
    diff.rows.iter().map(row).collect()
}

/// Columns get other names, and other places, between the frames of a diff: each cell is told under the name that it had
/// at the start, or has at the end.
#[test]
fn a_diff_across_renamed_columns_tells_each_cell_once() {
    let storage = MemoryStorage::new();
    let database = open(&storage);
    let replace = |text: &str| {
        let table = reedbase::csv(text, &["id"]).unwrap();
        let mut transaction = database.begin().unwrap();
        match database.snapshot().unwrap().tables().is_empty() {
            true => transaction.create_table("t", &table).unwrap(),
            false => transaction.replace_table("t", &table).unwrap(),
        }
        transaction.commit().unwrap();
    };
    replace("id,x,z\n1,a,b\n2,c,d\n");
    let mut transaction = database.begin().unwrap();
    transaction.update("t", 1_i64, [("z", "B")]).unwrap();
    transaction.commit().unwrap();
    replace("id,y,z\n1,a,B\n2,c,d\n");
    assert_eq!(changes(&database, "HEAD~2"), ["id=1 y=a z=b → id=1 y=a z=B"]);
    assert_eq!(changes(&database, "2000-01-01"), ["- → id=1 y=a z=B", "- → id=2 y=c z=d"]);
    let mut transaction = database.begin().unwrap();
    transaction.update("t", 2_i64, [("y", "C")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(changes(&database, "HEAD~1"), ["id=2 y=c z=d → id=2 y=C z=d"]);
    assert_eq!(changes(&database, "HEAD~2"), ["id=2 y=c z=d → id=2 y=C z=d"]);
    replace("id,z,y\n1,B,a\n2,d,C\n");
    let moved = ["id=1 x=a z=b → id=1 z=B y=a", "id=2 x=c z=d → id=2 z=d y=C"];
    assert_eq!(changes(&database, "HEAD~4"), moved);
}

/// What frames can fail with, each with a kind of its own.
#[test]
fn errors_about_frames_have_kinds() {
    let storage = MemoryStorage::new();
    let (database, frame) = at_work(&storage);
    let kind = |error: Error| (error.kind(), error.way_out().is_some());
    let again = Frame::begin(&database, "migration").unwrap_err();
    assert_eq!(kind(again), (ErrorKind::FrameAlreadyActive, true));
    let unknown = database.in_frame("nobody's").unwrap_err();
    assert!(unknown.is_not_found());
    assert_eq!(kind(unknown), (ErrorKind::FrameNotFound, true));
    let gone = FrameId::new(Timestamp::from_micros(7), frame.id().node()).to_string();
    assert_eq!(database.frame_at(&gone).unwrap_err().kind(), ErrorKind::FrameNotFound);
    let early = database.frame_at("1970-01-02").unwrap_err();
    assert!(early.is_not_found());
    assert_eq!(kind(early), (ErrorKind::NoFrameBeforeTimestamp, true));
    // A program that must not go on before somebody has looked at what crashed.
    let storage = left_behind(storage.files());
    let options = || OpenOptions::new().storage(Arc::new(storage.clone())).abort_on_crashed(true);
    let aborted = options().open("").unwrap_err();
    assert_eq!(kind(aborted), (ErrorKind::ServerStartAborted, true));
    open(&storage).clean_up_frames().unwrap();
    assert!(options().open("").is_ok());
}
