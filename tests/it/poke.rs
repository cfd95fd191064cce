//! Every byte of a small database is changed, one at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase::clock::ManualClock;
use reedbase::storage::{MemoryStorage, Storage};
use reedbase::verify::{Concern, verify};
use reedbase::{Adopt, Checkpoints, Database, Frame, Limits, OpenOptions, Result, Timestamp};

pub(crate) type Files = BTreeMap<String, Vec<u8>>;
pub(crate) type Answers = BTreeMap<String, String>;

pub(crate) fn open(storage: Arc<dyn Storage>) -> Result<Database> {
    let clock = ManualClock::new(Timestamp::from_micros(900_000_000));
    let options = OpenOptions::new().create(true).clock(Arc::new(clock)).limits(Limits::tiny());
    options.user("ann").storage(storage).checkpoints(Checkpoints::Inline).open("")
}

/// A database with some of everything: packs, loose versions, a whole copy, a large change, frames in packs and in the
/// journal, an open frame, one that was given up, a snapshot, an adopted edit, a conflict that waits.
/// The files before the last commit, and after it. Some cells start with the letter.
pub(crate) fn database(letter: char) -> [Files; 2] {
    build(letter, false)
}

/// The same, with a conflict that waits if that is asked for.
pub(crate) fn build(letter: char, conflict: bool) -> [Files; 2] {
    let storage = MemoryStorage::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let options = OpenOptions::new().create(true).clock(clock.clone()).limits(Limits::tiny());
    let options = options.user("ann").storage(Arc::new(storage.clone()));
    let database = options.checkpoints(Checkpoints::Inline).open("").unwrap();
    let mut transaction = database.begin().unwrap().named("first");
    let rows: String = (0..8).map(|row| format!("{row},word {row},\"a, b\"\n")).collect();
    let table = reedbase::csv(format!("id,x,y\n{rows}"), &["id"]).unwrap();
    transaction.create_table("t", &table).unwrap();
    transaction.create_table("u", &reedbase::csv("k|v\na|1\nb|2\n", &["k"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    for step in 0..9 {
        clock.advance(1_000_000);
        let mut transaction = database.begin().unwrap().by(["ann", "ben"][step % 2]);
        transaction.update("t", (step % 5) as i64, [("x", format!("{letter}{step}"))]).unwrap();
        if step % 4 == 0 {
            transaction.update("u", "a", [("v", format!("{step}"))]).unwrap();
        }
        transaction.commit().unwrap();
        if step % 3 == 0 {
            database.checkpoint(&[]).unwrap();
        }
    }
    let text = String::from_utf8(storage.files()["tables/u/current.csv"].clone()).unwrap();
    let edited = text.replace("b|2", "b|two");
    let disk: &dyn Storage = &storage;
    disk.write_new("tables/u/current.csv", edited.as_bytes()).unwrap();
    clock.advance(5_000_000);
    let edit = database.outside_edit("u").unwrap().unwrap();
    database.adopt(vec![edit], &Adopt::new().named("by hand")).unwrap();
    let mut frame = Frame::begin(&database, "big").unwrap();
    frame.delete("t", 6_i64).unwrap();
    frame.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    let mut transaction = database.begin().unwrap();
    transaction.update("t", 5_i64, [("x", "alone")]).unwrap();
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    if conflict {
        park(&database);
        database.checkpoint(&[]).unwrap();
    }
    for name in ["given up", "spring"] {
        database.begin_frame(Some(name)).unwrap();
        let framed = database.in_frame(name).unwrap();
        let mut step = framed.begin().unwrap();
        step.update("u", "b", [("v", name)]).unwrap();
        step.commit().unwrap();
    }
    database.abandon_frame("given up").unwrap();
    let before = storage.files();
    // As a handle leaves it that checkpoints later: in the journal alone.
    drop(database);
    let options = OpenOptions::new().clock(clock).user("ann").storage(Arc::new(storage.clone()));
    let database = options.open("").unwrap();
    let mut transaction = database.begin().unwrap().named("last");
    transaction.update("t", 7_i64, [("y", "only in the journal")]).unwrap();
    transaction.commit().unwrap();
    [before, storage.files()]
}

/// Two sides change one cell: one of them waits in the table of conflicts.
fn park(database: &Database) {
    let [ours, mut theirs] = ["ours", "theirs"].map(|side| {
        let mut transaction = database.begin().unwrap();
        transaction.update("t", 4_i64, [("x", side)]).unwrap();
        transaction
    });
    theirs.update("t", 3_i64, [("x", "merged")]).unwrap();
    ours.commit().unwrap();
    assert_eq!(theirs.commit_parking().unwrap().parked.len(), 1);
}

/// All that a database says, each answer by its question; what it refuses as damaged is left out.
pub(crate) fn answers(database: &Database) -> Result<Answers> {
    let mut answers = BTreeMap::new();
    let mut keep = |question: String, answer: Result<String>| match answer {
        Ok(answer) => {
            answers.insert(question, answer);
            Ok(())
        }
        Err(error) if error.is_corrupt() => Ok(()),
        Err(error) => Err(error),
    };
    let snapshot = database.snapshot()?;
    keep("tables".into(), Ok(format!("{:?}", snapshot.tables())))?;
    let frames = database.frames().map(|frames| {
        let line = |frame: &reedbase::FrameInfo| {
            format!("{} {} {:?} {:?}", frame.timestamp, frame.user, frame.name, frame.tables)
        };
        frames.iter().map(|frame| line(frame)).collect::<Vec<_>>().join("\n")
    });
    keep("frames".into(), frames)?;
    keep("conflicts".into(), snapshot.conflicts().map(|open| format!("{open:?}")))?;
    let past = snapshot.conflict_history().map(|past| format!("{past:?}"));
    keep("past conflicts".into(), past)?;
    for table in snapshot.tables() {
        let table = table.as_str();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let whole = snapshot.table(table).and_then(|table| Ok(text(&table.to_bytes()?)));
        keep(table.into(), whole)?;
        for key in ["0", "6", "a"] {
            let row = snapshot.get(table, key).map(|row| format!("{row:?}"));
            keep(format!("{table} {key}"), row)?;
            let life = snapshot.history(table, key);
            let life = life.map(|life| {
                let moments =
                    life.iter().map(|moment| format!("{} {:?}", moment.timestamp, moment.row));
                moments.collect::<Vec<_>>().join("\n")
            });
            keep(format!("history of {table} {key}"), life)?;
        }
        let Ok(versions) = snapshot.versions(table) else { continue };
        let numbers: Vec<String> =
            versions.iter().map(|version| version.timestamp.to_string()).collect();
        keep(format!("versions of {table}"), Ok(numbers.join(" ")))?;
        for version in versions {
            let at = snapshot.table_at(table, version.timestamp);
            keep(
                format!("{table} at {}", version.timestamp),
                at.and_then(|t| Ok(text(&t.to_bytes()?))),
            )?;
        }
    }
    Ok(answers)
}

/// Files that hold nothing of the database's content.
pub(crate) fn is_beside(path: &str) -> bool {
    path.starts_with(".git") || path.ends_with("lock")
}

/// Bytes of a segment that hold nothing, or fill a record up: nothing depends on them.
fn is_filling(path: &str, bytes: &[u8], at: usize) -> bool {
    let records = path.ends_with(".wal") || path.contains(".open") || path.contains(".abandoned");
    records && (bytes[at] == 0 || (path.ends_with(".wal") && (48..64).contains(&at)))
}

#[test]
fn every_byte_can_change_and_no_answer_is_wrong() {
    let states = build('v', true);
    let memory = |files: &Files| Arc::new(MemoryStorage::from_files(files.clone()));
    let right = [0, 1].map(|state| answers(&open(memory(&states[state])).unwrap()).unwrap());
    let files = &states[1];
    let clean: Arc<dyn Storage> = memory(files);
    let found = verify(&clean).unwrap();
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    for wanted in [
        ".pack",
        ".bsdiff",
        ".keyframe",
        ".wal",
        ".open",
        ".abandoned",
        ".snapshot.csv",
        "mark.old",
    ] {
        assert!(
            files.keys().any(|path| path.contains(wanted)),
            "no {wanted} in {:?}",
            files.keys()
        );
    }
    let (mut pokes, mut refused) = (0, 0);
    for (path, bytes) in files.iter().filter(|(path, _)| !is_beside(path)) {
        for at in 0..bytes.len() {
            let flip = [0x01, 0x80, 0x20, 0xff][(at + pokes) % 4];
            pokes += 1;
            refused += u32::from(poke(files, path, at, flip, &right));
        }
    }
    assert!(pokes > 5_000 && refused > 100, "{pokes} pokes, {refused} refused");
}

/// Changes one byte. Whatever is answered then is right, and what was changed is found. Tells whether the database
/// could not be opened.
fn poke(files: &Files, path: &str, at: usize, flip: u8, right: &[Answers; 2]) -> bool {
    let context = format!("{path}, byte {at} ^ {flip:#x}");
    let mut poked = files.clone();
    poked.get_mut(path).unwrap()[at] ^= flip;
    let filling = is_filling(path, &files[path], at);
    let storage = || -> Arc<dyn Storage> { Arc::new(MemoryStorage::from_files(poked.clone())) };
    let report = verify(&storage()).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let cache = path.starts_with("cache/");
    assert!(!report.findings.is_empty() || filling || cache, "{context}: verify found nothing");
    let database = match open(storage()) {
        Ok(database) => database,
        Err(error) => {
            let named = error.position().path.as_ref().map(|path| path.display().to_string());
            let named = named.unwrap_or_else(|| panic!("{context}: no file is named: {error:?}"));
            assert!(named.ends_with(path), "{context}: {named} is named");
            return true;
        }
    };
    let found = answers(&database).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    // The last record of the journal may be what a crash tore: it is put aside, and that is told.
    let torn = database.notices().iter().any(|notice| notice.contains("torn"));
    assert!(!torn || path.ends_with(".wal"), "{context}");
    let allowed = if torn { &right[..] } else { &right[1..] };
    let wrong = |right: &Answers| -> Vec<&String> {
        let differ = found.iter().filter(|(question, answer)| right.get(*question) != Some(answer));
        differ.map(|(question, _)| question).collect()
    };
    let wrong: Vec<_> = allowed.iter().map(wrong).collect();
    assert!(wrong.iter().any(Vec::is_empty), "{context}: {wrong:?}");
    let torn = report.findings.iter().any(|finding| finding.concern == Concern::Torn);
    match database.in_frame("spring").and_then(|framed| framed.snapshot()?.get("u", "b")) {
        Ok(row) => assert!(torn || format!("{row:?}").contains("spring"), "{context}: {row:?}"),
        Err(error) => assert!(error.is_corrupt() || error.is_not_found(), "{context}: {error:?}"),
    }
    if ["current.csv", "schema.toml"].iter().any(|name| path.ends_with(name)) {
        assert_eq!(database.edited_outside().unwrap().len(), 1, "{context}");
    }
    if path == "config.toml" || path.ends_with(".dict") {
        assert_eq!(database.edited_settings().unwrap()[0].path, path, "{context}");
    }
    false
}
