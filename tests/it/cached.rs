//! The function cache: which results are kept, for how long, and what drops them.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reedbase::clock::ManualClock;
use reedbase::{
    CachedCall, CachedFunction, Database, Error, Function, FunctionStat, OpenOptions, Result,
    Timestamp, Value, cached, csv,
};
use serde_json::Value as Json;

use crate::sessions::rdb;
use crate::sql::{asked, database, done};

/// How often functions of this file were computed, each test by its own key.
static COMPUTED: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

fn computed(key: &str) -> usize {
    COMPUTED.lock().unwrap().iter().filter(|known| *known == key).count()
}

fn note(key: &str) {
    COMPUTED.lock().unwrap().push(key.to_owned());
}

#[cached]
fn revenue(db: &Database, key: &str) -> Result<i64> {
    note(key);
    Ok(db.query_as::<i64>("SELECT sum(amount) FROM orders", ())?.into_iter().sum())
}

#[cached(ttl = 60, reads("users"))]
fn greeting(_db: &Database, key: String) -> Result<Vec<String>> {
    note(&key);
    Ok(vec!["hello".into(), key])
}

#[cached]
fn report(db: &Database, key: &str) -> Result<String> {
    note(&format!("{key}/report"));
    Ok(format!("revenue {}", revenue(db, key)?))
}

#[cached]
fn title(db: &Database, key: &str) -> Result<Option<String>> {
    note(key);
    let row = db.snapshot()?.get("users", "u1")?;
    Ok(row.and_then(|row| row.get("name").map(|name| name.to_string())))
}

#[cached]
fn tables(db: &Database, key: &str) -> Result<usize> {
    note(key);
    Ok(db.snapshot()?.tables().len())
}

#[cached]
fn versions(db: &Database, key: &str) -> Result<i64> {
    note(key);
    Ok(db.query_as::<i64>("SELECT count(*) FROM versions('orders')", ())?.into_iter().sum())
}

#[cached]
fn endless(db: &Database, key: &str) -> Result<i64> {
    endless(db, key)
}

#[cached]
fn failing(_db: &Database, key: &str) -> Result<i64> {
    note(key);
    Err(Error::invalid("not today"))
}

fn shop() -> (tempfile::TempDir, Database) {
    let (folder, database) = database();
    fill(&database);
    (folder, database)
}

fn fill(database: &Database) {
    let mut transaction = database.begin().unwrap();
    let orders = csv("id,amount\no1,10\no2,20\n", &["id"]).unwrap();
    transaction.create_table("orders", &orders).unwrap();
    let users = csv("id,name\nu1,Ann\n", &["id"]).unwrap();
    transaction.create_table("users", &users).unwrap();
    transaction.commit().unwrap();
}

fn run(database: &Database, text: &str) {
    done(&mut database.session().unwrap(), text);
}

fn stat(database: &Database, name: &str) -> FunctionStat {
    let stats = database.function_stats().unwrap();
    stats.into_iter().find(|stat| stat.function.ends_with(name)).unwrap()
}

