use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use reedbase::clock::{Clock, SystemClock};
use reedbase::storage::{Access, Fault, FaultyStorage, FileSystem, MemoryStorage, Storage};
use reedbase::{Adopt, Checkpoints, Database, Import, NewTable, OpenOptions, Timestamp};

/// The real tables: not part of the repository.
fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ourairports");
    folder.is_dir().then_some(folder)
}

/// A day: table and content of each file that changed.
type Day = Vec<(String, Vec<u8>)>;

/// The tables as they stood on the first day, and what changed on each of the following.
fn days() -> Option<(Day, Vec<Day>)> {
    let Some(data) = data() else {
        // Past the capture of a test's output: a skipped test must say so.
        std::io::stderr()
            .write_all(b"SKIPPED: the replay, since the real tables are not here\n")
            .unwrap();
        return None;
    };
    let mut first = Day::new();
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            first.push((name, std::fs::read(&path).unwrap()));
        }
    }
    first.sort();
    assert_eq!(first.len(), 5);
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("xJf")
        .arg(data.join("daily-a.tar.xz"))
        .arg("-C")
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(unpacked.success());
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let days = names.iter().map(|day| {
        let mut files: Day = std::fs::read_dir(day)
            .unwrap()
            .map(|file| {
                let path = file.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read(&path).unwrap())
            })
            .collect();
        files.sort();
        files
    });
    let days: Vec<Day> = days.collect();
    let versions: usize = days.iter().map(Vec::len).sum();
    assert_eq!(versions, 133);
    Some((first, days))
}

fn table(bytes: &[u8]) -> NewTable {
    let mut import = Import::default();
    import.key = vec!["id".to_owned()];
    import.read(bytes.to_vec().into()).unwrap()
}

fn import_first(database: &Database, first: &Day) -> reedbase::Result<()> {
    for (name, bytes) in first {
        let mut transaction = database.begin()?;
        transaction.create_table(name, &table(bytes))?;
        transaction.commit()?;
    }
    Ok(())
}

/// How a day's files get into the database.
#[derive(Clone, Copy)]
enum Way {
    /// By import.
    Replace,
    /// Somebody saves them over the tables' files, and they are adopted.
    Adopt,
}

/// One frame for all files of a day; gives its timestamp.
fn bring_in(
    database: &Database,
    storage: &dyn Storage,
    day: &Day,
    way: Way,
) -> reedbase::Result<reedbase::Timestamp> {
    let commit = match way {
        Way::Replace => {
            let mut transaction = database.begin()?;
            for (name, bytes) in day {
                transaction.replace_table(name, &table(bytes))?;
            }
            transaction.commit()?
        }
        Way::Adopt => {
            for (number, (name, bytes)) in day.iter().enumerate() {
                save(storage, &format!("tables/{name}/current.csv"), bytes, number % 2 == 0)?;
            }
            let edited = database.edited_outside()?;
            let edits = edited.iter().map(|name| database.outside_edit(name.as_str()));
            let edits = edits.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            database.adopt(edits, &Adopt::new())?
        }
    };
    Ok(commit.frame.map_or(database.snapshot()?.frame(), |frame| frame.timestamp))
}

/// Saves a file as editors do: under another name first, or in place.
fn save(storage: &dyn Storage, path: &str, bytes: &[u8], aside: bool) -> reedbase::Result<()> {
    if aside {
        storage.create(&format!("{path}~"))?.write_at(bytes, 0)?;
        return storage.rename(&format!("{path}~"), path);
    }
    let file = storage.open(path, Access::Write)?.unwrap();
    file.set_len(0)?;
    file.write_at(bytes, 0)
}

/// A clock that is ahead, so that no file was saved just now.
#[derive(Debug)]
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.now().as_micros() + 3_600_000_000)
    }
}

/// Every day, byte for byte, from the history.
fn check(database: &Database, days: &[(reedbase::Timestamp, BTreeMap<String, Vec<u8>>)]) {
    let snapshot = database.snapshot().unwrap();
    for (number, (timestamp, tables)) in days.iter().enumerate() {
        for (name, expected) in tables {
            let found = snapshot.table_at(name, *timestamp).unwrap().to_bytes().unwrap();
            assert!(found == expected, "{name} differs on day {number}");
        }
    }
}

