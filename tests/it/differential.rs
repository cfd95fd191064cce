//! ReedQL against plain SQLite tables that hold the same rows: random questions and writes, over both paths.
//!
//! Each run draws tables, then statements. Both sides do each; they must agree on whether it fails, on how many rows it
//! changed and on every row that it gives, in order where the question orders them. Now and then a second session holds
//! a snapshot, which must not move while the first goes on.

use std::fmt::Write;

use reedbase::{Database, QueryOptions, QueryPath, Session, Value};
use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use crate::random::Random;

const RUNS: u64 = 60;
const STATEMENTS: u64 = 60;

/// Texts that are alike in one way or another.
const WORDS: [&str; 12] =
    ["", "a", "A", "b", "Berlin", "berlin", "7", "07", "ä", "x y", "it's", "a%"];

struct Draw {
    random: Random,
}

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    fn word(&mut self) -> String {
        format!("'{}'", self.pick(&WORDS).replace('\'', "''"))
    }

    fn integer(&mut self) -> String {
        (self.below(40) as i64 - 8).to_string()
    }

    fn real(&mut self) -> String {
        format!("{:?}", self.below(60) as f64 / 4.0 - 3.0)
    }

    fn decimal(&mut self) -> String {
        let fraction = self.pick(&["", ".5", ".50", ".05", ".10"]);
        let sign = self.pick(&["", "", "-"]);
        format!("'{sign}{}{fraction}'", self.below(12))
    }

    /// A literal for a column.
    fn value(&mut self, column: &str) -> String {
        if self.below(9) == 0 && column != "id" && column != "k" && column != "a" && column != "b" {
            return "NULL".to_owned();
        }
        match column {
            "id" | "n" | "t_id" | "b" | "v" => self.integer(),
            "f" => self.real(),
            "d" => self.decimal(),
            "yes" => self.below(2).to_string(),
            _ => self.word(),
        }
    }
}

/// A column: its name, its type here, and how SQLite declares it.
type ColumnOf = (&'static str, &'static str, &'static str);

/// The tables: name, columns with their types in both worlds, key.
const TABLES: [(&str, &[ColumnOf], &[&str]); 3] = [
    (
        "t",
        &[
            ("id", "integer", "INTEGER"),
            ("n", "integer", "INTEGER"),
            ("f", "float", "REAL"),
            ("s", "string", "TEXT"),
            ("d", "decimal", "TEXT COLLATE decimal"),
            ("yes", "boolean", "BOOLEAN"),
        ],
        &["id"],
    ),
    (
        "u",
        &[("k", "string", "TEXT"), ("t_id", "integer", "INTEGER"), ("s", "string", "TEXT")],
        &["k"],
    ),
    (
        "c",
        &[("a", "string", "TEXT"), ("b", "integer", "INTEGER"), ("v", "integer", "INTEGER")],
        &["a", "b"],
    ),
];

fn columns(table: &str) -> &'static [ColumnOf] {
    TABLES.iter().find(|(name, ..)| *name == table).unwrap().1
}

/// Makes the tables in both worlds.
fn make(database: &Database, sqlite: &Connection) {
    sqlite.create_collation("decimal", compare_decimals).unwrap();
    let mut transaction = database.begin().unwrap();
    for (name, columns, key) in TABLES {
        let mut schema = String::new();
        let mut declared = Vec::new();
        for (column, kind, sql) in columns {
            let in_key = if key.contains(column) { "primary_key = true\n" } else { "" };
            write!(schema, "[[columns]]\nname = \"{column}\"\ntype = \"{kind}\"\n{in_key}")
                .unwrap();
            declared.push(format!("{column} {sql}"));
        }
        let schema =
            reedbase_kernel::schema::parse(&format!("delimiter = \",\"\n{schema}")).unwrap();
        let names: Vec<_> = columns.iter().map(|(column, ..)| *column).collect();
        let text = bytes::Bytes::from(names.join(",") + "\n");
        let table = reedbase_kernel::database::NewTable::new(schema, text);
        transaction.create_table(name, &table).unwrap();
        let sql = format!(
            "CREATE TABLE {name} ({}, PRIMARY KEY ({}))",
            declared.join(", "),
            key.join(", ")
        );
        sqlite.execute_batch(&sql).unwrap();
    }
    transaction.commit().unwrap();
}

