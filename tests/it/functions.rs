//! Functions in queries and from Rust: the cases that the promises name, and functions of a program's own.

use std::collections::BTreeMap;

use reedbase::{Database, Error, Function, OpenOptions, Result, Session, Value};
use reedbase_plugin_functions_date as date;
use reedbase_plugin_functions_money as money;
use reedbase_plugin_functions_text as text;
use serde_json::Value as Json;

use crate::query::by_command;
use crate::sql::{asked, database};

fn cases() -> Json {
    serde_json::from_str(include_str!("cases/functions.json")).unwrap()
}

/// The name in queries, and what Rust gives as a text.
fn called(name: &str, args: &[&str]) -> (&'static str, Result<String>) {
    let number = |at: usize| args[at].parse::<usize>().unwrap();
    match name {
        "full_name" => ("text_full_name", Ok(text::full_name(args[0], args[1]))),
        "normalize_email" => ("text_normalize_email", Ok(text::normalize_email(args[0]))),
        "trim" => ("text_trim", Ok(text::trim(args[0]))),
        "capitalize" => ("text_capitalize", Ok(text::capitalize(args[0]))),
        "slugify" => ("text_slugify", Ok(text::slugify(args[0]))),
        "truncate" => ("text_truncate", Ok(text::truncate(args[0], number(1)))),
        "replace" => ("text_replace", Ok(text::replace(args[0], args[1], args[2]))),
        "uppercase" => ("text_uppercase", Ok(text::uppercase(args[0]))),
        "lowercase" => ("text_lowercase", Ok(text::lowercase(args[0]))),
        "remove_whitespace" => ("text_remove_whitespace", Ok(text::remove_whitespace(args[0]))),
        "pad_right" => ("text_pad_right", Ok(text::pad_right(args[0], number(1), ' '))),
        "reverse" => ("text_reverse", Ok(text::reverse(args[0]))),
        "is_expired" => ("date_is_expired", date::is_expired(args[0]).map(|is| is.to_string())),
        "calculate_age" => ("date_age", date::calculate_age(args[0]).map(|age| age.to_string())),
        "days_since" => ("date_days_since", date::days_since(args[0]).map(|n| n.to_string())),
        "format_date" => ("date_format", date::format_date(args[0], args[1])),
        "calculate_discount" => ("money_discount", money::calculate_discount(args[0], args[1])),
        other => panic!("{other}"),
    }
}

#[test]
fn functions_of_values_give_what_the_cases_say() {
    let (folder, database) = database();
    for case in cases()["scalar"].as_array().unwrap() {
        let name = case[0].as_str().unwrap();
        let args: Vec<&str> =
            case[1].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        let (in_sql, by_rust) = called(name, &args);
        let quoted: Vec<_> =
            args.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
        let sql = format!("SELECT {in_sql}({})", quoted.join(", "));
        let by_sql = database.query(&sql, ());
        let Some(expected) = case[2].as_str() else {
            assert!(by_rust.is_err() && by_sql.is_err(), "{sql}");
            continue;
        };
        assert_eq!(by_rust.unwrap(), expected, "{sql}");
        // SQL has no truth values: true is 1.
        let expected = if expected == "true" { Json::from(1) } else { expected.into() };
        let rows = by_sql.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(crate::query::json(&rows.values()[0][0]), expected, "{sql}");
        assert_eq!(by_command(&folder.path().join("db"), &sql), [[expected]], "{sql}");
    }
}