/// The life of some rows, against what all versions of the table hold.
fn check_histories(database: &Database, table: &str) {
    let snapshot = database.snapshot().unwrap();
    let versions = snapshot.versions(table).unwrap();
    let tables: Vec<_> = versions
        .iter()
        .map(|version| (version.timestamp, snapshot.table_at(table, version.timestamp).unwrap()))
        .collect();
    let mut keys: Vec<String> = Vec::new();
    for pair in versions.windows(2) {
        let diff = snapshot.diff(table, pair[0].timestamp, pair[1].timestamp).unwrap();
        keys.extend(diff.rows.iter().take(2).map(|row| row.key.display(1)));
    }
    keys.extend(
        snapshot
            .rows(table)
            .unwrap()
            .step_by(9999)
            .map(|row| row.unwrap().get("id").unwrap().into_owned()),
    );
    assert!(keys.len() > 20);
    for key in keys {
        let mut expected = Vec::new();
        let mut last = None;
        for (timestamp, table) in &tables {
            let row = table.get(&reedbase::Key::from(&key)).unwrap();
            if row != last {
                expected.push((*timestamp, row.clone()));
                last = row;
            }
        }
        expected.reverse();
        let found = snapshot.history(table, &key).unwrap().into_iter();
        let found: Vec<_> = found
            .map(|moment| (moment.timestamp, moment.row.map(|row| row.bytes().clone())))
            .collect();
        assert_eq!(found, expected, "{table} {key}");
    }
}

#[test]
fn every_one_of_120_real_days_comes_back_byte_for_byte() {
    every_day_comes_back(Way::Replace);
}

#[test]
fn every_one_of_120_real_days_of_outside_edits_comes_back_byte_for_byte() {
    every_day_comes_back(Way::Adopt);
}

fn every_day_comes_back(way: Way) {
    let Some((first, changes)) = days() else { return };
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(folder.path()));
    let open = || {
        let options = OpenOptions::new().create(true).checkpoints(Checkpoints::Eager);
        options.storage(Arc::clone(&storage)).clock(Arc::new(Ahead)).open("").unwrap()
    };
    let database = open();
    import_first(&database, &first).unwrap();
    let mut tables: BTreeMap<String, Vec<u8>> = first.into_iter().collect();
    let mut expected = vec![(database.snapshot().unwrap().frame(), tables.clone())];
    for day in &changes {
        let timestamp = bring_in(&database, &*storage, day, way).unwrap();
        tables.extend(day.iter().cloned());
        expected.push((timestamp, tables.clone()));
    }
    check(&database, &expected);
    check_histories(&database, "runways");
    database.checkpoint(&[]).unwrap();
    for name in tables.keys() {
        database.pack(name).unwrap();
    }
    drop(database);
    check(&open(), &expected);
    check_histories(&open(), "runways");
    check_histories(&open(), "airport-frequencies");
    for (name, bytes) in &tables {
        let current = std::fs::read(folder.path().join("tables").join(name).join("current.csv"));
        assert!(&current.unwrap() == bytes, "{name}/current.csv");
    }
}

/// On every day the machine stops at some operation; what was acknowledged is there, and the day is done
/// again if it was not.
#[test]
fn every_real_day_survives_a_crash() {
    every_day_survives(Way::Replace);
}

#[test]
fn every_real_day_of_outside_edits_survives_a_crash() {
    every_day_survives(Way::Adopt);
}

fn every_day_survives(way: Way) {
    let Some((first, changes)) = days() else { return };
    let mut seed = 20_261_121_u64;
    let mut draw = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    let open = |storage: Arc<dyn Storage>| {
        OpenOptions::new().create(true).checkpoints(Checkpoints::Eager).storage(storage).open("")
    };
    let start = MemoryStorage::new();
    import_first(&open(Arc::new(start.clone())).unwrap(), &first).unwrap();
    let mut files = start.files();
    let mut tables: BTreeMap<String, Vec<u8>> = first.into_iter().collect();
    let mut crashes = 0;
    for (number, day) in changes.iter().enumerate() {
        let storage = FaultyStorage::new(files);
        storage.fail_at(draw(12 + 16 * day.len() as u64) as usize, Fault::Crash);
        let done = open(Arc::new(storage.clone()))
            .and_then(|database| bring_in(&database, &storage, day, way));
        let crashed = storage.has_crashed();
        crashes += u32::from(crashed);
        files = if crashed { storage.image_after_crash(draw(1000)) } else { storage.view() };
        let again = MemoryStorage::from_files(files);
        let database = open(Arc::new(again.clone())).unwrap();
        let before = tables.clone();
        tables.extend(day.iter().cloned());
        let found = |name: &str| {
            database.snapshot().unwrap().table(name).unwrap().to_bytes().unwrap().to_vec()
        };
        let is = |expected: &BTreeMap<String, Vec<u8>>| {
            expected.iter().all(|(name, bytes)| found(name) == *bytes)
        };
        assert!(is(&tables) || (done.is_err() && is(&before)), "day {number}");
        bring_in(&database, &again, day, way).unwrap();
        assert!(is(&tables), "day {number} after doing it again");
        drop(database);
        files = again.files();
    }
    assert!(crashes > 60, "only {crashes} days crashed");
    let database = open(Arc::new(MemoryStorage::from_files(files))).unwrap();
    let mut versions = 0;
    let snapshot = database.snapshot().unwrap();
    for name in tables.keys() {
        for version in snapshot.versions(name).unwrap() {
            snapshot.table_at(name, version.timestamp).unwrap();
            versions += 1;
        }
    }
    assert!(versions >= 5 + 133, "{versions} versions");
}
