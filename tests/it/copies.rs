//! Two copies of one database that went on apart, put together frame by frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase::clock::ManualClock;
use reedbase::storage::{MemoryStorage, Storage};
use reedbase::verify::verify;
use reedbase::{Database, Limits, OpenOptions, Timestamp};

use crate::random::Random;

const COLUMNS: [&str; 3] = ["a", "b", "c"];

fn open(storage: &MemoryStorage, clock: &Arc<ManualClock>) -> Database {
    let options = OpenOptions::new().storage(Arc::new(storage.clone())).create(true);
    options.clock(clock.clone()).limits(Limits::tiny()).open("").unwrap()
}

/// What the tables hold: cells by table, key and column.
fn cells(database: &Database) -> BTreeMap<(String, String, String), String> {
    let snapshot = database.snapshot().unwrap();
    let mut cells = BTreeMap::new();
    for table in snapshot.tables().iter().filter(|table| table.as_str() != "reed_conflicts") {
        for row in snapshot.rows(table.as_str()).unwrap() {
            let row = row.unwrap();
            let key = row.get("id").unwrap().into_owned();
            for column in COLUMNS {
                let text = row.get(column).unwrap_or_default().into_owned();
                cells.insert((table.to_string(), key.clone(), column.to_owned()), text);
            }
        }
    }
    cells
}

fn edit(database: &Database, random: &mut Random, side: usize, step: u64) {
    let mut transaction = database.begin().unwrap().named(format!("{side} {step}"));
    transaction = transaction.by(["ann", "ben"][side]);
    for _ in 0..=random.below(2) {
        let table = ["one", "two"][random.below(2) as usize];
        let key = random.below(8).to_string();
        // Each side has columns of its own, and one that both write.
        let column = COLUMNS[if random.below(6) == 0 { 2 } else { side }];
        match (transaction.get(table, &key).unwrap(), random.below(10)) {
            (Some(_), 0) if step > 3 => transaction.delete(table, &key).unwrap(),
            (Some(_), _) => {
                transaction.update(table, &key, [(column, format!("{side}.{step}"))]).unwrap();
            }
            (None, _) => {
                let key = format!("{side}-{step}-{}", random.below(1_000_000));
                transaction.insert(table, [("id", key.as_str()), (column, "new")]).unwrap();
            }
        }
    }
    transaction.commit().unwrap();
    if random.below(10) == 0 {
        park(database, random, &format!("parked {step}"));
    }
}

/// Two change one cell, and one of them waits in the table of conflicts.
fn park(database: &Database, random: &mut Random, value: &str) {
    let key = random.below(8).to_string();
    if database.snapshot().unwrap().get("one", &key).unwrap().is_none() {
        return;
    }
    let [ours, theirs] = ["x", "y"].map(|who| {
        let mut transaction = database.begin().unwrap();
        transaction.update("one", &key, [("c", format!("{value} {who}"))]).unwrap();
        transaction
    });
    ours.commit().unwrap();
    assert_eq!(theirs.commit_parking().unwrap().parked.len(), 1);
}

/// Each takes in what the other did. Where nothing is disputed both hold the same then; every frame is there under its name, once.
#[test]
fn two_copies_come_together() {
    let mut random = Random(20_261_121);
    let (mut agreed, mut disputed) = (0, 0);
    for round in 0..120 {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
        let first = MemoryStorage::new();
        let database = open(&first, &clock);
        let mut transaction = database.begin().unwrap();
        for table in ["one", "two"] {
            let rows: String = (0..8).map(|key| format!("{key},,,\n")).collect();
            let new = reedbase::csv(format!("id,a,b,c\n{rows}"), &["id"]).unwrap();
            transaction.create_table(table, &new).unwrap();
        }
        transaction.commit().unwrap();
        database.checkpoint(&[]).unwrap();
        drop(database);
        // As git keeps it: without its journal.
        let mut files = first.files();
        files.retain(|path, _| !path.starts_with("journal/") && !path.starts_with("cache/"));
        let disks = [first, MemoryStorage::from_files(files)];
        let both = [0, 1].map(|side| open(&disks[side], &clock));
        let (steps, mut early) = (2 + random.below(8), 0);
        for step in 0..steps {
            for (side, database) in both.iter().enumerate() {
                clock.advance(1_000);
                edit(database, &mut random, side, step);
                if random.below(4) == 0 {
                    database.checkpoint(&[]).unwrap();
                }
            }
            // Theirs may know some of ours already, between frames of its own.
            if step + 1 < steps && random.below(8) == 0 {
                clock.advance(1_000);
                early += both[1].take_in(&both[0]).unwrap().parked.len();
            }
        }
        clock.advance(1_000);
        let before = [0, 1].map(|side| cells(&both[side]));
        let taken = both[0].take_in(&both[1]).unwrap();
        assert_eq!(taken.fork.timestamp, Timestamp::from_micros(1_000_000), "{round}");
        clock.advance(1_000);
        let back = both[1].take_in(&both[0]).unwrap();
        assert!(both[0].take_in(&both[1]).unwrap().frames.is_empty(), "{round}");
        let [ours, theirs] = [0, 1].map(|side| cells(&both[side]));
        if taken.parked.is_empty() && back.parked.is_empty() && early == 0 {
            assert_eq!(ours, theirs, "{round}");
            agreed += 1;
        } else {
            // What is disputed stays as ours had it.
            let names: Vec<_> =
                taken.parked.iter().map(|c| (&c.table, c.key_text(), &c.column)).collect();
            for ((table, key, column), text) in &before[0] {
                let disputed = names.iter().any(|(name, k, c)| {
                    name.as_str() == table && k == key && c.as_ref() == Some(column)
                });
                let now = ours.get(&(table.clone(), key.clone(), column.clone()));
                assert!(!disputed || now == Some(text), "{round} {table} {key} {column}");
            }
            disputed += 1;
        }
        check_frames(&both[0], steps, taken.parked.is_empty(), round);
        for disk in &disks {
            both.iter().for_each(|database| drop(database.checkpoint(&[]).unwrap()));
            let disk: Arc<dyn Storage> = Arc::new(disk.clone());
            let found = verify(&disk).unwrap().findings;
            assert!(found.is_empty(), "{round}: {found:#?}");
        }
    }
    assert!(agreed > 20 && disputed > 20, "{agreed} agreed, {disputed} disputed");
}

/// Frames of theirs are there by their user and under their name, if anything of them could be done.
fn check_frames(database: &Database, steps: u64, is_clean: bool, round: u64) {
    let frames = database.frames().unwrap();
    for step in 0..steps {
        for (side, user) in ["ann", "ben"].iter().enumerate() {
            let name = format!("{side} {step}");
            let found = frames.iter().filter(|frame| frame.name.as_ref() == Some(&name));
            let users: Vec<&str> = found.map(|frame| frame.user.as_str()).collect();
            let expected = if side == 0 || is_clean { 1 } else { users.len().min(1) };
            assert_eq!(users, vec![*user; expected], "{round}: {name}");
        }
    }
}

#[test]
fn databases_that_are_no_copies_are_refused() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let both = [0, 1].map(|_| open(&MemoryStorage::new(), &clock));
    for database in &both {
        let mut transaction = database.begin().unwrap();
        let new = reedbase::csv("id,a\n1,x\n", &["id"]).unwrap();
        transaction.create_table("t", &new).unwrap();
        transaction.commit().unwrap();
    }
    let refused = both[0].take_in(&both[1]).unwrap_err();
    assert!(refused.to_string().contains("no frame in common"), "{refused}");
}
