//! CREATE, DROP and REFRESH VIEW, read token by token: SQLite's grammar knows no view that is stored.

use reedbase_plugin_api::{Error, Result, Timestamp};
use sqlite3_parser::lexer::sql::TokenType;

use crate::declare::quoted;
use crate::script::Statement;
use crate::views::View;

/// What becomes of a view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ViewDdl {
    /// The query begins with this token.
    Create {
        view: View,
        if_not_exists: bool,
        query: usize,
    },
    Drop {
        name: String,
        if_exists: bool,
    },
    Refresh {
        name: String,
    },
}

/// Whether a statement is about a view.
pub(crate) fn is_about_view(statement: &Statement) -> bool {
    let mut words = (1..4).filter(|at| !is_filler(statement, *at));
    words.next().is_some_and(|at| statement.is(at, "VIEW"))
}

fn is_filler(statement: &Statement, at: usize) -> bool {
    ["TEMP", "TEMPORARY", "MATERIALIZED"].iter().any(|word| statement.is(at, word))
}

/// Reads a statement about a view.
///
/// # Errors
/// What is wrong with it, with its place.
pub(crate) fn read(statement: &Statement) -> Result<ViewDdl> {
    let mut reader = Reader { statement, at: 1 };
    if reader.takes("TEMP") || reader.takes("TEMPORARY") {
        let error = Error::usage("there are no temporary views");
        return Err(statement.error(1, error.help("write WITH … AS (…) in the query")));
    }
    let stored = reader.takes("MATERIALIZED");
    reader.expect("VIEW")?;
    if statement.is(0, "CREATE") {
        let if_not_exists = reader.takes("IF") && reader.takes("NOT") && reader.takes("EXISTS");
        return reader.create(stored, if_not_exists);
    }
    let if_exists = reader.takes("IF") && reader.takes("EXISTS");
    let name = reader.name()?;
    reader.end()?;
    Ok(match statement.is(0, "REFRESH") {
        true => ViewDdl::Refresh { name },
        false => ViewDdl::Drop { name, if_exists },
    })
}

struct Reader<'a> {
    statement: &'a Statement,
    at: usize,
}

impl Reader<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let there = self.statement.is(self.at, word);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        match self.takes(word) {
            true => Ok(()),
            false => {
                Err(self.statement.error(self.at, Error::invalid(format!("expected {word} here"))))
            }
        }
    }

    fn name(&mut self) -> Result<String> {
        let token = self.statement.token(self.at);
        let name = token.and_then(|token| token.name(&self.statement.text));
        let name = name.ok_or_else(|| {
            self.statement.error(self.at, Error::invalid("expected the name of a view here"))
        })?;
        self.at += 1;
        Ok(name)
    }

    fn end(&self) -> Result<()> {
        match self.statement.token(self.at) {
            None => Ok(()),
            Some(_) => {
                Err(self.statement.error(self.at, Error::invalid("nothing is expected here")))
            }
        }
    }

    /// The names in brackets, quoted.
    fn columns(&mut self) -> Result<Option<String>> {
        let kind = |reader: &Self| reader.statement.token(reader.at).map(|token| token.kind);
        if kind(self) != Some(TokenType::TK_LP) {
            return Ok(None);
        }
        let mut names = Vec::new();
        loop {
            self.at += 1;
            names.push(quoted(&self.name()?));
            match kind(self) {
                Some(TokenType::TK_COMMA) => {}
                Some(TokenType::TK_RP) => break,
                _ => {
                    let error = Error::invalid("expected `,` or `)` here");
                    return Err(self.statement.error(self.at, error));
                }
            }
        }
        self.at += 1;
        Ok(Some(names.join(", ")))
    }

    fn create(&mut self, stored: bool, if_not_exists: bool) -> Result<ViewDdl> {
        let name = self.name()?;
        let columns = self.columns()?;
        let on_change = self.takes("REFRESH");
        if on_change {
            self.expect("ON")?;
            self.expect("CHANGE")?;
        }
        if on_change && !stored {
            let error = Error::usage("a view that is not stored is always fresh");
            let error =
                error.help("leave out REFRESH ON CHANGE, or write CREATE MATERIALIZED VIEW");
            return Err(self.statement.error(self.at - 3, error));
        }
        self.expect("AS")?;
        let query = self.statement.from(self.at).written().to_owned();
        let frame = Timestamp::ZERO;
        let view = View { name, query, columns, stored, on_change, frame };
        Ok(ViewDdl::Create { view, if_not_exists, query: self.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::statements;

    fn read(text: &str) -> Result<ViewDdl> {
        let statement = &statements(text).unwrap()[0];
        assert!(is_about_view(statement), "{text}");
        super::read(statement)
    }

    #[test]
    fn views_are_made_refreshed_and_dropped() {
        let text = "CREATE MATERIALIZED VIEW IF NOT EXISTS v (a, \"b c\") REFRESH ON CHANGE AS SELECT 1, 2;";
        let ViewDdl::Create { view, if_not_exists, .. } = read(text).unwrap() else { panic!() };
        assert_eq!((view.name.as_str(), view.query.as_str()), ("v", "SELECT 1, 2"));
        assert_eq!(view.columns.as_deref(), Some("\"a\", \"b c\""));
        assert!(view.stored && view.on_change && if_not_exists);
        assert_eq!(
            read("DROP VIEW v").unwrap(),
            ViewDdl::Drop { name: "v".into(), if_exists: false }
        );
        assert_eq!(
            read("REFRESH MATERIALIZED VIEW \"v\"").unwrap(),
            ViewDdl::Refresh { name: "v".into() }
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let error = |text| read(text).unwrap_err().to_string();
        assert_eq!(error("CREATE VIEW v SELECT 1"), "line 1, character 15: expected AS here");
        assert_eq!(
            error("CREATE VIEW v (a b) AS SELECT 1"),
            "line 1, character 18: expected `,` or `)` here"
        );
        assert_eq!(error("DROP VIEW v w"), "line 1, character 13: nothing is expected here");
        assert_eq!(
            error("CREATE TEMP VIEW v AS SELECT 1"),
            "line 1, character 8: there are no temporary views"
        );
    }
}
