//! Which rows frames touched: what is derived of a table is brought up to date by them.

use std::collections::BTreeSet;

use reedbase_plugin_api::{Changeset, Result, Timestamp};

use super::past::Past;
use super::snapshot::Snapshot;
use crate::store::retry;
use crate::table::{key_of, split};

impl Snapshot {
    /// The keys of rows that frames touched after a version of a table, as texts; `None` if there are more than `most`, if a
    /// frame changed columns, or if the history of that time was removed.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or damage of its history.
    pub fn keys_changed_since(
        &self,
        table: &str,
        version: Timestamp,
        most: usize,
    ) -> Result<Option<Vec<Vec<String>>>> {
        let changes = retry(|| {
            let past = Past::of(self, table)?;
            match past.changes(version, past.state.version()) {
                Err(error) if error.is_not_found() => Ok(None),
                changes => changes.map(Some),
            }
        })?;
        let mut keys = BTreeSet::new();
        for (_, changeset) in changes.iter().flatten() {
            if !add_keys(changeset, most, &mut keys)? {
                return Ok(None);
            }
        }
        Ok(changes.map(|_| keys.into_iter().collect()))
    }
}

/// Adds the keys of the lines that a changeset touched; `false` if they are too many, or if they are cut otherwise.
fn add_keys(changeset: &Changeset, most: usize, keys: &mut BTreeSet<Vec<String>>) -> Result<bool> {
    let Some(before) = &changeset.before else { return Ok(false) };
    let count = changeset.removed_count() + changeset.added_count();
    if *before != changeset.after || keys.len() as u64 + count > most as u64 {
        return Ok(false);
    }
    for (runs, shape) in [(&changeset.removed, before), (&changeset.added, &changeset.after)] {
        for run in runs {
            for (_, line) in split(run, shape.delimiter())? {
                if let Some(key) = key_of(&line, shape).filter(|_| !shape.is_blank(&line)) {
                    keys.insert(key.parts(shape.key().len()));
                }
            }
        }
    }
    Ok(true)
}
