//! Functions of queries whose results are kept.

use std::sync::Arc;

use reedbase_plugin_api::{CachedFunction, Error, Function, FunctionBody, ValueRef};

use crate::results::{Call, Results, put_value, read_value};
use crate::wire::Reader;

/// The same function; if its results are to be kept, one that looks there first. It gives a truth value as 0 or 1, as SQL
/// does.
pub(super) fn remembering(function: &Function, results: &Arc<Results>) -> Function {
    let (Some(ttl), FunctionBody::Scalar(act)) = (function.time_to_live(), function.body()) else {
        return function.clone();
    };
    let (results, act) = (Arc::clone(results), Arc::clone(act));
    let name = format!("sql::{}", function.name());
    let ask = move |values: &[ValueRef<'_>]| {
        let function = CachedFunction::new(&name).ttl(ttl).in_memory();
        let mut call = Call::of(&function);
        call.add_values(values);
        let compute = |_| {
            let mut out = Vec::new();
            put_value(&mut out, act(values)?.as_ref());
            Ok(out.into())
        };
        let found = results.call::<Error>(&function, &call, None, compute)?;
        read_value(&mut Reader::new(found.clone()))
    };
    function.clone().with_body(FunctionBody::Scalar(Arc::new(ask)))
}
