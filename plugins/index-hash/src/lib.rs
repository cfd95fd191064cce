//! The index kind `hash`: equal values only, of up to sixteen columns. It is smaller than a `btree`, since it keeps eight
//! bytes of a value however long that is, and finds a value without halving.
//!
//! Entries stand in a run sorted by the hash of their value, in which a directory says where to look; what
//! changed since stands in a tree beside it.

#![forbid(unsafe_code)]

mod run;
mod hash;
mod search;
mod index;

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Entries, Index, IndexKind, Result};

use crate::hash::Hash;

/// The kind `hash`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HashKind;

impl IndexKind for HashKind {
    fn id(&self) -> &str {
        "hash"
    }

    fn max_columns(&self) -> usize {
        16
    }

    fn is_ordered(&self) -> bool {
        false
    }

    fn build(&self, entries: &Entries) -> Result<Arc<dyn Index>> {
        Ok(Arc::new(Hash::build(entries)?))
    }

    fn open(&self, bytes: Bytes) -> Result<Arc<dyn Index>> {
        Ok(Arc::new(Hash::open(bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_conforms() {
        reedbase_plugin_index_kit::conform(&HashKind);
    }
}
