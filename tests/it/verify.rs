//! What verify finds where every checksum is right, and what cutting a journal leaves.

use std::sync::Arc;

use reedbase::storage::{Access, Fault, FaultyStorage, MemoryStorage, Storage};
use reedbase::verify::{Report, cut_journal, verify};
use reedbase::{ErrorKind, Limits, OpenOptions};
use reedbase_tests::seal;

use crate::poke::{Files, database};

fn report(files: &Files) -> Report {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::from_files(files.clone()));
    verify(&storage).unwrap()
}

/// Forges a file of a whole database; gives what verify finds then.
fn forged(path: &str, forge: impl FnOnce(&mut Vec<u8>)) -> String {
    let [_, mut files] = database('v');
    let path = files.keys().find(|file| file.ends_with(path)).unwrap().clone();
    let before = files[&path].clone();
    forge(files.get_mut(&path).unwrap());
    assert_ne!(files[&path], before, "{path} was not forged");
    let findings = report(&files).findings;
    let lines =
        findings.iter().map(|finding| format!("{:?}: {}\n", finding.concern, finding.error));
    lines.collect()
}

/// Changes the text of a file.
fn edit(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(std::mem::take(bytes)).unwrap();
    assert!(text.contains(from), "no {from} in {text}");
    *bytes = text.replacen(from, to, 1).into_bytes();
}

#[track_caller]
fn assert_found(found: &str, wanted: &str) {
    assert!(found.contains(wanted), "{wanted} is not in: {found}");
}

#[test]
fn a_version_that_says_something_else_breaks_the_hash_chain() {
    let found = forged("t/version.log", |bytes| {
        let line = String::from_utf8_lossy(bytes).lines().last().unwrap().to_owned();
        let mut cells: Vec<&str> = line.split('|').collect();
        cells[5] = "9";
        edit(bytes, &line, &cells.join("|"));
        seal::lines(bytes, 7);
    });
    assert_found(&found, "Damaged: table t, frame 15000002: the hash chain is broken");
}

#[test]
fn a_version_that_is_missing_in_the_log_is_found() {
    let found = forged("t/version.log", |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let line = text.lines().last().unwrap();
        edit(bytes, &format!("{line}\n"), "");
    });
    let wanted = "frame 15000002: the log lacks the version that the table's file holds";
    assert_found(&found, wanted);
    assert_found(
        &found,
        "Damaged: table t, frame 15000002: the version that the frame made is missing",
    );
}

#[test]
fn a_frame_that_says_something_else_is_found() {
    let found = forged("frames/index.csv", |bytes| {
        edit(bytes, "tables=t:2", "tables=t:3");
        seal::lines(bytes, 8);
    });
    let wanted = "Damaged: table t, frame 10000000: the frame says that it did something else";
    assert_found(&found, wanted);
}

#[test]
fn a_frame_that_is_missing_in_the_index_is_found() {
    let found = forged("frames/index.csv", |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let line = text.lines().nth(2).unwrap();
        edit(bytes, &format!("{line}\n"), "");
    });
    assert_found(&found, "Damaged: table u, frame 15000000: no frame made this version");
}

#[test]
fn a_snapshot_that_says_something_else_is_stale() {
    let found = forged(".snapshot.csv", |bytes| edit(bytes, "t|1500000", "t|1500001"));
    assert_found(&found, "Derived: memory:/frames/15000001.snapshot.csv: the snapshot is not");
}

#[test]
fn a_mark_that_counts_wrongly_is_found() {
    let found = forged("t/mark", |bytes| {
        edit(bytes, "rows|7", "rows|6");
        seal::mark(bytes);
    });
    assert_found(&found, "t/current.csv: the mark counts other rows than there are");
}

/// A file, its mark, a whole copy, a pack, a version: each whole in itself, from a database of another past.
#[test]
fn parts_of_another_past_are_found() {
    let [_, files] = database('v');
    let [_, other] = database('w');
    let swapped = |paths: &[&str]| {
        let mut files = files.clone();
        for path in paths {
            let path = files.keys().find(|file| file.ends_with(path)).unwrap().clone();
            assert_ne!(files[&path], other[&path]);
            files.insert(path.clone(), other[&path].clone());
        }
        let found = report(&files).findings;
        found.iter().map(|finding| format!("{}\n", finding.error)).collect::<String>()
    };
    let found = swapped(&["t/current.csv", "t/mark"]);
    assert_found(&found, "frame 15000002: the table is not what its history makes");
    let found = swapped(&["t/8000000.keyframe"]);
    assert_found(&found, "frame 8000000: the whole copy is not what history makes");
    let found = swapped(&["t/1000000-15000001.pack"]);
    assert_found(&found, "table t, frame 9000000: the hash chain is broken");
    let found = swapped(&["t/15000002.bsdiff"]);
    assert_found(&found, "table t, frame 15000002: the hash chain is broken");
}

