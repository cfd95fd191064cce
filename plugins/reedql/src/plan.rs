//! What is known of a statement before it runs. Plans are kept by their text, for as long as the tables look the same.

use std::sync::{Arc, OnceLock};

use reedbase_plugin_api::{Computed, Error, Params, Result, TableName, Timestamp};
use sqlite3_parser::lexer::sql::TokenType;

use crate::declare::quoted;
use crate::rewrite::{Rewritten, is_steady, rewrite};
use crate::script::{Kind, Statement, statements};
use crate::source::Source;
use crate::tokens::Token;
use crate::views::{self, VIEWS, View};

/// A statement, looked at.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) statement: Statement,
    pub(crate) kind: Kind,
    pub(crate) rewritten: Rewritten,
    /// The names of the tables that it may read or write.
    pub(crate) tables: Vec<String>,
    /// Of a statement that writes: the table that it writes.
    pub(crate) target: Option<String>,
    /// Of an INSERT: the columns that it names; the others get their defaults.
    pub(crate) named: Option<Vec<String>>,
    /// Whether it can only run over native tables: virtual ones know no UPSERT, no RETURNING and no `OR …`.
    pub(crate) needs_mirror: bool,
    /// The views that it reads: the name, and the statement that makes it.
    pub(crate) views: Vec<(String, String)>,
    /// The stored views that it reads and that follow other tables.
    pub(crate) follows: Vec<String>,
    /// Whether it may ask for all columns.
    pub(crate) takes_all_columns: bool,
    /// The whole tables that it scans, once that is known.
    pub(crate) scans: OnceLock<Scans>,
}

/// The whole tables that a statement scans.
#[derive(Debug, Default)]
pub(crate) struct Scans {
    /// How many; a scan inside of another counts as many.
    pub(crate) count: usize,
    /// The columns by which rows of a table are looked for, and that no index has.
    pub(crate) wanted: Vec<(String, Vec<String>)>,
}

/// The tables that are computed and have a name of their own.
const SYSTEM: [(&str, Computed); 7] = [
    ("reed_tables", Computed::Tables),
    ("reed_columns", Computed::Columns),
    ("reed_frames", Computed::Frames),
    ("reed_indices", Computed::Indices),
    ("reed_searches", Computed::Searches),
    ("reed_plugins", Computed::Plugins),
    ("reed_conflicts", Computed::Conflicts),
];

impl Plan {
    /// Looks at a statement.
    ///
    /// # Errors
    /// What it may not do, and instants that mean nothing.
    pub(crate) fn of(
        statement: Statement,
        params: &Params,
        tables: &[TableName],
        known_views: &[View],
        resolve: &dyn Fn(&str) -> Result<Timestamp>,
    ) -> Result<Self> {
        let kind = statement.kind()?;
        let mut rewritten = rewrite(&statement, params, resolve)?;
        rewritten.derived.extend(system(&statement, tables));
        let names = tables;
        let mut tables = used(&statement, names);
        let named = |view: &&View| names_view(&statement, view);
        let follows = known_views.iter().filter(|view| view.on_change).filter(named);
        let follows = follows.map(|view| view.name.clone()).collect();
        let (tables_of, takes_all) = (&mut tables, takes_all_columns(&statement));
        let mut expanding = Expanding {
            names,
            known_views,
            resolve,
            tables: tables_of,
            views: Vec::new(),
            takes_all,
        };
        expanding.expand(&statement, &mut rewritten)?;
        let (views, takes_all_columns) = (expanding.views, expanding.takes_all);
        let writes = kind == Kind::Write;
        let target = if writes { target(&statement, &tables) } else { None };
        if writes && !rewritten.derived.is_empty() {
            check_target(&rewritten)?;
        }
        let needs_mirror = writes && needs_mirror(&statement);
        let named = if writes { named_columns(&statement) } else { None };
        let scans = OnceLock::new();
        Ok(Self {
            statement,
            kind,
            rewritten,
            tables,
            target,
            named,
            needs_mirror,
            views,
            follows,
            takes_all_columns,
            scans,
        })
    }

