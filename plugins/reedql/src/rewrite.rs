//! Time in SQL: what SQLite has no words for becomes the name of a table that it knows.
//!
//! ```text
//! FROM users AS OF '2026-01-01' u      FROM "users@1767225600000000" u
//! FROM users AS OF HEAD~3              FROM "users@1767225600000000" AS "users"
//! FROM history('users')                FROM "history(users)" AS history
//! FROM diff('users', HEAD~1, 'HEAD')   FROM "diff(users,1767225600000000,1767225600000001)" AS diff
//! ```
//!
//! An instant is resolved here, before SQLite prepares the text: what it means is part of the name.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use reedbase_plugin_api::{Computed, Error, Params, Result, Timestamp, Value};
use sqlite3_parser::lexer::sql::TokenType;

use crate::declare::quoted;
use crate::script::Statement;
use crate::source::Source;

/// A statement as SQLite gets it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rewritten {
    pub(crate) sql: String,
    /// Where pieces of it begin, here and in the text that was written.
    places: Vec<(usize, usize)>,
    /// The tables that it reads and that are derived from others.
    pub(crate) derived: Vec<(String, Arc<Source>)>,
    /// What instants in it meant.
    pub(crate) instants: Vec<(String, Timestamp)>,
    /// The parameters that became part of it, by their tokens, and what they were.
    given: Vec<(usize, String)>,
}

/// A place in a statement where a table is derived.
struct Place {
    /// The name that SQLite knows it by.
    name: String,
    /// The name that the statement may use for it.
    alias: String,
    source: Source,
    /// The last token of it.
    last: usize,
}

impl Rewritten {
    /// The byte of the text that was written from which this byte comes.
    pub(crate) fn origin(&self, byte: usize) -> usize {
        let piece = self.places.iter().rev().find(|(here, _)| *here <= byte);
        piece.map_or(byte, |(here, there)| there + (byte - here))
    }

    /// The same with pieces replaced, from the first to the last: from which byte, to which, by what.
    pub(crate) fn edited(&self, edits: &[(usize, usize, String)]) -> Self {
        let mut done = Self { derived: self.derived.clone(), ..Self::default() };
        let mut copied = 0;
        for (from, to, text) in edits {
            done.copy(self, copied, *from);
            done.push(text, self.origin(*from));
            copied = *to;
        }
        done.copy(self, copied, self.sql.len());
        done
    }

    /// A piece of another, with the places in it.
    fn copy(&mut self, other: &Self, from: usize, to: usize) {
        let here = self.sql.len();
        self.push(other.sql.get(from..to).unwrap_or_default(), other.origin(from));
        let inside = other.places.iter().filter(|(at, _)| (from + 1..to).contains(at));
        self.places.extend(inside.map(|(at, origin)| (at - from + here, *origin)));
    }

    /// The highest number of the parameters by position that became part of it; 0 if none did.
    pub(crate) fn highest_given(&self, statement: &Statement) -> usize {
        let number = |at: usize| {
            let number = statement.token(at)?.text(&statement.text).strip_prefix('?')?;
            Some(number.parse().unwrap_or_else(|_| highest_before(statement, at) + 1))
        };
        self.given.iter().filter_map(|(at, _)| number(*at)).max().unwrap_or(0)
    }

    /// Whether it is the same with these parameters.
    pub(crate) fn is_with(&self, statement: &Statement, params: &Params) -> bool {
        self.given.iter().all(|(at, text)| {
            parameter(statement, *at, params).is_some_and(|value| value.to_string() == *text)
        })
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
    statement: &Statement,
    params: &Params,
    resolve: &dyn Fn(&str) -> Result<Timestamp>,
) -> Result<Rewritten> {
    let (text, tokens) = (&statement.text, &statement.tokens);
    let mut done = Rewritten::default();
    let mut copied = tokens.first().map_or(0, |token| token.from);
    let mut at = 0;
    let (instants, given) = (RefCell::default(), RefCell::default());
    let reader = Reader { statement, params, resolve, instants, given };
    while at < tokens.len() {
        let found = match reader.table_as_of(at)? {
            None => reader.table_function(at)?,
            found => found,
        };
        let Some(Place { name, alias, source, last }) = found else {
            // The one before may become part of the text: then it is still the same that is meant.
            if let Some(token) = tokens.get(at).filter(|token| token.text(text) == "?") {
                done.push(text.get(copied..token.from).unwrap_or_default(), copied);
                done.push(&format!("?{}", highest_before(statement, at) + 1), token.from);
                copied = token.to;
            }
            at += 1;
            continue;
        };
        let token = tokens.get(at).copied();
        let from = token.map_or(copied, |token| token.from);
        done.push(text.get(copied..from).unwrap_or_default(), copied);
        done.push(&quoted(&name), from);
        if !has_alias(statement, last + 1) {
            done.push(&format!(" AS {}", quoted(&alias)), from);
        }
        done.derived.push((name, Arc::new(source)));
        copied = tokens.get(last).map_or(copied, |token| token.to);
        at = last + 1;
    }
    let end = tokens.last().map_or(copied, |token| token.to);
    done.push(text.get(copied..end).unwrap_or_default(), copied);
    (done.instants, done.given) = (reader.instants.into_inner(), reader.given.into_inner());
    Ok(done)
}

/// Reads the places where tables are derived.
struct Reader<'a> {
    statement: &'a Statement,
    params: &'a Params,
    resolve: &'a dyn Fn(&str) -> Result<Timestamp>,
    instants: RefCell<Vec<(String, Timestamp)>>,
    given: RefCell<Vec<(usize, String)>>,
}

