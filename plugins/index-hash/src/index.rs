//! What an index of this kind does.

use std::sync::Arc;

use reedbase_plugin_api::{Changes, Entries, Index, IndexSearch, Range, Result};
use reedbase_plugin_index_kit::Overlay;
use xxhash_rust::xxh3::xxh3_64;

use crate::hash::{Hash, word};
use crate::search::Search;

fn hashed(entries: &Entries) -> Result<Entries> {
    let mut hashed = Entries::default();
    entries.iter().try_for_each(|(value, key)| hashed.push(&word(xxh3_64(value)), key))?;
    Ok(hashed)
}
impl Index for Hash {
    fn len(&self) -> u64 {
        (self.run.len() + self.overlay.added_count() - self.overlay.removed_count()) as u64
    }

    fn byte_count(&self) -> u64 {
        // A node of the overlay takes about as much.
        let changes = self.overlay.len() * 128;
        (self.run.bytes().len() + self.run.directory_bytes() + changes) as u64
    }

    fn with(self: Arc<Self>, changes: &Changes) -> Result<Arc<dyn Index>> {
        let changes =
            Changes { removed: hashed(&changes.removed)?, added: hashed(&changes.added)? };
        let mut after = Arc::unwrap_or_clone(self);
        after.overlay.add(&changes);
        if after.overlay.is_large(after.run.len()) {
            (after.run, after.overlay) = (Arc::new(after.merged()?), Overlay::default());
        }
        Ok(Arc::new(after))
    }

    fn search(self: Arc<Self>, range: &Range) -> Box<dyn IndexSearch> {
        let hash = match range {
            Range::Equal(value) => Some(xxh3_64(value)),
            // Nobody should ask; all is never too little.
            Range::Between { .. } => None,
        };
        Box::new(Search::new(self, hash))
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self.overlay.is_empty() {
            true => self.run.bytes().to_vec(),
            // Entries that fitted into memory fit into one piece of it, or the index is done without.
            false => self.merged().map(|run| run.bytes().to_vec()).unwrap_or_default(),
        }
    }
}