/// The content of both tables of [`journal`], before its first frame and after each.
const CONTENT: [&str; 5] = ["a a", "1 a", "1 2", "3 2", "4 4"];

/// A database with four frames in the journal alone, and where their records start.
fn journal() -> (Files, Vec<usize>) {
    let storage = MemoryStorage::new();
    let options = OpenOptions::new().create(true).storage(Arc::new(storage.clone()));
    let database = options.open("").unwrap();
    let mut transaction = database.begin().unwrap();
    for table in ["t", "u"] {
        transaction.create_table(table, &reedbase::csv("k,v\n0,a\n", &["k"]).unwrap()).unwrap();
    }
    transaction.commit().unwrap();
    database.checkpoint(&[]).unwrap();
    for (tables, value) in [("t", "1"), ("u", "2"), ("t", "3"), ("t u", "4")] {
        let mut transaction = database.begin().unwrap();
        for table in tables.split(' ') {
            transaction.update(table, 0_i64, [("v", value)]).unwrap();
        }
        transaction.commit().unwrap();
    }
    let files = storage.files();
    let (_, bytes) = files.iter().rfind(|(path, _)| path.ends_with(".wal")).unwrap();
    let starts = bytes.windows(4).enumerate().filter(|(_, bytes)| bytes == b"RDBF");
    let starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    (files.clone(), starts[starts.len() - 4..].to_vec())
}

/// What both tables hold.
fn content(storage: &Arc<dyn Storage>) -> String {
    let database = OpenOptions::new().storage(Arc::clone(storage)).open("").unwrap();
    let snapshot = database.snapshot().unwrap();
    let cell = |table| snapshot.get(table, "0").unwrap().unwrap().get("v").unwrap().to_string();
    format!("{} {}", cell("t"), cell("u"))
}

fn journal_file(files: &mut Files) -> &mut Vec<u8> {
    files.iter_mut().rfind(|(path, _)| path.ends_with(".wal")).unwrap().1
}

/// Whichever record is damaged: what comes before it stays, what follows it is put aside; and if the machine stops
/// meanwhile, cutting again does the rest.
#[test]
fn a_journal_is_cut_before_its_first_bad_record() {
    let (files, starts) = journal();
    for (good, start) in starts.iter().enumerate().take(3) {
        let mut damaged = files.clone();
        let whole = journal_file(&mut damaged).clone();
        journal_file(&mut damaged)[start + 90] ^= 1;
        let found = report(&damaged).findings;
        assert!(
            found[0].error.to_string().contains(&format!("byte {start}: a record")),
            "{found:?}"
        );
        let mut crashes = 0;
        for at in 0.. {
            let faulty = FaultyStorage::new(damaged.clone());
            faulty.fail_at(at, Fault::Crash);
            let crashed = cut_journal(&(Arc::new(faulty.clone()) as Arc<dyn Storage>)).is_err();
            for seed in 0..4 {
                let image = MemoryStorage::from_files(faulty.image_after_crash(seed));
                let storage: Arc<dyn Storage> = Arc::new(image.clone());
                cut_journal(&storage).unwrap();
                let context = format!("record {good}, crash at {at}, image {seed}");
                assert_eq!(content(&storage), CONTENT[good], "{context}");
                assert!(verify(&storage).unwrap().findings.is_empty(), "{context}");
                assert!(cut_journal(&storage).unwrap().is_none(), "{context}");
                let kept = image.files().into_iter().find(|(path, _)| path.contains(".damaged-"));
                let (path, kept) = kept.unwrap();
                let mut rest = whole[*start..].to_vec();
                rest[90] ^= 1;
                assert!(
                    path.ends_with(&format!(".damaged-{start}")) && kept == rest,
                    "{context}: {path}"
                );
            }
            crashes += 1;
            if !crashed {
                break;
            }
        }
        assert!(crashes > 5, "{crashes}");
    }
}

