//! Taking an outside edit in, or putting it aside.

use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, Result, TableName};

use super::checkpoint::{self, CheckpointReport};
use super::commit::Commit;
use super::inner::Inner;
use super::outside::OutsideEdit;
use super::parked::CONFLICTS;
use super::snapshot::Snapshot;
use super::table_file::EDITED;
use super::transaction::{OnConflict, Transaction};
use crate::frame::Action;
use crate::mark::table_path;

/// How long a file must have held still, in microseconds.
const STILL: i64 = 1_000_000;

/// How an edit is adopted.
#[derive(Debug, Clone, Default)]
pub struct Adopt {
    name: Option<String>,
    user: Option<String>,
    force: bool,
    on_conflict: OnConflict,
}

impl Adopt {
    /// Only what held still for a second, and does not remove most of a table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the frame a name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Who made the edit; without it, whom the database was opened for.
    #[must_use]
    pub fn by(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// What becomes of what frames changed meanwhile in another way: unless it is said, nothing is adopted then.
    #[must_use]
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.on_conflict = on_conflict;
        self
    }

    /// Also an edit that removes more than half of the rows.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }
}

/// Makes one frame of some edits, which were read on this snapshot.
pub(super) fn adopt(
    inner: &Arc<Inner>,
    snapshot: Snapshot,
    edits: Vec<OutsideEdit>,
    how: &Adopt,
) -> Result<Commit> {
    for edit in &edits {
        check(inner, edit, how)?;
        edit.prepared.files.sync(&**inner.store.storage(), &edit.table)?;
    }
    let (picks, edits): (Vec<_>, Vec<_>) =
        edits.into_iter().partition(|edit| edit.table.is_reserved());
    let mut first = None;
    let mut snapshot = snapshot;
    for picks in picks {
        // A frame of its own: what is decided and what is edited may be the same table.
        first = Some(adopt_picks(inner, &snapshot, picks, how)?);
        let visible = inner.flush.visible();
        snapshot = Snapshot::new(visible, Arc::clone(&inner.store));
    }
    match first {
        Some(commit) if edits.is_empty() => Ok(commit),
        Some(Commit { stale_picks, .. }) => {
            adopt_edits(inner, snapshot, edits, how).map(|commit| Commit { stale_picks, ..commit })
        }
        None => adopt_edits(inner, snapshot, edits, how),
    }
}

fn begin(inner: &Arc<Inner>, snapshot: Snapshot, how: &Adopt) -> Transaction {
    let transaction = Transaction::new(Arc::clone(inner), snapshot);
    let mut transaction = transaction.on_conflict(how.on_conflict);
    transaction.name.clone_from(&how.name);
    transaction.user.clone_from(&how.user);
    transaction
}

/// Decides the conflicts for which somebody wrote a pick into their table.
fn adopt_picks(
    inner: &Arc<Inner>,
    snapshot: &Snapshot,
    edit: OutsideEdit,
    how: &Adopt,
) -> Result<Commit> {
    let mut transaction = begin(inner, snapshot.clone(), how);
    transaction.edit_any(CONFLICTS, Action::RESOLVE, |_| Ok(()))?;
    let stale_picks = transaction.take_picks(&edit.prepared.after)?;
    let adopted = edit.prepared.files.adopted(inner.store.hashes());
    transaction.adopted.insert(edit.table.clone(), adopted);
    let commit = transaction.commit()?;
    checkpoint::settle(inner, &[edit.table])?;
    Ok(Commit { stale_picks, ..commit })
}

/// Makes one frame of edits of people's own tables.
fn adopt_edits(
    inner: &Arc<Inner>,
    snapshot: Snapshot,
    edits: Vec<OutsideEdit>,
    how: &Adopt,
) -> Result<Commit> {
    let mut transaction = begin(inner, snapshot, how);
    transaction.written_at = edits.iter().map(|edit| edit.saved).max();
    let mut kept = Vec::new();
    let tables: Vec<TableName> = edits.iter().map(|edit| edit.table.clone()).collect();
    for OutsideEdit { table, prepared, .. } in edits {
        kept.extend(prepared.kept.clone().map(|name| (table.clone(), name)));
        if prepared.changeset.is_empty() {
            continue;
        }
        prepared.add_to(&mut transaction, &table);
        if prepared.kept.is_none() {
            let adopted = prepared.files.adopted(inner.store.hashes());
            transaction.adopted.insert(table, adopted);
        }
    }
    let commit = transaction.commit()?;
    checkpoint::settle(inner, &tables)?;
    let now = commit.frame.as_ref().map_or_else(|| inner.clock.now(), |frame| frame.timestamp);
    for (table, name) in kept {
        let adopted = format!("{}.adopted-{now}", name.split(EDITED).next().unwrap_or(&name));
        let storage = inner.store.storage();
        storage.rename(&table_path(&table, &name), &table_path(&table, &adopted))?;
    }
    Ok(commit)
}

/// Completes what a crash left: tables of which an edit was adopted, and no mark says so. Where that fails, the disk
/// being full say, the journal goes on knowing their files.
pub(super) fn finish(inner: &Inner) {
    let state = inner.flush.visible();
    let left = state.tables().filter(|table| table.adopted().next().is_some());
    let left: Vec<TableName> = left.map(|table| table.name().clone()).collect();
    if !left.is_empty() && inner.check_writable().is_ok() {
        drop(checkpoint::settle(inner, &left));
    }
}

/// Whether an edit can be adopted.
fn check(inner: &Inner, edit: &OutsideEdit, how: &Adopt) -> Result<()> {
    let error = |kind, message: &str| Error::new(kind, message).at_table(edit.table.as_str());
    if edit.removes_most && !how.force {
        return Err(error(ErrorKind::OutsideEdit, "the edit removes more than half of the rows")
            .help("if that is meant, adopt it with --force; else look whether the file is whole"));
    }
    let still = inner.clock.now().as_micros().saturating_sub(edit.saved.as_micros());
    if (0..STILL).contains(&still) {
        return Err(error(ErrorKind::Busy, "the file was saved less than a second ago")
            .help("wait a second, so that it is sure to be whole"));
    }
    Ok(())
}

/// Puts edits aside and the newest versions in their place; gives the names under which the edits stay.
pub(super) fn discard(
    inner: &Inner,
    snapshot: &Snapshot,
    tables: &[TableName],
) -> Result<CheckpointReport> {
    let now = inner.clock.now().max(snapshot.frame());
    checkpoint::write_over(inner, tables, now)
}