    /// Whether it means the same with these parameters, as long as the tables look the same. `resolve` says which frame an
    /// instant means now; `same_frames` that there are no others than when it was asked last.
    pub(crate) fn is_with(
        &self,
        params: &Params,
        same_frames: bool,
        resolve: &dyn Fn(&str) -> Result<Timestamp>,
    ) -> bool {
        let means = |(instant, frame): &(String, Timestamp)| {
            (same_frames && is_steady(instant)) || resolve(instant).is_ok_and(|now| now == *frame)
        };
        self.rewritten.is_with(&self.statement, params) && self.rewritten.instants.iter().all(means)
    }
}

/// Follows views to what they read.
struct Expanding<'a> {
    names: &'a [TableName],
    known_views: &'a [View],
    resolve: &'a dyn Fn(&str) -> Result<Timestamp>,
    tables: &'a mut Vec<String>,
    views: Vec<(String, String)>,
    /// Whether one of them takes all columns of a table.
    takes_all: bool,
}

impl Expanding<'_> {
    fn expand(&mut self, statement: &Statement, rewritten: &mut Rewritten) -> Result<()> {
        let views = self.known_views;
        for view in views.iter().filter(|view| !view.stored && names_view(statement, view)) {
            if self.views.iter().any(|(name, _)| *name == view.name) {
                continue;
            }
            let query = statements(&view.query)?.into_iter().next();
            let query =
                query.ok_or_else(|| Error::invalid("the view has no query").at_key(&view.name))?;
            self.takes_all |= takes_all_columns(&query);
            let mut inner = rewrite(&query, &Params::default(), self.resolve)?;
            inner.derived.extend(system(&query, self.names));
            let columns =
                view.columns.as_ref().map(|names| format!(" ({names})")).unwrap_or_default();
            let sql = format!("CREATE VIEW main.{}{columns} AS {}", quoted(&view.name), inner.sql);
            self.views.push((view.name.clone(), sql));
            for table in used(&query, self.names) {
                if !self.tables.contains(&table) {
                    self.tables.push(table);
                }
            }
            rewritten.derived.extend(inner.derived);
            rewritten.instants.extend(inner.instants);
            self.expand(&query, rewritten)?;
        }
        Ok(())
    }
}

/// Whether a statement takes the columns of a table without naming them: `*`, `NATURAL`, `x IN table`.
fn takes_all_columns(statement: &Statement) -> bool {
    let is_name =
        |at: usize| statement.token(at).is_some_and(|token| token.name(&statement.text).is_some());
    let takes_all = |(at, token): (usize, &Token)| {
        token.kind == TokenType::TK_STAR
            || statement.is(at, "NATURAL")
            || (statement.is(at, "IN") && is_name(at + 1))
    };
    statement.tokens.iter().enumerate().any(takes_all)
}

/// Whether a statement names a view.
fn names_view(statement: &Statement, view: &View) -> bool {
    let is_name = |token: &Token| {
        token.name(&statement.text).is_some_and(|name| name.eq_ignore_ascii_case(&view.name))
    };
    statement.tokens.iter().any(is_name)
}

/// The tables of a statement that are computed and have a name of their own.
fn system(statement: &Statement, tables: &[TableName]) -> Vec<(String, Arc<Source>)> {
    let named = |name: &str| {
        let is_name = |token: &Token| {
            token.name(&statement.text).is_some_and(|n| n.eq_ignore_ascii_case(name))
        };
        statement.tokens.iter().any(is_name)
    };
    // Two of them are made with their first row.
    let no_views = Computed::Empty { name: VIEWS.to_owned(), columns: views::schema().columns };
    let system = SYSTEM
        .into_iter()
        .chain([(VIEWS, no_views)])
        .filter(|(name, _)| named(name) && !tables.iter().any(|table| table.as_str() == *name));
    system.map(|(name, what)| (name.to_owned(), Arc::new(Source::Computed(what)))).collect()
}

/// The tables whose names stand in a statement: it may mean a column by one of them.
fn used(statement: &Statement, names: &[TableName]) -> Vec<String> {
    let mut used: Vec<String> = Vec::new();
    for token in &statement.tokens {
        let Some(name) = token.name(&statement.text) else { continue };
        let known = names.iter().find(|known| known.as_str().eq_ignore_ascii_case(&name));
        if let Some(table) = known
            && !used.iter().any(|used| used == table.as_str())
        {
            used.push(table.as_str().to_owned());
        }
    }
    used
}

