//! History that was removed is gone, and all that is left is what it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase::clock::ManualClock;
use reedbase::storage::{MemoryStorage, Storage};
use reedbase::verify::verify;
use reedbase::{Action, Compact, Database, Keep, Limits, OpenOptions, Timestamp};

use crate::random::Random;

const DAY: i64 = 86_400_000_000;

fn open(storage: &Arc<MemoryStorage>, clock: &Arc<ManualClock>) -> Database {
    let options = OpenOptions::new().storage(storage.clone()).create(true);
    options.clock(clock.clone()).limits(Limits::tiny()).open("").unwrap()
}

/// Random edits of two tables, some an hour apart, with checkpoints, packing and compaction between: every version that is kept
/// is what it was, the life of each row is cut where the history begins, and everything else can still be checked.
#[test]
fn what_is_kept_is_what_it_was() {
    let mut random = Random(20_261_121);
    for round in 0..40 {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
        let storage = Arc::new(MemoryStorage::new());
        let mut database = open(&storage, &clock);
        let mut past: BTreeMap<(&str, Timestamp), String> = BTreeMap::new();
        for table in ["one", "two"] {
            let rows: String = (0..6).map(|key| format!("{key},start\n")).collect();
            let mut transaction = database.begin().unwrap();
            let new = reedbase::csv(format!("id,x\n{rows}"), &["id"]).unwrap();
            transaction.create_table(table, &new).unwrap();
            let frame = transaction.commit().unwrap().frame.unwrap();
            past.insert((table, frame.timestamp), format!("id,x\n{rows}"));
        }
        for step in 0..60 {
            clock.advance(1_000 + i64::from(random.below(8) == 0) * DAY);
            let table = if random.below(4) == 0 { "two" } else { "one" };
            match random.below(12) {
                0 => drop(database.checkpoint(&[]).unwrap()),
                1 => drop(database.pack(table).unwrap()),
                2 => database = open(&storage, &clock),
                3 => compact(&database, &mut random, &mut past),
                _ => {
                    let mut transaction = database.begin().unwrap();
                    let key = random.below(6).to_string();
                    let value = format!("{step}{}", "-".repeat(random.below(30) as usize));
                    // Some frames touch both: such a frame stays as long as one of its parts does.
                    let tables =
                        if random.below(3) == 0 { vec!["one", "two"] } else { vec![table] };
                    for table in &tables {
                        transaction.update(table, &key, [("x", value.as_str())]).unwrap();
                    }
                    let frame = transaction.commit().unwrap().frame.unwrap();
                    for table in tables {
                        let text = database.snapshot().unwrap().table(table).unwrap().to_bytes();
                        let text = String::from_utf8(text.unwrap().to_vec()).unwrap();
                        past.insert((table, frame.timestamp), text);
                    }
                }
            }
        }
        check(&database, &past);
        drop(database);
        check(&open(&storage, &clock), &past);
        let storage: Arc<dyn Storage> = storage;
        let report = verify(&storage).unwrap();
        assert!(report.findings.is_empty(), "round {round}: {:#?}", report.findings);
    }
}

