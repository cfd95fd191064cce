//! Expressions, what binds least first: OR, AND, NOT, comparisons, sums, products, signs, values.

use reedbase_plugin_api::{Result, Value};

use crate::ast::{Arguments, Expr, List, Path, Placeholder, Step};
use crate::lexer::Kind;
use crate::time;
use crate::words::Words;

/// An expression.
pub(crate) fn expression(words: &mut Words<'_>) -> Result<Expr> {
    words.deeper(|words| {
        let mut left = conjunction(words)?;
        while words.word("OR") {
            left = binary(left, "OR", conjunction(words)?);
        }
        Ok(left)
    })
}

/// Expressions with commas between, at least one.
pub(crate) fn expressions(words: &mut Words<'_>) -> Result<Vec<Expr>> {
    let mut list = vec![expression(words)?];
    while words.sign(",") {
        list.push(expression(words)?);
    }
    Ok(list)
}

fn binary(left: Expr, sign: &'static str, right: Expr) -> Expr {
    Expr::Binary(Box::new(left), sign, Box::new(right))
}

fn conjunction(words: &mut Words<'_>) -> Result<Expr> {
    let mut left = negation(words)?;
    while words.word("AND") {
        left = binary(left, "AND", negation(words)?);
    }
    Ok(left)
}

fn negation(words: &mut Words<'_>) -> Result<Expr> {
    if words.is_word("NOT") && !words.is_next_word("EXISTS") {
        words.pass();
        let what = words.deeper(negation)?;
        return Ok(Expr::Unary("NOT", Box::new(what)));
    }
    comparison(words)
}

/// Longer signs first.
const COMPARISONS: [(&str, &str); 7] =
    [("<>", "<>"), ("<=", "<="), (">=", ">="), ("!=", "<>"), ("=", "="), ("<", "<"), (">", ">")];

fn comparison(words: &mut Words<'_>) -> Result<Expr> {
    let left = sum(words)?;
    for (sign, meant) in COMPARISONS {
        if words.sign(sign) {
            return Ok(binary(left, meant, sum(words)?));
        }
    }
    if words.word("IS") {
        let not = words.word("NOT");
        words.expect_word("NULL")?;
        return Ok(Expr::IsNull { value: Box::new(left), not });
    }
    let not = words.word("NOT");
    if words.word("LIKE") {
        return Ok(binary(left, if not { "NOT LIKE" } else { "LIKE" }, sum(words)?));
    }
    if words.word("BETWEEN") {
        let from = sum(words)?;
        words.expect_word("AND")?;
        let (value, from, to) = (Box::new(left), Box::new(from), Box::new(sum(words)?));
        return Ok(Expr::Between { value, not, from, to });
    }
    if words.word("IN") {
        words.expect_sign("(")?;
        let list = match words.is_word("SELECT") {
            true => List::Select(Box::new((words.select)(words)?)),
            false => List::Values(expressions(words)?),
        };
        words.expect_sign(")")?;
        return Ok(Expr::In { value: Box::new(left), not, list });
    }
    if not { Err(words.expected("LIKE, BETWEEN or IN")) } else { Ok(left) }
}

fn sum(words: &mut Words<'_>) -> Result<Expr> {
    chain(words, &["+", "-", "||"], |words| chain(words, &["*", "/", "%"], sign))
}

