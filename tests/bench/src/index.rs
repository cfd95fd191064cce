//! Indices: beside SQLite's own on the same rows, how long they take to make and to follow a frame, and queries of the past.

use std::sync::Arc;
use std::time::Duration;

use reedbase::storage::MemoryStorage;
use reedbase::{Database, IndexSpec, OpenOptions, QueryOptions, QueryPath, Session, Value};
use reedbase_kernel::index::{At, Indices, Kinds, views};
use reedbase_plugin_index_btree::BTreeKind;

use crate::Settings;
use crate::data;
use crate::measure::{median_us, time};
use crate::query::{Sides, by_reedql, by_sqlite};
use crate::report::Report;

/// Searches by an index.
pub fn searches(settings: &Settings, report: &mut Report) {
    let rows = settings.middle();
    let sides = Sides::new(settings, rows);
    let indices = [
        ("u_t_id", "u", "t_id", "btree"),
        ("t_views", "t", "views", "btree"),
        ("t_title", "t", "title", "hash"),
    ];
    for (name, table, column, kind) in indices {
        sides
            .database
            .create_index(table, &IndexSpec::new(name, kind, &[column]))
            .expect("an index");
        sides
            .sqlite
            .execute_batch(&format!("CREATE INDEX {name} ON {table} ({column})"))
            .expect("an index");
    }
    let mut session = sides.session(QueryPath::Direct);
    let cases = [
        ("point query by secondary index", "SELECT note FROM u WHERE t_id = ?"),
        (
            "range, ORDER BY, LIMIT by index",
            "SELECT id, title FROM t WHERE views > ? ORDER BY views LIMIT 20",
        ),
        ("last by index", "SELECT id, title FROM t WHERE views <= ? ORDER BY views DESC LIMIT 5"),
    ];
    for (name, sql) in cases {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for id in data::keys(rows.min(9000), settings.rounds(2000) + 1) {
            ours.push(by_reedql(&mut session, sql, id));
            theirs.push(by_sqlite(&sides.sqlite, sql, id));
        }
        let (ours, theirs) = (median_us(&mut ours), median_us(&mut theirs));
        report.at_most(
            &format!("index: {name}, {rows} rows"),
            "µs",
            ours,
            &[("sqlite", Some(theirs))],
            &[("", Some(theirs * 2.0))],
        );
    }
    against_none(settings, report);
}

fn direct(database: &Database) -> Session {
    let mut session = database.session().expect("a session");
    let mut options = QueryOptions::default();
    options.path = QueryPath::Direct;
    session.set_options(&options);
    session
}

fn database(settings: &Settings, rows: u64) -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let database = Database::create(folder.path().join("db")).expect("a database");
    fill(&database, rows);
    (folder, database)
}

fn fill(database: &Database, rows: u64) {
    let mut transaction = database.begin().expect("a transaction");
    let table = reedbase::csv(data::csv(rows), &["id"]).expect("a table");
    transaction.create_table("t", &table).expect("a new table");
    transaction.commit().expect("a commit");
    database.checkpoint(&[]).expect("a checkpoint");
}

/// The same question with and without an index.
fn against_none(settings: &Settings, report: &mut Report) {
    let rows = 10_000;
    let (_folder, database) = database(settings, rows);
    let mut session = direct(&database);
    let title = |id: u64| {
        let row = data::row(id);
        vec![Value::from(row.split(',').nth(1).unwrap_or_default())]
    };
    let mut ask = |rounds: usize| {
        let mut times: Vec<Duration> = data::keys(rows, settings.rounds(rounds) + 1)
            .map(|id| {
                time(|| session.query("SELECT id FROM t WHERE title = ?", title(id)).expect("rows"))
                    .0
            })
            .collect();
        median_us(&mut times)
    };
    let without = ask(50);
    database.create_index("t", &IndexSpec::new("i", "hash", &["title"])).expect("an index");
    let with = ask(2000);
    let faster = without / with;
    report.at_least(
        &format!("index: faster than none, {rows} rows"),
        "×",
        faster,
        &[("µs with", Some(with)), ("µs without", Some(without))],
        ("", 100.0),
    );
}

/// Making indices, and following frames.
pub fn making(settings: &Settings, report: &mut Report) {
    for (rows, most) in [(10_000, 20.0), (settings.large(), 1000.0)] {
        let (_folder, database) = database(settings, rows);
        for (kind, column) in [("btree", "views"), ("hash", "title"), ("btree", "title")] {
            let name = format!("{kind}_{column}");
            database.create_index("t", &IndexSpec::new(&name, kind, &[column])).expect("an index");
            let mut times: Vec<Duration> = (0..settings.rounds(5))
                .map(|_| time(|| database.rebuild_index(&name).expect("an index")).0)
                .collect();
            let took = median_us(&mut times) / 1000.0;
            report.at_most(
                &format!("index: making a {kind} of {column}, {rows} rows"),
                "ms",
                took,
                &[],
                &[("", Some(most))],
            );
        }
    }
    following(settings, report);
}

