//! The kinds of index that there are.

use std::fmt;
use std::sync::Arc;

use reedbase_plugin_api::{Error, IndexKind, Result, nearest};

/// The kinds of index that a database was opened with.
#[derive(Clone, Default)]
pub struct Kinds(Vec<Arc<dyn IndexKind>>);

impl Kinds {
    /// These, in the order of preference where nobody says which.
    pub fn new(kinds: Vec<Arc<dyn IndexKind>>) -> Self {
        Self(kinds)
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) with the nearest name.
    pub fn get(&self, id: &str) -> Result<&Arc<dyn IndexKind>> {
        self.0.iter().find(|kind| kind.id().eq_ignore_ascii_case(id)).ok_or_else(|| {
            let error = Error::not_found(format!("there is no kind of index `{id}`"));
            nearest(error, "kind of index", id, self.0.iter().map(|kind| kind.id()))
        })
    }

    /// The first kind that can have so many columns.
    pub fn with_columns(&self, count: usize) -> Option<&Arc<dyn IndexKind>> {
        self.0.iter().find(|kind| kind.max_columns() >= count)
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|kind| kind.id())).finish()
    }
}