#[test]
fn the_cases_of_the_promises_hold() {
    let cases: Json = serde_json::from_str(include_str!("cases/functions.json")).unwrap();
    let case = |start: &str| {
        let cases = cases["cache"].as_array().unwrap();
        cases.iter().find(|case| case["do"].as_str().unwrap().starts_with(start)).unwrap().clone()
    };
    let never = |_: &Database| -> Result<String> { panic!("the result is kept") };
    let made = |_: &Database| Ok::<_, Error>("made".to_owned());
    let of = |function: &'static CachedFunction<'static>, value: &str| {
        CachedCall::of(function, &value).unwrap()
    };
    static F: CachedFunction<'_> = CachedFunction::new("f");
    static G: CachedFunction<'_> = CachedFunction::new("g");
    static COUNT: CachedFunction<'_> = CachedFunction::new("count(users)").reads(&["users"]);
    static SUM: CachedFunction<'_> = CachedFunction::new("sum(users,age)").reads(&["users"]);
    static POSTS: CachedFunction<'_> = CachedFunction::new("count(posts)").reads(&["orders"]);

    let (_folder, db) = shop();
    db.put_cached(of(&F, "k"), &"v").unwrap();
    for _ in 0..3 {
        assert_eq!(db.cached(of(&F, "k"), never).unwrap(), "v");
    }
    let expected = case("put k; get k");
    assert_eq!(Json::from(stat(&db, "f").hits), expected["hits"]);
    assert_eq!(Json::from(stat(&db, "f").misses), expected["misses"]);

    db.cached(of(&G, "a"), made).unwrap();
    db.cached(of(&G, "b"), made).unwrap();
    for _ in 0..8 {
        db.cached(of(&G, "a"), never).unwrap();
    }
    assert_eq!(Json::from(stat(&db, "g").hit_rate()), case("8 hits")["hit_rate_percent"]);

    db.clear_cached(None).unwrap();
    assert_eq!(db.function_stats().unwrap(), []);
    db.put_cached(of(&F, "k"), &"first").unwrap();
    assert_eq!(Json::from(stat(&db, "f").hit_rate()), case("no requests")["hit_rate_percent"]);
    db.put_cached(of(&F, "k"), &"second").unwrap();
    let expected = case("same key written twice");
    assert_eq!(Json::from(stat(&db, "f").results), expected["entries"]);
    assert_eq!(Json::from(db.cached(of(&F, "k"), never).unwrap()), expected["value"]);

    db.put_cached(of(&G, "a"), &"v").unwrap();
    db.put_cached(of(&F, "a"), &"v").unwrap();
    db.clear_cached(Some("f")).unwrap();
    let left: Vec<_> = db.function_stats().unwrap().into_iter().map(|s| s.function).collect();
    assert_eq!(left, ["g"]);
    assert_eq!(db.cached(of(&G, "a"), never).unwrap(), "v");
    assert_eq!(case("entries func1(a)")["left"], serde_json::json!(["func2(a)"]));

    db.clear_cached(None).unwrap();
    for function in [&COUNT, &SUM, &POSTS] {
        db.put_cached(of(function, ""), &"v").unwrap();
    }
    run(&db, "UPDATE users SET name = 'Bob'");
    let stats = db.function_stats().unwrap().into_iter();
    let left: Vec<_> = stats.filter(|s| s.results > 0).map(|s| s.function).collect();
    assert_eq!(Json::from(left), case("entries count(users)")["left"]);
}

#[test]
fn a_result_holds_until_a_table_changes_that_was_read() {
    let (_folder, db) = shop();
    assert_eq!((revenue(&db, "read").unwrap(), revenue(&db, "read").unwrap()), (30, 30));
    run(&db, "UPDATE users SET name = 'Bob'");
    assert_eq!(revenue(&db, "read").unwrap(), 30);
    assert_eq!(computed("read"), 1);
    run(&db, "INSERT INTO orders VALUES ('o3', 5)");
    assert_eq!((revenue(&db, "read").unwrap(), revenue(&db, "read").unwrap()), (35, 35));
    assert_eq!(computed("read"), 2);
    // Another process commits: some milliseconds later that is seen, or as soon as anybody looks.
    let other = Database::open(db.path()).unwrap();
    run(&other, "DELETE FROM orders WHERE id = 'o3'");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(revenue(&db, "read").unwrap(), 30);
    run(&other, "INSERT INTO orders VALUES ('o3', 5)");
    db.snapshot().unwrap();
    assert_eq!(revenue(&db, "read").unwrap(), 35);
    // What was read without SQL counts as well.
    assert_eq!(title(&db, "row").unwrap(), Some("Bob".into()));
    run(&db, "INSERT INTO orders VALUES ('o4', 5)");
    assert_eq!(title(&db, "row").unwrap(), Some("Bob".into()));
    assert_eq!(computed("row"), 1);
    run(&db, "UPDATE users SET name = 'Cy'");
    assert_eq!(title(&db, "row").unwrap(), Some("Cy".into()));
    // So does that a table came or went, and the history of one.
    assert_eq!((tables(&db, "names").unwrap(), tables(&db, "names").unwrap()), (2, 2));
    assert_eq!(computed("names"), 1);
    let count = versions(&db, "past").unwrap();
    run(&db, "CREATE TABLE more (id TEXT PRIMARY KEY)");
    assert_eq!(tables(&db, "names").unwrap(), 3);
    assert_eq!(versions(&db, "past").unwrap(), count);
    run(&db, "UPDATE orders SET amount = 1 WHERE id = 'o1'");
    assert_eq!(versions(&db, "past").unwrap(), count + 1);
    run(&db, "DROP TABLE orders");
    assert!(revenue(&db, "read").unwrap_err().is_not_found());
}

