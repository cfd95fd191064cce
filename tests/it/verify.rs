//! What verify finds where every checksum is right, and what cutting a journal leaves.

use std::sync::Arc;

use reedbase::OpenOptions;
use reedbase::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use reedbase::verify::{Report, cut_journal, verify};
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
