//! Questions in ReedQL and what they are answered, through the library and through the command.

use std::path::Path;
use std::process::Command;

use reedbase::{Database, Value};
use serde_json::Value as Json;

use crate::sessions::rdb;
use crate::sql::asked;

/// A value as JSON writes it.
pub(crate) fn json(value: &Value) -> Json {
    match value {
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        _ => Json::Null,
    }
}

/// Makes a table of columns and rows in JSON.
fn make_table(database: &Database, name: &str, columns: &Json, rows: &Json) {
    let columns: Vec<_> = columns.as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    let mut text = columns.join(",") + "\n";
    for row in rows.as_array().unwrap() {
        let cells = row.as_array().unwrap().iter().map(|cell| match cell {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        });
        text += &(cells.collect::<Vec<_>>().join(",") + "\n");
    }
    let mut transaction = database.begin().unwrap();
    transaction.create_table(name, &reedbase::csv(text, &[columns[0]]).unwrap()).unwrap();
    transaction.commit().unwrap();
}

/// The rows that the library gives.
fn by_library(database: &Database, query: &str) -> Vec<Vec<Json>> {
    let rows = database.query(query, ()).unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.values().iter().map(|row| row.iter().map(json).collect()).collect()
}

/// The rows that the command prints.
pub(crate) fn by_command(folder: &Path, query: &str) -> Vec<Vec<Json>> {
    rows_printed(folder, &[query])
}

