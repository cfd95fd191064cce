//! From words to statements.

use reedbase_plugin_api::Result;

use crate::ast::{Core, Expr, Item, Select, Source, Statement};
use crate::expression::{expression, expressions, path};
use crate::lexer::Kind;
use crate::words::Words;

/// The statements of a text.
///
/// # Errors
/// What is wrong with it, with line and character, and what was expected.
pub(crate) fn statements(text: &str) -> Result<Vec<Statement>> {
    let mut words = Words::new(text, select)?;
    let mut statements = Vec::new();
    loop {
        while words.sign(";") {}
        if *words.kind() == Kind::End {
            return Ok(statements);
        }
        statements.push(statement(&mut words)?);
        if *words.kind() != Kind::End && !words.is_sign(";") {
            return Err(words.expected("`;` or the end"));
        }
    }
}

fn statement(words: &mut Words<'_>) -> Result<Statement> {
    if words.is_word("SELECT") {
        return Ok(Statement::Select(Box::new(select(words)?)));
    }
    if words.word("INSERT") {
        return insert(words);
    }
    if words.word("UPDATE") {
        return update(words);
    }
    if words.word("DELETE") {
        words.expect_word("FROM")?;
        let table = words.name("a table")?;
        return Ok(Statement::Delete { table, filter: condition(words, "WHERE")? });
    }
    for word in ["BEGIN", "COMMIT", "ROLLBACK"] {
        if words.word(word) {
            words.word("TRANSACTION");
            return Ok(Statement::Transaction(word));
        }
    }
    Err(words.expected("SELECT, INSERT, UPDATE, DELETE, BEGIN, COMMIT or ROLLBACK"))
}

fn insert(words: &mut Words<'_>) -> Result<Statement> {
    words.expect_word("INTO")?;
    let table = words.name("a table")?;
    words.expect_sign("(")?;
    let mut columns = vec![words.name("a column")?];
    while words.sign(",") {
        columns.push(words.name("a column")?);
    }
    words.expect_sign(")")?;
    words.expect_word("VALUES")?;
    let mut rows = Vec::new();
    loop {
        words.expect_sign("(")?;
        let row = expressions(words)?;
        if row.len() != columns.len() {
            let (values, names) = (row.len(), columns.len());
            return Err(words.wrong(&format!("there are {values} values for {names} columns")));
        }
        words.expect_sign(")")?;
        rows.push(row);
        if !words.sign(",") {
            return Ok(Statement::Insert { table, columns, rows });
        }
    }
}

fn update(words: &mut Words<'_>) -> Result<Statement> {
    let table = words.name("a table")?;
    words.expect_word("SET")?;
    let mut set = Vec::new();
    loop {
        let to = path(words)?;
        words.expect_sign("=")?;
        set.push((to, expression(words)?));
        if !words.sign(",") {
            break;
        }
    }
    Ok(Statement::Update { table, set, filter: condition(words, "WHERE")? })
}

fn condition(words: &mut Words<'_>, word: &str) -> Result<Option<Expr>> {
    words.word(word).then(|| expression(words)).transpose()
}

/// A SELECT, with all that belongs to it.
fn select(words: &mut Words<'_>) -> Result<Select> {
    words.deeper(|words| {
        let first = core(words)?;
        let mut more = Vec::new();
        while words.word("UNION") {
            let between = if words.word("ALL") { "UNION ALL" } else { "UNION" };
            more.push((between, core(words)?));
        }
        let order = if by(words, "ORDER")? { order(words)? } else { Vec::new() };
        let limit = condition(words, "LIMIT")?;
        let offset = if limit.is_some() { condition(words, "OFFSET")? } else { None };
        Ok(Select { first, more, order, limit, offset })
    })
}

/// Passes `GROUP BY` or `ORDER BY`.
fn by(words: &mut Words<'_>, word: &str) -> Result<bool> {
    if !words.word(word) {
        return Ok(false);
    }
    words.expect_word("BY")?;
    Ok(true)
}

fn order(words: &mut Words<'_>) -> Result<Vec<(Expr, &'static str)>> {
    let mut order = Vec::new();
    loop {
        let value = placed(expression(words)?);
        let direction = if words.word("DESC") { "DESC" } else { "ASC" };
        if direction == "ASC" {
            words.word("ASC");
        }
        order.push((value, direction));
        if !words.sign(",") {
            return Ok(order);
        }
    }
}

/// A whole number where it is the place of a column.
fn placed(value: Expr) -> Expr {
    match value {
        Expr::Value(reedbase_plugin_api::Value::Integer(place)) => Expr::Place(place),
        other => other,
    }
}

fn core(words: &mut Words<'_>) -> Result<Core> {
    words.expect_word("SELECT")?;
    let distinct = words.word("DISTINCT");
    if !distinct {
        words.word("ALL");
    }
    let mut items = vec![item(words)?];
    while words.sign(",") {
        items.push(item(words)?);
    }
    let from = if words.word("FROM") { sources(words)? } else { Vec::new() };
    let filter = condition(words, "WHERE")?;
    let group = if by(words, "GROUP")? {
        expressions(words)?.into_iter().map(placed).collect()
    } else {
        Vec::new()
    };
    let having = condition(words, "HAVING")?;
    Ok(Core { distinct, items, from, filter, group, having })
}

fn item(words: &mut Words<'_>) -> Result<Item> {
    if words.sign("*") {
        return Ok(Item::All(None));
    }
    if words.is_name() && words.is_next_sign(".") {
        let mut ahead = words.clone();
        let table = ahead.name("a table")?;
        ahead.pass();
        if ahead.sign("*") {
            *words = ahead;
            return Ok(Item::All(Some(table)));
        }
    }
    let from = words.place();
    let value = expression(words)?;
    let written = words.between(from, words.behind()).to_owned();
    let name =
        if words.word("AS") || words.is_name() { words.name("a name")?.text } else { written };
    Ok(Item::Value(value, name))
}

fn sources(words: &mut Words<'_>) -> Result<Vec<Source>> {
    let mut sources = vec![source(words, "")?];
    loop {
        let join = match join(words)? {
            Some(join) => join,
            None if words.sign(",") => ",",
            None => return Ok(sources),
        };
        let mut source = source(words, join)?;
        source.on = condition(words, "ON")?;
        sources.push(source);
    }
}

fn source(words: &mut Words<'_>, join: &'static str) -> Result<Source> {
    let table = words.name("a table")?;
    let named = words.word("AS") || words.is_name();
    let alias = named.then(|| words.name("a name")).transpose()?;
    Ok(Source { join, table, alias, on: None })
}

fn join(words: &mut Words<'_>) -> Result<Option<&'static str>> {
    const JOINS: [(&str, &str); 5] = [
        ("INNER", "JOIN"),
        ("LEFT", "LEFT JOIN"),
        ("RIGHT", "RIGHT JOIN"),
        ("FULL", "FULL JOIN"),
        ("CROSS", "CROSS JOIN"),
    ];
    if words.word("JOIN") {
        return Ok(Some("JOIN"));
    }
    for (word, join) in JOINS {
        if words.word(word) {
            words.word("OUTER");
            words.expect_word("JOIN")?;
            return Ok(Some(join));
        }
    }
    Ok(None)
}
