//! Durable commits: one row at a time, from one thread, from many threads, from many processes.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use reedbase::Database;

use crate::Settings;
use crate::data;
use crate::measure::{median_us, time};
use crate::peers::{DoltLite, sqlite};
use crate::report::Report;

/// A database with the table, at rest.
pub fn database(folder: &Path, rows: u64) -> Database {
    let database = Database::create(folder).expect("a new database");
    let mut transaction = database.begin().expect("begin");
    let table = reedbase::csv(data::csv(rows), &["id"]).expect("the table");
    transaction.create_table("t", &table).expect("create");
    transaction.commit().expect("commit");
    database.checkpoint(&[]).expect("checkpoint");
    drop(database);
    Database::open(folder).expect("open")
}

/// Changes one cell, durably.
pub fn update(database: &Database, key: u64, value: u64) {
    let mut transaction = database.begin().expect("begin");
    transaction.update("t", key as i64, [("views", value as i64)]).expect("update");
    transaction.commit().expect("commit");
}

/// One row at a time, in turn with the peers.
pub fn one_row(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let large = database(&path("large"), settings.large());
    let small = database(&path("small"), 1000);
    let lite = sqlite(&path("sqlite"), settings.large());
    let dolt = DoltLite::open(&path("dolt"));
    if let Some(dolt) = &dolt {
        dolt.fill(settings.large());
    }
    let floor = File::create(path("floor")).expect("a file");
    let mut at = 0;
    let (mut ours, mut ours_small, mut appends) = (Vec::new(), Vec::new(), Vec::new());
    let (mut lites, mut dolts) = (Vec::new(), Vec::new());
    // The first commit loads the table.
    update(&large, 0, 1);
    update(&small, 0, 1);
    for (round, key) in data::keys(settings.large(), settings.rounds(2000)).enumerate() {
        let value = 100_000 + round as u64;
        ours.push(time(|| update(&large, key, value)).0);
        appends.push(time(|| append(&floor, &mut at)).0);
        ours_small.push(time(|| update(&small, key % 1000, value)).0);
        let sql = "UPDATE t SET views = ?1 WHERE id = ?2";
        let run = || lite.prepare_cached(sql)?.execute([value as i64, key as i64]);
        lites.push(time(|| run().expect("SQLite updates")).0);
        if let Some(dolt) = dolt.as_ref().filter(|_| round % 10 == 0) {
            let sql = format!(
                "UPDATE t SET views = {value} WHERE id = {key}; SELECT dolt_commit('-Am', 'x')"
            );
            dolts.push(time(|| dolt.run(&sql)).0);
        }
    }
    let ours = median_us(&mut ours);
    let (floor, lite) = (median_us(&mut appends), median_us(&mut lites));
    let dolt = (!dolts.is_empty()).then(|| median_us(&mut dolts));
    report.at_most(
        "one-row commit, large table, p50",
        "µs",
        ours,
        &[("append+sync", Some(floor)), ("sqlite", Some(lite)), ("doltlite", dolt)],
        &[
            ("1.3 × append + 20", Some(1.3 * floor + 20.0)),
            ("sqlite", Some(lite)),
            ("doltlite / 4", dolt.map(|dolt| dolt / 4.0)),
        ],
    );
    let small = median_us(&mut ours_small);
    let bound = [("1.2 × at 1k", Some(1.2 * small))];
    report.at_most("the same against 1k rows", "µs", ours, &[("at 1k", Some(small))], &bound);
}

fn append(file: &File, at: &mut u64) {
    file.write_all_at(&[b'x'; 200], *at).expect("append");
    file.sync_data().expect("sync");
    *at += 200;
}

/// How long a run of threads or processes lasts.
fn span(settings: &Settings) -> Duration {
    Duration::from_millis(if settings.quick { 200 } else { 2000 })
}

