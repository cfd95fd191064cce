use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reedbase::storage::MemoryStorage;
use reedbase::{
    ConflictKind, Conflicts, Database, Decision, Limits, MergeCell, MergeDriver, OpenOptions,
};

/// Handles of their own on one storage, as processes have them.
fn open(storage: &Arc<MemoryStorage>) -> Database {
    OpenOptions::new()
        .storage(storage.clone())
        .create(true)
        .limits(Limits::tiny())
        .open("")
        .unwrap()
}

fn with_table(text: &str) -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::new());
    let mut transaction = open(&storage).begin().unwrap();
    transaction.create_table("t", &reedbase::csv(text.to_owned(), &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    storage
}

fn cell(database: &Database, key: &str, column: &str) -> Option<String> {
    let row = database.snapshot().unwrap().get("t", key).unwrap().unwrap();
    row.get(column).map(|text| text.into_owned())
}

/// Runs something in threads that have handles of their own.
fn at_once(storage: &Arc<MemoryStorage>, threads: u64, act: impl Fn(u64, &Database) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let act = &act;
            scope.spawn(move || act(thread, &open(storage)));
        }
    });
}

/// Whoever reads a number and writes one more counts every time, whatever others do.
#[test]
fn what_is_read_and_then_written_is_never_overwritten() {
    let storage = with_table("id,n,x\na,0,\n");
    let tries = AtomicU64::new(0);
    at_once(&storage, 6, |_, database| {
        for _ in 0..40 {
            let done = database.transact(|transaction| {
                tries.fetch_add(1, Ordering::Relaxed);
                let row = transaction.get("t", "a")?.unwrap();
                let n: u64 = row.get("n").unwrap().parse().unwrap();
                transaction.update("t", "a", [("n", (n + 1).to_string())])
            });
            done.unwrap();
        }
    });
    assert_eq!(cell(&open(&storage), "a", "n").as_deref(), Some("240"));
    assert!(tries.into_inner() >= 240);
    // Somebody writes the very same in between.
    let (database, other) = (open(&storage), open(&storage));
    let mut begun = 0;
    let counted = database.transact(|transaction| {
        let row = transaction.get("t", "a")?.unwrap();
        let next = row.get("n").unwrap().parse::<u64>().unwrap() + 1;
        begun += 1;
        if begun == 1 {
            other.set("t", "a", [("n", next.to_string())])?;
        }
        transaction.update("t", "a", [("n", next.to_string())])?;
        Ok(next)
    });
    assert_eq!((counted.unwrap(), begun), (242, 2));
    database.set("t", "a", [("n", "240")]).unwrap();
    // Without that, two that write the same agree: one of them is not counted.
    let (one, other) = (open(&storage), open(&storage));
    let mut first = one.begin().unwrap();
    first.update("t", "a", [("n", "241")]).unwrap();
    let mut second = other.begin().unwrap();
    second.update("t", "a", [("n", "241")]).unwrap();
    first.commit().unwrap();
    second.commit().unwrap();
    assert_eq!(cell(&one, "a", "n").as_deref(), Some("241"));
}

/// Whole tables that are merged before the lock is taken, while others commit.
#[test]
fn whole_tables_are_merged_again_if_somebody_commits_meanwhile() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 12;
    let rows: String = (0..1500).map(|n| format!("{n},0\n")).collect();
    let storage = with_table(&format!("id,n\n{rows}"));
    at_once(&storage, THREADS, |thread, database| {
        for round in 0..ROUNDS {
            let mut transaction = database.begin().unwrap();
            let text = database.snapshot().unwrap().table("t").unwrap().to_bytes().unwrap();
            let text = String::from_utf8(text.to_vec()).unwrap();
            // A row of one's own, and another in another place.
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let last = lines.len() - 1;
            lines.swap(last, 1 + (round * THREADS + thread) as usize);
            lines.push(format!("new {thread} {round},1"));
            let new = reedbase::csv(lines.join("\n") + "\n", &["id"]).unwrap();
            transaction.replace_table("t", &new).unwrap();
            let own = (thread * 100 + round) as i64;
            database.set("t", own, [("n", "7")]).unwrap();
            transaction.commit().unwrap();
        }
    });
    let database = open(&storage);
    let snapshot = database.snapshot().unwrap();
    for (thread, round) in (0..THREADS).flat_map(|thread| (0..ROUNDS).map(move |r| (thread, r))) {
        let new = snapshot.get("t", format!("new {thread} {round}").as_str()).unwrap();
        assert!(new.is_some(), "new {thread} {round}");
        let own = snapshot.get("t", (thread * 100 + round) as i64).unwrap().unwrap();
        assert_eq!(own.get("n").as_deref(), Some("7"), "{thread} {round}");
    }
    assert_eq!(snapshot.table("t").unwrap().rows(), 1500 + THREADS * ROUNDS);
}

