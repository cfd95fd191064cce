//! What Tab completes: words of SQL, functions, and the names of tables and columns.

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// The words there are.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Names of tables, columns and functions.
    pub(crate) names: Vec<String>,
    /// The commands that begin with a dot.
    pub(crate) commands: Vec<String>,
}

const SQL: [&str; 56] = [
    "ALTER",
    "AND",
    "AS",
    "AS OF",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASE",
    "COLLATE",
    "COLUMN",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "DROP",
    "ELSE",
    "END",
    "EXISTS",
    "EXPLAIN",
    "FROM",
    "GLOB",
    "GROUP",
    "HAVING",
    "IN",
    "INDEX",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "PRIMARY",
    "RETURNING",
    "ROLLBACK",
    "SELECT",
    "SET",
    "TABLE",
    "THEN",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "VALUES",
    "VIEW",
    "WHERE",
];

impl Words {
    /// What a line may go on with at a place: where the word begins, and the words.
    pub(crate) fn complete_at(&self, line: &str, place: usize) -> (usize, Vec<String>) {
        let before = line.get(..place).unwrap_or_default();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let word = before.rsplit(|c| !is_part(c)).next().unwrap_or_default();
        let start = before.len() - word.len();
        if before.starts_with('.') && !before.contains(char::is_whitespace) {
            let fits = self.commands.iter().filter(|command| command.starts_with(before));
            return (0, fits.cloned().collect());
        }
        if word.is_empty() {
            return (start, Vec::new());
        }
        let fits = |known: &str| {
            known.get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word))
        };
        let small = word.chars().all(char::is_lowercase);
        let sql = SQL.iter().filter(|known| fits(known));
        let sql = sql.map(|known| if small { known.to_lowercase() } else { (*known).to_owned() });
        let names = self.names.iter().filter(|name| fits(name)).cloned();
        (start, names.chain(sql).collect())
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        place: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = self.complete_at(line, place);
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        Ok((start, words.into_iter().map(pair).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_words_and_commands_are_completed() {
        let names = ["users", "user_id", "orders"].map(str::to_owned).to_vec();
        let commands = [".tables", ".timer"].map(str::to_owned).to_vec();
        let words = Words { names, commands };
        let complete = |line: &str| words.complete_at(line, line.len());
        assert_eq!(
            complete("SELECT * FROM us"),
            (14, vec!["users".into(), "user_id".into(), "using".into()])
        );
        assert_eq!(complete("SEL"), (0, vec!["SELECT".into()]));
        assert_eq!(complete("SELECT users.ORD"), (13, vec!["orders".into(), "ORDER".into()]));
        assert_eq!(complete(".t"), (0, vec![".tables".into(), ".timer".into()]));
        assert_eq!(complete("SELECT "), (7, vec![]));
    }
}
