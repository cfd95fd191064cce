//! `rdb query`

use std::io::Read;
use std::time::Duration;

use reedbase::{Database, Error, Outcome, Params, QueryOptions, Result, Session, Value};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style, counted};
use crate::render::rows::{Format, RowPrinter};

/// Ask the tables anything, in SQL
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The text is ReedQL: SQL as SQLite knows it, and time: FROM pages AS OF '2026-01-01'. Values for `?`\n\
    follow the text, values for `:name` are given by --param.\n\n\
    Examples:\n  rdb query \"SELECT lang, count(*) FROM pages GROUP BY lang\"\n  \
    rdb query \"SELECT title FROM pages WHERE id = ?\" home\n  \
    rdb query \"SELECT * FROM pages WHERE lang = :lang\" --param lang=de --format csv\n  \
    rdb query \"SELECT * FROM pages\" --as-of yesterday\n  \
    rdb query --dialect filter '{\"from\": \"pages\", \"filter\": {\"views\": {\"gt\": 100}}}'\n  rdb query - < report.sql"
)]
pub(crate) struct Query {
    /// The text; - reads it from standard input
    sql: String,
    /// The values of `?`, in order
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    values: Vec<String>,
    #[command(flatten)]
    asking: Asking,
    /// How rows are printed [default: table, or jsonl with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// What may be said about any query.
#[derive(Debug, clap::Args)]
pub(crate) struct Asking {
    /// The value of `:name`
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::parse_cell)]
    params: Vec<(String, String)>,
    /// Read all tables as they were: a frame, a date, a time, or `20 minutes ago`
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// The language: reedql, tissql (paths into documents) or filter (a JSON document)
    #[arg(long, value_name = "DIALECT", default_value = "reedql", hide_default_value = true)]
    dialect: String,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Stop if there are more rows
    #[arg(long, value_name = "ROWS")]
    max_rows: Option<u64>,
}

impl Asking {
    /// The parameters that were typed.
    pub(crate) fn params(&self, values: &[String]) -> Params {
        let positional = values.iter().map(|value| typed(value)).collect();
        let named = self.params.iter().map(|(name, value)| (name.clone(), typed(value)));
        let mut params = Params::default();
        (params.positional, params.named) = (positional, named.collect());
        params
    }

    /// Whether what is newest is read.
    pub(crate) fn is_now(&self) -> bool {
        self.as_of.is_none()
    }

    /// A session that does as was typed.
    pub(crate) fn session(&self, database: &Database) -> Result<Session> {
        let mut session = database.session_in(&self.dialect)?;
        let mut options = QueryOptions::default();
        options.rows = self.max_rows;
        if let Some(seconds) = self.timeout {
            let time = Duration::try_from_secs_f64(seconds);
            options.time =
                Some(time.map_err(|_| Error::usage("--timeout needs a number of seconds"))?);
        }
        session.set_options(&options);
        if let Some(at) = &self.as_of {
            session.set_instant(Some(database.instant(at)?))?;
        }
        Ok(session)
    }
}

/// What was typed for a value: a number, if it is spelled as one.
fn typed(text: &str) -> Value {
    let integer = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    let real = || text.parse::<f64>().ok().filter(|number| number.to_string() == text);
    match integer {
        Some(number) => number.into(),
        None => real().map_or_else(|| text.into(), Value::from),
    }
}

impl Query {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let text = read_text(&self.sql)?;
        output.set_source(&text);
        let mut session = self.asking.session(&locate::open(global, output)?)?;
        let params = self.asking.params(&self.values);
        show(&mut session, &text, params, self.format, output)?;
        if session.in_transaction() {
            output.notice("the transaction was not committed: nothing of it is there");
        }
        Ok(())
    }
}

/// Runs a text, and prints its rows, or what it did.
pub(crate) fn show(
    session: &mut Session,
    text: &str,
    params: Params,
    format: Option<Format>,
    output: &mut Output,
) -> Result<()> {
    let default = if output.is_json() { Format::Jsonl } else { Format::Table };
    let mut rows = RowPrinter::new(format.unwrap_or(default), output);
    let was_open = session.in_transaction();
    let done = session.run(text, params, &mut rows);
    let count = rows.end()?;
    let outcome = done?;
    match count {
        Some(count) if format.is_none() && output.is_terminal() => {
            let said = output.styled(Style::Dim, &counted(count, "row"));
            output.line(&said)
        }
        Some(_) => Ok(()),
        None if !output.is_json() && session.in_transaction() != was_open => {
            output.line(match (was_open, outcome.frame) {
                (false, _) => "begun",
                (true, None) => "ended, and nothing is changed",
                (true, Some(_)) => return told(&outcome, output),
            })
        }
        None => told(&outcome, output),
    }
}

/// Tells what a statement did that has no rows.
fn told(outcome: &Outcome, output: &mut Output) -> Result<()> {
    if output.is_json() {
        return output.json(&json!({
            "changed": outcome.changed,
            "frame": outcome.frame.map(reedbase::Timestamp::as_micros),
            "key": outcome.key,
        }));
    }
    let mut said = match outcome.changed {
        0 if outcome.frame.is_some() => "done".to_owned(),
        0 => "nothing changed".to_owned(),
        changed => format!("changed {}", counted(changed, "row")),
    };
    if let Some(key) = &outcome.key {
        said += &format!(", last key {}", key.join(", "));
    }
    if let Some(frame) = outcome.frame {
        said += &format!(" (frame {frame})");
    }
    output.line(&said)
}

/// The text that was typed, or standard input.
pub(super) fn read_text(sql: &str) -> Result<String> {
    if sql != "-" {
        return Ok(sql.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|source| Error::io("read", "standard input", source))?;
    Ok(text)
}
