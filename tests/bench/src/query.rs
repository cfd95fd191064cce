//! ReedQL beside SQLite on the same rows, in memory for both, prepared, medians; both access paths.

use std::time::Duration;

use reedbase::{Database, QueryOptions, QueryPath, Session, Value};

use crate::Settings;
use crate::data;
use crate::measure::{median_us, time};
use crate::peers::{DoltLite, has, in_doltlite_shell};
use crate::report::Report;

/// The columns as SQLite has them.
const COLUMNS: &str = "id INTEGER PRIMARY KEY, title TEXT, author TEXT, status TEXT, views INTEGER, \
                       price REAL, created TEXT, body TEXT";

/// A database with `t`, and `u` of which each row refers to one of `t`; and the same in SQLite.
pub struct Sides {
    _folder: tempfile::TempDir,
    pub database: Database,
    pub sqlite: rusqlite::Connection,
}

impl Sides {
    pub fn new(settings: &Settings, rows: u64) -> Self {
        let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
        let database = Database::create(folder.path().join("db")).expect("a database");
        let mut u = String::from("id,t_id,note\n");
        for (id, t_id) in data::keys(rows, rows as usize).enumerate() {
            u += &format!("{id},{t_id},note {id}\n");
        }
        let mut transaction = database.begin().expect("a transaction");
        for (name, text) in [("t", data::csv(rows)), ("u", u)] {
            let table = reedbase::csv(text, &["id"]).expect("a table");
            transaction.create_table(name, &table).expect("a new table");
        }
        transaction.commit().expect("a commit");
        database.checkpoint(&[]).expect("a checkpoint");
        let sqlite = rusqlite::Connection::open_in_memory().expect("SQLite opens");
        import(&sqlite, &database, "t", COLUMNS);
        import(&sqlite, &database, "u", "id INTEGER PRIMARY KEY, t_id INTEGER, note TEXT");
        Self { _folder: folder, database, sqlite }
    }

    pub fn session(&self, path: QueryPath) -> Session {
        let mut session = self.database.session().expect("a session");
        let mut options = QueryOptions::default();
        options.path = path;
        options.mirror_bytes = Some(1 << 30);
        session.set_options(&options);
        // What is read is held still, as it is in SQLite's memory.
        session.execute("BEGIN", ()).expect("a transaction");
        session
    }
}

/// Reads a table into SQLite. Gives how long that takes, once the rows are at hand.
fn import(
    sqlite: &rusqlite::Connection,
    database: &Database,
    name: &str,
    columns: &str,
) -> Duration {
    let text = database.snapshot().and_then(|s| s.table(name)?.to_bytes()).expect("a table");
    let text = String::from_utf8(text.to_vec()).expect("text");
    let (taken, ()) = time(|| {
        sqlite
            .execute_batch(&format!(
                "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns}); BEGIN"
            ))
            .expect("SQLite makes a table");
        let marks = vec!["?"; columns.split(',').count()].join(", ");
        let mut insert = sqlite
            .prepare(&format!("INSERT INTO {name} VALUES ({marks})"))
            .expect("SQLite prepares");
        for line in text.lines().skip(1) {
            insert.execute(rusqlite::params_from_iter(line.split(','))).expect("SQLite inserts");
        }
        sqlite.execute_batch("COMMIT").expect("SQLite commits");
    });
    taken
}

/// How long a query takes in SQLite, its rows read to the end.
pub fn by_sqlite(sqlite: &rusqlite::Connection, sql: &str, id: u64) -> Duration {
    let mut statement = sqlite.prepare_cached(sql).expect("SQLite prepares");
    let (taken, ()) = time(|| {
        let mut rows = match statement.parameter_count() {
            0 => statement.query([]),
            _ => statement.query([id as i64]),
        }
        .expect("SQLite runs");
        while let Some(row) = rows.next().expect("SQLite steps") {
            std::hint::black_box(row.get_ref(0).expect("a value"));
        }
    });
    taken
}

pub fn by_reedql(session: &mut Session, sql: &str, id: u64) -> Duration {
    let params = if sql.contains('?') { vec![Value::Integer(id as i64)] } else { Vec::new() };
    let (taken, _) = time(|| {
        session
            .for_each(sql, params, |row| {
                std::hint::black_box(row);
                Ok(std::ops::ControlFlow::Continue(()))
            })
            .expect("ReedQL runs")
    });
    taken
}

/// Point queries, joins, filters and groups.
pub fn reedql(settings: &Settings, report: &mut Report) {
    let sides = compare(settings, settings.middle(), 15, report);
    first_touch(&sides, settings.middle(), report);
    drop(sides);
    let sides = compare(settings, settings.large(), 5, report);
    aggregate(settings, &sides, report);
}