#[test]
fn tables_that_are_named_count_without_being_read() {
    let (_folder, db) = shop();
    for _ in 0..2 {
        assert_eq!(greeting(&db, "named".into()).unwrap(), ["hello", "named"]);
    }
    run(&db, "UPDATE orders SET amount = 1");
    greeting(&db, "named".into()).unwrap();
    assert_eq!(computed("named"), 1);
    run(&db, "UPDATE users SET name = 'Bob'");
    greeting(&db, "named".into()).unwrap();
    assert_eq!(computed("named"), 2);
    static LOST: CachedFunction<'_> = CachedFunction::new("lost").reads(&["user"]);
    let call = CachedCall::of(&LOST, &()).unwrap();
    let error = db.cached(call, |_| Ok::<_, Error>(1)).unwrap_err();
    assert!(error.is_not_found());
    let text = format!("{error} {}", error.way_out().unwrap_or_default());
    assert!(text.contains("the function `lost` says that it reads it"), "{text}");
}

#[test]
fn what_reads_by_a_cached_function_reads_what_that_one_read() {
    let (_folder, db) = shop();
    revenue(&db, "inner").unwrap();
    assert_eq!(report(&db, "inner").unwrap(), "revenue 30");
    assert_eq!(report(&db, "inner").unwrap(), "revenue 30");
    assert_eq!((computed("inner"), computed("inner/report")), (1, 1));
    run(&db, "UPDATE orders SET amount = 1");
    assert_eq!(report(&db, "inner").unwrap(), "revenue 2");
    assert_eq!((computed("inner"), computed("inner/report")), (2, 2));
}

#[test]
fn a_result_holds_for_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
    let options = OpenOptions::new().create(true).clock(Arc::clone(&clock) as _);
    let db = options.open(folder.path().join("db")).unwrap();
    fill(&db);
    for (seconds, times) in [(0, 1), (59, 1), (2, 2)] {
        clock.advance(seconds * 1_000_000);
        greeting(&db, "ttl".into()).unwrap();
        assert_eq!(computed("ttl"), times, "{seconds}");
    }
    // An hour if nothing is said.
    for (seconds, times) in [(0, 1), (3599, 1), (2, 2)] {
        clock.advance(seconds * 1_000_000);
        revenue(&db, "hour").unwrap();
        assert_eq!(computed("hour"), times, "{seconds}");
    }
}

#[test]
fn errors_are_not_kept_and_what_calls_itself_is_told() {
    let (_folder, db) = shop();
    for times in 1..3 {
        assert_eq!(failing(&db, "errors").unwrap_err().to_string(), "not today");
        assert_eq!(computed("errors"), times);
    }
    let error = endless(&db, "").unwrap_err().to_string();
    assert!(error.ends_with("endless` calls itself with what it was given"), "{error}");
    // A panic frees the call.
    static PANICS: CachedFunction<'_> = CachedFunction::new("panics");
    let call = || CachedCall::of(&PANICS, &()).unwrap();
    let act = || db.cached(call(), |_| -> Result<i64> { panic!("on purpose") });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err());
    assert_eq!(db.cached(call(), |_| Ok::<_, Error>(1)).unwrap(), 1);
}