#[test]
fn what_is_added_is_added_up() {
    let storage = with_table("id,n,x\na,0,\nb,,\n");
    at_once(&storage, 5, |thread, database| {
        for _ in 0..30 {
            database.increment("t", "a", "n", 2).unwrap();
            database.increment("t", "b", "n", "0.10").unwrap();
            database.set("t", "a", [("x", thread.to_string())]).unwrap();
        }
    });
    let database = open(&storage);
    assert_eq!(cell(&database, "a", "n").as_deref(), Some("300"));
    assert_eq!(cell(&database, "b", "n").as_deref(), Some("15.00"));
    let error = database.increment("t", "a", "x", "many").unwrap_err();
    assert!(error.to_string().contains("`many` is no number to add"), "{error}");
}

/// Of those who expect what is there, one writes.
#[test]
fn compare_and_swap_lets_one_through() {
    let storage = with_table("id,owner,since\na,nobody,\n");
    let won = AtomicU64::new(0);
    at_once(&storage, 8, |thread, database| {
        let owner = format!("thread {thread}");
        let cells = [("owner", owner.as_str()), ("since", "now")];
        match database.update_if("t", "a", [("owner", "nobody")], cells) {
            Ok(_) => drop(won.fetch_add(1, Ordering::Relaxed)),
            Err(error) => {
                let conflict = &Conflicts::of(&error)[0];
                assert_eq!(conflict.base.as_deref(), Some("nobody"));
                assert_eq!(conflict.theirs, Some(owner));
                assert!(conflict.ours.as_ref().is_some_and(|ours| ours.starts_with("thread")));
            }
        }
    });
    assert_eq!(won.into_inner(), 1);
    // Cells that are not expected may change; one that is may not, though nothing is written there.
    let (one, other) = (open(&storage), open(&storage));
    let holds = cell(&one, "a", "owner");
    let mut transaction = one.begin().unwrap();
    transaction.update_if("t", "a", [("owner", holds.clone())], [("since", "later")]).unwrap();
    other.set("t", "a", [("since", "meanwhile")]).unwrap();
    assert_eq!(Conflicts::of(&transaction.commit().unwrap_err())[0].kind, ConflictKind::Cell);
    let mut transaction = one.begin().unwrap();
    transaction.update_if("t", "a", [("owner", holds)], [("since", "later")]).unwrap();
    other.set("t", "a", [("owner", "somebody")]).unwrap();
    assert!(transaction.commit().unwrap_err().is_conflict());
    assert_eq!(cell(&one, "a", "since").as_deref(), Some("meanwhile"));
}

/// What snapshot isolation does not keep from happening, and what does.
#[test]
fn write_skew_is_possible_and_can_be_kept_out() {
    let go_off = |relying: bool| {
        let storage = with_table("id,on\nann,yes\nben,yes\n");
        let (one, other) = (open(&storage), open(&storage));
        let leave = |database: &Database, me: &str, friend: &str| {
            let mut transaction = database.begin().unwrap();
            let there = transaction.get("t", friend).unwrap().unwrap();
            assert_eq!(there.get("on").as_deref(), Some("yes"));
            transaction.update("t", me, [("on", "no")]).unwrap();
            if relying {
                let none: [(&str, &str); 0] = [];
                transaction.update_if("t", friend, [("on", "yes")], none).unwrap();
            }
            transaction
        };
        let (ann, ben) = (leave(&one, "ann", "ben"), leave(&other, "ben", "ann"));
        ann.commit().unwrap();
        ben.commit().map(drop)
    };
    assert!(go_off(false).is_ok(), "both are off duty");
    assert!(go_off(true).unwrap_err().is_conflict(), "the second relies on the first");
}

