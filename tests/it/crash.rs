use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use reedbase::verify::{Concern, verify};
use reedbase::{Checkpoints, Limits, OpenOptions, Timestamp};

use crate::script::{Content, Interpreter, commands, content, is_removed, past, scripts};

/// How many images of the disk are looked at for each crash: the emptiest, the fullest, and some between.
fn images() -> u64 {
    std::env::var("CRASH_IMAGES").ok().and_then(|number| number.parse().ok()).unwrap_or(6)
}

/// What a script had acknowledged after each command, and every version of every table.
fn expected(commands: &[&str]) -> (Vec<Content>, Past) {
    let mut interpreter = Interpreter::new(Arc::new(MemoryStorage::new()));
    let mut states = vec![Content::new()];
    for command in commands {
        drop(interpreter.run(command));
        states.push(interpreter.acknowledged.clone());
    }
    (states, interpreter.past)
}

/// The text of each table after each frame.
type Past = BTreeMap<(String, i64), String>;

/// At every write, sync, rename and removal of every script, stop the machine: whatever the disk then
/// holds opens with exactly what had been acknowledged, or with that and the commit that was under way.
#[test]
fn a_crash_anywhere_loses_nothing_that_was_acknowledged() {
    for (name, text, _) in scripts("scripts") {
        let commands: Vec<_> = commands(&text);
        let (states, past) = expected(&commands);
        let mut crashes = 0;
        for at in 0.. {
            let storage = FaultyStorage::new(BTreeMap::new());
            storage.fail_at(at, Fault::Crash);
            let mut interpreter = Interpreter::new(Arc::new(storage.clone()));
            let reached = commands.iter().position(|command| {
                drop(interpreter.run(command));
                storage.has_crashed()
            });
            let Some(reached) = reached else { break };
            drop(interpreter);
            crashes += 1;
            let allowed = [&states[reached], &states[reached + 1]];
            for seed in 0..images() {
                let image =
                    storage.image_after_crash(seed * 7919 + u64::from(seed > 1) * at as u64);
                let context = format!(
                    "{name}: crash at operation {at}, in `{}`, image {seed}",
                    commands[reached]
                );
                check_image(image, &allowed, &past, &context);
            }
        }
        assert!(crashes > 10, "{name} was crashed only {crashes} times");
    }
}

/// The image opens with one of the allowed contents, and goes on working.
fn check_image(
    image: BTreeMap<String, Vec<u8>>,
    allowed: &[&Content],
    expected: &Past,
    context: &str,
) {
    let had_database = image.contains_key("config.toml");
    let storage = Arc::new(MemoryStorage::from_files(image));
    let open = || {
        OpenOptions::new()
            .limits(Limits::tiny())
            .checkpoints(Checkpoints::Inline)
            .storage(storage.clone())
            .create(true)
            .open("")
    };
    let database = open().unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let found = content(&database).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    assert!(allowed.contains(&&found), "{context}: found {found:#?}, allowed {allowed:#?}");
    assert!(had_database || found.is_empty(), "{context}");
    // What a crash leaves of the dictionaries is ours.
    let edited = database.edited_settings().unwrap();
    assert!(edited.is_empty(), "{context}: {edited:?}");
    check_past(&database, expected, context);
    let mut transaction = database.begin().unwrap();
    let table = reedbase::csv("k,v\n1,x\n", &["k"]).unwrap();
    transaction.create_table("after_the_crash", &table).unwrap();
    transaction.commit().unwrap_or_else(|error| panic!("{context}: {error:?}"));
    database.checkpoint(&[]).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let mut with_more = found;
    with_more.insert("after_the_crash".to_owned(), "k,v\n1,x\n".to_owned());
    assert_eq!(content(&database).unwrap(), with_more, "{context}");
    drop(database);
    check_past(&open().unwrap(), expected, context);
    let disk: Arc<dyn Storage> = storage.clone();
    let found = verify(&disk).unwrap().findings;
    let damaged: Vec<_> = found.iter().filter(|f| f.concern == Concern::Damaged).collect();
    assert!(damaged.is_empty(), "{context}: {damaged:#?}");
    let again = content(&open().unwrap()).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    assert_eq!(again, with_more, "{context}");
}

/// Every version that is there is the one that was written.
fn check_past(database: &reedbase::Database, expected: &Past, context: &str) {
    let found = past(database).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    for ((table, timestamp), text) in found {
        if let Some(expected) = expected.get(&(table.clone(), timestamp)) {
            assert_eq!(&text, expected, "{context}: {table} at {timestamp}");
        }
    }
}

/// A disk that is full, or fails once, at any operation: the command fails, and nothing else does.
#[test]
fn a_failing_disk_fails_one_command() {
    for (name, text, _) in scripts("scripts") {
        let commands: Vec<_> = commands(&text);
        for fault in [Fault::DiskFull, Fault::Io] {
            for at in 0.. {
                let storage = FaultyStorage::new(BTreeMap::new());
                storage.fail_at(at, fault);
                let mut interpreter = Interpreter::new(Arc::new(storage.clone()));
                for command in &commands {
                    drop(interpreter.run(command));
                }
                let reached = storage.operations() > at;
                let acknowledged = std::mem::take(&mut interpreter.past);
                drop(interpreter);
                if !reached {
                    break;
                }
                let context = format!("{name}: {fault:?} at operation {at}");
                check_versions(storage.view(), &acknowledged, &context);
                // And if the machine stops then, without what was never synced, or lost by a sync that failed.
                check_versions(storage.image_after_crash(0), &acknowledged, &context);
            }
        }
    }
}

/// All these versions are there.
fn check_versions(files: BTreeMap<String, Vec<u8>>, acknowledged: &Past, context: &str) {
    let storage = Arc::new(MemoryStorage::from_files(files));
    let options = OpenOptions::new().limits(Limits::tiny()).storage(storage).create(true);
    let database = options.open("").unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let snapshot = database.snapshot().unwrap();
    for ((table, timestamp), text) in acknowledged {
        if is_removed(&database, table, *timestamp) {
            continue;
        }
        let at = Timestamp::from_micros(*timestamp);
        let found = snapshot.table_at(table, at).and_then(|table| table.to_bytes());
        let found = found.unwrap_or_else(|error| panic!("{context}: {table} at {at}: {error:?}"));
        assert_eq!(String::from_utf8_lossy(&found), *text, "{context}: {table} at {at}");
    }
}