/// The same, with more than a text behind `query`.
pub(crate) fn rows_printed(folder: &Path, query: &[&str]) -> Vec<Vec<Json>> {
    let mut command = Command::new(rdb());
    command.arg("--db").arg(folder).arg("query").args(query).arg("--json");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{query:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let cells = |line: &str| -> Vec<Json> {
        let row: serde_json::Map<String, Json> = serde_json::from_str(line).unwrap();
        row.into_iter().map(|(_, value)| value).collect()
    };
    lines.lines().map(cells).collect()
}

/// Whether the rows are those of a case; their order counts if it says so.
fn check(query: &str, mut rows: Vec<Vec<Json>>, expected: &Json, ordered: bool) {
    let mut expected: Vec<Vec<Json>> = serde_json::from_value(expected.clone()).unwrap();
    if !ordered {
        rows.sort_by_key(|row| format!("{row:?}"));
        expected.sort_by_key(|row| format!("{row:?}"));
    }
    assert_eq!(rows, expected, "{query}");
}

#[test]
fn the_queries_of_the_first_seed_are_answered() {
    let cases: Json = serde_json::from_str(include_str!("cases/sql.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = Database::create(&path).unwrap();
    for table in ["users", "orders"] {
        make_table(&database, table, &cases["columns"][table], &cases[table]);
    }
    let queries = cases["queries"].as_array().unwrap();
    assert_eq!(queries.len(), 5);
    for case in queries {
        let query = case["query"].as_str().unwrap();
        check(query, by_library(&database, query), &case["unordered_result"], false);
        check(query, by_command(&path, query), &case["unordered_result"], false);
    }
}

fn database(tables: &[(&str, &str)]) -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join("db")).unwrap();
    let mut transaction = database.begin().unwrap();
    for (name, text) in tables {
        let key = text.split([',', '\n']).next().unwrap();
        transaction.create_table(name, &reedbase::csv(*text, &[key]).unwrap()).unwrap();
    }
    transaction.commit().unwrap();
    (folder, database)
}

/// What was refused when it was written back is not in the mirror either.
#[test]
fn a_mirror_forgets_what_was_refused() {
    let (_folder, database) = database(&[("t", "id,n\n1,10\n2,20\n")]);
    let mut session = database.session().unwrap();
    let mut options = reedbase::QueryOptions::default();
    options.path = reedbase::QueryPath::Mirror;
    session.set_options(&options);
    assert_eq!(asked(&mut session, "SELECT sum(n) FROM t"), "30");
    let error = session.query("UPDATE t SET n = 'many' RETURNING n", ()).unwrap_err();
    assert_eq!(error.to_string(), "table t, column n: `many` is no integer");
    assert_eq!(asked(&mut session, "SELECT sum(n) FROM t"), "30");
    session.execute("BEGIN; UPDATE t SET n = 11 WHERE id = 1 RETURNING n", ()).unwrap();
    assert!(session.query("INSERT INTO t VALUES (3, 'x') RETURNING id", ()).is_err());
    assert_eq!(asked(&mut session, "SELECT id, n FROM t ORDER BY id"), "1|11;2|20");
    session.execute("ROLLBACK", ()).unwrap();
    assert_eq!(asked(&mut session, "SELECT id, n FROM t ORDER BY id"), "1|10;2|20");
}

/// Two keys that are the same number stay two rows; what needs a mirror says why there is none.
#[test]
fn keys_that_are_the_same_number_have_no_mirror() {
    let (_folder, database) = database(&[("t", "id,n\n7,1\n8,2\n")]);
    let mut transaction = database.begin().unwrap();
    transaction.insert("t", [("id", "07"), ("n", "3")]).unwrap();
    transaction.commit().unwrap();
    let mut session = database.session().unwrap();
    assert_eq!(asked(&mut session, "SELECT n FROM t WHERE id = 7 ORDER BY n"), "1;3");
    assert_eq!(asked(&mut session, "SELECT count(*) FROM t a, t b WHERE a.id = b.id"), "5");
    let error = session.query("DELETE FROM t WHERE n = 3 RETURNING id", ()).unwrap_err();
    assert_eq!(error.message(), "two rows have keys that mean the same in SQL, as 7 and 07 do");
    session.execute("DELETE FROM t WHERE n = 3", ()).unwrap();
    assert_eq!(database.snapshot().unwrap().get("t", "7").unwrap().unwrap().get("n").unwrap(), "1");
}

/// What others commit is seen, through mirrors, too; what they removed and added in between as well.
#[test]
fn mirrors_follow_what_others_commit() {
    let (_folder, database) = database(&[("t", "id,n\n1,10\n2,20\n")]);
    let mut session = database.session().unwrap();
    let mut options = reedbase::QueryOptions::default();
    options.path = reedbase::QueryPath::Mirror;
    session.set_options(&options);
    let mut expected: std::collections::BTreeMap<i64, i64> = [(1, 10), (2, 20)].into();
    let mut random = crate::random::Random(5);
    for round in 0..60 {
        let mut transaction = database.begin().unwrap();
        for _ in 0..=random.below(3) {
            let id = random.below(12) as i64;
            let n = round * 100 + id;
            let n_text = n.to_string();
            match (expected.contains_key(&id), random.below(2)) {
                (true, 0) => {
                    transaction.delete("t", id).unwrap();
                    expected.remove(&id);
                    continue;
                }
                (true, _) => transaction.update("t", id, [("n", n)]).unwrap(),
                (false, _) => {
                    let id = id.to_string();
                    let cells = [("id", id.as_str()), ("n", n_text.as_str())];
                    transaction.insert("t", cells).unwrap();
                }
            }
            expected.insert(id, n);
        }
        transaction.commit().unwrap();
        if round % 7 == 3 {
            database.checkpoint(&[]).unwrap();
        }
        let shown =
            expected.iter().map(|(id, n)| format!("{id}|{n}")).collect::<Vec<_>>().join(";");
        assert_eq!(asked(&mut session, "SELECT id, n FROM t ORDER BY id"), shown);
    }
}

/// A statement by itself that others were faster than is done again: nothing is counted twice, nothing is lost.
#[test]
fn statements_are_done_again_where_others_were_faster() {
    const ADDED: i64 = 40;
    let (_folder, database) = database(&[("t", "id,n\n1,0\n")]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut session = database.session().unwrap();
                for step in 0..ADDED {
                    let returning = if step % 2 == 0 { "" } else { " RETURNING n" };
                    let sql = format!("UPDATE t SET n = n + 1 WHERE id = 1{returning}");
                    session.execute(&sql, ()).unwrap();
                }
            });
        }
    });
    assert_eq!(asked(&mut database.session().unwrap(), "SELECT n FROM t"), (3 * ADDED).to_string());
}

