//! Against KoruDelta: reading by key, writing in memory, and the history of a key.

use std::hint::black_box;
use std::sync::Arc;

use koru_delta::KoruDelta;
use reedbase::storage::MemoryStorage;
use reedbase::{Database, OpenOptions};

use crate::Settings;
use crate::commit::update;
use crate::data;
use crate::measure::{median_us, time};
use crate::report::Report;

/// A database in memory with the table.
fn in_memory(rows: u64) -> Database {
    let options = OpenOptions::new().create(true).storage(Arc::new(MemoryStorage::new()));
    let database = options.open("").expect("a database in memory");
    let mut transaction = database.begin().expect("begin");
    let table = reedbase::csv(data::csv(rows), &["id"]).expect("the table");
    transaction.create_table("t", &table).expect("create");
    transaction.commit().expect("commit");
    database.checkpoint(&[]).expect("checkpoint");
    database
}

/// The same rows in both, the same keys in the same order.
pub fn against_koru(settings: &Settings, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let rows = settings.middle().min(10_000);
    let database = in_memory(rows);
    let koru = runtime.block_on(async {
        let koru = KoruDelta::start().await.expect("KoruDelta starts");
        for id in 0..rows {
            koru.put("t", id.to_string(), value(id, 0)).await.expect("put");
        }
        koru
    });
    let keys: Vec<String> = data::keys(rows, 10_000).map(|key| key.to_string()).collect();
    let snapshot = database.snapshot().expect("a snapshot");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds(60) {
        ours.push(
            time(|| {
                for key in &keys {
                    black_box(snapshot.get("t", key).expect("get").expect("a row"));
                }
            })
            .0,
        );
        theirs.push(
            time(|| {
                runtime.block_on(async {
                    for key in &keys {
                        black_box(koru.get("t", key).await.expect("get"));
                    }
                });
            })
            .0,
        );
    }
    let per = |times: &mut [_]| median_us(times) * 1000.0 / keys.len() as f64;
    let (get, koru_get) = (per(&mut ours), per(&mut theirs));
    let peers = [("korudelta", Some(koru_get))];
    report.at_most("get by key, warm", "ns", get, &peers, &[("korudelta", Some(koru_get))]);
    puts(settings, &database, &koru, &runtime, rows, report);
    histories(settings, &database, &koru, &runtime, report);
}

fn value(id: u64, views: u64) -> serde_json::Value {
    serde_json::json!({"row": data::row(id), "views": views})
}

fn puts(
    settings: &Settings,
    database: &Database,
    koru: &KoruDelta,
    runtime: &tokio::runtime::Runtime,
    rows: u64,
    report: &mut Report,
) {
    let count = settings.rounds(20_000);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..5 {
        ours.push(time(|| data::keys(rows, count).for_each(|key| update(database, key, round))).0);
        theirs.push(
            time(|| {
                runtime.block_on(async {
                    for key in data::keys(rows, count / 4) {
                        koru.put("t", key.to_string(), value(key, round)).await.expect("put");
                    }
                });
            })
            .0,
        );
    }
    let rate = count as f64 / (median_us(&mut ours) / 1e6);
    let koru_rate = (count / 4) as f64 / (median_us(&mut theirs) / 1e6);
    let peers = [("korudelta puts", Some(koru_rate))];
    report.at_least(
        "one-row commits in memory",
        "/s",
        rate,
        &peers,
        ("5 × korudelta", 5.0 * koru_rate),
    );
}

fn histories(
    settings: &Settings,
    database: &Database,
    koru: &KoruDelta,
    runtime: &tokio::runtime::Runtime,
    report: &mut Report,
) {
    let versions = settings.rounds(1000) as u64;
    for version in 0..versions {
        update(database, 7, version);
        let put = koru.put("t", "7".to_owned(), value(7, version));
        runtime.block_on(put).expect("put");
    }
    let snapshot = database.snapshot().expect("a snapshot");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut entries, mut koru_entries) = (0, 0);
    for _ in 0..settings.rounds(100) {
        let (took, life) = time(|| snapshot.history("t", "7").expect("history"));
        entries = black_box(life).len();
        ours.push(took);
        let (took, life) = time(|| runtime.block_on(koru.history("t", "7")).expect("history"));
        koru_entries = black_box(life).len();
        theirs.push(took);
    }
    let rate = entries as f64 / (median_us(&mut ours) / 1e6);
    let koru_rate = koru_entries as f64 / (median_us(&mut theirs) / 1e6);
    let peers = [("korudelta", Some(koru_rate))];
    report.at_least(
        "history entries in memory",
        "/s",
        rate,
        &peers,
        ("2 × korudelta", 2.0 * koru_rate),
    );
}
