//! The index kind `btree`: one column, in order. It finds equal values, ranges and beginnings of texts.
//!
//! Entries stand sorted in a run, a piece of memory that is searched by halving; what changed since it was made
//! stands in a tree beside it. When that has grown to a quarter of the run, both become another run. So a change costs
//! O(log n), and a search reads memory that lies close together.

#![forbid(unsafe_code)]

mod run;
mod tree;
mod search;
mod index;

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Entries, Index, IndexKind, Result};

use crate::tree::Tree;

/// The kind `btree`, or another that keeps its entries in the same way.
#[derive(Debug, Clone, Copy)]
pub struct BTreeKind {
    id: &'static str,
    max_columns: usize,
}

impl BTreeKind {
    /// A kind of this name, of up to so many columns.
    pub fn named(id: &'static str, max_columns: usize) -> Self {
        Self { id, max_columns }
    }
}

impl Default for BTreeKind {
    fn default() -> Self {
        Self::named("btree", 1)
    }
}

impl IndexKind for BTreeKind {
    fn id(&self) -> &str {
        self.id
    }

    fn max_columns(&self) -> usize {
        self.max_columns
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
        reedbase_plugin_index_kit::conform(&BTreeKind::default());
    }
}
