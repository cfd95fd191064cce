//! The plugins that are linked in: the one place where they are named.

use std::sync::Arc;

use reedbase_kernel::host::{Plugin, Plugins};
use reedbase_kernel::index::Kinds;
use reedbase_plugin_api::{
    Dialect, Error, Function, FunctionCache, FunctionSet, IndexKind, Result, Translator, nearest,
};
use reedbase_plugin_cache_lru::LruCache;
use reedbase_plugin_filter::FilterDialect;
use reedbase_plugin_functions_date::DateFunctions;
use reedbase_plugin_functions_money::MoneyFunctions;
use reedbase_plugin_functions_text::TextFunctions;
use reedbase_plugin_index_btree::BTreeKind;
use reedbase_plugin_index_composite::composite;
use reedbase_plugin_index_hash::HashKind;
use reedbase_plugin_reedql::ReedQl;
use reedbase_plugin_tissql::TissQl;

/// All of them. Kinds of index stand in the order of preference where nobody says which.
///
/// `own` are functions of the program.
pub(crate) fn linked(own: &[Function]) -> Plugins {
    let kinds: Vec<Arc<dyn IndexKind>> =
        vec![Arc::new(BTreeKind::default()), Arc::new(composite()), Arc::new(HashKind)];
    let mut list: Vec<_> = kinds
        .iter()
        .map(|kind| plugin("index-", kind.id(), format!("index {}", kind.id())))
        .collect();
    list.push(plugin("", ReedQl.id(), format!("dialect {}", ReedQl.id())));
    for translator in translators() {
        let id = translator.id();
        list.push(plugin("", id, format!("dialect {id}")));
    }
    let sets: [&dyn FunctionSet; 3] = [&TextFunctions, &DateFunctions, &MoneyFunctions];
    let mut functions = Vec::new();
    for set in sets {
        list.push(plugin("functions-", set.id(), format!("functions {}_…", set.id())));
        functions.extend(set.functions());
    }
    functions.extend_from_slice(own);
    list.push(plugin("cache-", LruCache.id(), format!("function cache {}", LruCache.id())));
    let function_cache: Option<Arc<dyn FunctionCache>> = Some(Arc::new(LruCache));
    Plugins { kinds: Kinds::new(kinds), functions, function_cache, list }
}

/// The languages that are translated to ReedQL.
fn translators() -> [Arc<dyn Translator>; 2] {
    [Arc::new(TissQl), Arc::new(FilterDialect)]
}

/// The language of this name; `None` is ReedQL itself.
///
/// # Errors
/// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) with the nearest name.
pub(crate) fn translator(dialect: &str) -> Result<Option<Arc<dyn Translator>>> {
    if dialect == ReedQl.id() {
        return Ok(None);
    }
    let known = translators();
    let found = known.iter().find(|translator| translator.id() == dialect);
    found.cloned().map(Some).ok_or_else(|| {
        let names = [ReedQl.id()].into_iter().chain(known.iter().map(|known| known.id()));
        nearest(
            Error::not_found(format!("there is no dialect `{dialect}`")),
            "dialect",
            dialect,
            names,
        )
    })
}

fn plugin(family: &str, id: &str, brings: String) -> Plugin {
    let name = format!("reedbase-plugin-{family}{id}");
    // Those that are linked in have the version of the workspace.
    Plugin { name, version: env!("CARGO_PKG_VERSION").to_owned(), brings }
}