fn compact(
    database: &Database,
    random: &mut Random,
    past: &mut BTreeMap<(&'static str, Timestamp), String>,
) {
    let keep = match random.below(3) {
        0 => Keep::Days(1 + random.below(3) as u32),
        _ => Keep::Versions(1 + random.below(12)),
    };
    let how = Compact::keep(keep).young(random.below(3) > 0);
    let planned = database.plan_compact(&[], &how).unwrap();
    let report = database.compact(&[], &how).unwrap();
    assert_eq!(planned.len(), report.tables.len());
    for (planned, done) in planned.iter().zip(&report.tables) {
        let before = past.len();
        past.retain(|(table, at), _| *table != done.table.as_str() || *at >= done.start);
        assert_eq!((before - past.len()) as u64, done.versions);
        assert_eq!((&planned.table, planned.start), (&done.table, done.start));
        if let Keep::Versions(count) = keep {
            let kept = past.keys().filter(|(table, _)| *table == done.table.as_str()).count();
            assert!(kept as u64 >= count);
        }
    }
}

fn check(database: &Database, past: &BTreeMap<(&str, Timestamp), String>) {
    let snapshot = database.snapshot().unwrap();
    for table in ["one", "two"] {
        let expected: Vec<(Timestamp, &String)> = past
            .iter()
            .filter(|((name, _), _)| *name == table)
            .map(|((_, at), text)| (*at, text))
            .collect();
        let versions = snapshot.versions(table).unwrap();
        let found: Vec<Timestamp> = versions.iter().map(|version| version.timestamp).collect();
        assert_eq!(found, expected.iter().map(|(at, _)| *at).collect::<Vec<_>>());
        for (at, text) in &expected {
            let bytes = snapshot.table_at(table, *at).unwrap().to_bytes().unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), **text, "{table} at {at}");
        }
        let first = versions[0].timestamp;
        if versions[0].action == Action::COMPACT {
            let gone = first.previous();
            assert!(snapshot.table_at(table, gone).unwrap_err().is_not_found());
            assert!(snapshot.as_of(gone).unwrap_err().is_not_found());
            // Undoing what made the first version would empty the table.
            assert!(snapshot.diff(table, gone, first).unwrap_err().is_not_found());
            assert!(snapshot.diff(table, Timestamp::ZERO, Timestamp::MAX).is_err());
        }
        for key in 0..6 {
            let key = key.to_string();
            let row = |text: &str| {
                let start = format!("{key},");
                text.lines().find(|line| line.starts_with(&start)).map(str::to_owned)
            };
            let mut life: Vec<(Timestamp, Option<String>)> = Vec::new();
            for (at, text) in &expected {
                let now = row(text);
                if life.last().is_none_or(|(_, last)| *last != now) {
                    life.push((*at, now));
                }
            }
            life.reverse();
            let found = snapshot.history(table, &key).unwrap().into_iter().map(|moment| {
                let text = moment
                    .row
                    .map(|row| String::from_utf8_lossy(row.bytes()).trim_end().to_owned());
                (moment.timestamp, text)
            });
            assert_eq!(found.collect::<Vec<_>>(), life, "{table} {key}");
        }
        snapshot.blame(table).unwrap();
    }
}

/// A table with three versions, and what somebody began when there were two. The handle, its disk and its clock.
fn at_work(
    begin: impl FnOnce(&Database, &MemoryStorage),
) -> (Arc<MemoryStorage>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let storage = Arc::new(MemoryStorage::new());
    let database = open(&storage, &clock);
    let set = |value: &str| {
        clock.advance(2_000_000);
        let mut transaction = database.begin().unwrap();
        transaction.update("t", "2", [("x", value)]).unwrap();
        transaction.commit().unwrap();
        database.checkpoint(&[]).unwrap();
    };
    let mut transaction = database.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,x\n1,a\n2,b\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    set("one");
    begin(&database, &storage);
    set("two");
    set("three");
    let how = Compact::keep(Keep::Versions(1)).young(true);
    assert_eq!(database.compact(&[], &how).unwrap().tables[0].versions, 1);
    clock.advance(2_000_000);
    (storage, clock)
}

/// What was begun is there, and what came since; and now nobody needs the older versions any more.
fn is_done(database: &Database) {
    let bytes = database.snapshot().unwrap().table("t").unwrap().to_bytes().unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), "id,x\n1,mine\n2,three\n");
    database.checkpoint(&[]).unwrap();
    database.compact(&[], &Compact::keep(Keep::Versions(1)).young(true)).unwrap();
    assert_eq!(database.snapshot().unwrap().versions("t").unwrap().len(), 1);
}

#[test]
fn what_an_outside_edit_was_made_from_is_not_removed() {
    let (storage, clock) = at_work(|_, storage| {
        let file = storage.create("tables/t/current.csv").unwrap();
        file.write_at(b"id,x\n1,mine\n2,one\n", 0).unwrap();
    });
    let database = open(&storage, &clock);
    let edit = database.outside_edit("t").unwrap().unwrap();
    database.adopt(vec![edit], &reedbase::Adopt::new()).unwrap();
    is_done(&database);
}

#[test]
fn what_an_open_frame_began_with_is_not_removed() {
    let (storage, clock) = at_work(|database, _| {
        database.begin_frame(Some("work")).unwrap();
        let mut step = database.in_frame("work").unwrap().begin().unwrap();
        step.update("t", "1", [("x", "mine")]).unwrap();
        step.commit().unwrap();
    });
    let database = open(&storage, &clock);
    database.in_frame("work").unwrap().commit_frame().unwrap();
    is_done(&database);
}
