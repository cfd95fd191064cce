//! Removing history because somebody asks for it. What happened in the last hour stays unless he insists: a reader that holds
//! a snapshot may need it. The table of conflicts keeps its history whole.

use std::sync::PoisonError;

use reedbase_plugin_api::{Result, TableName, Timestamp};

use super::forget::{Compacted, compact_table, forget_frames, not_needed};
use super::handle::Database;
use super::keep::Keep;
use super::past::Past;
use super::snapshot::{Snapshot, find_known};
use super::table_file::TableFile;
use crate::storage::{LockGuard, LockMode};

/// What is removed of a history.
#[derive(Debug, Clone, Default)]
pub struct Compact {
    keep: Keep,
    young: bool,
}

impl Compact {
    /// All but this much.
    pub fn keep(keep: Keep) -> Self {
        Self { keep, young: false }
    }

    /// Also what happened in the last hour. Programs that read an older snapshot may be told that it is gone.
    #[must_use]
    pub fn young(mut self, young: bool) -> Self {
        self.young = young;
        self
    }
}

/// What was removed.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CompactReport {
    /// The tables that have less history.
    pub tables: Vec<Compacted>,
    /// How many frames left the index, since nothing is left of them.
    pub frames: u64,
}

impl Database {
    /// Removes history: what happened before cannot be seen or brought back any more. Costs a whole copy of each table and
    /// the reading of one pack, whatever the length of the history.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for a table, damage of what stays, or those of the storage.
    pub fn compact(&self, tables: &[&str], how: &Compact) -> Result<CompactReport> {
        self.checkpoint(tables)?;
        let inner = &*self.inner;
        let mut report = CompactReport::default();
        let Some(lock) = &inner.checkpoint_lock else { return Ok(report) };
        let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _alone = LockGuard::new(&**lock, LockMode::Exclusive)?;
        let snapshot = self.newest()?;
        for (name, _, start) in self.starts(&snapshot, tables, how)? {
            // What was committed since the checkpoint is in the journal alone.
            let start = start.min(inner.store.versions(&name)?.newest());
            if start == Timestamp::ZERO {
                continue;
            }
            let state = find_known(snapshot.state(), name.as_str())?;
            TableFile::new(inner, state).remove_old()?;
            let current = state.table(&inner.store)?;
            report.tables.extend(compact_table(inner, &name, start, current)?);
        }
        report.frames = forget_frames(inner)?;
        Ok(report)
    }

    /// What [`compact`](Self::compact) would remove; bytes are not known before.
    ///
    /// # Errors
    /// Those of [`compact`](Self::compact). Nothing is written.
    pub fn plan_compact(&self, tables: &[&str], how: &Compact) -> Result<Vec<Compacted>> {
        let planned = self.starts(&self.newest()?, tables, how)?.into_iter();
        let planned =
            planned.map(|(table, versions, start)| Compacted { table, start, versions, bytes: 0 });
        Ok(planned.collect())
    }

    /// Of each table that loses versions, how many, and the one it begins with then.
    fn starts(
        &self,
        snapshot: &Snapshot,
        tables: &[&str],
        how: &Compact,
    ) -> Result<Vec<(TableName, u64, Timestamp)>> {
        let now = self.inner.clock.now();
        let named =
            tables.iter().map(|name| Ok(find_known(snapshot.state(), name)?.name().clone()));
        let named = named.collect::<Result<Vec<TableName>>>()?;
        let mut starts = Vec::new();
        for table in snapshot.state().tables() {
            let name = table.name();
            if name.is_reserved() || !(named.is_empty() || named.contains(name)) {
                continue;
            }
            let versions: Vec<_> = Past::of(snapshot, name.as_str())?.timestamps().collect();
            let start = how.keep.start(&versions, now, how.young);
            let file = TableFile::new(&self.inner, table);
            if let Some(start) = not_needed(&file, true, &versions, start)? {
                let before = versions.partition_point(|version| *version < start);
                starts.push((name.clone(), before as u64, start));
            }
        }
        Ok(starts)
    }
}
