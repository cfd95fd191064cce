//! Whole tables: importing one, and opening one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reedbase::{Database, Import};

use crate::Settings;
use crate::commit::database;
use crate::data;
use crate::measure::{current_memory, median_s, time};
use crate::peers::{DoltLite, has};
use crate::report::Report;

/// Importing the large table, in turn with the peers.
pub fn import(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let file = folder.path().join("t.csv");
    std::fs::write(&file, data::csv(settings.large())).expect("the file");
    let size = std::fs::metadata(&file).expect("the file").len();
    let duckdb = has("python3", &["-c", "import duckdb"]);
    let (mut ours, mut frames, mut ducks, mut dolts) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..settings.rounds(5).min(5) {
        let path = folder.path().join(format!("db{round}"));
        ours.push(time(|| import_file(&file, &path)).0);
        frames.push(time(|| keyframe(&file, &folder.path().join("keyframe"))).0);
        if duckdb {
            ducks.push(duck(&file, &folder.path().join(format!("duck{round}"))));
        }
        if round == 0
            && let Some(dolt) = DoltLite::open(&folder.path().join("dolt"))
        {
            dolts.push(time(|| dolt.fill(settings.large())).0);
        }
    }
    let ours = median_s(&mut ours);
    let keyframe = median_s(&mut frames);
    let duck = (!ducks.is_empty()).then(|| median_s(&mut ducks));
    let dolt = (!dolts.is_empty()).then(|| median_s(&mut dolts));
    report.at_most(
        &format!("import of {} MB", size / 1_000_000),
        "s",
        ours,
        &[("duckdb", duck), ("one keyframe", Some(keyframe)), ("doltlite", dolt)],
        &[
            ("1.5 × duckdb + keyframe", duck.map(|duck| 1.5 * duck + keyframe)),
            ("doltlite / 3", dolt.map(|dolt| dolt / 3.0)),
        ],
    );
}

fn import_file(file: &Path, path: &Path) {
    let database = Database::create(path).expect("a new database");
    let bytes = std::fs::read(file).expect("the file");
    let table = Import::default().read(bytes.into()).expect("a table");
    let mut transaction = database.begin().expect("begin");
    transaction.create_table("t", &table).expect("create");
    drop(table);
    transaction.commit().expect("commit");
    database.checkpoint(&[]).expect("checkpoint");
}

/// Compressing and writing the table once: what a keyframe costs.
fn keyframe(file: &Path, path: &Path) {
    use reedbase_kernel::delta::Compression;
    let bytes = std::fs::read(file).expect("the file");
    let packed = Compression::Zstd.pack_bytes(&bytes).expect("compressed");
    let out = std::fs::File::create(path).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&out, &packed, 0).expect("written");
    out.sync_data().expect("synced");
}

/// DuckDB's own time for loading the file, without starting Python.
fn duck(file: &Path, path: &Path) -> Duration {
    let script = "import sys, time, duckdb\n\
                  c = duckdb.connect(sys.argv[2])\n\
                  s = time.perf_counter()\n\
                  c.execute(f\"CREATE TABLE t AS FROM read_csv('{sys.argv[1]}')\")\n\
                  c.execute('CHECKPOINT')\n\
                  print(time.perf_counter() - s)";
    let output = Command::new("python3").args(["-c", script]).arg(file).arg(path).output();
    let output = output.expect("python runs");
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a time");
    Duration::from_secs_f64(seconds)
}

/// Opening the large table to its first row, with the cache and without.
pub fn open(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    drop(database(&path, settings.large()));
    let size = std::fs::metadata(path.join("tables/t/current.csv")).expect("the file").len();
    let (mut cached, mut cold) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds(10) {
        cached.push(time(|| first_row(&path)).0);
        std::fs::remove_dir_all(path.join("cache")).expect("a cache");
        cold.push(time(|| first_row(&path)).0);
    }
    let ms = |times: &mut [_]| median_s(times) * 1000.0;
    report.at_most(
        "open to the first row, cached",
        "ms",
        ms(&mut cached),
        &[],
        &[("", Some(50.0))],
    );
    report.at_most(
        "open to the first row, no cache",
        "ms",
        ms(&mut cold),
        &[],
        &[("", Some(1000.0))],
    );
    // In a process of its own: this one has memory left over from before.
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args(["--child", "memory"]).arg(&path).output();
    let output = String::from_utf8(output.expect("the child runs").stdout).expect("UTF-8");
    let used = output.trim().parse::<f64>().expect("a number") / size as f64;
    assert!(used > 0.5, "reading every row takes memory");
    report.at_most("memory after reading every row", "× file", used, &[], &[("", Some(1.5))]);
}

/// The child of [`open`]: prints what reading every row takes, in bytes.
pub fn memory(path: &Path) {
    let before = current_memory();
    let database = Database::open(path).expect("open");
    let snapshot = database.snapshot().expect("a snapshot");
    for row in snapshot.rows("t").expect("rows") {
        row.expect("a row");
    }
    println!("{}", current_memory() - before);
}

fn first_row(path: &Path) {
    let database = Database::open(path).expect("open");
    let snapshot = database.snapshot().expect("a snapshot");
    let row = snapshot.rows("t").expect("rows").next().expect("a row").expect("a row");
    assert_eq!(row.get("id").as_deref(), Some("0"));
}
