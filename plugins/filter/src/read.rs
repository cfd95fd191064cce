//! From a JSON document to a question.

use reedbase_plugin_api::{Error, Result, nearest};
use serde_json::{Map, Value as Json};

use crate::query::{Aggregate, Comparison, Filter, Order, Query};

/// What may stand in a document.
const KEYS: [&str; 8] =
    ["from", "filter", "sort", "limit", "offset", "fields", "group", "aggregate"];

/// What may be said of a field.
const COMPARISONS: [&str; 10] =
    ["eq", "ne", "gt", "gte", "lt", "lte", "contains", "exists", "matches", "in"];

/// The table that a document asks, and what.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) with line and character where it is no JSON; else with what
/// is wrong in which part.
pub(crate) fn query(text: &str) -> Result<(String, Query)> {
    let document: Json = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        Error::invalid(format!("this is no JSON: {message}"))
            .at_line(error.line() as u64)
            .at_character(error.column() as u64)
            .help("write it so: {\"from\": \"users\", \"filter\": {\"age\": {\"gt\": 30}}}")
    })?;
    let document = object(&document, "a question")?;
    let (mut from, mut query) = (String::new(), Query::new());
    for (key, value) in document {
        match key.as_str() {
            "from" => from = text_of(value, key)?,
            "filter" => query.filter = Some(filter(value)?),
            "sort" => query.sort = sort(value)?,
            "limit" => query.limit = Some(number_of(value, key)?),
            "offset" => query.offset = number_of(value, key)?,
            "fields" => query.fields = texts(value, key)?,
            "group" => query.group = texts(value, key)?,
            "aggregate" => query.aggregates = aggregates(value)?,
            other => {
                let error = Error::invalid(format!("there is no `{other}` in a question"));
                return Err(nearest(error, "part", other, KEYS));
            }
        }
    }
    if from.is_empty() {
        return Err(
            Error::invalid("a question says which table it asks").help("add \"from\": \"…\"")
        );
    }
    Ok((from, query))
}

fn object<'a>(value: &'a Json, what: &str) -> Result<&'a Map<String, Json>> {
    value.as_object().ok_or_else(|| wrong(what, "an object", value))
}

fn wrong(what: &str, expected: &str, found: &Json) -> Error {
    Error::invalid(format!("{what} is {expected}, and here it is {found}"))
}

fn text_of(value: &Json, what: &str) -> Result<String> {
    let text = value.as_str().ok_or_else(|| wrong(&format!("`{what}`"), "a text", value));
    text.map(str::to_owned)
}

fn number_of(value: &Json, what: &str) -> Result<u64> {
    value.as_u64().ok_or_else(|| wrong(&format!("`{what}`"), "a number of rows", value))
}

/// A text, or a list of texts.
fn texts(value: &Json, what: &str) -> Result<Vec<String>> {
    match value {
        Json::Array(list) => list.iter().map(|value| text_of(value, what)).collect(),
        one => Ok(vec![text_of(one, what)?]),
    }
}

/// `"name"`, `{"age": "desc"}`, or a list of these.
fn sort(value: &Json) -> Result<Vec<(String, Order)>> {
    match value {
        Json::Array(list) => {
            let lists: Result<Vec<_>> = list.iter().map(sort).collect();
            Ok(lists?.into_iter().flatten().collect())
        }
        Json::Object(fields) => {
            fields.iter().map(|(field, order)| Ok((field.clone(), order_of(order)?))).collect()
        }
        one => Ok(vec![(text_of(one, "sort")?, Order::Ascending)]),
    }
}

fn order_of(value: &Json) -> Result<Order> {
    match value.as_str() {
        Some("asc") => Ok(Order::Ascending),
        Some("desc") => Ok(Order::Descending),
        _ => Err(wrong("an order", "\"asc\" or \"desc\"", value)),
    }
}

fn filter(value: &Json) -> Result<Filter> {
    let parts = object(value, "a filter")?.iter().map(|(key, value)| match key.as_str() {
        "and" => Ok(Filter::And(filters(value, key)?)),
        "or" => Ok(Filter::Or(filters(value, key)?)),
        "not" => Ok(!filter(value)?),
        field => said_of(field, value),
    });
    all(parts.collect::<Result<_>>()?)
}

/// All of these; the one, if it is one.
fn all(mut parts: Vec<Filter>) -> Result<Filter> {
    Ok(match (parts.len(), parts.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            parts.extend(last);
            Filter::And(parts)
        }
    })
}

fn filters(value: &Json, what: &str) -> Result<Vec<Filter>> {
    let list = value.as_array().ok_or_else(|| wrong(&format!("`{what}`"), "a list", value));
    list?.iter().map(filter).collect()
}

/// What is said of a field: a value that it is, or comparisons.
fn said_of(field: &str, value: &Json) -> Result<Filter> {
    let Json::Object(comparisons) = value else { return Ok(Filter::eq(field, value.clone())) };
    let parts = comparisons.iter().map(|(key, value)| comparison(field, key, value));
    all(parts.collect::<Result<_>>()?)
}

fn comparison(field: &str, key: &str, value: &Json) -> Result<Filter> {
    let by = match key {
        "eq" => Comparison::Eq,
        "ne" => Comparison::Ne,
        "gt" => Comparison::Gt,
        "gte" => Comparison::Gte,
        "lt" => Comparison::Lt,
        "lte" => Comparison::Lte,
        "contains" => Comparison::Contains,
        "exists" => {
            let exists = Filter::exists(field);
            let is = value.as_bool().ok_or_else(|| wrong("`exists`", "true or false", value))?;
            return Ok(if is { exists } else { !exists });
        }
        "matches" => return Ok(Filter::matches(field, text_of(value, key)?)),
        "in" => {
            let list = value.as_array().ok_or_else(|| wrong("`in`", "a list", value))?;
            return Ok(Filter::Or(list.iter().map(|it| Filter::eq(field, it.clone())).collect()));
        }
        other => {
            let error = Error::invalid(format!("a field is not compared by `{other}`"));
            return Err(nearest(error, "comparison", other, COMPARISONS));
        }
    };
    Ok(Filter::Compare { field: field.to_owned(), by, value: value.clone() })
}

/// `{"n": "count", "total": {"sum": "amount"}}`.
fn aggregates(value: &Json) -> Result<Vec<(String, Aggregate)>> {
    let all = object(value, "`aggregate`")?.iter();
    all.map(|(name, value)| Ok((name.clone(), aggregate(value)?))).collect()
}

fn aggregate(value: &Json) -> Result<Aggregate> {
    let expected = "\"count\", or one of count, sum, avg, min, max, distinct with a field";
    let error = || wrong("an aggregate", expected, value);
    if value.as_str() == Some("count") {
        return Ok(Aggregate::Count(None));
    }
    let parts = value.as_object().filter(|parts| parts.len() == 1);
    let (key, field) = parts.and_then(|parts| parts.iter().next()).ok_or_else(error)?;
    let field = text_of(field, key)?;
    Ok(match key.as_str() {
        "count" => Aggregate::Count(Some(field)),
        "sum" => Aggregate::Sum(field),
        "avg" => Aggregate::Avg(field),
        "min" => Aggregate::Min(field),
        "max" => Aggregate::Max(field),
        "distinct" => Aggregate::Distinct(field),
        _ => return Err(error()),
    })
}
