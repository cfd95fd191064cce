//! What the first documents promised, printed as measured.

use std::path::Path;
use std::sync::Arc;

use reedbase::storage::{FileSystem, Storage};
use reedbase::{Checkpoints, Database, OpenOptions, Timestamp};
use reedbase_kernel::log::{Version, VersionLog, to_hex};
use reedbase_plugin_api::{FrameId, TableName};

use crate::Settings;
use crate::commit::{database, update};
use crate::data;
use crate::measure::{median_s, median_us, time};
use crate::report::Report;

/// Write time against copying the file, the cost of common work on ten thousand rows, and the log.
pub fn promised(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    against_copying(settings, folder.path(), report);
    common_work(settings, &folder.path().join("common"), report);
    log_lines(settings, &folder.path().join("log"), report);
}

/// R30: saving one edit against saving a copy of the file, both durable.
fn against_copying(settings: &Settings, folder: &Path, report: &mut Report) {
    let database = database(&folder.join("copied"), settings.middle());
    let file = folder.join("copied/tables/t/current.csv");
    update(&database, 0, 1);
    let (mut writes, mut copies) = (Vec::new(), Vec::new());
    for round in 0..settings.rounds(40) as u64 {
        writes.push(time(|| update(&database, round, 7)).0);
        copies.push(
            time(|| {
                let copy = folder.join("copy");
                std::fs::copy(&file, &copy).expect("copied");
                std::fs::File::open(&copy).and_then(|copy| copy.sync_data()).expect("synced");
            })
            .0,
        );
    }
    let (write, copy) = (median_us(&mut writes), median_us(&mut copies));
    report.figure(
        "write of one row against a copy of the file (R30: 10)",
        "×",
        copy / write,
        &[("write, µs", Some(write)), ("copy, µs", Some(copy))],
    );
}

/// R105, on a table of ten thousand rows; each write with its delta and the table's file.
fn common_work(settings: &Settings, path: &Path, report: &mut Report) {
    drop(database(path, 10_000));
    let options = OpenOptions::new().checkpoints(Checkpoints::Eager);
    let database = options.open(path).expect("open");
    let snapshot = database.snapshot().expect("a snapshot");
    let rounds = settings.rounds(40) as u64;
    let mut scans: Vec<_> = (0..rounds).map(|_| time(|| scan(&snapshot)).0).collect();
    let mut singles: Vec<_> =
        (0..rounds).map(|round| time(|| update(&database, round, 7)).0).collect();
    let mut batches: Vec<_> = (0..rounds).map(|round| time(|| batch(&database, round)).0).collect();
    let mut ms = |name: &str, times: &mut [_]| {
        report.figure(name, "ms", median_s(times) * 1000.0, &[]);
    };
    ms("scan of 10k rows (R105: 1 to 10)", &mut scans);
    ms("one row with delta and file (R105: 1 to 5)", &mut singles);
    ms("100 rows with delta and file (R105: 10 to 50)", &mut batches);
}

fn scan(snapshot: &reedbase::Snapshot) {
    let rows = snapshot.rows("t").expect("rows");
    assert_eq!(rows.map(|row| row.expect("a row")).count(), 10_000);
}

fn batch(database: &Database, round: u64) {
    let mut transaction = database.begin().expect("begin");
    for key in data::keys(10_000, 100) {
        transaction.update("t", key as i64, [("views", round as i64)]).expect("update");
    }
    transaction.commit().expect("commit");
}

/// R6: `version.log` against the same facts in plain words.
fn log_lines(settings: &Settings, path: &Path, report: &mut Report) {
    let database = database(path, 1000);
    for round in 0..1100 {
        update(&database, round % 1000, round);
    }
    database.checkpoint(&[]).expect("checkpoint");
    let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(path));
    let table = TableName::new("t").expect("a name");
    let read = || VersionLog::read(&storage, &table).expect("the log");
    let (log, users) = (read(), database.users().expect("users"));
    let user = |version: &Version| users.name(version.user).unwrap_or_default().to_owned();
    let words: Vec<String> = log.versions().iter().map(|v| in_words(v, &user(v))).collect();
    let words = words.concat();
    let lines = log.versions().len() as f64;
    let bytes = storage.len("tables/t/version.log").expect("the log").unwrap_or_default() as f64;
    let plain = [("plain words", Some(words.len() as f64 / lines))];
    report.figure("version.log, a line (R6: half)", "B", bytes / lines, &plain);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds(100) {
        ours.push(time(|| assert_eq!(read().versions().len() as f64, lines)).0);
        theirs.push(time(|| assert_eq!(parse_words(&words) as f64, lines)).0);
    }
    let (ours, theirs) = (median_us(&mut ours) / lines, median_us(&mut theirs) / lines);
    let plain = [("plain words", Some(theirs))];
    report.figure("version.log, parsing a line (R6: a fifth)", "µs", ours, &plain);
}

fn instant(timestamp: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(timestamp.as_micros()).expect("a time")
}

fn in_words(version: &Version, user: &str) -> String {
    format!(
        "[{}] action={} user={user} base={} size={} rows={} hash=sha256:{} frame={}\n",
        instant(version.timestamp),
        version.action.name(),
        instant(version.base),
        version.size,
        version.rows,
        to_hex(&version.hash),
        FrameId::new(version.timestamp, version.node),
    )
}

/// Reads every fact of every line, and counts the lines.
fn parse_words(text: &str) -> usize {
    let fact = |line: &str| {
        let (time, rest) = line.strip_prefix('[')?.split_once("] ")?;
        let mut values = rest.split(' ').map(|word| word.split_once('=').map(|(_, value)| value));
        let mut value = || values.next()?;
        Some((
            time.parse::<jiff::Timestamp>().ok()?,
            (value()?.to_owned(), value()?.to_owned()),
            value()?.parse::<jiff::Timestamp>().ok()?,
            (value()?.parse::<u64>().ok()?, value()?.parse::<u64>().ok()?),
            reedbase_kernel::log::from_hex(value()?.strip_prefix("sha256:")?)?,
            value()?.parse::<FrameId>().ok()?,
        ))
    };
    text.lines().filter(|line| std::hint::black_box(fact(line)).is_some()).count()
}
