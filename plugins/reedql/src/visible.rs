//! Statements that write to a native copy of a table with a hidden key, whose column a native table cannot hide: they name the
//! columns that can be seen.
//!
//! ```text
//! INSERT OR IGNORE INTO t VALUES (1) RETURNING *     INSERT OR IGNORE INTO t ("x") VALUES (1) RETURNING "x"
//! ```

use reedbase_plugin_api::{Error, Result, Schema};
use sqlite3_parser::lexer::sql::TokenType;

use crate::declare::quoted;
use crate::plan::behind_table;
use crate::rewrite::Rewritten;
use crate::script::{Statement, statements};

/// The same statement, which names the columns of its target; `names_them` says that it does behind the table.
///
/// # Errors
/// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if it takes all columns of a table that it reads.
pub(crate) fn visible_only(
    rewritten: &Rewritten,
    names_them: bool,
    schema: &Schema,
) -> Result<Rewritten> {
    let parsed = statements(&rewritten.sql)?.into_iter().next();
    let Some(statement) = parsed else { return Ok(rewritten.clone()) };
    let seen = schema.columns.iter().filter(|column| !column.hidden);
    let columns: Vec<String> = seen.map(|column| quoted(&column.name)).collect();
    let columns = columns.join(", ");
    let mut edits = Vec::new();
    if !names_them && let Some(at) = behind_table(&statement) {
        let behind =
            at.checked_sub(1).and_then(|at| statement.token(at)).map_or(0, |token| token.to);
        edits.push((behind, behind, format!(" ({columns})")));
    }
    for star in stars(&statement)? {
        let place = statement.token(star).map_or((0, 0), |token| (token.from, token.to));
        edits.push((place.0, place.1, columns.clone()));
    }
    Ok(rewritten.edited(&edits))
}

/// The stars behind RETURNING.
fn stars(statement: &Statement) -> Result<Vec<usize>> {
    let returning = statement.tokens.iter().position(|token| token.kind == TokenType::TK_RETURNING);
    let mut stars = Vec::new();
    for (at, token) in statement.tokens.iter().enumerate() {
        let is_star = token.kind == TokenType::TK_STAR && !is_of_a_value(statement, at);
        if is_star && returning.is_some_and(|returning| returning < at) {
            stars.push(at);
        } else if is_star || statement.is(at, "NATURAL") {
            return Err(Error::usage(
                "a statement with RETURNING, ON CONFLICT or OR cannot take all columns of a table without a key",
            )
            .help("name the columns that are meant"));
        }
    }
    Ok(stars)
}

/// `count(*)`, and products: `2 * 3`.
fn is_of_a_value(statement: &Statement, at: usize) -> bool {
    let kind = |at: usize| statement.token(at).map(|token| token.kind);
    let before = at.checked_sub(1).and_then(kind);
    let in_brackets = before == Some(TokenType::TK_LP) && kind(at + 1) == Some(TokenType::TK_RP);
    let is_value = matches!(
        before,
        Some(
            TokenType::TK_ID
                | TokenType::TK_INTEGER
                | TokenType::TK_FLOAT
                | TokenType::TK_STRING
                | TokenType::TK_RP
                | TokenType::TK_VARIABLE
        )
    );
    in_brackets || is_value
}