#[test]
fn functions_of_many_rows_give_what_the_cases_say() {
    for (number, case) in cases()["aggregate"].as_array().unwrap().iter().enumerate() {
        let (folder, database) = database();
        let mut transaction = database.begin().unwrap();
        let file = case["csv"].as_str().unwrap().replace('|', ",");
        let columns: Vec<&str> = file.lines().next().unwrap().split(',').collect();
        transaction.create_table("t", &reedbase::csv(file.clone(), &["key"]).unwrap()).unwrap();
        transaction.commit().unwrap();
        let (function, column) = (case["f"].as_str().unwrap(), case["col"].as_str());
        let cells: Option<Vec<&str>> = column.and_then(|name| {
            let at = columns.iter().position(|column| *column == name)?;
            Some(file.lines().skip(1).map(|line| line.split(',').nth(at).unwrap()).collect())
        });
        if function == "group_by" {
            let sql = format!("SELECT {0}, count(*) FROM t GROUP BY {0}", column.unwrap());
            let mut groups = BTreeMap::new();
            cells.unwrap().into_iter().for_each(|cell| *groups.entry(cell).or_insert(0) += 1);
            assert_eq!(serde_json::to_value(groups).unwrap(), case["out"], "{number}");
            let rows = database.query_as::<(String, i64)>(&sql, ()).unwrap();
            let rows: BTreeMap<_, _> = rows.into_iter().collect();
            assert_eq!(serde_json::to_value(rows).unwrap(), case["out"], "{number}");
            continue;
        }
        let sql = match column {
            None => "SELECT count(*) FROM t".to_owned(),
            Some(column) => format!("SELECT money_{function}({column}) FROM t"),
        };
        let Some(expected) = case["out"].as_str() else {
            assert!(cells.is_none() && database.query(&sql, ()).is_err(), "{number}");
            continue;
        };
        let rows = database.query(&sql, ()).unwrap();
        assert_eq!(rows.values()[0][0].to_string(), expected, "{number} {sql}");
        let printed = &by_command(&folder.path().join("db"), &sql)[0][0];
        let printed = printed.as_str().map_or_else(|| printed.to_string(), str::to_owned);
        assert_eq!(printed, expected, "{number} {sql}");
        if let Some(cells) = cells {
            let summary = money::summarize(cells).unwrap();
            let by_rust = match function {
                "sum" => summary.sum,
                "avg" => summary.avg.unwrap(),
                "min" => summary.min.unwrap(),
                "max" => summary.max.unwrap(),
                other => panic!("{other}"),
            };
            assert_eq!(by_rust, expected, "{number}");
        }
    }
}

#[test]
fn what_a_function_cannot_do_says_why_and_where() {
    let (_folder, database) = database();
    let error = |sql: &str| database.query(sql, ()).unwrap_err().to_string();
    assert_eq!(error("SELECT date_age('x')"), "`x` is no date");
    assert_eq!(error("SELECT text_trim()"), "text_trim takes 1 values, and has 0 here");
    assert_eq!(
        error("SELECT text_pad_left('a', 2, 'b', 'c')"),
        "text_pad_left takes 2 to 3 values, and has 4 here"
    );
    assert!(error("SELECT 'a' REGEXP '('").starts_with("`(` is no regular expression"));
    assert!(error("SELECT text_slug('a')").contains("there is no function `text_slug`"));
    // SQLite's own keep their meaning.
    let mut session = database.session().unwrap();
    let sql = "SELECT trim('--a-', '-'), replace('abc', 'b', ''), upper('ä')";
    assert_eq!(asked(&mut session, sql), "a|ac|ä");
    let sql = "SELECT column1 FROM (VALUES ('b'), ('Ä'), ('a'), ('B')) ORDER BY 1 COLLATE unicode";
    assert_eq!(asked(&mut session, sql), "a;B;b;Ä");
    assert_eq!(asked(&mut session, "SELECT 'hallo' REGEXP '^h.l+o$', 'x' NOT REGEXP 'y'"), "1|1");
}

fn own(function: Function) -> Result<Session> {
    let folder = tempfile::tempdir().unwrap();
    Database::create(folder.path().join("db")).unwrap();
    OpenOptions::new().function(function).open(folder.path().join("db")).unwrap().session()
}

#[test]
fn a_program_adds_functions_of_its_own() {
    let mut session = own(Function::of_text("shout", |text| text.to_uppercase() + "!")).unwrap();
    assert_eq!(asked(&mut session, "SELECT shout('hey'), shout(NULL), shout(7)"), "HEY!||7!");
    let failing = |_: &[reedbase::ValueRef<'_>]| -> Result<Value> { Err(Error::invalid("never")) };
    let mut session = own(Function::scalar("never", 0..=0, failing)).unwrap();
    assert_eq!(session.query("SELECT never()", ()).unwrap_err().to_string(), "never");
    assert_eq!(asked(&mut session, "SELECT 1"), "1");
    let mut session = own(Function::scalar("panics", 0..=0, |_| panic!("on purpose"))).unwrap();
    assert!(session.query("SELECT panics()", ()).is_err());
    assert_eq!(asked(&mut session, "SELECT 1"), "1");
    let error = own(Function::of_text("Upper", str::to_owned)).err().unwrap();
    assert_eq!(error.to_string(), "there is a function `Upper` already");
}