fn update(database: &Database, id: u64, views: &str) {
    let mut transaction = database.begin().expect("a transaction");
    transaction.update("t", id as i64, [("views", views)]).expect("a row");
    transaction.commit().expect("a commit");
}

/// From the index of one version to that of the next one.
fn following(settings: &Settings, report: &mut Report) {
    let rows = settings.middle();
    let (_folder, on_disk) = database(settings, rows);
    let synced = followed(settings, &on_disk, rows);
    // In memory, as SQLite is in the other figures; a sync in between leaves nothing in the processor's caches.
    let options = OpenOptions::new().storage(Arc::new(MemoryStorage::new())).create(true);
    let database = options.open("").expect("a database");
    fill(&database, rows);
    report.at_most(
        &format!("index: following a frame of one row, {rows} rows"),
        "µs",
        followed(settings, &database, rows),
        &[("after a sync", Some(synced))],
        &[("", Some(5.0))],
    );
}

/// The median time that an index takes to follow a frame of one row.
fn followed(settings: &Settings, database: &Database, rows: u64) -> f64 {
    database.create_index("t", &IndexSpec::new("i", "btree", &["views"])).expect("an index");
    let kinds = Kinds::new(vec![Arc::new(BTreeKind::default())]);
    let indices = Indices::new(kinds);
    // Who holds what was, pays for giving it up.
    let (mut times, mut held) = (Vec::new(), Vec::new());
    let mut schema = None;
    for id in data::keys(rows, settings.rounds(2000) + 1) {
        update(database, id, &id.to_string());
        let snapshot = database.snapshot().expect("a snapshot");
        let (name, table) = snapshot.named_table("t").expect("a table");
        let schema = schema.get_or_insert_with(|| {
            let text = table.schema().expect("a schema");
            reedbase_kernel::schema::parse(std::str::from_utf8(text).expect("text"))
                .expect("a schema")
        });
        let view = views(schema, &indices.kinds).remove(0);
        let at = At { name: &name, table, snapshot: &snapshot };
        times.push(time(|| indices.get(at, &view).expect("an index").is_some()).0);
        held.push(snapshot);
    }
    // The first one made it.
    times.remove(0);
    median_us(&mut times)
}

/// What was, a hundred frames ago; and a question of a whole process.
pub fn past(settings: &Settings, report: &mut Report) {
    let rows = settings.middle();
    let (folder, database) = database(settings, rows);
    for id in data::keys(rows, 200) {
        update(&database, id, "7");
    }
    database.checkpoint(&[]).expect("a checkpoint");
    let sql = "SELECT title FROM t AS OF 'HEAD~100' WHERE id = ?";
    let (mut firsts, mut nexts, mut now) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.rounds(9) {
        let database = Database::open(folder.path().join("db")).expect("a database");
        let mut session = direct(&database);
        session.query("SELECT count(*) FROM t", ()).expect("the table is read");
        firsts.push(by_reedql(&mut session, sql, 7));
        session.execute("BEGIN", ()).expect("a transaction");
        for id in data::keys(rows, settings.rounds(200)) {
            nexts.push(by_reedql(&mut session, sql, id));
            now.push(by_reedql(&mut session, "SELECT title FROM t WHERE id = ?", id));
        }
    }
    let first = median_us(&mut firsts) / 1000.0;
    report.at_most(
        &format!("AS OF 100 frames back, first query, {rows} rows"),
        "ms",
        first,
        &[],
        &[("", Some(50.0))],
    );
    let (next, now) = (median_us(&mut nexts), median_us(&mut now));
    report.at_most(
        &format!("AS OF 100 frames back, then, {rows} rows"),
        "µs",
        next,
        &[("now", Some(now))],
        &[("", Some(now * 1.2))],
    );
    whole_process(settings, folder.path(), report);
}

fn whole_process(settings: &Settings, folder: &std::path::Path, report: &mut Report) {
    // The command stands beside the bench, if it was built with the same profile.
    let program = std::env::current_exe().expect("a path").with_file_name("rdb");
    if !program.exists() {
        return;
    }
    let mut times = Vec::new();
    for id in data::keys(settings.middle(), settings.rounds(30) + 1) {
        let mut command = std::process::Command::new(&program);
        command.arg("--db").arg(folder.join("db"));
        command.args(["query", "SELECT title FROM t WHERE id = ?", &id.to_string()]);
        let (taken, output) = time(|| command.output().expect("the command runs"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        times.push(taken);
    }
    let took = median_us(&mut times) / 1000.0;
    report.at_most("rdb query of one row, whole process", "ms", took, &[], &[("", Some(30.0))]);
}
