//! Dialects that are translated: the cases of the promises, what is wrong with a text, and what the filter dialect means.

use std::path::Path;
use std::process::Command;

use reedbase::{Database, Params, Session, Value};
use serde_json::{Value as Json, json};

use crate::query::{json as json_of, rows_printed};
use crate::sessions::rdb;
use crate::sql::{asked, database, done};

/// A database with the collections of a file of cases.
fn collections(cases: &Json) -> (tempfile::TempDir, Database) {
    let (folder, database) = database();
    for (name, table) in cases["collections"].as_object().unwrap() {
        make_typed_table(&database, name, table);
    }
    (folder, database)
}

/// A table with columns of the types that the values of its first row have in JSON.
fn make_typed_table(database: &Database, name: &str, table: &Json) {
    let (columns, rows) = (table["columns"].as_array().unwrap(), table["rows"].as_array().unwrap());
    let typed = columns.iter().zip(rows[0].as_array().unwrap()).enumerate();
    let typed = typed.map(|(at, (column, value))| {
        let kind = if value.is_i64() {
            "INTEGER"
        } else if value.is_f64() {
            "REAL"
        } else {
            "TEXT"
        };
        let key = if at == 0 { " PRIMARY KEY" } else { "" };
        format!("{} {kind}{key}", column.as_str().unwrap())
    });
    let mut session = database.session().unwrap();
    done(&mut session, &format!("CREATE TABLE {name} ({})", typed.collect::<Vec<_>>().join(", ")));
    let marks = vec!["?"; columns.len()].join(", ");
    for row in rows {
        let values = row.as_array().unwrap().iter().map(|value| match value {
            Json::String(text) => Value::from(text.as_str()),
            Json::Number(number) if number.is_i64() => Value::from(number.as_i64().unwrap()),
            number => Value::from(number.as_f64().unwrap()),
        });
        let values: Vec<Value> = values.collect();
        session.execute(&format!("INSERT INTO {name} VALUES ({marks})"), values).unwrap();
    }
}

/// Rows as JSON; numbers that are whole compare alike whether they have a point.
fn comparable(mut rows: Vec<Vec<Json>>, ordered: bool) -> Vec<Vec<Json>> {
    for value in rows.iter_mut().flatten() {
        if let Some(number) = value.as_f64() {
            *value = json!((number * 1e9).round() / 1e9);
        }
    }
    if !ordered {
        rows.sort_by_key(|row| format!("{row:?}"));
    }
    rows
}

fn rows_of(session: &mut Session, text: &str, params: impl Into<Params>) -> Vec<Vec<Json>> {
    let rows = session.query(text, params).unwrap_or_else(|error| panic!("{text}: {error}"));
    rows.values().iter().map(|row| row.iter().map(json_of).collect()).collect()
}

#[test]
fn tissql_answers_what_the_cases_ask() {
    let cases: Json = serde_json::from_str(include_str!("cases/tissql_select.json")).unwrap();
    let (folder, database) = collections(&cases);
    let mut session = database.session_in("tissql").unwrap();
    for case in cases["queries"].as_array().unwrap() {
        let text = case["query"].as_str().unwrap();
        let ordered = case["ordered"].as_bool().unwrap();
        let expected: Vec<Vec<Json>> = serde_json::from_value(case["result"].clone()).unwrap();
        assert_eq!(expected.len() as u64, case["rows"].as_u64().unwrap());
        let expected = comparable(expected, ordered);
        let by_library = comparable(rows_of(&mut session, text, ()), ordered);
        assert_eq!(by_library, expected, "{text}");
        let by_command = rows_printed(&folder.path().join("db"), &[text, "--dialect", "tissql"]);
        assert_eq!(comparable(by_command, ordered), expected, "{text}");
    }
}

#[test]
fn tissql_changes_what_the_cases_change() {
    let cases: Json = serde_json::from_str(include_str!("cases/tissql_write.json")).unwrap();
    for by_command in [false, true] {
        for case in cases["writes"].as_array().unwrap() {
            let (folder, database) = collections(&cases);
            let mut session = database.session_in("tissql").unwrap();
            let mut ask = |text: &str| match by_command {
                true => rows_printed(&folder.path().join("db"), &[text, "--dialect", "tissql"]),
                false => rows_of(&mut session, text, ()),
            };
            let text = case["write"].as_str().unwrap();
            assert_eq!(ask(text), [[case["affected"].clone()]], "{text}");
            let after: Vec<Vec<Json>> = serde_json::from_value(case["after"].clone()).unwrap();
            let found = ask(case["check"].as_str().unwrap());
            assert_eq!(comparable(found, false), comparable(after, false), "{text}");
        }
    }
    // What a change answers, and how columns are called.
    let (_folder, database) = collections(&cases);
    let mut session = database.session_in("tissql").unwrap();
    let mut columns = |text: &str| session.query(text, ()).unwrap().columns().to_vec();
    assert_eq!(columns("UPDATE products SET stock = 1"), ["updated_count"]);
    assert_eq!(columns("DELETE FROM products WHERE id = 'p001'"), ["deleted_count"]);
    assert_eq!(columns("SELECT SUM(amount), COUNT(*) FROM sales"), ["SUM(amount)", "COUNT(*)"]);
    assert_eq!(columns("SELECT c.name, city FROM customers c"), ["c.name", "city"]);
}

