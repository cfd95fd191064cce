//! A run, and what changed since. In the overlay a value is its hash, in bytes.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changes, Entries, Index, IndexSearch, Range, Result};
use reedbase_plugin_index_kit::Overlay;
use xxhash_rust::xxh3::xxh3_64;

use crate::run::Run;
use crate::search::Search;

/// An index by the hashes of values.
#[derive(Debug, Clone)]
pub(crate) struct Hash {
    pub(crate) run: Arc<Run>,
    pub(crate) overlay: Overlay,
}

/// Fewer changes than these stay beside the run, however small it is.
const CHANGES_MIN: usize = 1024;

impl Hash {
    pub(crate) fn build(entries: &Entries) -> Result<Self> {
        let hashed = entries.iter().map(|(value, key)| (xxh3_64(value), key));
        Ok(Self { run: Arc::new(Run::build(hashed.collect())?), overlay: Overlay::default() })
    }

    pub(crate) fn open(bytes: Bytes) -> Result<Self> {
        Ok(Self { run: Arc::new(Run::open(bytes)?), overlay: Overlay::default() })
    }

    fn merged(&self) -> Result<Run> {
        let all = Entries::default();
        let mut whole = Vec::new();
        let stays = |at: &usize| {
            whole.clear();
            whole.extend(word(self.run.hash(*at)));
            whole.extend_from_slice(self.run.key(*at));
            !self.overlay.is_removed(&whole)
        };
        let run = (0..self.run.len()).filter(stays).map(|at| (self.run.hash(at), self.run.key(at)));
        let mut entries: Vec<_> = run.collect();
        let added = self.overlay.merged(all.iter())?;
        entries.extend(added.iter().map(|(value, key)| (number(value), key)));
        Run::build(entries)
    }
}

/// A hash as bytes.
pub(crate) fn word(hash: u64) -> [u8; 8] {
    hash.to_le_bytes()
}

fn number(word: &[u8]) -> u64 {
    word.first_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word))
}

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
        if after.overlay.len() > CHANGES_MIN.max(after.run.len() / 4) {
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