/// Of two transactions that change the same cell the second is told; its session goes on.
#[test]
fn transactions_that_conflict_say_so() {
    let (_folder, database) = database(&[("t", "id,n\n1,0\n")]);
    let (mut one, mut other) = (database.session().unwrap(), database.session().unwrap());
    for session in [&mut one, &mut other] {
        session.execute("BEGIN; UPDATE t SET n = n + 1", ()).unwrap();
    }
    one.execute("COMMIT", ()).unwrap();
    let error = other.execute("COMMIT", ()).unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert!(!other.in_transaction());
    assert_eq!(asked(&mut other, "SELECT n FROM t"), "1");
}

/// Rows come as the caller's own types, one by one where they are many, and from texts that were looked at before.
#[test]
fn rows_are_handed_on_as_they_are_wanted() {
    let (_folder, database) = database(&[("t", "id,n\n1,10\n2,20\n3,\n")]);
    let rows: Vec<(i64, Option<i64>)> =
        database.query_as("SELECT id, n FROM t WHERE id > ?", [1]).unwrap();
    assert_eq!(rows, [(2, Some(20)), (3, None)]);
    let error = database.query_as::<(i64, i64)>("SELECT id, n FROM t", ()).unwrap_err();
    assert!(error.message().contains("column n"), "{error}");
    let mut session = database.session().unwrap();
    let mut seen = Vec::new();
    session
        .for_each("SELECT id FROM t", (), |row| {
            seen.push(row[0].to_value());
            let enough = seen.len() == 2;
            Ok(if enough {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            })
        })
        .unwrap();
    assert_eq!(seen, [Value::Integer(1), Value::Integer(2)]);
    let prepared = database.prepare("SELECT n FROM t WHERE id = :id").unwrap();
    for (id, n) in [(1, 10), (2, 20)] {
        let params = reedbase::Params::default().with("id", id);
        assert_eq!(session.query_as::<i64>(&prepared, params).unwrap(), [n]);
    }
    assert!(database.prepare("SELECT m FROM t").unwrap_err().is_not_found());
}

/// Each limit names itself, and what it stopped leaves nothing behind.
#[test]
fn limits_name_themselves() {
    let (_folder, database) = database(&[("t", "id,n\n1,10\n2,20\n3,30\n")]);
    let endless =
        "WITH RECURSIVE n (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let mut session = database.session().unwrap();
    let mut with = |set: &dyn Fn(&mut reedbase::QueryOptions), sql: &str| {
        let mut options = reedbase::QueryOptions::default();
        set(&mut options);
        session.set_options(&options);
        let error = session.query(sql, ()).unwrap_err();
        assert!(!session.in_transaction());
        (error.kind(), error.to_string())
    };
    let (kind, text) = with(&|o| o.rows = Some(2), "SELECT * FROM t");
    assert!(kind == reedbase::ErrorKind::Limit && text.contains("(limit: rows)"), "{text}");
    let time = Some(std::time::Duration::from_millis(20));
    let (kind, text) = with(&|o| o.time = time, endless);
    assert!(kind == reedbase::ErrorKind::Limit && text.contains("(limit: time)"), "{text}");
    let (kind, text) = with(&|o| o.value_bytes = Some(1000), "SELECT hex(zeroblob(600))");
    assert!(kind == reedbase::ErrorKind::Limit && text.contains("(limit: value_bytes)"), "{text}");
    // The same where the answer is gathered in memory.
    let sql = "SELECT a.id, hex(zeroblob(600)) FROM t a, t b WHERE a.n < b.n";
    let (_, text) =
        with(&|o| (o.value_bytes, o.path) = (Some(1000), reedbase::QueryPath::Mirror), sql);
    assert!(text.contains("(limit: value_bytes)"), "{text}");
    session.set_options(&reedbase::QueryOptions::default());
    let interrupt = session.interrupt();
    let stopping = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        interrupt.stop();
    });
    session.execute("BEGIN; UPDATE t SET n = 0", ()).unwrap();
    let error = session.query(endless, ()).unwrap_err();
    assert_eq!(error.kind(), reedbase::ErrorKind::Interrupted);
    stopping.join().unwrap();
    session.interrupt().reset();
    // What was done before it in the transaction stays.
    assert_eq!(asked(&mut session, "SELECT sum(n) FROM t"), "0");
    session.execute("ROLLBACK", ()).unwrap();
    assert_eq!(asked(&mut session, "SELECT sum(n) FROM t"), "60");
}