/// A process that has the database open when its journal is cut goes on with what is left.
#[test]
fn a_journal_is_cut_beside_a_process_at_work() {
    for damage in [0, 1, 2, 3] {
        let (files, starts) = journal();
        let memory = MemoryStorage::from_files(files);
        let storage: Arc<dyn Storage> = Arc::new(memory.clone());
        let open = || OpenOptions::new().storage(Arc::clone(&storage)).open("").unwrap();
        let live = open();
        assert_eq!(live.snapshot().unwrap().get("t", "0").unwrap().unwrap().get("v").unwrap(), "4");
        let path = memory.files().into_keys().rfind(|path| path.ends_with(".wal")).unwrap();
        let at = if damage == 3 { 20 } else { starts[damage] as u64 + 90 };
        let file = storage.open(&path, Access::Write).unwrap().unwrap();
        file.write_at(&[0xee], at).unwrap();
        let cut = cut_journal(&storage).unwrap().unwrap();
        assert!(cut.lost.is_empty());
        let left = CONTENT[if damage == 3 { 0 } else { damage }];
        assert_eq!(content(&storage), left, "damage {damage}");
        // The live one, too: what it commits now follows what is left.
        let commit = || {
            let mut transaction = live.begin().unwrap();
            transaction.update("u", 0_i64, [("v", "live")]).unwrap();
            transaction.commit()
        };
        if let Err(error) = commit() {
            // It saw frames that are gone: as if another writer had changed the row.
            assert_eq!(error.kind(), ErrorKind::Conflict, "damage {damage}");
            commit().unwrap();
        }
        let wanted = format!("{} live", left.split(' ').next().unwrap());
        assert_eq!(content(&storage), wanted, "damage {damage}");
        live.checkpoint(&[]).unwrap();
        drop(live);
        assert_eq!(content(&storage), wanted, "damage {damage}");
        let found = verify(&storage).unwrap().findings;
        assert!(found.is_empty(), "damage {damage}: {found:?}");
    }
}

/// Frames that are in the index already, with a table whose part was in the journal alone.
#[test]
fn what_a_cut_takes_from_frames_of_the_index_is_told() {
    let (files, starts) = journal();
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::from_files(files));
    let database = OpenOptions::new().storage(Arc::clone(&storage)).open("").unwrap();
    database.checkpoint(&["u"]).unwrap();
    let frames = database.frames().unwrap();
    drop(database);
    let path = storage.list("journal").unwrap();
    let path = path.iter().rfind(|path| path.ends_with(".wal")).unwrap();
    let file = storage.open(&format!("journal/{path}"), Access::Write).unwrap().unwrap();
    file.write_at(&[0xee], starts[2] as u64 + 90).unwrap();
    let cut = cut_journal(&storage).unwrap().unwrap();
    assert_eq!(cut.last_good, frames[2].timestamp);
    let lost: Vec<_> = cut.lost.iter().map(|(frame, table)| (*frame, table.as_str())).collect();
    assert_eq!(lost, [(frames[3].timestamp, "t"), (frames[4].timestamp, "t")]);
    assert_eq!(content(&storage), "1 4");
}

/// Every file is removed once: whatever the database needs is missed.
#[test]
fn a_file_that_is_missing_is_found() {
    let [_, files] = database('v');
    // Derived, or beside the content; a whole copy only saves time.
    let not_needed = [
        ".git",
        "cache/",
        ".snapshot.csv",
        ".old",
        "frame.log",
        "lock",
        "registry/mark",
        ".keyframe",
    ];
    for path in files.keys() {
        let mut without = files.clone();
        without.remove(path);
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::from_files(without));
        if not_needed.iter().any(|name| path.contains(name)) {
            continue;
        }
        let found = verify(&storage);
        let missed = found.is_ok_and(|report| report.findings.is_empty());
        // An open frame or the last frames of the journal: nothing else speaks of them.
        let alone = [".open", ".abandoned", ".wal"].iter().any(|name| path.contains(name));
        assert!(!missed || alone, "{path}");
    }
}

/// A change that is too large for the journal lies in a file that only the journal names so far.
#[test]
fn a_large_change_that_is_damaged_is_found_before_it_is_logged() {
    let storage = MemoryStorage::new();
    let options = OpenOptions::new().create(true).limits(Limits::tiny());
    let database = options.storage(Arc::new(storage.clone())).open("").unwrap();
    let mut transaction = database.begin().unwrap();
    let rows: String = (0..200).map(|row| format!("{row},{:x}\n", row * 7919)).collect();
    let table = reedbase::csv(format!("id,x\n{rows}"), &["id"]).unwrap();
    transaction.create_table("t", &table).unwrap();
    transaction.commit().unwrap();
    let files = storage.files();
    assert!(!files.contains_key("tables/t/version.log"), "only the journal knows of it");
    assert!(report(&files).findings.is_empty());
    let delta = files.keys().find(|path| path.ends_with(".bsdiff")).unwrap();
    let mut damaged = files.clone();
    damaged.get_mut(delta).unwrap()[30] ^= 1;
    assert_found(&report(&damaged).findings[0].error.to_string(), "is not what it was");
    damaged.remove(delta);
    assert_found(&report(&damaged).findings[0].error.to_string(), "is missing");
}
