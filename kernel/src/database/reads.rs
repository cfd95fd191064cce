//! What was read through a handle: the tables, and whether it was asked which tables there are. A result that was made of
//! them holds as long as they stay as they are.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reedbase_plugin_api::TableName;

/// Notes what is read.
#[derive(Debug, Default)]
pub struct Reads(Mutex<Noted>);

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Noted {
    /// Tables, as they are spelled.
    pub tables: BTreeSet<TableName>,
    /// The names of the tables.
    pub names: bool,
    /// Something that any frame may change.
    pub everything: bool,
}

impl Reads {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn table(&self, name: &TableName) {
        let mut noted = self.noted();
        if !noted.tables.contains(name) {
            noted.tables.insert(name.clone());
        }
    }

    pub(super) fn names(&self) {
        self.noted().names = true;
    }

    pub(super) fn everything(&self) {
        self.noted().everything = true;
    }

    /// What else was read: by a part of the work whose result was known.
    pub fn add(&self, other: &Noted) {
        let mut noted = self.noted();
        noted.tables.extend(other.tables.iter().cloned());
        noted.names |= other.names;
        noted.everything |= other.everything;
    }

    /// What was read so far.
    pub fn so_far(&self) -> Noted {
        self.noted().clone()
    }
}
