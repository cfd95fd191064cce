//! What SQLite says of a statement that failed, in our words: with line and character, with what was expected, and with
//! the nearest name that there is.

use reedbase_plugin_api::{Error, ErrorKind, nearest};
use rusqlite::{Connection, ErrorCode};

use crate::rewrite::Rewritten;
use crate::script::Statement;

/// The statement that failed.
pub(crate) struct Failed<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) rewritten: &'a Rewritten,
    /// The names of the tables there are.
    pub(crate) tables: Vec<String>,
    /// The names of the columns of the tables that it reads.
    pub(crate) columns: Vec<String>,
    /// The names of the functions there are.
    pub(crate) functions: Vec<String>,
    /// The columns of the key of the table that is written.
    pub(crate) key: Vec<String>,
}

impl Failed<'_> {
    /// What went wrong.
    pub(crate) fn error(&self, connection: &Connection, error: rusqlite::Error) -> Error {
        match &error {
            rusqlite::Error::SqlInputError { msg, offset, .. } => {
                let at = usize::try_from(*offset).ok().map(|offset| self.rewritten.origin(offset));
                self.of_input(connection, msg, at)
            }
            rusqlite::Error::SqliteFailure(code, text) => {
                let text = text.as_deref().unwrap_or_default();
                match code.code {
                    ErrorCode::OperationInterrupted => {
                        Error::new(ErrorKind::Interrupted, "the query was stopped")
                    }
                    ErrorCode::TooBig => Error::new(
                        ErrorKind::Limit,
                        "a value is longer than the query may have (limit: value_bytes)",
                    ),
                    // It is the file system in memory that is full.
                    ErrorCode::DiskFull => Error::new(
                        ErrorKind::Limit,
                        "the query sorts or gathers more than 1 GiB (limit: memory)",
                    )
                    .help("ask for fewer rows or columns, or make an index in that order"),
                    ErrorCode::AuthorizationForStatementDenied => {
                        Error::usage(format!("a query may not do this: {text}"))
                            .help("read reed_tables and reed_columns to see what there is")
                    }
                    ErrorCode::ConstraintViolation => self.of_constraint(text),
                    ErrorCode::Unknown => self.of_input(connection, text, None),
                    _ => Error::invalid(text.to_owned()),
                }
            }
            _ => Error::invalid(error.to_string()),
        }
    }

    /// A rule that a row breaks, as the transaction would tell it.
    fn of_constraint(&self, message: &str) -> Error {
        let (rule, columns) = message.split_once(" constraint failed: ").unwrap_or((message, ""));
        let columns: Vec<_> = columns
            .split(", ")
            .map(|column| column.split_once('.').map_or(column, |(_, column)| column))
            .collect();
        let error = match rule {
            "NOT NULL" => Error::invalid("the cell must have a value, and is NULL"),
            "UNIQUE" if columns == self.key => {
                Error::new(ErrorKind::AlreadyExists, "the key is taken")
            }
            "UNIQUE" => Error::new(
                ErrorKind::AlreadyExists,
                "another row has the same, and it must be unique",
            ),
            _ => return Error::invalid(message.to_owned()),
        };
        error.at_column(columns.join(", "))
    }

    fn of_input(&self, connection: &Connection, message: &str, at: Option<usize>) -> Error {
        let found = |name: &str| at.or_else(|| self.find(name));
        if let Some(name) = message.strip_prefix("no such table: ") {
            let name = name.strip_prefix("main.").unwrap_or(name);
            let error = Error::not_found(format!("there is no table `{name}`"));
            return self.placed(nearest(error, "table", name, names(&self.tables)), found(name));
        }
        if let Some(name) = message.strip_prefix("no such column: ") {
            if let Some(name) = meant_as_text(name) {
                let error = Error::not_found(format!("there is no column `{name}`"));
                let error = nearest(error, "column", name, names(&self.columns));
                let is_near = error.way_out().is_some_and(|help| help.starts_with("did you mean"));
                let error = match is_near {
                    true => error,
                    false => error.help(format!("a text stands in single quotes: '{name}'")),
                };
                return self.placed(error, at);
            }
            let last = name.rsplit('.').next().unwrap_or(name);
            let error = Error::not_found(format!("there is no column `{name}`"));
            return self.placed(nearest(error, "column", last, names(&self.columns)), found(last));
        }
        if let Some(name) = message.strip_prefix("no such function: ") {
            let error = Error::not_found(format!("there is no function `{name}`"));
            let known = names(&self.functions);
            return self.placed(nearest(error, "function", name, known), found(name));
        }
        if let Some(token) = unexpected(message) {
            let error = Error::invalid(format!("`{token}` is not expected here"));
            return self.expected(connection, error, at);
        }
        if message == "incomplete input" {
            let end = self.statement.tokens.last().map(|token| token.to);
            return self.expected(connection, Error::invalid("the statement is not finished"), end);
        }
        self.placed(Error::invalid(message.to_owned()), at)
    }

    /// Where a name stands in the statement.
    fn find(&self, name: &str) -> Option<usize> {
        let text = &self.statement.text;
        let named = |token: &&crate::tokens::Token| {
            token.name(text).is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        self.statement.tokens.iter().find(named).map(|token| token.from)
    }

    fn placed(&self, error: Error, at: Option<usize>) -> Error {
        match at {
            Some(at) => error.in_text(&self.statement.text, at),
            None => error,
        }
    }

    /// Says what could stand there.
    fn expected(&self, connection: &Connection, error: Error, at: Option<usize>) -> Error {
        let Some(at) = at else { return error };
        let first = self.statement.tokens.first().map_or(at, |token| token.from);
        let before = self.statement.text.get(first..at).unwrap_or_default();
        let names = expected(connection, before);
        let error = self.placed(error, Some(at));
        if names.is_empty() { error } else { error.help(format!("expected {}", names.join(", "))) }
    }
}