fn compare_decimals(one: &str, other: &str) -> std::cmp::Ordering {
    let number = |text: &str| text.parse::<f64>().ok();
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.partial_cmp(&other).unwrap(),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

/// A condition on the columns of a table, under this name.
fn condition(draw: &mut Draw, table: &str, alias: &str) -> String {
    let columns = columns(table);
    let (column, ..) = columns[draw.below(columns.len() as u64) as usize];
    let value = match draw.below(6) {
        // A value of another type than the column has.
        0 => draw.word(),
        1 => draw.integer(),
        2 => draw.real(),
        _ => draw.value(column),
    };
    let name = format!("{alias}.{column}");
    match draw.below(13) {
        0 => format!("{name} = {value}"),
        1 => format!("{name} <> {value}"),
        2 => format!("{name} > {value}"),
        3 => format!("{name} <= {value}"),
        4 => format!("{name} IN ({value}, {}, {})", draw.value(column), draw.value(column)),
        5 => format!("{name} BETWEEN {value} AND {}", draw.value(column)),
        6 => format!("{name} IS NULL"),
        7 => format!("{name} IS NOT {value}"),
        8 => format!("{name} LIKE {}", draw.pick(&["'a%'", "'%e%'", "'B_rlin'", "'7'", "'%'"])),
        9 => format!("{name} GLOB {}", draw.pick(&["'a*'", "'*e*'", "'B*'", "'[0-9]*'"])),
        10 => format!("{name} = {value} COLLATE NOCASE"),
        11 => format!("NOT ({name} = {value} AND {})", condition(draw, table, alias)),
        _ => format!("({name} >= {value} OR {})", condition(draw, table, alias)),
    }
}

/// A question, and whether the order of its rows is told.
fn question(draw: &mut Draw) -> (String, bool) {
    match draw.below(17) {
        15 => {
            let (way, column) = (draw.pick(&["", " DESC"]), draw.pick(&["n", "f", "s", "yes"]));
            let limit = draw.below(9);
            (format!("SELECT {column} FROM t ORDER BY {column}{way} LIMIT {limit}"), true)
        }
        16 => {
            let (one, other) = (draw.pick(&["", " DESC"]), draw.pick(&["", " DESC"]));
            (
                format!(
                    "SELECT yes, n FROM t ORDER BY yes{one}, n{other} LIMIT {}",
                    draw.below(30)
                ),
                true,
            )
        }
        12 => {
            let (one, way) = (condition(draw, "t", "t"), draw.pick(&["", " DESC"]));
            let (column, value) = *draw.choose(&[
                ("yes", "1"),
                ("s", "'a'"),
                ("s", "7"),
                ("n", "'7'"),
                ("d", "5.5"),
                ("d", "3"),
            ]);
            let by = draw.pick(&["n", "d", "s"]);
            let sql = format!(
                "SELECT id, n, d FROM t WHERE {column} = {value} AND {one} ORDER BY {by}{way}, id"
            );
            (sql, true)
        }
        13 => {
            let (low, high) = (draw.value("d"), draw.real());
            (format!("SELECT d, id FROM t WHERE d >= {low} AND d < {high} ORDER BY d, id"), true)
        }
        14 => {
            let pattern = draw.pick(&[
                "LIKE 'b%'",
                "LIKE '%'",
                "GLOB 'b*'",
                "LIKE 'a\\%' ESCAPE '\\'",
                "LIKE 7",
            ]);
            (format!("SELECT id, s FROM t WHERE s {pattern} ORDER BY s, id"), true)
        }
        0 => {
            let filter = condition(draw, "t", "t");
            (format!("SELECT * FROM t WHERE {filter} ORDER BY id"), true)
        }
        1 => {
            let (way, limit) = (draw.pick(&["ASC", "DESC"]), draw.below(6));
            let column = draw.pick(&["n", "s", "d", "f", "yes"]);
            (
                format!(
                    "SELECT id, {column} FROM t ORDER BY {column} {way}, id LIMIT {limit} OFFSET 1"
                ),
                true,
            )
        }
        2 => (format!("SELECT k, s FROM u WHERE {}", condition(draw, "u", "u")), false),
        3 => {
            let filter = condition(draw, "t", "t");
            (format!("SELECT t.id, u.k FROM t JOIN u ON u.t_id = t.id WHERE {filter}"), false)
        }
        4 => ("SELECT u.k, t.n FROM u LEFT JOIN t ON t.id = u.t_id ORDER BY u.k".to_owned(), true),
        5 => {
            let column = draw.pick(&["n", "s", "yes", "f"]);
            let filter = condition(draw, "t", "t");
            (
                format!(
                    "SELECT {column}, count(*), sum(n), min(s), max(n), avg(f) FROM t WHERE {filter} GROUP BY {column}"
                ),
                false,
            )
        }
        6 => (
            format!("SELECT a, b, v FROM c WHERE a = {} AND b = {}", draw.word(), draw.integer()),
            false,
        ),
        10 => (
            format!(
                "SELECT count(*), total(f) FROM t WHERE id IN (SELECT t_id FROM u WHERE {})",
                condition(draw, "u", "u")
            ),
            false,
        ),
        7 => (format!("SELECT k FROM u WHERE k = {} COLLATE NOCASE", draw.word()), false),
        // A key of text, compared with a number.
        8 => ("SELECT u.k, t.n FROM t JOIN u ON u.k = t.n".to_owned(), false),
        9 => (
            "SELECT x.id, y.id FROM t x, t y WHERE x.n = y.n AND x.id < y.id ORDER BY 1, 2"
                .to_owned(),
            true,
        ),
        _ => (
            format!(
                "SELECT id, (SELECT count(*) FROM c WHERE c.v > t.n) FROM t WHERE {}",
                condition(draw, "t", "t")
            ),
            false,
        ),
    }
}

/// A few rows, as far as their keys are free.
fn inserting(draw: &mut Draw) -> String {
    let (table, columns, _) = TABLES[draw.below(3) as usize];
    let row = |draw: &mut Draw| {
        let values: Vec<_> = columns.iter().map(|(column, ..)| draw.value(column)).collect();
        format!("({})", values.join(", "))
    };
    let rows: Vec<_> = (0..8).map(|_| row(draw)).collect();
    format!("INSERT OR IGNORE INTO {table} VALUES {}", rows.join(", "))
}

/// A statement that writes. Each `{}` of a key may be taken already, so that it fails in the middle.
fn writing(draw: &mut Draw) -> String {
    let table = draw.pick(&["t", "t", "t", "u", "c"]);
    let columns = columns(table);
    let row = |draw: &mut Draw| {
        let values: Vec<_> = columns.iter().map(|(column, ..)| draw.value(column)).collect();
        format!("({})", values.join(", "))
    };
    let rows = |draw: &mut Draw| {
        let rows: Vec<_> = (0..=draw.below(4)).map(|_| row(draw)).collect();
        rows.join(", ")
    };
    let key = TABLES.iter().find(|(name, ..)| *name == table).unwrap().2.join(", ");
    let (column, ..) = columns[columns.len() - 1 - draw.below(columns.len() as u64 / 2) as usize];
    match draw.below(14) {
        0..=3 => format!("INSERT INTO {table} VALUES {}", rows(draw)),
        4 => format!("INSERT OR IGNORE INTO {table} VALUES {}", rows(draw)),
        5 => format!("INSERT OR REPLACE INTO {table} VALUES {}", rows(draw)),
        6 => {
            let rows = rows(draw);
            format!(
                "INSERT INTO {table} VALUES {rows} ON CONFLICT ({key}) DO UPDATE SET {column} = excluded.{column} RETURNING {key}"
            )
        }
        7..=8 => {
            let filter = condition(draw, table, table);
            format!("UPDATE {table} SET {column} = {} WHERE {filter}", draw.value(column))
        }
        9 => "UPDATE t SET n = n + 1, s = s || 'x' WHERE n < 10".to_owned(),
        10 => {
            let filter = condition(draw, table, table);
            format!(
                "UPDATE {table} SET {column} = {} WHERE {filter} RETURNING *",
                draw.value(column)
            )
        }
        11 => format!("DELETE FROM {table} WHERE {}", condition(draw, table, table)),
        12 => format!("UPDATE t SET id = id + 100 WHERE id = {}", draw.integer()),
        _ => "INSERT INTO u SELECT 'new' || id, n, s FROM t WHERE id > 20".to_owned(),
    }
}

/// The rows as texts, sorted unless their order counts.
type Rows = Vec<String>;

fn ordered(mut rows: Rows, ordered: bool) -> Rows {
    if !ordered {
        rows.sort();
    }
    rows
}

fn by_reedql(session: &mut Session, sql: &str) -> reedbase::Result<(Rows, u64)> {
    let mut gathered = reedbase::Gather::default();
    let outcome = session.run(sql, (), &mut gathered)?;
    let shown = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => format!("'{text}'"),
        other => other.to_string(),
    };
    let rows = reedbase::QueryRows::from(gathered);
    let rows = rows.values().iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join("|"));
    Ok((rows.collect(), outcome.changed))
}

