//! Time in SQL: what SQLite has no words for becomes the name of a table that it knows.
//!
//! ```text
//! FROM users AS OF '2026-01-01' u      FROM "users@1767225600000000" u
//! FROM users AS OF HEAD~3              FROM "users@1767225600000000" AS "users"
//! ```
//!
//! An instant is resolved here, before SQLite prepares the text: what it means is part of the name.

use reedbase_plugin_api::{Error, Params, Result, Timestamp, Value};
use sqlite3_parser::lexer::sql::TokenType;

use crate::declare::quoted;
use crate::script::Statement;
use crate::tokens::at_place;

/// A statement as SQLite gets it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rewritten {
    pub(crate) sql: String,
    /// Where pieces of it begin, here and in the text that was written.
    places: Vec<(usize, usize)>,
    /// The tables of the past that it reads.
    pub(crate) past: Vec<PastTable>,
    /// Whether what it reads follows from a parameter, or from the time of day.
    pub(crate) depends: bool,
}

/// A table after a frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PastTable {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) frame: Timestamp,
}

impl Rewritten {
    /// The byte of the text that was written from which this byte comes.
    pub(crate) fn origin(&self, byte: usize) -> usize {
        let piece = self.places.iter().rev().find(|(here, _)| *here <= byte);
        piece.map_or(byte, |(here, there)| there + (byte - here))
    }

    fn push(&mut self, text: &str, origin: usize) {
        self.places.push((self.sql.len(), origin));
        self.sql.push_str(text);
    }
}

/// Rewrites a statement. `resolve` says which frame an instant means.
///
/// # Errors
/// An instant that means nothing, with its place.
pub(crate) fn rewrite(
    statement: &Statement<'_>,
    params: &Params,
    resolve: &dyn Fn(&str) -> Result<Timestamp>,
) -> Result<Rewritten> {
    let (text, tokens) = (statement.text, &statement.tokens);
    let mut done = Rewritten::default();
    let mut copied = tokens.first().map_or(0, |token| token.from);
    let mut at = 0;
    while at < tokens.len() {
        let found = table_as_of(statement, at);
        let Some((table, first, last)) = found else {
            at += 1;
            continue;
        };
        let (instant, depends) = instant(statement, first, last, params)?;
        let frame = resolve(&instant).map_err(|error| statement.error(first, error))?;
        let name = format!("{table}@{}", frame.as_micros());
        let token = tokens.get(at).copied();
        let from = token.map_or(copied, |token| token.from);
        done.push(text.get(copied..from).unwrap_or_default(), copied);
        done.push(&quoted(&name), from);
        if !has_alias(statement, last + 1) {
            done.push(&format!(" AS {}", quoted(&table)), from);
        }
        done.past.push(PastTable { name, table, frame });
        done.depends |= depends;
        copied = tokens.get(last).map_or(copied, |token| token.to);
        at = last + 1;
    }
    let end = tokens.last().map_or(copied, |token| token.to);
    done.push(text.get(copied..end).unwrap_or_default(), copied);
    Ok(done)
}

/// A table with an instant behind it: its name, and the first and the last token of the instant.
fn table_as_of(statement: &Statement<'_>, at: usize) -> Option<(String, usize, usize)> {
    let table = statement.token(at)?.name(statement.text)?;
    if !statement.is(at + 1, "AS") || !statement.is(at + 2, "OF") {
        return None;
    }
    let first = at + 3;
    let last = match statement.token(first)?.kind {
        TokenType::TK_STRING | TokenType::TK_VARIABLE | TokenType::TK_INTEGER => first,
        _ if statement.is(first, "HEAD") => {
            let tilde = statement.token(first + 1).is_some_and(|t| t.kind == TokenType::TK_BITNOT);
            if tilde { first + 2 } else { first }
        }
        _ => return None,
    };
    (last < statement.tokens.len()).then_some((table, first, last))
}

/// The instant that these tokens name, and whether it may be another one next time.
fn instant(
    statement: &Statement<'_>,
    first: usize,
    last: usize,
    params: &Params,
) -> Result<(String, bool)> {
    let text = statement.text;
    let tokens = statement.token(first).zip(statement.token(last));
    let (from, to) = tokens.map_or((0, 0), |(first, last)| (first.from, last.to));
    let written = text.get(from..to).unwrap_or_default();
    match statement.token(first) {
        Some(token) if token.kind == TokenType::TK_VARIABLE => {
            let value = parameter(statement, first, params).ok_or_else(|| {
                at_place(Error::usage(format!("{written} has no value")), text, from)
            })?;
            Ok((value.to_string(), true))
        }
        Some(token) => Ok((token.literal(text).unwrap_or_else(|| written.to_owned()), true)),
        None => Err(Error::internal("an instant without a token")),
    }
}