#[test]
fn tissql_takes_values_and_inserts_as_the_cases_say() {
    let cases: Json = serde_json::from_str(include_str!("cases/tissql_write.json")).unwrap();
    let (_folder, database) = database();
    let mut plain = database.session().unwrap();
    done(&mut plain, "CREATE TABLE users (name TEXT, age INTEGER, city TEXT)");
    let products = "CREATE TABLE products (name TEXT, price REAL, in_stock BOOLEAN, description TEXT, brand TEXT)";
    done(&mut plain, products);
    let mut session = database.session_in("tissql").unwrap();
    for case in cases["insert"].as_array().unwrap() {
        let (text, expected) = (case[0].as_str().unwrap(), case[1].as_str().unwrap());
        match expected {
            "syntax error" => {
                let error = session.query(text, ()).unwrap_err().to_string();
                assert_eq!(error, "line 1, character 8: expected INTO, found `users`");
            }
            _ => assert_eq!(rows_of(&mut session, text, ()), [[json!(1)]], "{expected}"),
        }
    }
    let row = rows_of(&mut session, "SELECT name, price, in_stock, description FROM products", ());
    assert_eq!(row, [[json!("Laptop"), json!(1200.5), json!(1), json!(null)]]);
    for case in cases["params"].as_array().unwrap() {
        let text = case[0].as_str().unwrap();
        done(
            &mut plain,
            "INSERT INTO products (name, brand, price) VALUES ('A', 'AudioPhonic', 150), ('B', 'AudioPhonic', 90)",
        );
        let rows = session.query(text, vec![Value::from("AudioPhonic"), Value::from(100)]).unwrap();
        assert_eq!(rows.len(), 1, "{text}");
        let error =
            |values: Vec<Value>| database.query_in("tissql", text, values).unwrap_err().to_string();
        assert_eq!(error(vec![]), "the text has 2 placeholders, and 0 values are given");
        let three = vec![Value::from(1), Value::from(2), Value::from(3)];
        assert_eq!(error(three), "the text has 2 placeholders, and 3 values are given");
    }
    let named = Params::default().with("brand", "AudioPhonic");
    let rows =
        rows_of(&mut session, "SELECT name FROM products WHERE brand = :brand ORDER BY 1", named);
    assert_eq!(rows, [["A"], ["B"]]);
}

/// What the command prints for a text of TissQL, and whether it succeeded.
fn by_command(folder: &Path, query: &[&str]) -> (String, bool) {
    let mut command = Command::new(rdb());
    command.arg("--db").arg(folder).args(["query", "--dialect", "tissql"]).args(query);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.success())
}

#[test]
fn the_command_takes_tissql_as_the_library_does() {
    let cases: Json = serde_json::from_str(include_str!("cases/tissql_write.json")).unwrap();
    let (folder, database) = database();
    let mut plain = database.session().unwrap();
    done(&mut plain, "CREATE TABLE users (name TEXT, age INTEGER, city TEXT)");
    let products = "CREATE TABLE products (name TEXT, price REAL, in_stock BOOLEAN, description TEXT, brand TEXT)";
    done(&mut plain, products);
    let folder = folder.path().join("db");
    for case in cases["insert"].as_array().unwrap() {
        let (said, done) = by_command(&folder, &[case[0].as_str().unwrap()]);
        assert_eq!(done, case[1] != "syntax error", "{said}");
        assert_eq!(said.contains("line 1, character 8: expected INTO"), !done, "{said}");
    }
    let brand = "UPDATE products SET brand = 'AudioPhonic'";
    assert_eq!(by_command(&folder, &[brand]).0, "updated_count\n            1\n");
    let text = cases["params"][0][0].as_str().unwrap();
    let (said, _) = by_command(&folder, &[text, "AudioPhonic", "100"]);
    assert!(said.contains("Laptop"), "{said}");
    let (said, done) = by_command(&folder, &[text, "AudioPhonic"]);
    assert!(!done && said.contains("the text has 2 placeholders, and 1 value is given"), "{said}");
    for case in cases["temporal"]["timestamps"].as_array().unwrap() {
        let text = case[0].as_str().unwrap();
        let sql = format!("SELECT date_micros('{text}') AS m, TIMESTAMP '{text}' AS t");
        let (said, done) = by_command(&folder, &[&sql]);
        match case[1].as_str() {
            Some("error") => assert!(!done && said.contains("is no instant"), "{said}"),
            Some(expected) => {
                assert!(said.contains(expected.rsplit(' ').next().unwrap()), "{said}")
            }
            None => assert!(said.contains(&case[1].to_string()), "{said}"),
        }
    }
}