/// Values with these signs between, from the left.
fn chain(
    words: &mut Words<'_>,
    signs: &[&'static str],
    next: impl Fn(&mut Words<'_>) -> Result<Expr>,
) -> Result<Expr> {
    let mut left = next(words)?;
    while let Some(sign) = signs.iter().find(|sign| words.is_sign(sign)) {
        words.pass();
        left = binary(left, sign, next(words)?);
    }
    Ok(left)
}

fn sign(words: &mut Words<'_>) -> Result<Expr> {
    for sign in ["-", "+"] {
        if words.sign(sign) {
            let value = words.deeper(self::sign)?;
            return Ok(Expr::Unary(sign, Box::new(value)));
        }
    }
    value(words)
}

fn value(words: &mut Words<'_>) -> Result<Expr> {
    match words.kind().clone() {
        Kind::Number => number(words),
        Kind::Text(text) => {
            words.pass();
            Ok(Expr::Value(Value::Text(text)))
        }
        Kind::Placeholder => {
            let name = words.written().get(1..).unwrap_or_default().to_owned();
            words.pass();
            let named = !name.is_empty();
            Ok(Expr::Placeholder(if named { Placeholder::Named(name) } else { Placeholder::Next }))
        }
        Kind::Sign("(") => {
            words.pass();
            let inside = match words.is_word("SELECT") {
                true => Expr::Sub(Box::new((words.select)(words)?)),
                false => expression(words)?,
            };
            words.expect_sign(")")?;
            Ok(inside)
        }
        Kind::Word => word(words),
        Kind::Quoted(_) => Ok(Expr::Path(path(words)?)),
        _ => Err(words.expected("a value")),
    }
}

fn number(words: &mut Words<'_>) -> Result<Expr> {
    let written = words.written();
    let value = match written.parse::<i64>() {
        Ok(whole) => Value::Integer(whole),
        Err(_) => Value::Float(written.parse().map_err(|_| words.expected("a number"))?),
    };
    words.pass();
    Ok(Expr::Value(value))
}

/// A value that begins with a word: a constant, a date, a function, or a path.
fn word(words: &mut Words<'_>) -> Result<Expr> {
    for (word, value) in
        [("NULL", Value::Null), ("TRUE", Value::Boolean(true)), ("FALSE", Value::Boolean(false))]
    {
        if words.word(word) {
            return Ok(Expr::Value(value));
        }
    }
    if words.is_next_text()
        && let Some(known) = temporal(words)?
    {
        return Ok(known);
    }
    if words.is_word("INTERVAL") {
        return interval(words);
    }
    if words.is_word("EXTRACT") && words.is_next_sign("(") {
        return extract(words);
    }
    if words.is_next_sign("(") && (words.is_name() || words.is_word("EXISTS")) {
        return call(words);
    }
    if words.is_word("NOT") {
        words.pass();
        let exists = words.is_word("EXISTS").then(|| call(words)).transpose()?;
        let exists = exists.ok_or_else(|| words.expected("EXISTS"))?;
        return Ok(Expr::Unary("NOT", Box::new(exists)));
    }
    Ok(Expr::Path(path(words)?))
}

/// `DATE '…'`, `TIME '…'`, `DATETIME '…'`, `TIMESTAMP '…'`.
fn temporal(words: &mut Words<'_>) -> Result<Option<Expr>> {
    let word = words.written().to_ascii_uppercase();
    if !["DATE", "TIME", "DATETIME", "TIMESTAMP"].contains(&word.as_str()) {
        return Ok(None);
    }
    words.pass();
    let Kind::Text(text) = words.kind().clone() else { return Err(words.expected("a text")) };
    words.pass();
    let value = match word.as_str() {
        "DATE" => time::date(&text).map(|date| Expr::Value(Value::Text(date))),
        "TIME" => time::time(&text).map(|time| Expr::Value(Value::Text(time))),
        _ => time::instant(&text).map(Expr::Instant),
    };
    value.map(Some).map_err(|error| words.placed(error))
}

/// `INTERVAL '5' MINUTE`, `INTERVAL 5 MINUTE`, `INTERVAL '5 minutes'`.
fn interval(words: &mut Words<'_>) -> Result<Expr> {
    words.pass();
    let text = match words.kind() {
        Kind::Text(text) => text.clone(),
        Kind::Number => words.written().to_owned(),
        _ => return Err(words.expected("how long")),
    };
    words.pass();
    let mut parts = text.split_whitespace();
    let count = parts.next().and_then(|count| count.parse::<i64>().ok());
    let unit = match parts.next() {
        Some(unit) => unit.to_owned(),
        None => {
            let unit = words.written().to_owned();
            words.pass();
            unit
        }
    };
    let span = count.zip(time::unit(&unit)).and_then(|(count, unit)| count.checked_mul(unit));
    let wrong =
        || {
            let error = reedbase_plugin_api::Error::invalid("this says no length of time");
            words.placed(error.help(
                "write it so: INTERVAL '5' MINUTE; units are SECOND, MINUTE, HOUR, DAY and WEEK",
            ))
        };
    span.map(Expr::Interval).ok_or_else(wrong)
}

/// `EXTRACT(YEAR FROM value)`.
fn extract(words: &mut Words<'_>) -> Result<Expr> {
    words.pass();
    words.expect_sign("(")?;
    let part = time::part(words.written());
    let part = part.ok_or_else(|| {
        words.expected("YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, WEEK, DOW, DOY or EPOCH")
    })?;
    words.pass();
    words.expect_word("FROM")?;
    let of = expression(words)?;
    words.expect_sign(")")?;
    Ok(Expr::Extract(part, Box::new(of)))
}

fn call(words: &mut Words<'_>) -> Result<Expr> {
    if words.word("EXISTS") {
        words.expect_sign("(")?;
        let inside = (words.select)(words)?;
        words.expect_sign(")")?;
        return Ok(Expr::Exists(Box::new(inside)));
    }
    let name = words.name("a function")?;
    words.expect_sign("(")?;
    if name.text.eq_ignore_ascii_case("now") && words.sign(")") {
        return Ok(Expr::Now);
    }
    let distinct = words.word("DISTINCT");
    let arguments = if words.sign("*") {
        Arguments::All
    } else if words.is_sign(")") {
        Arguments::Values(Vec::new())
    } else {
        Arguments::Values(expressions(words)?)
    };
    words.expect_sign(")")?;
    Ok(Expr::Call { name, distinct, arguments })
}

/// A column, maybe of a table, and steps into the document that it holds: `o.specs.ports[0].name`.
pub(crate) fn path(words: &mut Words<'_>) -> Result<Path> {
    let first = words.name("a value")?;
    let mut steps = Vec::new();
    loop {
        if words.sign(".") {
            steps.push(Step::Name(words.name_behind_point()?));
        } else if words.sign("[") {
            let place = words.written().parse::<u32>();
            steps.push(Step::Place(place.map_err(|_| words.expected("a place, counted from 0"))?));
            words.pass();
            words.expect_sign("]")?;
        } else {
            return Ok(Path { first, steps });
        }
    }
}