/// The value of the parameter that a token names.
fn parameter<'p>(statement: &Statement<'_>, at: usize, params: &'p Params) -> Option<&'p Value> {
    let token = statement.token(at)?.text(statement.text);
    let name = token.get(1..)?;
    if !token.starts_with('?') {
        return params.named.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    }
    match name.parse::<usize>() {
        Ok(number) => params.positional.get(number.checked_sub(1)?),
        Err(_) => params.positional.get(highest_before(statement, at)),
    }
}

/// The highest number that parameters before a token have: `?` is the next.
fn highest_before(statement: &Statement<'_>, at: usize) -> usize {
    let mut highest = 0;
    for token in statement.tokens.iter().take(at) {
        if token.kind == TokenType::TK_VARIABLE {
            let number = token.text(statement.text).strip_prefix('?');
            let number = number.and_then(|number| number.parse().ok());
            highest = number.map_or(highest + 1, |number: usize| highest.max(number));
        }
    }
    highest
}

/// Whether another name for the table follows.
fn has_alias(statement: &Statement<'_>, at: usize) -> bool {
    let token = statement.token(at);
    token.is_some_and(|token| {
        matches!(token.kind, TokenType::TK_AS | TokenType::TK_ID | TokenType::TK_STRING)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::statements;

    fn rewritten(text: &str, params: &Params) -> Result<Rewritten> {
        let resolve = |instant: &str| match instant {
            "never" => Err(Error::not_found("there is no such frame")),
            _ => Ok(Timestamp::from_micros(i64::try_from(instant.len()).unwrap())),
        };
        rewrite(&statements(text)?[0], params, &resolve)
    }

    #[test]
    fn tables_of_the_past_have_names() {
        let none = Params::default();
        for (text, expected) in [
            ("SELECT a AS of FROM t", "SELECT a AS of FROM t"),
            ("SELECT * FROM t AS OF 'HEAD~3';", "SELECT * FROM \"t@6\" AS \"t\""),
            ("SELECT * FROM t AS OF HEAD~3", "SELECT * FROM \"t@6\" AS \"t\""),
            ("SELECT * FROM t AS OF 'x' AS u", "SELECT * FROM \"t@1\" AS u"),
            ("SELECT * FROM \"t\" AS OF 'x' u, t WHERE 1", "SELECT * FROM \"t@1\" u, t WHERE 1"),
        ] {
            assert_eq!(rewritten(text, &none).unwrap().sql, expected);
        }
    }

    #[test]
    fn an_instant_may_be_a_parameter() {
        let params = Params {
            positional: vec![Value::Integer(1), Value::Text("four".into())],
            named: vec![("then".into(), Value::Text("five5".into()))],
        };
        let sql = |text| rewritten(text, &params).unwrap().sql;
        assert_eq!(sql("SELECT ? FROM t AS OF ? u"), "SELECT ? FROM \"t@4\" u");
        assert_eq!(sql("SELECT 1 FROM t AS OF ?2 u"), "SELECT 1 FROM \"t@4\" u");
        assert_eq!(sql("SELECT 1 FROM t AS OF :then u"), "SELECT 1 FROM \"t@5\" u");
        let error = rewritten("SELECT 1 FROM t AS OF :no", &params).unwrap_err();
        assert_eq!(error.to_string(), "line 1, character 23: :no has no value");
    }

    #[test]
    fn places_lead_back_to_what_was_written() {
        let text = "SELECT 1;\nSELECT * FROM t AS OF 'x' u WHERE y";
        let statement = &statements(text).unwrap()[1];
        let done = rewrite(statement, &Params::default(), &|_| Ok(Timestamp::ZERO)).unwrap();
        let at = done.sql.find("y").unwrap();
        assert_eq!(done.origin(at), text.len() - 1);
        assert_eq!(done.origin(0), 10);
        let error = rewritten("SELECT * FROM t AS OF 'never'", &Params::default()).unwrap_err();
        assert_eq!(error.to_string(), "line 1, character 23: there is no such frame");
    }
}