fn names(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str)
}

/// The name in double quotes that SQLite suggests to be a text.
fn meant_as_text(message: &str) -> Option<&str> {
    let (name, _) = message.split_once(" - should this be a string literal")?;
    name.strip_prefix('"')?.strip_suffix('"')
}

/// The token in `near "x": syntax error`.
fn unexpected(message: &str) -> Option<&str> {
    message.strip_prefix("near \"")?.strip_suffix("\": syntax error")
}

/// What a statement may go on with, in the order in which it is told: each is tried, since SQLite does not say.
const CANDIDATES: &[(&str, &str)] = &[
    ("FROM", "FROM"),
    ("INTO", "INTO"),
    ("SET", "SET"),
    ("VALUES", "VALUES"),
    ("BY", "BY"),
    ("TABLE", "TABLE"),
    ("THEN", "THEN"),
    ("END", "END"),
    ("AND", "AND"),
    ("ON", "ON"),
    ("(", "`(`"),
    (")", "`)`"),
    (",", "`,`"),
    ("=", "`=`"),
    ("1", "a value"),
    ("a", "a name"),
    ("AS", "AS"),
    ("JOIN", "JOIN"),
    ("WHERE", "WHERE"),
    ("GROUP", "GROUP BY"),
    ("ORDER", "ORDER BY"),
    ("LIMIT", "LIMIT"),
    ("SELECT", "SELECT"),
];

/// At most this many are told.
const TOLD_MAX: usize = 6;

/// What the parser takes behind this text: after a token that fits, the error is at what follows it.
fn expected(connection: &Connection, before: &str) -> Vec<&'static str> {
    let fits = |token: &str| {
        let from = before.len() + 1;
        let text = format!("{before} {token} \u{1}");
        match connection.prepare(&text) {
            Err(rusqlite::Error::SqlInputError { offset, .. }) => {
                usize::try_from(offset).is_ok_and(|offset| offset > from)
            }
            _ => false,
        }
    };
    let found: Vec<_> = CANDIDATES.iter().filter(|(token, _)| fits(token)).collect();
    // Where a name fits, these two are taken for one.
    let takes_names = found.iter().any(|(token, _)| *token == "a");
    let is_name = |token: &str| takes_names && ["BY", "END"].contains(&token);
    let found = found.into_iter().filter(|(token, _)| !is_name(token));
    found.map(|(_, name)| *name).take(TOLD_MAX).collect()
}
