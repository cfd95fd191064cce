//! A run, and what changed since.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Entries, Result};
use reedbase_plugin_index_kit::Overlay;

use crate::run::Run;

/// An index in order. Its entries may have values of any number of columns.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) run: Arc<Run>,
    pub(crate) overlay: Overlay,
}

impl Tree {
    /// The index of these entries. Cost: O(n log n).
    ///
    /// # Errors
    /// [`Limit`](reedbase_plugin_api::ErrorKind::Limit) beyond 4 GiB.
    pub(crate) fn build(entries: &Entries) -> Result<Self> {
        Ok(Self { run: Arc::new(Run::build(entries)?), overlay: Overlay::default() })
    }

    /// The index that was written. Cost: one of sixteen entries is looked at.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if the bytes are no index.
    pub(crate) fn open(bytes: Bytes) -> Result<Self> {
        Ok(Self { run: Arc::new(Run::open(bytes)?), overlay: Overlay::default() })
    }

    /// The run with what changed.
    pub(crate) fn merged(&self) -> Result<Run> {
        Run::of_sorted(&self.overlay.merged(self.run.iter())?)
    }
}
