//! `rdb pipe`: questions in, answers out, a line of JSON each, so that any language can ask without a server.

use std::io::BufRead;
use std::ops::ControlFlow;

use reedbase::{Error, Outcome, Params, Result, RowSink, Session, Value, ValueRef};
use serde_json::{Map, Value as Json, json};

use super::query::Asking;
use crate::args::Global;
use crate::locate;
use crate::output::{Output, error_json};
use crate::render::rows::json_value;

/// Answer questions that come as lines of JSON on standard input
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A question is an object: sql, and if need be params (a list for `?`, an object for `:name`) and id,\n\
    which comes back with the answer. All of them are asked in one session: BEGIN and COMMIT may be\n\
    lines of their own. An answer has columns and rows, or changed, frame and key, or error.\n\
    With --dialect filter, sql is a document of that dialect.\n\n\
    Examples:\n  echo '{\"id\": 1, \"sql\": \"SELECT title FROM pages WHERE id = ?\", \"params\": [\"home\"]}' | rdb pipe\n  \
    rdb pipe < questions.jsonl > answers.jsonl"
)]
pub(crate) struct Pipe {
    #[command(flatten)]
    asking: Asking,
}

impl Pipe {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let mut session = self.asking.session(&locate::open(global, output)?)?;
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|source| Error::io("read", "standard input", source))?;
            if line.trim().is_empty() {
                continue;
            }
            output.json(&answer(&mut session, &line))?;
            output.flush()?;
        }
        match session.in_transaction() {
            true => Err(Error::usage(
                "the questions ended inside of a transaction: nothing of it is there",
            )
            .help("send {\"sql\": \"COMMIT\"} at its end")),
            false => Ok(()),
        }
    }
}

/// The answer to a line.
fn answer(session: &mut Session, line: &str) -> Json {
    let mut answer = Map::new();
    let question = serde_json::from_str::<Json>(line);
    if let Some(id) = question.as_ref().ok().and_then(|question| question.get("id")) {
        answer.insert("id".to_owned(), id.clone());
    }
    let question = question.map_err(|error| {
        Error::invalid(format!("the line is no JSON: {error}"))
            .help("send an object with sql in it")
    });
    let mut rows = Rows::default();
    match question.and_then(|question| ask(session, &question, &mut rows)) {
        Ok(outcome) => rows.into_answer(&outcome, &mut answer),
        Err(error) => {
            if let Json::Object(error) = error_json(&error) {
                answer.extend(error);
            }
        }
    }
    Json::Object(answer)
}

fn ask(session: &mut Session, question: &Json, rows: &mut Rows) -> Result<Outcome> {
    let sql = match question.get("sql") {
        Some(Json::String(text)) => text.clone(),
        // A document of the dialect `filter`.
        Some(document @ Json::Object(_)) => document.to_string(),
        _ => return Err(Error::usage("the question has no sql")),
    };
    let mut params = Params::default();
    match question.get("params") {
        None | Some(Json::Null) => {}
        Some(Json::Array(values)) => params.positional = values.iter().map(value).collect(),
        Some(Json::Object(values)) => {
            let named = values.iter().map(|(name, json)| (name.clone(), value(json)));
            params.named = named.collect();
        }
        Some(_) => return Err(Error::usage("params must be a list or an object")),
    }
    session.run(&sql, params, rows)
}

/// A value of JSON as one of SQL: lists and objects as their text.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => number.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Text(other.to_string()),
    }
}

/// The rows of an answer.
#[derive(Debug, Default)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Json>,
}

impl Rows {
    fn into_answer(self, outcome: &Outcome, answer: &mut Map<String, Json>) {
        if !self.columns.is_empty() {
            answer.insert("columns".to_owned(), json!(self.columns));
            answer.insert("rows".to_owned(), Json::Array(self.rows));
        }
        if self_wrote(outcome) || !answer.contains_key("columns") {
            answer.insert("changed".to_owned(), json!(outcome.changed));
            answer.insert(
                "frame".to_owned(),
                json!(outcome.frame.map(reedbase::Timestamp::as_micros)),
            );
            answer.insert("key".to_owned(), json!(outcome.key));
        }
    }
}

fn self_wrote(outcome: &Outcome) -> bool {
    outcome.changed > 0 || outcome.frame.is_some()
}

impl RowSink for Rows {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.columns = names.iter().map(|name| (*name).to_owned()).collect();
        self.rows.clear();
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> Result<ControlFlow<()>> {
        self.rows.push(values.iter().map(|value| json_value(*value)).collect());
        Ok(ControlFlow::Continue(()))
    }
}
