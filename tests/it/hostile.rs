//! Hostile values, everywhere a value or a name can stand, in every dialect: they are data, and nothing else.

use reedbase::filter::{Aggregate, Filter, Order, Query};
use reedbase::{Database, Params, Session, Value};
use serde_json::json;

use crate::sql::{asked, database, done};

const HOSTILE: [&str; 22] = [
    "'; DROP TABLE t; --",
    "' OR '1'='1",
    "\" OR \"1\"=\"1",
    "'); DELETE FROM t; --",
    "x' UNION SELECT name FROM sqlite_schema --",
    "\\'; DROP TABLE t; --",
    "''",
    "\"\"",
    "'",
    "\"",
    "`t`",
    "[t]",
    "%",
    "_",
    "?",
    "?1",
    ":name",
    "$.x') OR 1=1 --",
    "$",
    "/* */",
    "a\nb;\n--",
    "ü \u{1F600} \u{202E}",
];

fn table() -> (tempfile::TempDir, Database) {
    let (folder, database) = database();
    let mut session = database.session().unwrap();
    done(&mut session, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, doc JSON)");
    done(&mut session, "CREATE INDEX by_name ON t (name)");
    done(
        &mut session,
        "INSERT INTO t VALUES (1, 'first', '{\"x\": \"first\"}'), (2, 'second', NULL)",
    );
    (folder, database)
}

/// That the table is as it was made, but for rows from 3 on.
fn check(session: &mut Session, what: &str) {
    let sql = "SELECT id, name, doc ->> 'x' FROM t WHERE id < 3 ORDER BY id";
    assert_eq!(asked(session, sql), "1|first|first;2|second|", "{what}");
    let names = "SELECT group_concat(name) FROM (SELECT name FROM reed_tables ORDER BY name)";
    assert_eq!(asked(session, names), "t", "{what}");
}

fn names(rows: &reedbase::QueryRows) -> Vec<String> {
    rows.values().iter().map(|row| row[0].to_string()).collect()
}

#[test]
fn values_stay_values_in_reedql() {
    let (_folder, database) = table();
    let mut session = database.session().unwrap();
    for hostile in HOSTILE {
        done(&mut session, "DELETE FROM t WHERE id > 2");
        session
            .execute(
                "INSERT INTO t VALUES (?, ?, json_object('x', ?))",
                vec![Value::from(3), hostile.into(), hostile.into()],
            )
            .unwrap();
        for condition in [
            "name = ?1",
            "name IN (?1)",
            "name BETWEEN ?1 AND ?1",
            "doc ->> 'x' = ?1",
            "instr(name, ?1) = 1 AND name = ?1",
            "name GLOB replace(replace(replace(?1, '[', '[[]'), '?', '[?]'), '*', '[*]')",
        ] {
            let sql = format!("SELECT name FROM t WHERE {condition}");
            let rows = session.query(&sql, [hostile]).unwrap();
            assert_eq!(names(&rows), [hostile], "{condition}");
        }
        let named = Params::default().with("value", hostile);
        let rows = session
            .query("SELECT name FROM t WHERE name = :value LIMIT :value IS NOT NULL", named)
            .unwrap();
        assert_eq!(names(&rows), [hostile]);
        let changed =
            session.execute("UPDATE t SET name = ?1 || ?1 WHERE name = ?1", [hostile]).unwrap();
        assert_eq!(changed.changed, 1);
        check(&mut session, hostile);
        // Where a table is named there is no value: it names one, or none.
        let sql = "SELECT count(*) FROM history('t') WHERE name = ?";
        session.query(sql, [hostile]).unwrap();
        assert!(session.query("SELECT * FROM t AS OF ?", [hostile]).is_err());
        check(&mut session, hostile);
    }
}