#[test]
fn tissql_compares_instants_however_they_are_written() {
    let cases: Json = serde_json::from_str(include_str!("cases/tissql_write.json")).unwrap();
    let (_folder, database) = database();
    let mut plain = database.session().unwrap();
    done(&mut plain, "CREATE TABLE events (name TEXT PRIMARY KEY, at TEXT)");
    let mut session = database.session_in("tissql").unwrap();
    for case in cases["temporal"]["timestamps"].as_array().unwrap() {
        let text = case[0].as_str().unwrap();
        let sql = format!("SELECT TIMESTAMP '{text}', date_micros('{text}')");
        match &case[1] {
            Json::Number(micros) => {
                assert_eq!(rows_of(&mut session, &sql, ())[0][1], Json::from(micros.clone()));
            }
            Json::String(expected) if expected == "error" => {
                let error = session.query(&sql, ()).unwrap_err().to_string();
                assert_eq!(error, "line 1, character 18: `not-a-timestamp` is no instant");
            }
            expected => {
                let expected = expected.as_str().unwrap().rsplit(' ').next().unwrap();
                assert_eq!(rows_of(&mut session, &sql, ())[0][0], expected);
            }
        }
    }
    for event in cases["temporal"]["events"].as_array().unwrap() {
        let values =
            vec![Value::from(event[0].as_str().unwrap()), event[1].as_str().unwrap().into()];
        session.execute("INSERT INTO events (name, at) VALUES (?, ?)", values).unwrap();
    }
    done(
        &mut session,
        "INSERT INTO events (name, at) VALUES ('zone', '2024-07-27T12:05:00+02:00'), ('none', 'soon')",
    );
    for (condition, expected) in [
        ("at = TIMESTAMP '2024-07-27T10:05:00.000Z'", "B;zone"),
        ("at > TIMESTAMP '2024-07-27 10:05:00'", "C"),
        (
            "at BETWEEN TIMESTAMP '2024-07-27T10:00:00Z' AND TIMESTAMP '2024-07-27T10:05:00Z'",
            "A;B;zone",
        ),
        (
            "at NOT IN (TIMESTAMP '2024-07-27T10:00:00Z', TIMESTAMP '2024-07-27T10:10:00Z')",
            "B;zone",
        ),
        ("at >= TIMESTAMP '2024-07-27T10:00:00Z' + INTERVAL '5' MINUTE AND at < NOW()", "B;C;zone"),
        ("at + INTERVAL '5 minutes' > TIMESTAMP '2024-07-27T10:10:00Z'", "C"),
        ("EXTRACT(MINUTE FROM at) = 5", "B;zone"),
        ("at >= DATE '2024-07-28'", "none"),
    ] {
        let sql = format!("SELECT name FROM events WHERE {condition} ORDER BY name");
        assert_eq!(asked(&mut session, &sql), expected, "{condition}");
    }
    let sql = "SELECT at + INTERVAL '1' DAY AS next FROM events WHERE name = 'A'";
    assert_eq!(asked(&mut session, sql), "2024-07-28T10:00:00.000000Z");
}

