//! The plugins that are linked in: the one place where they are named.

use std::sync::Arc;

use reedbase_kernel::host::{Plugin, Plugins};
use reedbase_kernel::index::Kinds;
use reedbase_plugin_api::{Dialect, IndexKind};
use reedbase_plugin_index_btree::BTreeKind;
use reedbase_plugin_index_composite::CompositeKind;
use reedbase_plugin_index_hash::HashKind;
use reedbase_plugin_reedql::ReedQl;

/// All of them. Kinds of index stand in the order of preference where nobody says which.
pub(crate) fn linked() -> Plugins {
    let kinds: Vec<Arc<dyn IndexKind>> =
        vec![Arc::new(BTreeKind), Arc::new(CompositeKind), Arc::new(HashKind)];
    let mut list: Vec<_> = kinds
        .iter()
        .map(|kind| plugin("index-", kind.id(), format!("index {}", kind.id())))
        .collect();
    list.push(plugin("", ReedQl.id(), format!("dialect {}", ReedQl.id())));
    Plugins { kinds: Kinds::new(kinds), list }
}

fn plugin(family: &str, id: &str, brings: String) -> Plugin {
    let name = format!("reedbase-plugin-{family}{id}");
    // Those that are linked in have the version of the workspace.
    Plugin { name, version: env!("CARGO_PKG_VERSION").to_owned(), brings }
}