#[test]
fn values_and_names_stay_so_in_tissql() {
    let (_folder, database) = table();
    let mut plain = database.session().unwrap();
    let mut session = database.session_in("tissql").unwrap();
    for hostile in HOSTILE {
        let (text, name) = (hostile.replace('\'', "''"), hostile.replace('"', "\"\""));
        done(&mut session, "DELETE FROM t WHERE id > 2");
        done(&mut session, &format!("INSERT INTO t (id, name) VALUES (3, '{text}')"));
        for sql in [
            format!("SELECT name FROM t WHERE name = '{text}'"),
            format!("SELECT name FROM t WHERE name IN ('{text}', NULL)"),
            format!(
                "SELECT '{text}' AS v FROM t WHERE id = 3 GROUP BY '{text}' HAVING '{text}' = '{text}'"
            ),
            format!("SELECT name AS \"{name}\" FROM t AS \"{name}\" WHERE id = 3 ORDER BY name"),
            format!("SELECT \"{name}\".name FROM t AS \"{name}\" WHERE \"{name}\".id = 3"),
        ] {
            let rows = session.query(&sql, ()).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert_eq!(names(&rows), [hostile], "{sql}");
        }
        let rows = session.query("SELECT name FROM t WHERE name = ?", [hostile]).unwrap();
        assert_eq!(names(&rows), [hostile]);
        // A path into a document, as it is written and as it is not.
        let set = format!("UPDATE t SET doc.\"{name}\" = '{text}' WHERE id = 3");
        match session.execute(&set, ()) {
            Ok(_) => {
                let sql = format!("SELECT doc.\"{name}\" FROM t WHERE doc.\"{name}\" = '{text}'");
                assert_eq!(names(&session.query(&sql, ()).unwrap()), [hostile], "{sql}");
            }
            Err(error) => assert!(error.to_string().contains("no quotes in it"), "{error}"),
        }
        for sql in [
            format!("SELECT \"{name}\" FROM t"),
            format!("SELECT name FROM \"{name}\""),
            format!("SELECT \"{name}\"(name) FROM t"),
            format!("DELETE FROM \"{name}\""),
            format!("INSERT INTO t (\"{name}\") VALUES (1)"),
            format!("SELECT name FROM t WHERE id = {hostile} 7 7"),
        ] {
            assert!(session.query(&sql, ()).is_err(), "{sql}");
        }
        check(&mut plain, hostile);
    }
}

#[test]
fn values_and_names_stay_so_in_filters() {
    let (_folder, database) = table();
    let mut plain = database.session().unwrap();
    let mut session = database.session_in("filter").unwrap();
    for hostile in HOSTILE {
        done(&mut plain, "DELETE FROM t WHERE id > 2");
        plain
            .execute(
                "INSERT INTO t VALUES (3, ?1, json_object('x', ?1, 'list', json_array(?1)))",
                [hostile],
            )
            .unwrap();
        for filter in [
            json!({"name": hostile}),
            json!({"name": {"in": [hostile, null]}}),
            json!({"name": {"gte": hostile, "lte": hostile}}),
            json!({"name": {"contains": hostile}, "id": 3}),
            json!({"doc.x": hostile}),
            json!({"doc.list": {"contains": hostile}}),
            json!({"doc.list": [hostile]}),
            json!({"doc": {"eq": {"x": hostile, "list": [hostile]}}}),
        ] {
            let question = json!({"from": "t", "filter": filter, "fields": ["name"]}).to_string();
            let rows =
                session.query(&question, ()).unwrap_or_else(|error| panic!("{question}: {error}"));
            assert_eq!(names(&rows), [hostile], "{question}");
        }
        // Names of aggregates are names; names of fields and tables that do not exist are told.
        let counted = json!({"from": "t", "aggregate": {(hostile): "count"}}).to_string();
        assert_eq!(session.query(&counted, ()).unwrap().columns(), [hostile]);
        for question in [
            json!({"from": hostile}),
            json!({"from": "t", "sort": hostile}),
            json!({"from": "t", "fields": hostile}),
            json!({"from": "t", "group": hostile}),
            json!({"from": "t", "filter": {(hostile): 1}}),
            json!({"from": "t", "aggregate": {"n": {"sum": hostile}}}),
        ] {
            // `$.x…` is a path into a column that does not exist.
            assert!(session.query(&question.to_string(), ()).is_err(), "{question}");
        }
        let nested = json!({"from": "t", "filter": {(format!("doc.{hostile}")): {"exists": true}}})
            .to_string();
        assert_eq!(session.query(&nested, ()).unwrap().len(), 0, "{nested}");
        let question = Query::new()
            .filter(Filter::eq("name", hostile) | Filter::matches("name", "^$"))
            .sort_by("id", Order::Descending)
            .aggregate(hostile, Aggregate::Count(Some("name".into())));
        assert_eq!(database.find("t", &question).unwrap().values()[0][0], Value::Integer(1));
        check(&mut plain, hostile);
    }
}
