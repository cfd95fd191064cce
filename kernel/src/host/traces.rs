//! What a transaction touched in the tables that have indices.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::TableName;

use crate::index::{Pending, Touched};
use crate::table::Key;

/// What was touched, by table.
#[derive(Debug, Default)]
pub(super) struct Traces(HashMap<TableName, Arc<Touched>>);

/// How much was touched.
#[derive(Debug, Clone)]
pub(super) struct Trail(HashMap<TableName, (Arc<Touched>, usize)>);

impl Traces {
    /// A row is touched.
    pub(super) fn note(&mut self, table: &TableName, key: Key<'static>) {
        if let Some(touched) = self.0.get(table) {
            return touched.note(key);
        }
        self.0.entry(table.clone()).or_default().note(key);
    }

    /// A table was made or changed as a whole: what its past says means nothing any more.
    pub(super) fn renew(&mut self, table: &TableName) {
        self.0.insert(table.clone(), Arc::new(Touched::of_new()));
    }

    /// The state that a table is in; `None` if nothing was done to it.
    pub(super) fn pending(&self, table: &TableName) -> Option<Pending> {
        self.0.get(table).map(Pending::now)
    }

    /// How far it has come.
    pub(super) fn trail(&self) -> Trail {
        let all = self.0.iter();
        let all = all.map(|(name, touched)| (name.clone(), (Arc::clone(touched), touched.place())));
        Trail(all.collect())
    }

    /// What was touched since is undone, which touches it once more.
    pub(super) fn go_back(&mut self, trail: &Trail) {
        let known = trail.0.iter();
        self.0 = known
            .map(|(name, (touched, place))| {
                touched.repeat(*place);
                (name.clone(), Arc::clone(touched))
            })
            .collect();
    }
}
