//! A search in a hash: first the run, then what came beside it.

use std::ops::Range as Places;
use std::sync::Arc;

use reedbase_plugin_api::{IndexSearch, Keys, Range};
use reedbase_plugin_index_kit::Window;

use crate::hash::{Hash, word};

/// A search that is under way.
pub(crate) struct Search {
    hash: Arc<Hash>,
    /// The entries of the run that were not looked at yet.
    run: Places<usize>,
    /// The same for what came, by its bytes; `None` if nothing did.
    added: Option<Window>,
}

impl Search {
    /// A search for the values with this hash, or for all.
    pub(crate) fn new(hash: Arc<Hash>, wanted: Option<u64>) -> Self {
        let run = wanted.map_or(0..hash.run.len(), |wanted| hash.run.of_hash(wanted));
        let came = hash.overlay.added_count() > 0;
        let value = || wanted.map(|wanted| word(wanted).to_vec()).unwrap_or_default();
        let added = came.then(|| Window::of(&Range::Equal(value())));
        Self { hash, run, added }
    }

    fn is_there(&self, at: usize) -> bool {
        let overlay = &self.hash.overlay;
        overlay.removed_count() == 0 || {
            let (hash, key) = (word(self.hash.run.hash(at)), self.hash.run.key(at));
            !overlay.is_removed(&[&hash[..], key].concat())
        }
    }
}

impl IndexSearch for Search {
    fn next(&mut self, max: usize, keys: &mut Keys) -> bool {
        while keys.len() < max {
            let Some(at) = self.run.next() else { break };
            if self.is_there(at) {
                keys.push(self.hash.run.key(at));
            }
        }
        if !self.run.is_empty() {
            return true;
        }
        let Some(window) = self.added.take() else { return false };
        let mut rest = window.clone();
        for (value, key) in self.hash.overlay.added(&window) {
            if keys.len() == max {
                self.added = Some(rest);
                return true;
            }
            keys.push(key);
            rest.from = [value, key, &[0]].concat();
        }
        false
    }
}