impl Reader<'_> {
    /// `table AS OF instant`.
    fn table_as_of(&self, at: usize) -> Result<Option<Place>> {
        let statement = self.statement;
        let table = statement.token(at).and_then(|token| token.name(&statement.text));
        let Some(table) =
            table.filter(|_| statement.is(at + 1, "AS") && statement.is(at + 2, "OF"))
        else {
            return Ok(None);
        };
        let Some(last) = self.last_of_instant(at + 3) else { return Ok(None) };
        let frame = self.instant(at + 3, last)?;
        let name = format!("{table}@{}", frame.as_micros());
        let source = Source::Then { table: table.clone(), frame };
        Ok(Some(Place { name, alias: table, source, last }))
    }

    /// `history('table')` and its like, where a table is expected.
    fn table_function(&self, at: usize) -> Result<Option<Place>> {
        let statement = self.statement;
        let here =
            statement.token(at).map(|token| token.text(&statement.text).to_ascii_lowercase());
        let function = here.unwrap_or_default();
        let before = at.checked_sub(1).and_then(|before| statement.token(before));
        let expected = before.is_some_and(|token| {
            use TokenType::{TK_COMMA, TK_FROM, TK_JOIN, TK_LP};
            matches!(token.kind, TK_FROM | TK_JOIN | TK_COMMA | TK_LP)
        });
        let opens = statement.token(at + 1).is_some_and(|token| token.kind == TokenType::TK_LP);
        let known = matches!(function.as_str(), "history" | "diff" | "blame" | "versions");
        let table = statement.token(at + 2).and_then(|token| token.literal(&statement.text));
        let Some(table) = table.filter(|_| known && expected && opens) else { return Ok(None) };
        let (arguments, last) = self.arguments(at + 3)?;
        let (table_name, count) = (table.clone(), arguments.len());
        let computed = match (function.as_str(), arguments.as_slice()) {
            ("history", []) => Computed::History { table, key: None },
            ("history", [(first, _)]) => Computed::History { table, key: Some(self.text(*first)?) },
            ("blame", []) => Computed::Blame { table },
            ("versions", []) => Computed::Versions { table },
            ("diff", [(first, last), rest @ ..]) if rest.len() < 2 => {
                let from = self.instant(*first, *last)?;
                let to = match rest.first() {
                    Some((first, last)) => self.instant(*first, *last)?,
                    None => Timestamp::MAX,
                };
                Computed::Diff { table, from, to }
            }
            _ => {
                let help = match function.as_str() {
                    "diff" => "write diff('table', from, to)",
                    "history" => "write history('table') or history('table', key)",
                    _ => "it takes the name of a table",
                };
                let error =
                    Error::usage(format!("{function} does not take {} arguments", count + 1));
                return Err(statement.error(at, error.help(help)));
            }
        };
        let parts = match &computed {
            Computed::Diff { from, to, .. } => format!(",{},{}", from.as_micros(), to.as_micros()),
            Computed::History { key: Some(key), .. } => format!(",{key}"),
            _ => String::new(),
        };
        let name = format!("{function}({table_name}{parts})");
        Ok(Some(Place { name, alias: function, source: Source::Computed(computed), last }))
    }

    /// The arguments behind the first, each by its first and last token; and the closing bracket.
    fn arguments(&self, mut at: usize) -> Result<(Vec<(usize, usize)>, usize)> {
        let statement = self.statement;
        let mut arguments = Vec::new();
        while statement.token(at).is_some_and(|token| token.kind == TokenType::TK_COMMA) {
            let Some(last) = self.last_of_instant(at + 1) else {
                let error = Error::usage("this cannot be an argument here");
                let error = error.help("write a text, a number, a parameter or HEAD~1");
                return Err(statement.error(at + 1, error));
            };
            arguments.push((at + 1, last));
            at = last + 1;
        }
        match statement.token(at) {
            Some(token) if token.kind == TokenType::TK_RP => Ok((arguments, at)),
            _ => Err(statement.error(at, Error::invalid("expected `,` or `)`"))),
        }
    }

    /// The last token of the instant that begins with a token.
    fn last_of_instant(&self, first: usize) -> Option<usize> {
        let statement = self.statement;
        let last = match statement.token(first)?.kind {
            TokenType::TK_STRING | TokenType::TK_VARIABLE | TokenType::TK_INTEGER => first,
            _ if statement.is(first, "HEAD") => {
                let tilde = statement.token(first + 1);
                let tilde = tilde.is_some_and(|token| token.kind == TokenType::TK_BITNOT);
                if tilde { first + 2 } else { first }
            }
            _ => return None,
        };
        (last < statement.tokens.len()).then_some(last)
    }

    /// The frame that these tokens mean.
    fn instant(&self, first: usize, last: usize) -> Result<Timestamp> {
        let text = &self.statement.text;
        let tokens = self.statement.token(first).zip(self.statement.token(last));
        let instant = match tokens {
            Some((one, end)) if first != last => {
                text.get(one.from..end.to).unwrap_or_default().to_owned()
            }
            _ => self.text(first)?,
        };
        let frame = (self.resolve)(&instant).map_err(|error| self.statement.error(first, error))?;
        self.instants.borrow_mut().push((instant, frame));
        Ok(frame)
    }

    /// The text that a token means: what stands there, or the value of a parameter.
    fn text(&self, at: usize) -> Result<String> {
        let statement = self.statement;
        let Some(token) = statement.token(at) else { return Ok(String::new()) };
        if token.kind != TokenType::TK_VARIABLE {
            let written = token.text(&statement.text).to_owned();
            return Ok(token.literal(&statement.text).unwrap_or(written));
        }
        let value = parameter(statement, at, self.params);
        let value = value.map(ToString::to_string).ok_or_else(|| {
            let name = token.text(&statement.text);
            statement.error(at, Error::usage(format!("{name} has no value")))
        })?;
        self.given.borrow_mut().push((at, value.clone()));
        Ok(value)
    }
}

