//! The dialect `filter`: a question as a JSON document, or put together from Rust, translated to ReedQL.
//!
//! ```json
//! {"from": "users", "filter": {"age": {"gt": 30}, "city": "Berlin"}, "sort": [{"age": "desc"}, "name"],
//!  "limit": 10, "offset": 20, "fields": ["name", "specs.colour"]}
//! {"from": "orders", "group": "city", "aggregate": {"n": "count", "total": {"sum": "amount"}}}
//! ```
//!
//! What it means follows KoruDelta 1.0: values of different types are never compared, `ne` includes what is missing, numbers are
//! compared as numbers, aggregates pass over what is no number, and the sum of none is 0.0. One row after the other is asked
//! by ReedQL, with indices where they help.

#![forbid(unsafe_code)]

mod query;
mod read;
mod field;
mod sql;

pub use query::{Aggregate, Comparison, Filter, Order, Query};

use reedbase_plugin_api::{Error, Params, Result, Snapshot, Translated, Translator};

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state")]
pub struct FilterDialect;

impl Translator for FilterDialect {
    fn id(&self) -> &str {
        "filter"
    }

    fn translate(
        &self,
        text: &str,
        params: Option<&Params>,
        tables: &dyn Snapshot,
    ) -> Result<Vec<Translated>> {
        if params.is_some_and(|params| *params != Params::default()) {
            return Err(Error::usage("a filter has no placeholders, and values are given")
                .help("write the values into the document"));
        }
        let (table, query) = read::query(text)?;
        Ok(vec![query.translate(&table, tables)?])
    }

    fn is_complete(&self, text: &str) -> bool {
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(_) => true,
            Err(error) => !error.is_eof(),
        }
    }
}

impl Query {
    /// This question, asked of a table, as ReedQL.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table; [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) for
    /// what goes not together.
    pub fn translate(&self, table: &str, tables: &dyn Snapshot) -> Result<Translated> {
        sql::translated(self, table, tables.table(table)?.schema())
    }
}