#[test]
fn plans_that_are_kept_mean_what_their_instants_mean_now() {
    let (_folder, database) = crate::sql::database();
    let mut session = database.session().unwrap();
    let mut one = |text: &str, params: Vec<Value>| {
        let rows = session.query(text, params).unwrap_or_else(|error| panic!("{text}: {error}"));
        rows.values().iter().map(|row| row[0].to_string()).collect::<Vec<_>>().join(";")
    };
    one("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", vec![]);
    one("INSERT INTO t VALUES (1, 'a'), (2, 'x')", vec![]);
    for (value, before) in [("b", "a"), ("c", "b"), ("d", "c")] {
        one("UPDATE t SET v = ? WHERE id = 1", vec![value.into()]);
        for _ in 0..2 {
            assert_eq!(one("SELECT v FROM t AS OF HEAD~1 WHERE id = 1", vec![]), before);
            assert_eq!(one("SELECT v FROM t AS OF ? WHERE id = 1", vec!["HEAD".into()]), value);
            assert_eq!(one("SELECT v FROM t AS OF ? WHERE id = 1", vec!["HEAD~1".into()]), before);
            assert_eq!(one("SELECT count(*) FROM history('t', ?)", vec![2.into()]), "1");
        }
        let both = "SELECT n.v || o.v FROM t n JOIN t AS OF HEAD~1 o ON o.id = n.id WHERE n.id = 1";
        assert_eq!(one(both, vec![]), format!("{value}{before}"));
    }
    assert_eq!(one("SELECT count(*) FROM history('t', ?)", vec![1.into()]), "4");
    assert_eq!(one("SELECT v FROM t AS OF ? WHERE id = 1", vec!["HEAD~2".into()]), "b");
    // Parameters keep their numbers when one of them is an instant.
    let two = |first: &str, second: i64| vec![Value::from(first), second.into()];
    let text = "SELECT v FROM t AS OF ? WHERE id = ?";
    assert_eq!((one(text, two("HEAD~1", 1)), one(text, two("HEAD", 2))), ("c".into(), "x".into()));
    let text = "SELECT v FROM t AS OF ?2 WHERE id = ?1";
    assert_eq!(one(text, vec![1.into(), "HEAD~1".into()]), "c");
    let text = "SELECT v || ? FROM t AS OF ? WHERE id = ?";
    assert_eq!(one(text, vec!["!".into(), "HEAD~1".into(), 1.into()]), "c!");
    let error = database.query(text, ["!", "HEAD"]).unwrap_err().to_string();
    assert_eq!(error, "the query has 3 parameters, and 2 were given");
    let error =
        database.query("SELECT v FROM t AS OF ?", ["HEAD", "HEAD"]).unwrap_err().to_string();
    assert_eq!(error, "the query has 1 parameter, and 2 were given");
    // A view that looks back moves on, too.
    one("CREATE VIEW before AS SELECT v FROM t AS OF HEAD~1 WHERE id = 1", vec![]);
    one("UPDATE t SET v = 'e' WHERE id = 1", vec![]);
    assert_eq!(one("SELECT v FROM before", vec![]), "d");
    one("UPDATE t SET v = 'f' WHERE id = 1", vec![]);
    assert_eq!(one("SELECT v FROM before", vec![]), "e");
    // What is looked at beforehand is kept, and is run with what it is given.
    let prepared = database.prepare("SELECT v FROM t WHERE id = ?").unwrap();
    assert_eq!(database.query(&prepared, [2]).unwrap().values()[0][0], Value::from("x"));
    assert!(database.prepare("SELECT w FROM t").is_err());
}
