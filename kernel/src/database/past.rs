//! The past of one table, put together of its files and the journal.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changeset, Error, Result, Shape, Timestamp};

use super::row::Row;
use super::snapshot::Snapshot;
use crate::changes::row_change;
use crate::delta::VersionInfo;
use crate::frame::{Action, ChangeBody};
use crate::history::{Versions, begins_later, rebuild};
use crate::state::{TableState, read_change};
use crate::store::Store;
use crate::table::{Key, Table, inverse, key_of, split};

/// A row as it was.
type OldRow = (Key<'static>, Bytes);

/// What a table was, of which rows were only updated since.
pub(super) struct Updated {
    /// The rows that were updated, as they were.
    pub(super) rows: Vec<OldRow>,
    /// The bytes and the rows of the table as it was.
    pub(super) totals: (u64, u64),
}

/// One moment in the life of a row.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RowVersion {
    /// The frame.
    pub timestamp: Timestamp,
    /// The row as the frame left it; `None` if it removed it.
    pub row: Option<Row>,
}

/// The past of one table, in files and in the journal.
pub(super) struct Past<'a> {
    pub(super) state: &'a TableState,
    store: &'a Store,
    pub(super) versions: Arc<Versions>,
    /// What is younger is only in the journal.
    newest: Timestamp,
}

