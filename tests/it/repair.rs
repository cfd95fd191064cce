//! What is damaged or lost is made anew of what is left, or told.

use std::sync::Arc;

use reedbase::repair::{Repair, repair};
use reedbase::storage::{MemoryStorage, Storage};
use reedbase::verify::{Concern, Finding, verify};
use reedbase::{Checkpoints, Limits, OpenOptions, Timestamp};

use crate::poke::{Answers, Files, answers, build, is_beside, open};
use crate::random::Random;

/// Repairs a database that was whole before, and looks at what came of it.
struct Bench {
    whole: Files,
    right: Answers,
    made: u32,
    lost: u32,
}

impl Bench {
    fn new() -> Self {
        let [_, whole] = build('v', true);
        let right = answers(&open(memory(&whole)).unwrap()).unwrap();
        Self { whole, right, made: 0, lost: 0 }
    }

    /// After repairing, nothing is damaged, all tables are what they were, and what is told of their past is true. Unless
    /// something is said to be lost, everything is told.
    fn check(&mut self, damaged: &Files, context: &str) -> Repair {
        let storage: Arc<dyn Storage> = memory(damaged);
        let done = repair(&storage, Limits::tiny());
        let done = done.unwrap_or_else(|error| panic!("{context}: {error:?}"));
        self.made += u32::from(!done.made.is_empty());
        self.lost += u32::from(!done.lost.is_empty());
        let bad = bad(&storage);
        assert!(bad.is_empty(), "{context}: {bad:#?}\n{done:#?}");
        let database = open(Arc::clone(&storage));
        let database = database.unwrap_or_else(|error| panic!("{context}: {error:?}\n{done:#?}"));
        let found = answers(&database).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        for table in ["t", "u", "reed_conflicts"] {
            assert_eq!(found.get(table), self.right.get(table), "{context}: {done:#?}");
        }
        for (question, answer) in &found {
            // What is lost shows in these: they tell of everything.
            let tells_all = ["frames", "versions of", "history of", "past conflicts"];
            let may_differ = tells_all.iter().any(|start| question.starts_with(start));
            if done.lost.is_empty() || !may_differ {
                let right = self.right.get(question);
                assert_eq!(Some(answer), right, "{context}: {question}\n{done:#?}");
            }
        }
        assert!(!done.lost.is_empty() || found.len() == self.right.len(), "{context}: {done:#?}");
        // What goes on after it is as good as ever.
        database.checkpoint(&[]).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        for table in ["t", "u"] {
            database.pack(table).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        }
        let bad = self::bad(&storage);
        assert!(bad.is_empty(), "{context}, packed: {bad:#?}\n{done:#?}");
        let again = repair(&storage, Limits::tiny()).unwrap();
        assert!(again.made.is_empty() && again.lost.is_empty(), "{context}: {again:#?}");
        done
    }
}

/// What is damaged.
fn bad(storage: &Arc<dyn Storage>) -> Vec<Finding> {
    let mut findings = verify(storage).unwrap().findings;
    findings.retain(|finding| finding.concern == Concern::Damaged);
    findings
}

fn memory(files: &Files) -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::from_files(files.clone()))
}

/// The journal has a way of its own (`rdb verify --cut`), and so have frames that were never committed.
fn is_for_others(path: &str) -> bool {
    path.starts_with("journal/") || path.contains(".open") || path.contains(".abandoned")
}

/// `REEDBASE_EVERY=1` pokes every byte, else it is every fifth.
#[test]
fn every_byte_can_be_mended_or_its_loss_is_told() {
    let every = std::env::var("REEDBASE_EVERY").ok().and_then(|every| every.parse().ok());
    let every: usize = every.unwrap_or(5);
    let mut bench = Bench::new();
    let whole = bench.whole.clone();
    let (mut pokes, first) = (0, whole.values().map(Vec::len).sum::<usize>() % every);
    for (path, bytes) in &whole {
        if is_beside(path) || is_for_others(path) {
            continue;
        }
        for at in (first..bytes.len()).step_by(every) {
            pokes += 1;
            let flip = [0x01, 0x80, 0x20, 0xff][(at + pokes) % 4];
            let mut poked = whole.clone();
            poked.get_mut(path).unwrap()[at] ^= flip;
            bench.check(&poked, &format!("{path}, byte {at} ^ {flip:#x}"));
        }
    }
    let Bench { made, lost, .. } = bench;
    assert!(pokes > 1_000 && made > 200 && lost > 20, "{pokes} pokes, {made} made, {lost} lost");
}