/// Whether an instant means the same as long as there are the same frames, whatever the time is.
pub(crate) fn is_steady(instant: &str) -> bool {
    let is_of_a_date = |c: char| c.is_ascii_digit() || "-:.TZ+ ".contains(c);
    instant.starts_with("HEAD") || instant.chars().all(is_of_a_date)
}

/// The value of the parameter that a token names.
fn parameter<'p>(statement: &Statement, at: usize, params: &'p Params) -> Option<&'p Value> {
    let token = statement.token(at)?.text(&statement.text);
    let name = token.get(1..)?;
    if !token.starts_with('?') {
        return params.named.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    }
    match name.parse::<usize>() {
        Ok(number) => params.positional.get(number.checked_sub(1)?),
        Err(_) => params.positional.get(highest_before(statement, at)),
    }
}

/// The highest number that parameters before a token have: `?` is the next. A name has one number.
fn highest_before(statement: &Statement, at: usize) -> usize {
    let (mut highest, mut names) = (0, HashSet::new());
    for token in statement.tokens.iter().take(at) {
        let text = token.text(&statement.text);
        if token.kind != TokenType::TK_VARIABLE || (!text.starts_with('?') && !names.insert(text)) {
            continue;
        }
        let number = text.strip_prefix('?').and_then(|number| number.parse().ok());
        highest = number.map_or(highest + 1, |number: usize| highest.max(number));
    }
    highest
}

/// Whether another name for the table follows.
fn has_alias(statement: &Statement, at: usize) -> bool {
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
            ("SELECT * FROM history('t')", "SELECT * FROM \"history(t)\" AS \"history\""),
            ("SELECT * FROM history('t', 7) h", "SELECT * FROM \"history(t,7)\" h"),
            ("SELECT history(1) FROM t", "SELECT history(1) FROM t"),
            (
                "SELECT * FROM t JOIN diff('t', HEAD~1, 'HEAD') d",
                "SELECT * FROM t JOIN \"diff(t,6,4)\" d",
            ),
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
        assert_eq!(sql("SELECT ? FROM t AS OF ? u"), "SELECT ?1 FROM \"t@4\" u");
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
        let error = rewritten("SELECT * FROM blame('t', 1)", &Params::default()).unwrap_err();
        assert_eq!(error.to_string(), "line 1, character 15: blame does not take 2 arguments");
        let error = rewritten("SELECT * FROM t AS OF 'never'", &Params::default()).unwrap_err();
        assert_eq!(error.to_string(), "line 1, character 23: there is no such frame");
    }
}
