//! The index kind `composite`: several columns, in order. It finds equal values of the first columns, and a range or the
//! beginning of a text in the one behind them.
//!
//! The values of the columns stand one behind the other, and no value's bytes are the beginning of another's. So it is the
//! index of kind `btree` with longer values.

#![forbid(unsafe_code)]

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Entries, Index, IndexKind, Result};
use reedbase_plugin_index_btree::Tree;

/// The kind `composite`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompositeKind;

impl IndexKind for CompositeKind {
    fn id(&self) -> &str {
        "composite"
    }

    fn max_columns(&self) -> usize {
        16
    }

    fn is_ordered(&self) -> bool {
        true
    }

    fn build(&self, entries: &Entries) -> Result<Arc<dyn Index>> {
        Ok(Arc::new(Tree::build(entries)?))
    }

    fn open(&self, bytes: Bytes) -> Result<Arc<dyn Index>> {
        Ok(Arc::new(Tree::open(bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_conforms() {
        reedbase_plugin_index_kit::conform(&CompositeKind);
    }
}
