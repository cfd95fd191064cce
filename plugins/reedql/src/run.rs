//! A statement of SQLite, run: parameters in, rows out.

use std::ops::ControlFlow;

use reedbase_plugin_api::{Error, ErrorKind, Params, QueryOptions, Result, RowSink, Value};
use rusqlite::types::{ToSqlOutput, ValueRef as SqlRef};
use rusqlite::{Connection, Statement};
use smallvec::SmallVec;

use crate::functions::value_ref;

/// Why a statement ended early.
pub(crate) enum Stopped {
    Ours(Error),
    Sqlite(rusqlite::Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Most rows have no more values than so many.
const FEW: usize = 8;

/// Runs a statement, and hands its rows on. Gives how many rows it changed. So many parameters by position are used already.
pub(crate) fn run(
    connection: &Connection,
    sql: &str,
    params: &Params,
    used: usize,
    limits: &QueryOptions,
    rows: &mut dyn RowSink,
) -> Result<u64, Stopped> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params, used)?;
    let columns = statement.column_count();
    rows.columns(&statement.column_names().collect::<SmallVec<[_; FEW]>>())?;
    let mut found = statement.raw_query();
    let mut count = 0;
    while let Some(row) = found.next()? {
        count += 1;
        if let Some(most) = limits.rows.filter(|most| count > *most) {
            return Err(too_many(most).into());
        }
        let mut values = SmallVec::<[_; FEW]>::with_capacity(columns);
        for column in 0..columns {
            values.push(value_ref(row.get_ref(column)?)?);
        }
        if rows.row(&values)? == ControlFlow::Break(()) {
            break;
        }
    }
    drop(found);
    Ok(if statement.readonly() { 0 } else { connection.changes() })
}

/// Gives the parameters their values.
fn bind(statement: &mut Statement<'_>, params: &Params, used: usize) -> Result<(), Stopped> {
    let count = statement.parameter_count();
    let mut positional = used;
    for index in 1..=count {
        let name = statement.parameter_name(index).filter(|name| !name.starts_with('?'));
        let value = match name {
            Some(name) => {
                let known = params.named.iter().find(|(known, _)| name.get(1..) == Some(known));
                known.map(|(_, value)| value).ok_or_else(|| missing(name, params))?
            }
            None => {
                positional = positional.max(index);
                let value = params.positional.get(index - 1);
                value.ok_or_else(|| {
                    wrong_count(index.max(count).max(used), params.positional.len())
                })?
            }
        };
        statement.raw_bind_parameter(index, sql_value(value))?;
    }
    if params.positional.len() > positional {
        return Err(wrong_count(positional, params.positional.len()).into());
    }
    Ok(())
}

fn missing(name: &str, params: &Params) -> Error {
    let names: Vec<_> = params.named.iter().map(|(name, _)| format!(":{name}")).collect();
    let error = Error::usage(format!("the parameter {name} has no value"));
    match names.is_empty() {
        true => error.help(format!("give it one: {}", name.get(1..).unwrap_or(name))),
        false => error.help(format!("there are values for {}", names.join(", "))),
    }
}

fn wrong_count(needed: usize, given: usize) -> Error {
    let plural = if needed == 1 { "" } else { "s" };
    let were = if given == 1 { "was" } else { "were" };
    Error::usage(format!("the query has {needed} parameter{plural}, and {given} {were} given"))
}

fn too_many(most: u64) -> Error {
    let plural = if most == 1 { "" } else { "s" };
    Error::new(
        ErrorKind::Limit,
        format!("the query gives more than {most} row{plural} (limit: rows)"),
    )
    .help("add LIMIT to the query, or allow more rows")
}

fn sql_value(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(sql_ref(value))
}

/// A value as SQLite takes it.
pub(crate) fn sql_ref(value: &Value) -> SqlRef<'_> {
    match value {
        Value::Boolean(value) => SqlRef::Integer(i64::from(*value)),
        Value::Integer(value) => SqlRef::Integer(*value),
        Value::Float(value) => SqlRef::Real(*value),
        Value::Text(text) => SqlRef::Text(text.as_bytes()),
        Value::Binary(bytes) => SqlRef::Blob(bytes),
        _ => SqlRef::Null,
    }
}