/// Both sides, asked the same with so many rows in a table.
fn compare(settings: &Settings, rows: u64, rounds: usize, report: &mut Report) -> Sides {
    let sides = Sides::new(settings, rows);
    let mut direct = sides.session(QueryPath::Direct);
    let mut mirror = sides.session(QueryPath::Mirror);
    let cases = [
        ("point query by key", "SELECT title FROM t WHERE id = ?", 2000, 1.5),
        (
            "join by key",
            "SELECT count(*), max(t.title) FROM u JOIN t ON t.id = u.t_id",
            rounds,
            1.2,
        ),
        ("filter", "SELECT id, title FROM t WHERE views > 5000 AND status = 'draft'", rounds, 1.2),
        ("group", "SELECT author, status, count(*), avg(views) FROM t GROUP BY 1, 2", rounds, 1.2),
        ("sort", "SELECT id FROM t ORDER BY views, id LIMIT 100", rounds, 1.2),
        ("count", "SELECT count(*) FROM t", rounds, 1.2),
    ];
    for (name, sql, rounds, factor) in cases {
        let (mut ours, mut mirrored, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for id in data::keys(rows, settings.rounds(rounds) + 1) {
            ours.push(by_reedql(&mut direct, sql, id));
            theirs.push(by_sqlite(&sides.sqlite, sql, id));
            mirrored.push(by_reedql(&mut mirror, sql, id));
        }
        let (direct, sqlite) = (median_us(&mut ours), median_us(&mut theirs));
        let mirrored = median_us(&mut mirrored);
        let best = if name.starts_with("point") { direct } else { mirrored };
        let bound = [("", Some(sqlite * factor))];
        let peers =
            [("direct", Some(direct)), ("mirror", Some(mirrored)), ("sqlite", Some(sqlite))];
        report.at_most(&format!("ReedQL {name}, {rows} rows"), "µs", best, &peers, &bound);
    }
    sides
}

/// The same aggregate in engines that are made otherwise, for orientation: one that keeps columns, and the peer with versions.
fn aggregate(settings: &Settings, sides: &Sides, report: &mut Report) {
    let sql = "SELECT author, count(*), avg(views) FROM t GROUP BY author";
    let mut session = sides.session(QueryPath::Mirror);
    let mut medians = [Vec::new(), Vec::new()];
    for _ in 0..settings.rounds(5) + 1 {
        medians[0].push(by_reedql(&mut session, sql, 0));
        medians[1].push(by_sqlite(&sides.sqlite, sql, 0));
    }
    let folder = tempfile::tempdir_in(&settings.folder).expect("a folder");
    let file = folder.path().join("t.csv");
    std::fs::write(&file, data::csv(settings.large())).expect("a file");
    let duckdb = has("python3", &["-c", "import duckdb"]).then(|| duckdb_ms(&file, sql) * 1000.0);
    let doltlite = DoltLite::open(&folder.path().join("dolt")).map(|dolt| {
        dolt.fill(settings.large());
        let mut times: Vec<Duration> = (0..4).map(|_| time(|| dolt.run(sql)).0).collect();
        median_us(&mut times)
    });
    let doltlite = doltlite.or_else(|| in_doltlite_shell(folder.path(), &file, sql));
    let [mut ours, mut theirs] = medians;
    report.figure(
        &format!("one aggregate of {} rows", settings.large()),
        "µs",
        median_us(&mut ours),
        &[("sqlite", Some(median_us(&mut theirs))), ("duckdb", duckdb), ("doltlite", doltlite)],
    );
}

/// The median time of a query in DuckDB, without starting Python.
fn duckdb_ms(file: &std::path::Path, sql: &str) -> f64 {
    let script = "import sys, time, statistics, duckdb\n\
                  c = duckdb.connect()\n\
                  c.execute(f\"CREATE TABLE t AS FROM read_csv('{sys.argv[1]}')\")\n\
                  times = []\n\
                  for _ in range(7):\n\
                  \x20   s = time.perf_counter()\n\
                  \x20   c.execute(sys.argv[2]).fetchall()\n\
                  \x20   times.append(time.perf_counter() - s)\n\
                  print(statistics.median(times) * 1000)";
    let mut python = std::process::Command::new("python3");
    let output = python.args(["-c", script]).arg(file).arg(sql).output().expect("python runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a time")
}

/// A join in a new session, the loading of its mirrors included.
fn first_touch(sides: &Sides, rows: u64, report: &mut Report) {
    let sql = "SELECT count(*), max(t.title) FROM u JOIN t ON t.id = u.t_id";
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut session = sides.session(QueryPath::Mirror);
        ours.push(by_reedql(&mut session, sql, 0));
        let sqlite = rusqlite::Connection::open_in_memory().expect("SQLite opens");
        let read = import(&sqlite, &sides.database, "t", COLUMNS)
            + import(
                &sqlite,
                &sides.database,
                "u",
                "id INTEGER PRIMARY KEY, t_id INTEGER, note TEXT",
            );
        theirs.push(read + by_sqlite(&sqlite, sql, 0));
    }
    let (ours, theirs) = (median_us(&mut ours), median_us(&mut theirs));
    report.at_most(
        &format!("ReedQL first touch of a join, {rows} rows"),
        "µs",
        ours,
        &[("sqlite importing", Some(theirs))],
        &[("", Some(theirs * 1.5))],
    );
}
