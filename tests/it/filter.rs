//! The dialect `filter`: random filters over random rows against what they mean in plain words, and all that a question may say.

use reedbase::filter::{Filter, Order, Query};
use reedbase::{Database, ErrorKind, QueryOptions, Session, Value};
use serde_json::{Value as Json, json};

use crate::query::json as json_of;
use crate::random::Random;
use crate::sql::{asked, database, done};

struct Dice(Random);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Random(seed))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u64) as usize
    }
}

fn rows_of(session: &mut Session, text: &str) -> Vec<Vec<Json>> {
    let rows = session.query(text, ()).unwrap_or_else(|error| panic!("{text}: {error}"));
    rows.values().iter().map(|row| row.iter().map(json_of).collect()).collect()
}

/// What a row is like, as JSON; numbers are numbers whatever type their column has.
fn random_row(dice: &mut Dice, id: usize) -> Json {
    let number = |dice: &mut Dice| json!(dice.below(5) as i64 - 2);
    let text = |dice: &mut Dice| json!(["", "a", "ab", "b", "2", "A%"][dice.below(6)]);
    let truth = |dice: &mut Dice| json!(dice.below(2) == 0);
    let mut row = json!({ "id": id });
    for (name, make) in [
        ("n", &number as &dyn Fn(&mut Dice) -> Json),
        ("r", &|dice: &mut Dice| json!(dice.below(5) as f64 / 2.0)),
        ("t", &text),
        ("b", &truth),
        ("d", &|dice: &mut Dice| json!(dice.below(4) as f64 / 4.0)),
        ("j", &random_document),
    ] {
        row[name] = if dice.below(6) == 0 { Json::Null } else { make(dice) };
    }
    row
}

fn random_document(dice: &mut Dice) -> Json {
    let mut document = json!({});
    for name in ["x", "y", "list"] {
        if dice.below(4) > 0 {
            document[name] = if name == "list" {
                (0..dice.below(3)).map(|_| random_value(dice)).collect()
            } else {
                random_value(dice)
            };
        }
    }
    if dice.below(3) == 0 {
        document["in"] = json!({"x": random_value(dice)});
    }
    document
}

fn random_value(dice: &mut Dice) -> Json {
    let values =
        [json!(null), json!(true), json!(false), json!(1), json!(0.5), json!(-2), json!("a")];
    let more =
        [json!("ab"), json!("2"), json!(2), json!(""), json!([1]), json!({"x": 1}), json!(0)];
    values.into_iter().chain(more).nth(dice.below(14)).unwrap()
}

const FIELDS: [&str; 11] =
    ["n", "r", "t", "b", "d", "j", "j.x", "j.y", "j.list", "j.in.x", "j.list.0"];

fn random_filter(dice: &mut Dice, depth: usize) -> Json {
    let some = |dice: &mut Dice| {
        (0..dice.below(3)).map(|_| random_filter(dice, depth + 1)).collect::<Json>()
    };
    let field = FIELDS[dice.below(FIELDS.len())];
    match dice.below(if depth > 2 { 5 } else { 8 }) {
        0 => json!({ field: {"exists": dice.below(2) == 0} }),
        1 => json!({ field: {"matches": (["^a", "b$", "[0-9]"][dice.below(3)])} }),
        2 => json!({ field: {"contains": random_value(dice)} }),
        3 | 4 => {
            let by = ["eq", "ne", "gt", "gte", "lt", "lte"][dice.below(6)];
            json!({ field: { by: random_value(dice) } })
        }
        5 => json!({ "and": some(dice) }),
        6 => json!({ "or": some(dice) }),
        _ => json!({ "not": random_filter(dice, depth + 1) }),
    }
}

/// What a field is; `None` if it is missing.
fn get<'a>(row: &'a Json, field: &str) -> Option<&'a Json> {
    field.split('.').try_fold(row, |value, part| match part.parse::<usize>() {
        Ok(at) => value.as_array()?.get(at),
        Err(_) => value.as_object()?.get(part),
    })
}

