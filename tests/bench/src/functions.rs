//! Results of functions: how long it takes to find one that is kept, and to compute one.

use std::sync::Arc;
use std::time::Duration;

use reedbase::{Database, Function, Result, cached, csv};
use reedbase_plugin_api::FunctionCache;
use reedbase_plugin_cache_lru::LruCache;

use crate::Settings;
use crate::measure::{median_us, time};
use crate::report::Report;

#[cached]
fn of_values(_db: &Database, number: i64) -> Result<i64> {
    Ok(number * number)
}

#[cached]
fn of_a_table(db: &Database, number: i64) -> Result<i64> {
    let counts: Vec<i64> = db.query_as("SELECT count(*) FROM orders WHERE amount > ?", [number])?;
    Ok(counts.into_iter().sum())
}

/// Calls are too short for the clock: so many are timed together.
const TOGETHER: i64 = 1000;

/// What finding the bytes of a call takes in moka, with nothing around it.
fn moka_alone(settings: &Settings) -> f64 {
    let kept = LruCache.open(64 << 20);
    let call = |number: i64| {
        let mut call = b"reedbase_bench::functions::of_values".to_vec();
        call.extend_from_slice(&[0; 9]);
        call.push(number as u8);
        call
    };
    let calls: Vec<Vec<u8>> = (0..64).map(call).collect();
    calls.iter().for_each(|call| kept.put(call, Arc::new(7), 100));
    let find = |n: i64| assert!(kept.get(&calls[n as usize % 64]).is_some());
    let mut times: Vec<Duration> = (0..settings.rounds(200))
        .map(|_| time(|| (0..TOGETHER).for_each(find)).0 / TOGETHER as u32)
        .collect();
    median_us(&mut times) * 1000.0
}

/// Hits of the function cache.
pub fn cache(settings: &Settings, report: &mut Report) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let path = folder.path().join("db");
    let ten_minutes = Duration::from_secs(600);
    let slug = Function::of_text("slug", |text| text.to_lowercase()).cached(ten_minutes);
    let options = reedbase::OpenOptions::new().create(true).function(slug);
    let db = options.open(path).expect("a database");
    let mut transaction = db.begin().expect("a transaction");
    let orders = csv("id,amount\no1,10\no2,20\n", &["id"]).expect("a table");
    transaction.create_table("orders", &orders).expect("a new table");
    transaction.commit().expect("a commit");
    let mut firsts = Vec::new();
    for number in 0..64 {
        firsts.push(time(|| of_a_table(&db, number).expect("a result")).0);
    }
    let alone = moka_alone(settings);
    let a_few = |number: i64| number % 64;
    (0..64).for_each(|number| drop(of_values(&db, number)));
    let acts: [(&str, &dyn Fn(i64)); 3] = [
        ("of values", &|n| assert!(of_values(&db, a_few(n)).is_ok())),
        ("of a table", &|n| assert!(of_a_table(&db, a_few(n)).is_ok())),
        ("by Database::call", &|_| drop(db.call("slug", ["Ready"]).expect("a result"))),
    ];
    for (name, act) in acts {
        let mut times: Vec<Duration> = (0..settings.rounds(200))
            .map(|_| time(|| (0..TOGETHER).for_each(act)).0 / TOGETHER as u32)
            .collect();
        let took = median_us(&mut times) * 1000.0;
        report.at_most(
            &format!("function cache hit, {name}"),
            "ns",
            took,
            &[("moka alone", Some(alone))],
            &[("", Some(200.0))],
        );
    }
    report.figure("function cache miss, one query", "µs", median_us(&mut firsts), &[]);
}