fn by_sqlite(sqlite: &Connection, sql: &str) -> rusqlite::Result<(Rows, u64)> {
    let mut statement = sqlite.prepare(sql)?;
    let columns = statement.column_count();
    let mut found = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let mut texts = Vec::new();
        for column in 0..columns {
            texts.push(match row.get(column)? {
                SqlValue::Null => "NULL".to_owned(),
                SqlValue::Real(value) => format!("{value:?}"),
                SqlValue::Text(text) => format!("'{text}'"),
                SqlValue::Integer(value) => value.to_string(),
                SqlValue::Blob(bytes) => format!("{bytes:?}"),
            });
        }
        rows.push(texts.join("|"));
    }
    drop(found);
    // SQLite counts what the last statement before changed, where one changes no rows.
    let counts = ["INSERT", "UPDATE", "DELETE"].iter().any(|verb| sql.starts_with(verb));
    let changed = if counts { sqlite.changes() } else { 0 };
    Ok((rows, changed))
}

/// Both do the same, and must agree.
fn both(
    session: &mut Session,
    sqlite: &Connection,
    sql: &str,
    is_ordered: bool,
    story: &[String],
) -> bool {
    let (ours, theirs) = (by_reedql(session, sql), by_sqlite(sqlite, sql));
    let told = || format!("{sql}\nafter:\n{}", story.join(";\n"));
    match (ours, theirs) {
        (Ok((ours, changed)), Ok((theirs, expected))) => {
            assert_eq!(ordered(ours, is_ordered), ordered(theirs, is_ordered), "{}", told());
            assert_eq!(changed, expected, "{}", told());
            true
        }
        (Err(_), Err(_)) => false,
        (Err(error), Ok(_)) => panic!("only ReedQL fails: {error:?}\n{}", told()),
        (Ok(_), Err(error)) => panic!("only SQLite fails: {error}\n{}", told()),
    }
}