fn same(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// What the dialect means, in plain words.
fn holds(row: &Json, filter: &Json) -> bool {
    filter.as_object().unwrap().iter().all(|(key, said)| match key.as_str() {
        "and" => said.as_array().unwrap().iter().all(|filter| holds(row, filter)),
        "or" => said.as_array().unwrap().iter().any(|filter| holds(row, filter)),
        "not" => !holds(row, said),
        field => {
            let value = get(row, field);
            said.as_object().unwrap().iter().all(|(by, wanted)| compares(value, by, wanted))
        }
    })
}

fn compares(value: Option<&Json>, by: &str, wanted: &Json) -> bool {
    let order = value.and_then(|value| match (value, wanted) {
        (Json::Number(one), Json::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        (Json::String(one), Json::String(other)) => Some(one.cmp(other)),
        _ => None,
    });
    match by {
        "eq" => value.is_some_and(|value| same(value, wanted)),
        "ne" => !value.is_some_and(|value| same(value, wanted)),
        "gt" => order.is_some_and(|order| order.is_gt()),
        "gte" => order.is_some_and(|order| order.is_ge()),
        "lt" => order.is_some_and(|order| order.is_lt()),
        "lte" => order.is_some_and(|order| order.is_le()),
        "exists" => value.is_some_and(|value| !value.is_null()) == wanted.as_bool().unwrap(),
        "matches" => match (value, wanted.as_str().unwrap()) {
            (Some(Json::String(text)), "^a") => text.starts_with('a'),
            (Some(Json::String(text)), "b$") => text.ends_with('b'),
            (Some(Json::String(text)), _) => text.bytes().any(|byte| byte.is_ascii_digit()),
            _ => false,
        },
        "contains" => match (value, wanted) {
            (Some(Json::String(text)), Json::String(part)) => text.contains(part.as_str()),
            (Some(Json::Array(list)), wanted) => list.iter().any(|it| same(it, wanted)),
            _ => false,
        },
        other => panic!("{other}"),
    }
}

fn random_table(dice: &mut Dice) -> (tempfile::TempDir, Database, Vec<Json>) {
    let (folder, database) = database();
    let mut session = database.session().unwrap();
    done(
        &mut session,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, r REAL, t TEXT, b BOOLEAN, d DECIMAL, j JSON)",
    );
    let rows: Vec<Json> = (0..60).map(|id| random_row(dice, id)).collect();
    done(&mut session, "BEGIN");
    for row in &rows {
        let values = ["id", "n", "r", "t", "b", "d", "j"].map(|name| match &row[name] {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::from(*value),
            Json::String(text) => Value::from(text.as_str()),
            Json::Number(number) if number.is_i64() => Value::from(number.as_i64().unwrap()),
            number if name == "d" => Value::from(number.to_string().as_str()),
            Json::Number(number) => Value::from(number.as_f64().unwrap()),
            document => Value::from(document.to_string().as_str()),
        });
        session.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", values.to_vec()).unwrap();
    }
    done(&mut session, "COMMIT");
    (folder, database, rows)
}

#[test]
fn a_filter_finds_what_its_meaning_says() {
    let mut dice = Dice::new(7);
    let (_folder, database, rows) = random_table(&mut dice);
    let (mut asked, mut found) = (0, 0);
    for indexed in [false, true] {
        if indexed {
            for column in ["n", "t", "b", "d"] {
                done(
                    &mut database.session().unwrap(),
                    &format!("CREATE INDEX by_{column} ON t ({column})"),
                );
            }
        }
        let mut session = database.session_in("filter").unwrap();
        for _ in 0..1000 {
            let filter = random_filter(&mut dice, 0);
            let question = json!({"from": "t", "fields": "id", "filter": filter, "sort": "id"});
            let ids = rows_of(&mut session, &question.to_string());
            let expected: Vec<_> = rows
                .iter()
                .filter(|row| holds(row, &filter))
                .map(|row| vec![row["id"].clone()])
                .collect();
            (asked, found) = (
                asked + 1,
                found + usize::from(!expected.is_empty() && expected.len() < rows.len()),
            );
            assert_eq!(ids, expected, "{filter}");
        }
    }
    assert!(found * 3 > asked, "of {asked} filters only {found} tell rows apart");
}

#[test]
fn a_filter_sorts_cuts_groups_and_adds_up() {
    let (_folder, database) = database();
    let mut plain = database.session().unwrap();
    done(
        &mut plain,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, city TEXT, amount DECIMAL, note JSON)",
    );
    done(
        &mut plain,
        "INSERT INTO orders VALUES (1, 'Berlin', '10.50', '{\"tag\": \"a\", \"n\": 1}'), (2, 'Bonn', '2.25', '{\"tag\": \"b\", \"n\": \"x\"}'), (3, 'Berlin', '4.00', NULL), (4, NULL, NULL, '{\"tag\": \"a\"}')",
    );
    let mut session = database.session_in("filter").unwrap();
    for (question, expected) in [
        (
            json!({"from": "orders", "fields": ["id", "note.tag"], "sort": {"id": "desc"}, "limit": 3, "offset": 1}),
            "3|;2|b;1|a",
        ),
        (
            json!({"from": "orders", "fields": "id", "sort": [{"city": "asc"}, {"amount": "desc"}]}),
            "4;1;3;2",
        ),
        (json!({"from": "orders", "fields": "id", "offset": 3, "sort": "id"}), "4"),
        (
            json!({"from": "orders", "filter": {"city": "Berlin", "amount": {"gt": 5, "lt": 11}}, "fields": ["id", "amount"]}),
            "1|10.50",
        ),
        (
            json!({"from": "orders", "filter": {"city": {"in": ["Bonn", null]}}, "fields": "id", "sort": "id"}),
            "2;4",
        ),
        (
            json!({"from": "orders", "filter": {}, "aggregate": {"n": "count", "with": {"count": "city"}, "sum": {"sum": "amount"}, "avg": {"avg": "note.n"}, "max": {"max": "amount"}}}),
            "4|3|16.75|1|10.5",
        ),
        (
            json!({"from": "orders", "filter": {"id": {"gt": 9}}, "aggregate": {"sum": {"sum": "amount"}, "min": {"min": "amount"}, "avg": {"avg": "amount"}, "all": {"distinct": "city"}}}),
            "0|||[]",
        ),
        (
            json!({"from": "orders", "group": "city", "aggregate": {"n": "count", "total": {"sum": "amount"}}, "sort": {"total": "desc"}}),
            "Berlin|2|14.5;Bonn|1|2.25;|1|0",
        ),
        (
            json!({"from": "orders", "group": ["note.tag"], "aggregate": {"ids": {"distinct": "id"}}, "sort": "note.tag"}),
            "|[3];a|[1,4];b|[2]",
        ),
        (
            json!({"from": "orders", "aggregate": {"tags": {"distinct": "note.tag"}}}),
            r#"["a","b"]"#,
        ),
    ] {
        assert_eq!(asked(&mut session, &question.to_string()), expected, "{question}");
    }
    for (question, expected) in [
        (
            "{\"from\": \"orders\",\n \"filter\": {]",
            "line 2, character 13: this is no JSON: key must be a string | write it so: {\"from\": \"users\", \"filter\": {\"age\": {\"gt\": 30}}}",
        ),
        ("{\"form\": \"orders\"}", "there is no `form` in a question | did you mean `from`?"),
        ("{}", "a question says which table it asks | add \"from\": \"…\""),
        ("{\"from\": \"order\"}", "there is no table `order` | did you mean `orders`?"),
        (
            "{\"from\": \"orders\", \"filter\": {\"citty\": 1}}",
            "there is no column `citty` | did you mean `city`?",
        ),
        (
            "{\"from\": \"orders\", \"filter\": {\"city\": {\"qt\": 1}}}",
            "a field is not compared by `qt` | did you mean `gt`?",
        ),
        (
            "{\"from\": \"orders\", \"limit\": -1}",
            "`limit` is a number of rows, and here it is -1 | ",
        ),
        (
            "{\"from\": \"orders\", \"fields\": \"id\", \"group\": \"city\"}",
            "rows that are put together have no fields of their own | leave out \"fields\": a group has what is grouped by, and its aggregates",
        ),
        (
            "{\"from\": \"orders\", \"filter\": {\"city\": {\"matches\": \"(\"}}}",
            "`(` is no regular expression",
        ),
    ] {
        let error = session.query(question, ()).unwrap_err();
        let told = format!("{error} | {}", error.way_out().unwrap_or_default());
        assert!(told.starts_with(expected), "{question}: {told}");
    }
    let error = session.query("{\"from\": \"orders\"}", [1]).unwrap_err().to_string();
    assert_eq!(error, "a filter has no placeholders, and values are given");
    assert!(!session.is_complete("{\"from\": ") && session.is_complete("{\"from\": ]"));
}

#[test]
fn a_question_from_rust_keeps_to_the_limits_of_its_session() {
    let (_folder, database) = database();
    let mut session = database.session().unwrap();
    done(&mut session, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)");
    done(&mut session, "INSERT INTO t VALUES (1, 5), (2, 6), (3, 7)");
    let question = Query::new().filter(Filter::gt("n", 5)).sort_by("n", Order::Descending);
    let ids: Vec<(i64, i64)> = session.find("t", &question).unwrap().typed().unwrap();
    assert_eq!(ids, [(3, 7), (2, 6)]);
    let mut options = QueryOptions::default();
    options.rows = Some(1);
    session.set_options(&options);
    let error = session.find("t", &question).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(session.find("t", &question.clone().limit(1)).unwrap().len(), 1);
    let error = database.find("t", &Query::new().fields(["m"])).unwrap_err();
    assert_eq!(error.to_string(), "there is no column `m`");
}