/// The table that a statement writes: the name behind INTO, UPDATE or FROM, outside of brackets.
fn target(statement: &Statement, tables: &[String]) -> Option<String> {
    let verb = statement.verb()?;
    let before = match statement.token(verb)?.kind {
        TokenType::TK_UPDATE if statement.is(verb + 1, "OR") => verb + 2,
        TokenType::TK_UPDATE => verb,
        _ => (verb..statement.tokens.len())
            .find(|at| statement.is(*at, "INTO") || statement.is(*at, "FROM"))?,
    };
    let qualified =
        statement.token(before + 2).is_some_and(|token| token.kind == TokenType::TK_DOT);
    let at = if qualified { before + 3 } else { before + 1 };
    let name = statement.token(at)?.name(&statement.text)?;
    tables.iter().find(|table| table.eq_ignore_ascii_case(&name)).cloned()
}

/// That nothing is written to what was, or to what is computed: a copy of it in memory would take it.
fn check_target(rewritten: &Rewritten) -> Result<()> {
    let Some(statement) = statements(&rewritten.sql)?.into_iter().next() else { return Ok(()) };
    let names: Vec<String> = rewritten.derived.iter().map(|(name, _)| name.clone()).collect();
    let Some(target) = target(&statement, &names) else { return Ok(()) };
    match rewritten.derived.iter().find(|(name, _)| *name == target) {
        Some((_, source)) => Err(source.not_writable()),
        None => Ok(()),
    }
}

/// What stands behind the table of an INSERT, and its alias.
pub(crate) fn behind_table(statement: &Statement) -> Option<usize> {
    let into = (statement.verb()?..statement.tokens.len()).find(|at| statement.is(*at, "INTO"))?;
    let qualified = statement.token(into + 2).is_some_and(|token| token.kind == TokenType::TK_DOT);
    let at = into + if qualified { 4 } else { 2 };
    Some(if statement.is(at, "AS") { at + 2 } else { at })
}

/// The columns that an INSERT names behind its table; `None` if it names none, and so means all.
fn named_columns(statement: &Statement) -> Option<Vec<String>> {
    let at = behind_table(statement)?;
    if statement.is(at, "DEFAULT") {
        return Some(Vec::new());
    }
    statement.token(at).filter(|token| token.kind == TokenType::TK_LP)?;
    let inside = statement.tokens.get(at + 1..)?.iter();
    let inside = inside.take_while(|token| token.kind != TokenType::TK_RP);
    Some(inside.filter_map(|token| token.name(&statement.text)).collect())
}

/// Whether a statement that writes has a part that virtual tables do not know.
fn needs_mirror(statement: &Statement) -> bool {
    let Some(verb) = statement.verb() else { return false };
    let mut depth = 0_usize;
    let behind = statement.tokens.get(verb..).unwrap_or_default();
    statement.is(verb, "REPLACE")
        || statement.is(verb + 1, "OR")
        || behind.iter().any(|token| {
            match token.kind {
                TokenType::TK_LP => depth += 1,
                TokenType::TK_RP => depth = depth.saturating_sub(1),
                TokenType::TK_RETURNING | TokenType::TK_CONFLICT => return depth == 0,
                _ => {}
            }
            false
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_and_how() {
        let tables = ["users".to_owned(), "orders".to_owned()];
        for (text, expected, mirror) in [
            ("INSERT INTO Users SELECT * FROM orders", "users", false),
            ("UPDATE OR IGNORE main.users SET x = 1", "users", true),
            ("WITH a AS (SELECT 1) DELETE FROM orders RETURNING id", "orders", true),
            ("REPLACE INTO users VALUES (1)", "users", true),
            ("INSERT INTO users VALUES (1) ON CONFLICT DO NOTHING", "users", true),
            ("UPDATE users SET x = (SELECT returning FROM y)", "users", false),
        ] {
            let statement = &statements(text).unwrap()[0];
            assert_eq!(target(statement, &tables).as_deref(), Some(expected), "{text}");
            assert_eq!(needs_mirror(statement), mirror, "{text}");
        }
        let named = |text| named_columns(&statements(text).unwrap()[0]);
        let some = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(named("INSERT INTO t VALUES (1)"), None);
        assert_eq!(named("INSERT INTO main.t (a, \"b c\") SELECT 1, (2)"), some(&["a", "b c"]));
        assert_eq!(named("INSERT INTO t AS x (a) VALUES (1)"), some(&["a"]));
        assert_eq!(named("INSERT INTO t DEFAULT VALUES"), some(&[]));
        assert_eq!(named("UPDATE t SET a = (1)"), None);
    }
}