#[test]
fn of_many_that_ask_at_once_one_computes() {
    let (_folder, db) = shop();
    static SLOW: CachedFunction<'_> = CachedFunction::new("slow");
    let (times, start) = (AtomicU32::new(0), Barrier::new(8));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let call = CachedCall::of(&SLOW, &7).unwrap();
                let result = db.cached(call, |_| {
                    times.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(30));
                    Ok::<_, Error>(49)
                });
                assert_eq!(result.unwrap(), 49);
            });
        }
    });
    assert_eq!(times.load(Ordering::Relaxed), 1);
    assert_eq!((stat(&db, "slow").hits, stat(&db, "slow").misses), (7, 1));
}

#[test]
fn what_changes_while_a_result_is_made_counts_as_changed_since() {
    let (_folder, db) = shop();
    static SUM: CachedFunction<'_> = CachedFunction::new("sum");
    let times = Cell::new(0);
    let ask = || {
        let compute = |inner: &Database| {
            times.set(times.get() + 1);
            let sum = inner.query_as::<i64>("SELECT sum(amount) FROM orders", ())?[0];
            if times.get() == 1 {
                run(&db, "UPDATE orders SET amount = amount + 1");
            }
            Ok::<_, Error>(sum)
        };
        db.cached(CachedCall::of(&SUM, &()).unwrap(), compute).unwrap()
    };
    assert_eq!((ask(), ask(), ask()), (30, 32, 32));
    assert_eq!(times.get(), 2);
}

fn reopened(folder: &Path) -> Database {
    Database::open(folder.join("db")).unwrap()
}

