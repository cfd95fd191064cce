//! The plugins that are linked in: the one place where they are named.

use std::sync::Arc;

use reedbase_kernel::index::Kinds;
use reedbase_plugin_index_btree::BTreeKind;
use reedbase_plugin_index_composite::CompositeKind;
use reedbase_plugin_index_hash::HashKind;

/// The kinds of index, in the order of preference where nobody says which.
pub(crate) fn index_kinds() -> Kinds {
    Kinds::new(vec![Arc::new(BTreeKind), Arc::new(CompositeKind), Arc::new(HashKind)])
}