/// Everything in the tables.
const ALL: [&str; 3] =
    ["SELECT * FROM t ORDER BY id", "SELECT * FROM u ORDER BY k", "SELECT * FROM c ORDER BY a, b"];

/// What a session that holds a snapshot asks, again and again.
const HELD: [&str; 6] = [
    ALL[0],
    ALL[1],
    ALL[2],
    "SELECT id FROM t WHERE n BETWEEN 0 AND 9 ORDER BY n, id",
    "SELECT s, id FROM t WHERE s >= 'a' ORDER BY s DESC, id",
    "SELECT k FROM u WHERE t_id = 3 ORDER BY k",
];

/// Indices of every kind, and what they are of.
const INDICES: [(&str, &str, &str); 11] = [
    ("t_d_n", "composite", "t (d, n)"),
    ("t_n", "btree", "t (n)"),
    ("t_s", "btree", "t (s)"),
    ("t_s_nocase", "btree", "t (s COLLATE NOCASE)"),
    ("t_d", "btree", "t (d)"),
    ("t_f", "hash", "t (f)"),
    ("t_yes_n", "composite", "t (yes, n)"),
    ("t_s_d", "composite", "t (s, d, n)"),
    ("u_t_id", "hash", "u (t_id)"),
    ("u_s", "btree", "u (s)"),
    ("c_b_v", "hash", "c (b, v)"),
];

/// Rules that values must be unique: both worlds have these.
const UNIQUE: [(&str, &str); 3] =
    [("u_unique", "u (t_id)"), ("c_unique", "c (v)"), ("t_unique", "t (s, n)")];