/// Sixteen threads, against a bare loop in which threads share a sync.
pub fn threads(settings: &Settings, report: &mut Report) {
    const THREADS: u64 = 16;
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let database = database(&folder.path().join("db"), settings.middle());
    let rows = settings.middle();
    update(&database, 0, 1);
    let run = |commit: &(dyn Fn(u64, u64) + Sync)| {
        let done = AtomicU64::new(0);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let done = &done;
                scope.spawn(move || {
                    let mut round = 0;
                    while start.elapsed() < span(settings) {
                        // Each thread has rows of its own.
                        commit((round * THREADS + thread) % (rows / THREADS * THREADS), round);
                        round += 1;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
    };
    let shared = SharedSync::new(File::create(folder.path().join("floor")).expect("a file"));
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        floors.push(run(&|_, _| shared.append()));
        ours.push(run(&|key, value| update(&database, key, value)));
    }
    let (ours, floor) = (middle(&mut ours), middle(&mut floors));
    let peers = [("shared sync", Some(floor))];
    report.at_least("16 threads", "frames/s", ours, &peers, ("0.8 × shared sync", 0.8 * floor));
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The bare loop: append, then let one thread sync for all.
struct SharedSync {
    file: File,
    state: Mutex<(u64, u64, bool)>,
    changed: Condvar,
}

impl SharedSync {
    fn new(file: File) -> Self {
        Self { file, state: Mutex::new((0, 0, false)), changed: Condvar::new() }
    }

    fn append(&self) {
        let mut state = self.state.lock().expect("no panic");
        self.file.write_all_at(&[b'x'; 200], state.0).expect("append");
        state.0 += 200;
        let mine = state.0;
        while state.1 < mine {
            if state.2 {
                state = self.changed.wait(state).expect("no panic");
                continue;
            }
            state.2 = true;
            let target = state.0;
            drop(state);
            self.file.sync_data().expect("sync");
            state = self.state.lock().expect("no panic");
            state.2 = false;
            state.1 = state.1.max(target);
            self.changed.notify_all();
        }
    }
}

/// Eight processes with as many frames each, against a bare loop of flock, pwrite, unlock, fdatasync.
pub fn processes(settings: &Settings, report: &mut Report) {
    const PROCESSES: u64 = 8;
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    drop(database(&folder.path().join("db"), settings.middle()));
    let frames = settings.rounds(1000) as u64;
    let run = |kind: &str| -> (f64, f64) {
        let program = std::env::current_exe().expect("this program");
        let children = (0..PROCESSES).map(|number| {
            let mut child = std::process::Command::new(&program);
            child.args(["--child", kind]).arg(folder.path());
            child.args([number, settings.middle(), frames].map(|n| n.to_string()));
            child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child")
        });
        let mut children: Vec<_> = children.collect();
        let line = |child: &mut Child| {
            let mut line = String::new();
            let output = child.stdout.as_mut().expect("it is piped");
            BufReader::with_capacity(1, output).read_line(&mut line).expect("the child speaks");
            line
        };
        // They begin together, with the table loaded.
        for child in &mut children {
            assert_eq!(line(child), "ready\n");
        }
        let start = Instant::now();
        for child in &mut children {
            child.stdin.as_mut().expect("it is piped").write_all(b"go\n").expect("the child hears");
        }
        let slow = children.iter_mut().map(|child| line(child).trim().parse().unwrap_or(f64::NAN));
        let slow = slow.fold(0.0, f64::max);
        let took = start.elapsed().as_secs_f64();
        for child in &mut children {
            assert!(child.wait().expect("the child ends").success(), "a process failed");
        }
        ((PROCESSES * frames) as f64 / took, slow)
    };
    let (mut ours, mut floors, mut slow, mut appends) = (vec![], vec![], vec![], vec![]);
    for _ in 0..3 {
        let (rate, append) = run("floor");
        floors.push(rate);
        appends.push(append);
        let (rate, p99) = run("commit");
        ours.push(rate);
        slow.push(p99);
    }
    let database = Database::open(folder.path().join("db")).expect("open");
    let there = database.frames().expect("the frames").len() as u64;
    assert_eq!(there, 1 + 3 * PROCESSES * frames, "every frame is there");
    let (ours, floor) = (middle(&mut ours), middle(&mut floors));
    let peers = [("bare loop", Some(floor))];
    report.at_least("8 processes", "frames/s", ours, &peers, ("0.6 × bare loop", 0.6 * floor));
    let alone = File::create(folder.path().join("alone")).expect("a file");
    let mut at = 0;
    let mut times: Vec<Duration> =
        (0..settings.rounds(1000)).map(|_| time(|| append(&alone, &mut at)).0).collect();
    let synced = median_us(&mut times);
    let peers = [("synced append", Some(synced)), ("bare loop p99", Some(middle(&mut appends)))];
    let bound = [("20 × synced append", Some(20.0 * synced))];
    report.at_most("8 processes, p99 of a commit", "µs", middle(&mut slow), &peers, &bound);
}

/// One process of [`processes`]: prints what all but one in a hundred of its commits took at most, in microseconds.
pub fn child(args: &[String]) {
    let [kind, folder, number, rows, frames] = args else { panic!("five arguments") };
    let (folder, number) = (Path::new(folder), number.parse::<u64>().expect("a number"));
    let (rows, frames): (u64, u64) =
        (rows.parse().expect("a number"), frames.parse().expect("a number"));
    let database = (kind == "commit").then(|| Database::open(folder.join("db")).expect("open"));
    let lock = File::create(folder.join(format!("{kind}.lock"))).expect("a file");
    let options = File::options().create(true).write(true).read(true).truncate(false).clone();
    let file = Arc::new(options.open(folder.join("floor.log")).expect("a file"));
    if let Some(database) = &database {
        database.snapshot().and_then(|snapshot| snapshot.table("t").map(drop)).expect("a table");
    }
    // What is there already makes no frame: each process writes numbers of its own.
    let run = u64::from(std::process::id()) * 10_000;
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).expect("the word to begin");
    let mut times = Vec::new();
    for done in 0..frames {
        let act = || match &database {
            Some(database) => update(database, (done * 8 + number) % (rows / 8 * 8), run + done),
            None => {
                lock.lock().expect("lock");
                let end = file.metadata().expect("stat").len();
                file.write_all_at(&[b'x'; 200], end).expect("append");
                lock.unlock().expect("unlock");
                file.sync_data().expect("sync");
            }
        };
        times.push(time(act).0);
    }
    times.sort_unstable();
    let slow = times.get(times.len() * 99 / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6);
    println!("{slow}");
}