/// A driver of a program's own: takes the longer text, and takes its time if it is told to.
struct Longest {
    slow: bool,
}

impl MergeDriver for Longest {
    fn id(&self) -> &str {
        "longest"
    }

    fn merge(&self, cells: &[MergeCell]) -> reedbase::Result<Vec<Decision>> {
        if self.slow {
            std::thread::sleep(Duration::from_millis(60));
        }
        let longer = |cell: &MergeCell| {
            let longer = cell.ours.clone().max_by_len(cell.theirs.clone());
            Decision::Cell(longer)
        };
        Ok(cells.iter().map(longer).collect())
    }
}

trait MaxByLen {
    fn max_by_len(self, other: Self) -> Self;
}

impl MaxByLen for Option<String> {
    fn max_by_len(self, other: Self) -> Self {
        let len = |text: &Self| text.as_ref().map_or(0, String::len);
        if len(&self) >= len(&other) { self } else { other }
    }
}

#[test]
fn a_driver_of_a_program_decides_unless_it_takes_too_long() {
    for (slow, known) in [(false, true), (true, true), (false, false)] {
        let storage = Arc::new(MemoryStorage::new());
        let options = OpenOptions::new().storage(storage.clone()).create(true);
        let options = match known {
            true => options.merge_driver(Arc::new(Longest { slow })),
            false => options,
        };
        let database = options.open("").unwrap();
        let mut table = reedbase::csv("id,x\na,base\n", &["id"]).unwrap();
        table.schema.columns[1].merge = Some("longest".to_owned());
        let mut transaction = database.begin().unwrap();
        transaction.create_table("t", &table).unwrap();
        transaction.commit().unwrap();
        let mut theirs = database.begin().unwrap();
        theirs.update("t", "a", [("x", "the longest of all")]).unwrap();
        database.set("t", "a", [("x", "short")]).unwrap();
        let committed = theirs.commit();
        let decided = known && !slow;
        assert_eq!(committed.is_ok(), decided, "slow {slow}, known {known}");
        let now = if decided { "the longest of all" } else { "short" };
        assert_eq!(cell(&database, "a", "x").as_deref(), Some(now));
    }
}

/// Somebody reads one state through all that others do.
#[test]
fn a_snapshot_stays_through_checkpoints_packs_and_adoptions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let open = || {
        let options = OpenOptions::new().create(true).limits(Limits::tiny());
        options.open(&path).unwrap()
    };
    let reader = open();
    let mut transaction = reader.begin().unwrap();
    let rows: String = (0..200).map(|n| format!("{n},0\n")).collect();
    let table = reedbase::csv(format!("id,n\n{rows}"), &["id"]).unwrap();
    transaction.create_table("t", &table).unwrap();
    transaction.commit().unwrap();
    let held = reader.snapshot().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3_i64 {
            let open = &open;
            scope.spawn(move || {
                let database = open();
                for round in 0..40_i64 {
                    let key = (round * 3 + thread) % 200;
                    database.set("t", key, [("n", round + 1)]).unwrap();
                    match round % 10 {
                        3 => drop(database.checkpoint(&[]).unwrap()),
                        7 => drop(database.pack("t").unwrap()),
                        _ => {}
                    }
                }
            });
        }
        for _ in 0..200 {
            let rows: Vec<_> = held.rows("t").unwrap().collect();
            assert_eq!(rows.len(), 200);
            assert!(rows.iter().all(|row| row.as_ref().unwrap().get("n").as_deref() == Some("0")));
        }
    });
    let now = reader.snapshot().unwrap();
    let changed =
        now.rows("t").unwrap().filter(|row| row.as_ref().unwrap().get("n").as_deref() != Some("0"));
    assert_eq!(changed.count(), 120);
    assert_eq!(held.get("t", 0_i64).unwrap().unwrap().get("n").as_deref(), Some("0"));
    assert_eq!(reader.frames().unwrap().len(), 121);
}