#[test]
fn tissql_goes_into_documents() {
    let (_folder, database) = database();
    let mut plain = database.session().unwrap();
    done(&mut plain, "CREATE TABLE products (id TEXT PRIMARY KEY, specs TEXT, price REAL)");
    let mut session = database.session_in("tissql").unwrap();
    for (id, specs) in [
        (
            "a",
            r#"{"bluetooth_version": "5.0", "weight": 200, "ports": ["usb-c", "jack"], "wireless": true}"#,
        ),
        ("b", r#"{"bluetooth_version": "4.2", "weight": 300, "ports": []}"#),
        ("c", "no document"),
    ] {
        session
            .execute("INSERT INTO products (id, specs) VALUES (?, ?)", [id, specs])
            .unwrap_or_else(|e| panic!("{e}"));
    }
    done(&mut session, "INSERT INTO products (id) VALUES ('d')");
    for (sql, expected) in [
        ("SELECT id, specs.bluetooth_version FROM products ORDER BY id", "a|5.0;b|4.2;c|;d|"),
        ("SELECT id FROM products WHERE specs.weight > 250", "b"),
        ("SELECT p.id FROM products p WHERE p.specs.ports[0] = 'usb-c'", "a"),
        ("SELECT id FROM products WHERE specs.wireless = true", "a"),
        (
            "SELECT specs.weight > 250, count(*) FROM products WHERE specs.weight IS NOT NULL GROUP BY specs.weight > 250 ORDER BY 1",
            "0|1;1|1",
        ),
        ("SELECT avg(specs.weight) FROM products", "250"),
        (
            "UPDATE products SET specs.weight = specs.weight + 1, specs.wireless = false WHERE id = 'a'",
            "1",
        ),
        (
            "SELECT specs.weight, specs.wireless, specs.bluetooth_version FROM products WHERE id = 'a'",
            "201|0|5.0",
        ),
        ("UPDATE products SET specs.colour = 'it''s red', price = 3 WHERE id = 'd'", "1"),
        (
            "SELECT specs, price FROM products WHERE specs.colour = 'it''s red'",
            r#"{"colour":"it's red"}|3"#,
        ),
        (
            "SELECT a.id, b.id FROM products a JOIN products b ON a.specs.weight < b.specs.weight",
            "a|b",
        ),
        (
            "SELECT id FROM products WHERE id IN (SELECT id FROM products WHERE specs.weight = 300) UNION SELECT 'x' ORDER BY 1",
            "b;x",
        ),
    ] {
        assert_eq!(asked(&mut session, sql), expected, "{sql}");
    }
    let explained =
        session.explain("SELECT id FROM products WHERE id = 'a' AND price < 200", ()).unwrap();
    assert_eq!(
        explained[0],
        r#"in ReedQL: SELECT "id" AS "id" FROM "products" WHERE (("id" = ?) AND ("price" < ?))"#
    );
    assert_eq!(
        explained[1..],
        ["read straight from the snapshot:", "  find the row of products by its key"]
    );
}

#[test]
fn what_is_wrong_with_tissql_is_told_where_it_is_written() {
    let (_folder, database) = database();
    done(
        &mut database.session().unwrap(),
        "CREATE TABLE products (id TEXT PRIMARY KEY, price REAL)",
    );
    let mut session = database.session_in("tissql").unwrap();
    let mut error = |text: &str| {
        let error = session.query(text, ()).unwrap_err();
        format!("{error} | {}", error.way_out().unwrap_or_default())
    };
    for (text, expected) in [
        (
            "SELEKT 1",
            "line 1, character 1: expected SELECT, INSERT, UPDATE, DELETE, BEGIN, COMMIT or ROLLBACK, found `SELEKT` | ",
        ),
        (
            "SELECT id\nFROM products\nWHERE prize < 3",
            "line 3, character 7: there is no column `prize` | did you mean `price`?",
        ),
        (
            "SELECT 'é', count(*) FROM produkts",
            "line 1, character 27: there is no table `produkts` | did you mean `products`?",
        ),
        (
            "SELECT id FROM products WHERE",
            "line 1, character 30: expected a value, found the end | ",
        ),
        (
            "SELECT id FROM products WHERE id = 'a",
            "line 1, character 36: the ' that begins here has no end | ",
        ),
        (
            "SELECT sumn(price) FROM products",
            "line 1, character 8: there is no function `sumn` | did you mean `sum`?",
        ),
        (
            "SELECT id FROM products LIMIT 1 1",
            "line 1, character 33: expected `;` or the end, found `1` | ",
        ),
        (
            "INSERT INTO products (id, price) VALUES (1)",
            "line 1, character 43: there are 1 values for 2 columns | ",
        ),
        ("UPDATE products SET price 3", "line 1, character 27: expected `=`, found `3` | "),
        (
            "SELECT id FROM products WHERE id NOT 3",
            "line 1, character 38: expected LIKE, BETWEEN or IN, found `3` | ",
        ),
        ("SELECT :x", "there is no value for :x | give one: --param x=…"),
        (
            "SELECT INTERVAL '3' MONTH",
            "line 1, character 21: this says no length of time | write it so: INTERVAL '5' MINUTE; units are SECOND, MINUTE, HOUR, DAY and WEEK",
        ),
        (
            "DROP TABLE products",
            "line 1, character 1: expected SELECT, INSERT, UPDATE, DELETE, BEGIN, COMMIT or ROLLBACK, found `DROP` | ",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200));
    assert!(error(&deep).contains("nested more than 64 levels deep"));
    assert!(session.prepare("SELECT id FROM products WHERE price > ?").is_ok());
    assert!(session.prepare("SELECT id FROM products WHERE prize > ?").is_err());
    assert!(session.is_complete("SELECT 1;") && !session.is_complete("SELECT ';'"));
    let error = database.session_in("tisql").unwrap_err();
    assert_eq!(error.way_out(), Some("did you mean `tissql`?"));
}