#[test]
fn results_outlive_the_program_and_hold_as_long_as_their_tables() {
    let (folder, db) = shop();
    assert_eq!(revenue(&db, "restart").unwrap(), 30);
    drop(db);
    let db = reopened(folder.path());
    assert_eq!(revenue(&db, "restart").unwrap(), 30);
    assert_eq!(computed("restart"), 1);
    assert_eq!((stat(&db, "revenue").hits, stat(&db, "revenue").misses), (1, 1));
    drop(db);
    // Somebody else changes the table while no program with the function runs.
    run(&reopened(folder.path()), "UPDATE orders SET amount = 1");
    assert_eq!(revenue(&reopened(folder.path()), "restart").unwrap(), 2);
    assert_eq!(computed("restart"), 2);
    // The command tells, and forgets.
    let command = |args: &[&str]| {
        let mut command = std::process::Command::new(rdb());
        command.arg("--db").arg(folder.path().join("db")).args(args);
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let told: Json = serde_json::from_str(&command(&["function:stats", "--json"])).unwrap();
    assert_eq!(
        (&told["results"], &told["hits"], &told["misses"]),
        (&1.into(), &1.into(), &2.into())
    );
    assert!(told["function"].as_str().unwrap().ends_with("cached::revenue"));
    assert!(command(&["function:stats"]).contains("33.3 %"));
    assert_eq!(command(&["function:clear"]), "forgot 1 result\n");
    assert_eq!(revenue(&reopened(folder.path()), "restart").unwrap(), 2);
    assert_eq!(computed("restart"), 3);
    // The cache is in no way needed, nor in the way.
    let files: Vec<_> =
        std::fs::read_dir(folder.path().join("db/cache/functions")).unwrap().flatten().collect();
    assert_eq!(files.len(), 1);
    #[expect(clippy::disallowed_methods, reason = "it is the test that damages the file")]
    std::fs::write(files[0].path(), b"RDBCALLS and nothing of sense").unwrap();
    let db = reopened(folder.path());
    assert_eq!(revenue(&db, "restart").unwrap(), 2);
    assert_eq!(computed("restart"), 4);
    // A folder that is gone stays so.
    let (folder, db) = shop();
    revenue(&db, "gone").unwrap();
    let path = folder.path().to_owned();
    drop(folder);
    drop(db);
    assert!(!path.exists());
}

#[test]
fn a_result_of_another_version_or_type_is_none() {
    let (_folder, db) = shop();
    let times = Cell::new(0);
    let ask = |version| {
        let function = CachedFunction::new("versioned").version(version);
        let made = |_: &Database| {
            times.set(times.get() + 1);
            Ok::<_, Error>(vec![version])
        };
        db.cached(CachedCall::of(&function, &()).unwrap(), made).unwrap()
    };
    assert_eq!((ask(1), ask(2), ask(1)), (vec![1], vec![2], vec![1]));
    assert_eq!(times.get(), 2);
    let function = CachedFunction::new("versioned").version(1);
    let call = CachedCall::of(&function, &()).unwrap();
    assert_eq!(db.cached(call, |_| Ok::<_, Error>("text".to_owned())).unwrap(), "text");
    // What serde writes and does not read again is computed, each time.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Odd(#[serde(serialize_with = "as_text")] u32);
    let odd = CachedFunction::new("odd");
    for _ in 0..2 {
        let call = CachedCall::of(&odd, &()).unwrap();
        assert_eq!(db.cached(call, |_| Ok::<_, Error>(Odd(7))).unwrap().0, 7);
    }
}

fn as_text<S: serde::Serializer>(_: &u32, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str("seven")
}

#[test]
fn an_open_frame_keeps_nothing() {
    let (_folder, db) = shop();
    let frame = db.begin_frame(Some("edit")).unwrap();
    let inside = db.in_frame(&frame.id().to_string()).unwrap();
    run(&inside, "UPDATE orders SET amount = 100");
    assert_eq!(revenue(&inside, "frame").unwrap(), 200);
    assert_eq!(revenue(&inside, "frame").unwrap(), 200);
    assert_eq!((revenue(&db, "frame").unwrap(), revenue(&db, "frame").unwrap()), (30, 30));
    assert_eq!(computed("frame"), 3);
}

#[test]
fn functions_of_queries_are_asked_once_for_each_value() {
    let folder = tempfile::tempdir().unwrap();
    let times = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&times);
    let slow = Function::of_text("slow", move |text| {
        counted.fetch_add(1, Ordering::Relaxed);
        text.to_uppercase()
    });
    let options = OpenOptions::new().create(true).function(slow.cached(Duration::from_secs(60)));
    let db = options.open(folder.path().join("db")).unwrap();
    let mut session = db.session().unwrap();
    let sql = "SELECT slow(column1) FROM (VALUES ('a'), ('b'), ('a'), (NULL), ('a'))";
    assert_eq!(asked(&mut session, sql), "A;B;A;;A");
    assert_eq!(times.load(Ordering::Relaxed), 2);
    assert_eq!(db.call("slow", ["a"]).unwrap(), Value::from("A"));
    assert_eq!(times.load(Ordering::Relaxed), 2);
    // Nothing tells whether the next program has the same function: what is kept ends with this one.
    drop((session, db));
    assert!(!folder.path().join("db/cache/functions").exists());
    let options = OpenOptions::new().function(Function::of_text("slow", |_| "other".into()));
    let db = options.open(folder.path().join("db")).unwrap();
    assert_eq!(db.call("slow", ["a"]).unwrap(), Value::from("other"));
    let error = db.call("slo", ["a"]).unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.way_out(), Some("did you mean `slow`?"));
    let error = db.call("slow", ["a", "b"]).unwrap_err().to_string();
    assert_eq!(error, "slow takes 1 values, and has 2 here");
    assert!(db.call("money_sum", ["1"]).unwrap_err().to_string().contains("no function of values"));
}

#[test]
fn results_that_were_asked_for_least_lately_make_room() {
    let (folder, db) = shop();
    db.set_setting("functions.cache_bytes", "2000").unwrap();
    drop(db);
    let db = reopened(folder.path());
    static BIG: CachedFunction<'_> = CachedFunction::new("big");
    for number in 0..20 {
        let call = CachedCall::of(&BIG, &number).unwrap();
        db.cached(call, |_| Ok::<_, Error>("x".repeat(200))).unwrap();
    }
    let stat = stat(&db, "big");
    assert!((1..=6).contains(&stat.results) && stat.bytes <= 2000, "{stat:?}");
    let kept = |number: i32| {
        let call = CachedCall::of(&BIG, &number).unwrap();
        db.cached(call, |_| Ok::<_, Error>("computed".to_owned())).unwrap() != "computed"
    };
    assert!(kept(19) && !kept(0));
}