#[test]
fn every_file_can_be_gone() {
    let mut bench = Bench::new();
    let whole = bench.whole.clone();
    for path in whole.keys().filter(|path| !is_for_others(path) && *path != "config.toml") {
        let mut damaged = whole.clone();
        damaged.remove(path);
        let done = bench.check(&damaged, &format!("without {path}"));
        // These follow from the rest, without a loss.
        if ["current.csv", "mark", "schema.toml"].iter().any(|end| path.ends_with(end)) {
            assert!(done.lost.is_empty(), "{path}: {done:#?}");
        }
    }
}

/// All that follows from the history of the tables, gone at once.
#[test]
fn the_history_alone_makes_everything_else() {
    let mut bench = Bench::new();
    let mut damaged = bench.whole.clone();
    let derived =
        ["current.csv", "schema.toml", "mark", "mark.old", "current.csv.old", "version.log"];
    damaged.retain(|path, _| {
        let name = path.rsplit('/').next().unwrap_or(path);
        !(path.starts_with("cache/") || path.starts_with("tables/") && derived.contains(&name))
    });
    let done = bench.check(&damaged, "without anything but the history");
    assert!(done.lost.is_empty(), "{done:#?}");
}

/// Nothing but a frame says that there was a version: its line and its file are gone.
#[test]
fn a_version_that_only_its_frame_tells_of_is_made_anew() {
    let mut bench = Bench::new();
    let mut damaged = bench.whole.clone();
    let log = damaged.get_mut("tables/t/version.log").unwrap();
    let text = String::from_utf8(log.clone()).unwrap();
    let line = text.lines().last().unwrap().to_owned();
    *log = text.replace(&format!("{line}\n"), "").into_bytes();
    let version = line.split('|').next().unwrap();
    assert!(damaged.remove(&format!("tables/t/{version}.bsdiff")).is_some());
    let done = bench.check(&damaged, "without the newest version");
    assert!(done.lost.is_empty() && !done.made.is_empty(), "{done:#?}");
}

#[test]
fn a_database_that_is_whole_is_left_alone() {
    let bench = Bench::new();
    let storage = memory(&bench.whole);
    let before = storage.files();
    let disk: Arc<dyn Storage> = storage.clone();
    assert!(repair(&disk, Limits::tiny()).unwrap().is_empty());
    assert_eq!(storage.files(), before);
}

/// Several things at once. What cannot be repaired is refused; whatever is told after a repair is true.
#[test]
fn no_answer_is_wrong_however_much_is_damaged() {
    let mut random = Random(20_261_121);
    let bench = Bench::new();
    let paths: Vec<&String> = bench.whole.keys().filter(|path| !is_for_others(path)).collect();
    let (mut repaired, mut refused) = (0, 0);
    for round in 0..400 {
        let mut damaged = bench.whole.clone();
        let mut done = String::new();
        for _ in 0..2 + random.below(4) {
            let path = paths[random.below(paths.len() as u64) as usize];
            let Some(bytes) = damaged.get_mut(path).filter(|bytes| !bytes.is_empty()) else {
                continue;
            };
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(4) {
                0 => bytes.truncate(at),
                1 => drop(damaged.remove(path)),
                _ => bytes[at] ^= 0x20,
            }
            done.push_str(&format!(" {path}@{at}"));
        }
        let storage: Arc<dyn Storage> = memory(&damaged);
        let report = match repair(&storage, Limits::tiny()) {
            Ok(report) => report,
            Err(error) => {
                assert!(error.is_corrupt() || error.is_not_found(), "{round}:{done}: {error:?}");
                refused += 1;
                continue;
            }
        };
        repaired += 1;
        let database = open(Arc::clone(&storage));
        let database = database.unwrap_or_else(|error| panic!("{round}:{done}: {error:?}"));
        let found = answers(&database).unwrap();
        for (question, answer) in found.iter().filter(|(question, _)| question.contains(" at ")) {
            assert_eq!(Some(answer), bench.right.get(question), "{round}:{done}: {report:#?}");
        }
        let goes_back = report.lost.iter().any(|lost| lost.contains("goes on from"));
        let bad = bad(&storage);
        assert!(goes_back || bad.is_empty(), "{round}:{done}: {bad:#?} {report:#?}");
        for table in ["t", "u"] {
            let same = found.get(table) == bench.right.get(table);
            assert!(same || goes_back, "{round}:{done}: {table}, {report:#?}");
        }
    }
    assert!(repaired > 200 && refused > 0, "{repaired} repaired, {refused} refused");
}