impl<'a> Past<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, table: &str) -> Result<Self> {
        let state = snapshot.known(table)?;
        let store = snapshot.store();
        let versions = state.versions(store)?;
        let newest = versions.newest().min(state.until());
        Ok(Self { state, store, versions, newest })
    }

    /// The versions that have a line in the log.
    pub(super) fn logged(&self) -> impl Iterator<Item = &VersionInfo> {
        let until = self.state.until();
        self.versions.list().iter().take_while(move |version| version.timestamp <= until)
    }

    /// The versions that are only in the journal.
    pub(super) fn unlogged(&self) -> impl Iterator<Item = (Timestamp, Timestamp, Action)> {
        let newest = self.newest;
        let pending = self.state.pending().filter(move |p| p.info.timestamp > newest);
        pending.map(|p| (p.info.timestamp, p.change.base, p.change.action))
    }

    /// The bytes and the rows of the table at a version.
    pub(super) fn totals(&self, version: Timestamp) -> Option<(u64, u64)> {
        let logged = self.logged().find(|logged| logged.timestamp == version);
        let pending = self.state.pending().find(|pending| pending.info.timestamp == version);
        let pending = pending.map(|pending| (pending.change.size, pending.change.rows));
        logged.map(|logged| (logged.size, logged.rows)).or(pending)
    }

    /// All versions, oldest first.
    pub(super) fn timestamps(&self) -> impl Iterator<Item = Timestamp> {
        let logged = self.logged().map(|version| version.timestamp);
        logged.chain(self.unlogged().map(|(timestamp, ..)| timestamp))
    }

    /// What each version after one and not after another changed.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if what one of them changed was removed.
    pub(super) fn changes(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Changeset)>> {
        let until = until.min(self.state.version());
        if let Some(start) = self.versions.start().filter(|start| after < until.min(*start)) {
            return Err(begins_later(start).at_table(self.state.name().as_str()));
        }
        self.known_changes(after, until)
    }

    /// What all versions changed; the one that a shortened history begins with counts as making the whole table.
    pub(super) fn all_changes(&self) -> Result<Vec<(Timestamp, Changeset)>> {
        self.known_changes(Timestamp::ZERO, self.state.version())
    }

    fn known_changes(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Changeset)>> {
        let logged = self.versions.changes(after, until.min(self.newest))?;
        let mut changes: Vec<_> =
            logged.into_iter().map(|(version, changeset)| (version.timestamp, changeset)).collect();
        self.push_unlogged(after, until, &mut changes)?;
        Ok(changes)
    }

    fn push_unlogged(
        &self,
        after: Timestamp,
        until: Timestamp,
        changes: &mut Vec<(Timestamp, Changeset)>,
    ) -> Result<()> {
        let after = after.max(self.newest);
        for pending in self.state.pending() {
            let timestamp = pending.info.timestamp;
            if timestamp > after && timestamp <= until {
                changes.push((timestamp, read_change(&pending.change, timestamp, self.store)?));
            }
        }
        Ok(())
    }

    /// What each row was at a version, of those that were only updated since: `None` if anything else happened. Where an
    /// update gave a row another key, that does not show here: whoever uses it must compare the totals.
    pub(super) fn updated_since(&self, version: Timestamp) -> Result<Option<Vec<OldRow>>> {
        let mut rows = HashMap::new();
        for (_, changeset) in self.changes(version, self.state.version())? {
            if !changeset.only_updates() {
                return Ok(None);
            }
            for run in &changeset.removed {
                for (_, line) in split(run, changeset.after.delimiter())? {
                    let Some(key) = key_of(&line, &changeset.after) else { return Ok(None) };
                    rows.entry(key.into_owned()).or_insert_with(|| line.clone());
                }
            }
        }
        Ok(Some(rows.into_iter().collect()))
    }

    pub(super) fn table_at(&self, at: Timestamp) -> Result<Table> {
        let current = self.state.table(self.store)?;
        if at >= self.state.version() {
            return Ok(current.clone());
        }
        let version =
            self.timestamps().filter(|version| *version <= at).max().ok_or_else(|| {
                let never = || Error::not_found("the table did not exist yet");
                let error = self.versions.start().map_or_else(never, begins_later);
                error.at_table(self.state.name().as_str())
            })?;
        let back = self.changes_after(version);
        if version <= self.newest && self.versions.steps_to(version) < back {
            let rebuilt = rebuild(&self.versions, version, None);
            return rebuilt.map_err(|error| error.at_table(self.state.name().as_str()));
        }
        self.backwards(current.clone(), version)
    }

    /// How many versions follow one.
    fn changes_after(&self, version: Timestamp) -> usize {
        self.timestamps().filter(|other| *other > version).count()
    }

    fn backwards(&self, mut table: Table, version: Timestamp) -> Result<Table> {
        let changes = self.changes(version, table.version())?;
        let befores = [version].into_iter().chain(changes.iter().map(|(timestamp, _)| *timestamp));
        let befores: Vec<_> = befores.collect();
        for ((timestamp, changeset), before) in changes.iter().zip(befores).rev() {
            let shape = (**table.shape()).clone();
            let undone = table.apply(&inverse(changeset, &shape), before);
            table = undone
                .map_err(|error| error.at_table(self.state.name().as_str()).at_frame(*timestamp))?;
        }
        Ok(table)
    }

    /// The life of a row: what is in memory first, which needs no decoding.
    pub(super) fn row(&self, key: &Key<'_>) -> Result<Vec<RowVersion>> {
        let table = self.state.table(self.store)?;
        let mut life = Vec::new();
        let mut link = table.chain(key)?;
        while let Some(line) = link {
            let row = line.bytes().map(|row| Row::new(row.clone(), Arc::clone(table.shape())));
            life.push(RowVersion { timestamp: line.frame(), row });
            link = line.previous().cloned();
        }
        // A frame may have removed the row and added it again: what counts is how it left it.
        life.dedup_by_key(|moment: &mut RowVersion| moment.timestamp);
        let mut older = self.older(key, table)?;
        older.reverse();
        life.extend(older);
        let mut changed: Vec<RowVersion> = Vec::with_capacity(life.len());
        for moment in life.into_iter().rev() {
            if changed.last().is_none_or(|older| older.row != moment.row) {
                changed.push(moment);
            }
        }
        changed.reverse();
        Ok(changed)
    }

    /// What a row was up to the base of the table, oldest first.
    fn older(&self, key: &Key<'_>, table: &Table) -> Result<Vec<RowVersion>> {
        let until = table.base_version();
        let logged = self.versions.changes_of_key(key, until.min(self.newest))?;
        let logged = logged.into_iter().map(|(version, changeset)| (version.timestamp, changeset));
        let mut changes: Vec<_> = logged.collect();
        let bulk = self.versions.bulk()?.iter().copied();
        let mut bulk: Vec<Timestamp> = bulk.take_while(|timestamp| *timestamp <= until).collect();
        for pending in self.state.pending() {
            let timestamp = pending.info.timestamp;
            if timestamp > until {
                break;
            }
            if timestamp <= self.newest {
                continue;
            }
            match pending.change.body {
                ChangeBody::File { .. } => bulk.push(timestamp),
                ChangeBody::Inline(_) => {
                    changes.push((timestamp, read_change(&pending.change, timestamp, self.store)?));
                }
            }
        }
        let mut life = Vec::new();
        let mut state: Option<Bytes> = None;
        let mut bulk = bulk.into_iter().peekable();
        for (timestamp, changeset) in &changes {
            let Some((before, after)) = row_change(changeset, key)? else { continue };
            let shape =
                Arc::new(changeset.before.clone().unwrap_or_else(|| changeset.after.clone()));
            let skipped: Vec<_> =
                std::iter::from_fn(|| bulk.next_if(|bulk| bulk < timestamp)).collect();
            self.bridge(key, &skipped, &state, before, &shape, &mut life)?;
            let shape = Arc::new(changeset.after.clone());
            let row = after.clone().map(|row| Row::new(row, shape));
            life.push(RowVersion { timestamp: *timestamp, row });
            state = after;
        }
        let now = table.at_base(key)?;
        self.bridge(key, &bulk.collect::<Vec<_>>(), &state, now, table.shape(), &mut life)?;
        Ok(life)
    }

    /// What bulk versions did to a row follows from what it was before them and after them: they are read
    /// only if there are several that could have done it.
    fn bridge(
        &self,
        key: &Key<'_>,
        bulk: &[Timestamp],
        before: &Option<Bytes>,
        after: Option<Bytes>,
        shape: &Arc<Shape>,
        life: &mut Vec<RowVersion>,
    ) -> Result<()> {
        if let [timestamp] = bulk {
            if *before != after {
                let row = after.map(|row| Row::new(row, Arc::clone(shape)));
                life.push(RowVersion { timestamp: *timestamp, row });
            }
            return Ok(());
        }
        for timestamp in bulk {
            if self.versions.start() == Some(*timestamp) {
                let whole = rebuild(&self.versions, *timestamp, None)?;
                let row = whole.get(key)?.map(|row| Row::new(row, Arc::clone(whole.shape())));
                life.extend(row.map(|row| RowVersion { timestamp: *timestamp, row: Some(row) }));
                continue;
            }
            let just_before = timestamp.previous();
            for (timestamp, changeset) in self.changes(just_before, *timestamp)? {
                let Some((_, after)) = row_change(&changeset, key)? else { continue };
                let row = after.map(|row| Row::new(row, Arc::new(changeset.after.clone())));
                life.push(RowVersion { timestamp, row });
            }
        }
        Ok(())
    }
}
