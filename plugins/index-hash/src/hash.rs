//! A run, and what changed since. In the overlay a value is its hash, in bytes.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Entries, Result};
use reedbase_plugin_index_kit::Overlay;
use xxhash_rust::xxh3::xxh3_64;

use crate::run::Run;

/// An index by the hashes of values.
#[derive(Debug, Clone)]
pub(crate) struct Hash {
    pub(crate) run: Arc<Run>,
    pub(crate) overlay: Overlay,
}

impl Hash {
    pub(crate) fn build(entries: &Entries) -> Result<Self> {
        let hashed = entries.iter().map(|(value, key)| (xxh3_64(value), key));
        Ok(Self { run: Arc::new(Run::build(hashed.collect())?), overlay: Overlay::default() })
    }

    pub(crate) fn open(bytes: Bytes) -> Result<Self> {
        Ok(Self { run: Arc::new(Run::open(bytes)?), overlay: Overlay::default() })
    }

    /// The run with what changed.
    pub(crate) fn merged(&self) -> Result<Run> {
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