/// Indices come and go.
fn reshape(draw: &mut Draw, session: &mut Session, sqlite: &Connection, story: &mut Vec<String>) {
    if draw.below(4) == 0 {
        let (name, what) = UNIQUE[draw.below(3) as usize];
        let sql = match draw.below(2) {
            0 => format!("CREATE UNIQUE INDEX IF NOT EXISTS {name} ON {what}"),
            _ => format!("DROP INDEX IF EXISTS {name}"),
        };
        both(session, sqlite, &sql, false, story);
        return story.push(sql);
    }
    let (name, kind, what) = INDICES[draw.below(INDICES.len() as u64) as usize];
    let sparse = draw.pick(&["", "", " SPARSE"]);
    let (table, columns) = what.split_once(' ').unwrap();
    let sql = match draw.below(3) {
        0 => format!("DROP INDEX IF EXISTS {name}"),
        _ => format!("CREATE INDEX IF NOT EXISTS {name} ON {table} USING {kind} {columns}{sparse}"),
    };
    story.push(sql.clone());
    session.execute(&sql, ()).unwrap_or_else(|error| panic!("{sql}: {error}\n{story:?}"));
}

fn run(seed: u64, path: QueryPath, indexed: bool) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join("db")).unwrap();
    let sqlite = Connection::open_in_memory().unwrap();
    sqlite.execute_batch("PRAGMA recursive_triggers = 1").unwrap();
    make(&database, &sqlite);
    let mut session = database.session().unwrap();
    let mut options = QueryOptions::default();
    options.path = path;
    session.set_options(&options);
    let mut held: Option<(Session, Vec<Rows>)> = None;
    let mut draw = Draw { random: Random(seed) };
    let (mut story, mut savepoints) = (Vec::new(), 0_usize);
    let mut open = false;
    // An index is of no use in a table of five rows.
    for _ in 0..if indexed { 40 } else { 0 } {
        let sql = inserting(&mut draw);
        both(&mut session, &sqlite, &sql, false, &story);
        story.push(sql);
    }
    for step in 0..STATEMENTS {
        if indexed && (step < 6 || draw.below(10) == 0) {
            reshape(&mut draw, &mut session, &sqlite, &mut story);
        }
        let sql = match draw.below(20) {
            0 if !open => "BEGIN".to_owned(),
            0 | 1 if open => draw.pick(&["COMMIT", "COMMIT", "ROLLBACK"]).to_owned(),
            2 | 3 if open => format!("SAVEPOINT s{savepoints}"),
            4 if open && savepoints > 0 => {
                format!("ROLLBACK TO s{}", draw.below(savepoints as u64))
            }
            5 if open && savepoints > 0 => format!("RELEASE s{}", savepoints - 1),
            6..=11 => writing(&mut draw),
            _ => {
                let (sql, is_ordered) = question(&mut draw);
                both(&mut session, &sqlite, &sql, is_ordered, &story);
                continue;
            }
        };
        let done = both(&mut session, &sqlite, &sql, false, &story);
        story.push(sql.clone());
        match sql.split(' ').next().unwrap() {
            "BEGIN" => (open, savepoints) = (true, 0),
            "COMMIT" => open = false,
            "ROLLBACK" if !sql.contains("TO") => open = false,
            "ROLLBACK" => {
                savepoints = sql.rsplit('s').next().unwrap().parse::<usize>().unwrap() + 1
            }
            "SAVEPOINT" => savepoints += 1,
            "RELEASE" => savepoints -= 1,
            _ => {}
        }
        assert_eq!(session.in_transaction(), open);
        if done && draw.below(4) == 0 {
            for sql in ALL {
                both(&mut session, &sqlite, sql, true, &story);
            }
        }
        match &mut held {
            None if !open => {
                let mut other = database.session().unwrap();
                other.execute("BEGIN", ()).unwrap();
                let rows = HELD.map(|sql| by_reedql(&mut other, sql).unwrap().0).to_vec();
                held = Some((other, rows));
            }
            Some((other, rows)) => {
                for (sql, known) in HELD.iter().zip(rows) {
                    assert_eq!(
                        by_reedql(other, sql).unwrap().0,
                        *known,
                        "a snapshot moved: {story:?}"
                    );
                }
                if draw.below(8) == 0 {
                    held = None;
                }
            }
            None => {}
        }
    }
    if open {
        both(&mut session, &sqlite, "COMMIT", false, &story);
    }
    // Another session, which has no mirrors, reads the same.
    for sql in ALL {
        both(&mut database.session().unwrap(), &sqlite, sql, true, &story);
    }
}

#[test]
fn reedql_does_what_sqlite_does() {
    for seed in 0..RUNS {
        for path in [QueryPath::Auto, QueryPath::Direct, QueryPath::Mirror] {
            run(seed, path, false);
            run(seed, path, true);
        }
    }
}
