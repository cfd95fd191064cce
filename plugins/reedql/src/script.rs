//! A text as statements, and what each of them is about: transactions and the shape of tables are our matter, and never
//! reach SQLite.

use std::sync::Arc;

use reedbase_plugin_api::{Error, Result};
use sqlite3_parser::lexer::sql::TokenType;

use crate::tokens::{Token, tokens};

/// One statement of a text.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// The whole text, for places in it.
    pub(crate) text: Arc<str>,
    pub(crate) tokens: Vec<Token>,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Read,
    Write,
    Begin,
    Commit,
    Rollback,
    RollbackTo(String),
    Savepoint(String),
    Release(String),
    Explain,
    /// The shape of a table.
    Shape,
}

/// The statements of a text; empty ones are left out.
///
/// # Errors
/// Those of [`tokens`].
pub(crate) fn statements(text: &str) -> Result<Vec<Statement>> {
    let tokens = tokens(text)?;
    let text: Arc<str> = text.into();
    let parts = tokens.split(|token| token.kind == TokenType::TK_SEMI);
    let parts = parts.filter(|part| !part.is_empty());
    Ok(parts.map(|part| Statement { text: Arc::clone(&text), tokens: part.to_vec() }).collect())
}

impl Statement {
    /// The token with this number.
    pub(crate) fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at)
    }

    /// Whether the token with this number is this keyword.
    pub(crate) fn is(&self, at: usize, keyword: &str) -> bool {
        self.token(at).is_some_and(|token| token.is(&self.text, keyword))
    }

    /// An error at a token; at the end, if there is none.
    pub(crate) fn error(&self, at: usize, error: Error) -> Error {
        let end = self.tokens.last().map_or(0, |token| token.to);
        error.in_text(&self.text, self.token(at).map_or(end, |token| token.from))
    }

    /// The statement as it was written.
    pub(crate) fn written(&self) -> &str {
        let ends = self.tokens.first().zip(self.tokens.last());
        ends.and_then(|(first, last)| self.text.get(first.from..last.to)).unwrap_or_default()
    }

    /// What begins with a token.
    pub(crate) fn from(&self, first: usize) -> Self {
        let tokens = self.tokens.get(first..).unwrap_or_default().to_vec();
        Self { text: Arc::clone(&self.text), tokens }
    }

    /// The statement behind EXPLAIN.
    pub(crate) fn explained(&self) -> Self {
        let behind = if self.is(1, "QUERY") && self.is(2, "PLAN") { 3 } else { 1 };
        self.from(behind)
    }

    /// What it is about.
    ///
    /// # Errors
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) for what is not done here, with the reason.
    pub(crate) fn kind(&self) -> Result<Kind> {
        let first = self.token(0).map(|token| token.text(&self.text).to_ascii_uppercase());
        match first.as_deref().unwrap_or_default() {
            "SELECT" | "VALUES" => Ok(Kind::Read),
            "WITH" => Ok(self.kind_of_with()),
            "INSERT" | "REPLACE" | "UPDATE" | "DELETE" => Ok(Kind::Write),
            "EXPLAIN" => Ok(Kind::Explain),
            "CREATE" | "ALTER" | "DROP" | "REFRESH" => self.shape(),
            "BEGIN" => Ok(Kind::Begin),
            "COMMIT" | "END" => Ok(Kind::Commit),
            "ROLLBACK" => self.rollback(),
            "SAVEPOINT" => Ok(Kind::Savepoint(self.savepoint(1)?)),
            "RELEASE" => {
                let at = if self.is(1, "SAVEPOINT") { 2 } else { 1 };
                Ok(Kind::Release(self.savepoint(at)?))
            }
            word => Err(self.refused(word)),
        }
    }

    /// The first verb outside of brackets: `WITH … SELECT` reads, `WITH … UPDATE` writes.
    pub(crate) fn verb(&self) -> Option<usize> {
        use TokenType::{
            TK_DELETE, TK_INSERT, TK_LP, TK_REPLACE, TK_RP, TK_SELECT, TK_UPDATE, TK_VALUES,
        };
        let mut depth = 0_usize;
        self.tokens.iter().position(|token| {
            match token.kind {
                TK_LP => depth += 1,
                TK_RP => depth = depth.saturating_sub(1),
                TK_SELECT | TK_VALUES | TK_INSERT | TK_REPLACE | TK_UPDATE | TK_DELETE => {
                    return depth == 0;
                }
                _ => {}
            }
            false
        })
    }

    fn kind_of_with(&self) -> Kind {
        let reads = |at: usize| self.is(at, "SELECT") || self.is(at, "VALUES");
        if self.verb().is_none_or(reads) { Kind::Read } else { Kind::Write }
    }

    fn rollback(&self) -> Result<Kind> {
        let to = (1..self.tokens.len()).find(|at| self.is(*at, "TO"));
        let Some(to) = to else { return Ok(Kind::Rollback) };
        let at = if self.is(to + 1, "SAVEPOINT") { to + 2 } else { to + 1 };
        Ok(Kind::RollbackTo(self.savepoint(at)?))
    }

    fn shape(&self) -> Result<Kind> {
        let word = |at| self.token(at).map(|token| token.text(&self.text).to_ascii_uppercase());
        let what = (1..4).filter_map(word).find(|word| {
            !matches!(word.as_str(), "TEMP" | "TEMPORARY" | "UNIQUE" | "MATERIALIZED")
        });
        match what.as_deref().unwrap_or_default() {
            "TABLE" | "VIEW" | "INDEX" => Ok(Kind::Shape),
            "TRIGGER" => {
                let error = Error::usage(
                    "there are no triggers: what they do would not be seen in a frame",
                )
                .help("do it in the same transaction: BEGIN; …; COMMIT");
                Err(self.error(0, error))
            }
            "VIRTUAL" => {
                Err(self.error(0, Error::usage("there are no virtual tables of one's own")))
            }
            _ => {
                let error = Error::invalid("expected TABLE, INDEX or VIEW here");
                Err(self.error(1, error))
            }
        }
    }

    fn savepoint(&self, at: usize) -> Result<String> {
        let name = self.token(at).and_then(|token| token.name(&self.text));
        let name = name.filter(|_| at + 1 == self.tokens.len());
        name.map(|name| name.to_ascii_lowercase()).ok_or_else(|| {
            let error = Error::invalid("a savepoint needs a name").help("write SAVEPOINT one");
            self.error(at, error)
        })
    }

    fn refused(&self, word: &str) -> Error {
        let error = match word {
            "ATTACH" | "DETACH" => Error::usage("other databases cannot be attached")
                .help("read them with a session of their own"),
            "PRAGMA" => Error::usage("ReedQL has no pragmas")
                .help("settings stand in rdb config:get, columns in the table reed_columns"),
            "VACUUM" | "REINDEX" | "ANALYZE" => {
                Error::usage(format!("{word} has nothing to do here"))
                    .help("files are kept in order by rdb checkpoint and rdb compact")
            }
            _ => Error::invalid(format!("`{word}` begins no statement"))
                .help("expected SELECT, WITH, VALUES, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, REFRESH, BEGIN, COMMIT, ROLLBACK, SAVEPOINT or EXPLAIN"),
        };
        self.error(0, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        let text = "SELECT ';'; -- one;\nWITH a AS (SELECT 1) DELETE FROM t;;\nROLLBACK TO x; release savepoint \"Y\"";
        let statements = statements(text).unwrap();
        let kinds: Vec<_> = statements.iter().map(|statement| statement.kind().unwrap()).collect();
        let expected =
            [Kind::Read, Kind::Write, Kind::RollbackTo("x".into()), Kind::Release("y".into())];
        assert_eq!(kinds, expected);
        assert_eq!(statements[1].tokens[0].from, text.find("WITH").unwrap());
    }

    #[test]
    fn what_is_not_done_here_says_why() {
        let error = |text| statements(text).unwrap()[0].kind().unwrap_err().to_string();
        assert_eq!(
            error("\n ATTACH 'x' AS y"),
            "line 2, character 2: other databases cannot be attached"
        );
        assert_eq!(error("SELEC 1"), "line 1, character 1: `SELEC` begins no statement");
        assert_eq!(error("SAVEPOINT"), "line 1, character 10: a savepoint needs a name");
    }
}