/// A table with many versions, and the text of each.
fn history(storage: &MemoryStorage, versions: usize, width: usize) -> Vec<(Timestamp, String)> {
    let mut random = Random(7);
    let database = OpenOptions::new().create(true).storage(Arc::new(storage.clone()));
    let database = database.checkpoints(Checkpoints::Inline).open("").unwrap();
    let mut transaction = database.begin().unwrap();
    transaction.create_table("t", &reedbase::csv("id,x\n1,a\n2,b\n", &["id"]).unwrap()).unwrap();
    transaction.commit().unwrap();
    let mut past = Vec::new();
    for version in 0..versions {
        let text: String = (0..width).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
        let mut transaction = database.begin().unwrap();
        transaction.update("t", (1 + version % 2) as i64, [("x", text)]).unwrap();
        let frame = transaction.commit().unwrap().frame.unwrap();
        let bytes = database.snapshot().unwrap().table("t").unwrap().to_bytes().unwrap();
        past.push((frame.timestamp, String::from_utf8(bytes.to_vec()).unwrap()));
        if version % 16 == 0 {
            database.checkpoint(&[]).unwrap();
        }
    }
    database.checkpoint(&[]).unwrap();
    past
}

/// The versions that are still there are what they were; gives how many.
fn still_there(storage: &MemoryStorage, past: &[(Timestamp, String)]) -> usize {
    let disk: Arc<dyn Storage> = Arc::new(storage.clone());
    let bad = bad(&disk);
    assert!(bad.is_empty(), "{bad:#?}");
    let database = OpenOptions::new().storage(disk).open("").unwrap();
    let snapshot = database.snapshot().unwrap();
    let versions = snapshot.versions("t").unwrap();
    let known = past.iter().filter(|(at, _)| versions.iter().any(|v| v.timestamp == *at));
    known
        .map(|(at, text)| {
            let bytes = snapshot.table_at("t", *at).unwrap().to_bytes().unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), *text, "{at}");
        })
        .count()
}

/// One chunk of a pack is damaged: what its versions did together is known, and the versions before and after are whole.
#[test]
fn a_gap_in_a_pack_is_bridged() {
    let storage = MemoryStorage::new();
    let past = history(&storage, 90, 3_000);
    let disk: Arc<dyn Storage> = Arc::new(storage.clone());
    OpenOptions::new().storage(Arc::clone(&disk)).open("").unwrap().pack("t").unwrap();
    assert_eq!(still_there(&storage, &past), past.len());
    let files = storage.files();
    let pack = files.keys().find(|path| path.ends_with(".pack") && path.contains("/t/")).unwrap();
    let mut bytes = files[pack].clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    disk.write_new(pack, &bytes).unwrap();
    let done = repair(&disk, Limits::default()).unwrap();
    assert_eq!(done.lost.len(), 1, "{done:#?}");
    let left = still_there(&storage, &past);
    assert!((40..past.len()).contains(&left), "{left} of {}: {done:#?}", past.len());
    // And so it stays, packed once more.
    OpenOptions::new().storage(Arc::clone(&disk)).open("").unwrap().pack("t").unwrap();
    assert_eq!(still_there(&storage, &past), left);
}

/// Nothing tells of a version any more but that another follows it.
#[test]
fn a_version_without_a_trace_leaves_a_gap_that_is_bridged() {
    let storage = MemoryStorage::new();
    let past = history(&storage, 3, 5);
    let (gone, _) = &past[1];
    let disk: Arc<dyn Storage> = Arc::new(storage.clone());
    disk.remove(&format!("tables/t/{gone}.bsdiff")).unwrap();
    for path in ["tables/t/version.log", "frames/index.csv"] {
        let text = String::from_utf8(storage.files()[path].clone()).unwrap();
        let start = format!("{gone}|");
        let rest = text.split_inclusive('\n').filter(|line| !line.starts_with(&start));
        disk.write_new(path, rest.collect::<String>().as_bytes()).unwrap();
    }
    repair(&disk, Limits::default()).unwrap();
    assert_eq!(still_there(&storage, &past), 2);
}
