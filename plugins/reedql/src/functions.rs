//! Functions of plugins, made known to SQLite.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use reedbase_plugin_api::{Aggregate, Error, Function, FunctionBody, Result, Value, ValueRef};
use rusqlite::Connection;
use rusqlite::functions::{Aggregate as SqlAggregate, Context, FunctionFlags};
use rusqlite::types::{Value as SqlValue, ValueRef as SqlRef};

use crate::shared::Shared;

/// Makes functions known to a connection.
///
/// # Errors
/// Those of SQLite.
pub(crate) fn register(
    connection: &Connection,
    shared: &Arc<Shared>,
    functions: &[Function],
) -> rusqlite::Result<()> {
    let taken = names(connection)?;
    for function in functions {
        let is_collation = matches!(function.body(), FunctionBody::Collation(_));
        let lower = function.name().to_ascii_lowercase();
        let is_taken = match is_collation {
            true => COLLATIONS.contains(&lower.as_str()),
            false => taken.contains(&lower),
        };
        if is_taken {
            let what = if is_collation { "collation" } else { "function" };
            let error = format!("there is a {what} `{}` already", function.name());
            return Err(shared.fail(Error::usage(error).help("give yours another name")));
        }
        let (called, shared) = (function.clone(), Arc::clone(shared));
        let mut flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
        if function.is_steady() {
            flags |= FunctionFlags::SQLITE_DETERMINISTIC;
        }
        match function.body().clone() {
            FunctionBody::Scalar(act) => {
                let act = AssertUnwindSafe((act, called, shared));
                let call = move |context: &Context<'_>| {
                    let (act, called, shared) = &*act;
                    let done = values(context).and_then(|values| {
                        called.check(values.len())?;
                        act(&values)
                    });
                    done.map(sql_value).map_err(|error| shared.fail(error))
                };
                connection.create_scalar_function(function.name(), -1, flags, move |c| call(c))?;
            }
            FunctionBody::Aggregate(begin) => {
                let (begin, shared) = (AssertUnwindSafe(begin), AssertUnwindSafe(shared));
                let called = AssertUnwindSafe(called);
                let gathering = Gathering { called, begin, shared };
                connection.create_aggregate_function(function.name(), -1, flags, gathering)?;
            }
            FunctionBody::Collation(compare) => {
                let compare = AssertUnwindSafe(compare);
                connection
                    .create_collation(function.name(), move |one, other| compare(one, other))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The collations that there are in any case.
const COLLATIONS: [&str; 4] = ["binary", "nocase", "rtrim", "decimal"];

/// The names that SQLite's own functions have.
fn names(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut list = connection.prepare("SELECT DISTINCT lower(name) FROM pragma_function_list")?;
    list.query_map([], |row| row.get(0))?.collect()
}

fn values<'a>(context: &'a Context<'_>) -> Result<Vec<ValueRef<'a>>> {
    (0..context.len()).map(|at| value_ref(context.get_raw(at))).collect()
}

/// A value of SQLite, as plugins and callers see it.
pub(crate) fn value_ref(value: SqlRef<'_>) -> Result<ValueRef<'_>> {
    Ok(match value {
        SqlRef::Null => ValueRef::Null,
        SqlRef::Integer(value) => ValueRef::Integer(value),
        SqlRef::Real(value) => ValueRef::Float(value),
        SqlRef::Text(text) => ValueRef::Text(
            std::str::from_utf8(text).map_err(|_| Error::invalid("a text is not UTF-8"))?,
        ),
        SqlRef::Blob(bytes) => ValueRef::Binary(bytes),
    })
}

fn sql_value(value: Value) -> SqlValue {
    match value {
        Value::Boolean(value) => SqlValue::Integer(value.into()),
        Value::Integer(value) => SqlValue::Integer(value),
        Value::Float(value) => SqlValue::Real(value),
        Value::Text(text) => SqlValue::Text(text),
        Value::Binary(bytes) => SqlValue::Blob(bytes),
        _ => SqlValue::Null,
    }
}

/// What SQLite calls for an aggregate.
struct Gathering {
    called: AssertUnwindSafe<Function>,
    begin: AssertUnwindSafe<Begin>,
    shared: AssertUnwindSafe<Arc<Shared>>,
}

/// How an aggregate begins.
type Begin = Arc<dyn Fn() -> Box<dyn Aggregate> + Send + Sync>;

impl SqlAggregate<AssertUnwindSafe<Box<dyn Aggregate>>, SqlValue> for Gathering {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<AssertUnwindSafe<Box<dyn Aggregate>>> {
        Ok(AssertUnwindSafe((*self.begin)()))
    }

    fn step(
        &self,
        context: &mut Context<'_>,
        gathered: &mut AssertUnwindSafe<Box<dyn Aggregate>>,
    ) -> rusqlite::Result<()> {
        let added = values(context).and_then(|values| {
            self.called.check(values.len())?;
            gathered.add(&values)
        });
        added.map_err(|error| self.shared.fail(error))
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        gathered: Option<AssertUnwindSafe<Box<dyn Aggregate>>>,
    ) -> rusqlite::Result<SqlValue> {
        let mut gathered = gathered.unwrap_or_else(|| AssertUnwindSafe((*self.begin)()));
        gathered.finish().map(sql_value).map_err(|error| self.shared.fail(error))
    }
}
