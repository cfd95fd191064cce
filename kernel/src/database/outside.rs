//! Outside edits: what somebody did to a table's files in an editor or a spreadsheet, seen as a change of rows.
//!
//! Three tables meet. The *base* is the version that the files held when they were last ours; *theirs* is what
//! the files hold now; *ours* is the newest version, which frames committed since have made of the base. The
//! edit is what makes theirs of the base, whatever ours has become. Where both sides changed other rows, the
//! result is theirs with our rows put in; a row that both changed, each in another way, is a conflict.

use std::sync::Arc;

use reedbase_plugin_api::{Changeset, Error, ErrorKind, Result, TableName, Timestamp};

use super::compare::compare;
use super::edited_table::EditedFiles;
use super::history::{Diff, RowDiff, row_diff};
use super::inner::Inner;
use super::past::Past;
use super::row::{Row, same, spelled_for};
use super::snapshot::{Snapshot, find_table};
use super::table_file::{TableFile, edited_from, is_beside};
use crate::changes::{RowChange, RowChanges};
use crate::table::{Edit, Stamp, Table};

/// What somebody did to a table's files outside ReedBase.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OutsideEdit {
    /// The table.
    pub table: TableName,
    /// The version that the files were made from.
    pub base: Timestamp,
    /// When the file was saved last, by the clock of the file system.
    pub saved: Timestamp,
    /// What the edit did.
    pub diff: Diff,
    /// The rows that frames committed since the base changed in another way. Until these are decided, the edit
    /// cannot be adopted.
    pub conflicts: Vec<Conflict>,
    /// Rows that the edit makes what they were at an older version, if there are any: a hint that the file was
    /// made from an older copy.
    pub older: Option<OlderRows>,
    /// Whether it removes more than half of the rows: a hint that the file was cut.
    pub removes_most: bool,
    pub(super) prepared: Prepared,
}

/// A row that the file and frames committed since changed, each in another way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conflict {
    /// What frames made of it.
    pub ours: RowDiff,
    /// What the file makes of it.
    pub theirs: RowDiff,
}

/// Rows that an edit makes what they were before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OlderRows {
    /// How many there are among those looked at, the first hundred.
    pub rows: u64,
    /// The newest version at which all of them were so; `None` if there is none.
    pub version: Option<Timestamp>,
}

/// What it takes to adopt an edit.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) files: EditedFiles,
    /// The name of the file, if it is not `current.csv`.
    pub(super) kept: Option<String>,
    /// The version that frames had made when the edit was read.
    pub(super) ours: Timestamp,
    /// That version with the edit put in, and what it takes to get there.
    pub(super) merged: Table,
    pub(super) changeset: Changeset,
}

/// The tables whose files were edited outside.
pub(super) fn edited_tables(inner: &Inner, snapshot: &Snapshot) -> Result<Vec<TableName>> {
    let mut edited = Vec::new();
    for state in snapshot.state().tables() {
        if TableFile::new(inner, state).edited()?.any() {
            edited.push(state.name().clone());
        }
    }
    Ok(edited)
}

/// Reads the edit of a table; `None` if nothing was edited. `base` is the version it was made from, where a person
/// knows better than the mark; `kept` is the name of a file beside `current.csv` that holds it.
pub(super) fn read(
    inner: &Inner,
    snapshot: &Snapshot,
    name: &str,
    base: Option<Timestamp>,
    kept: Option<&str>,
) -> Result<Option<OutsideEdit>> {
    let state = find_table(snapshot.state(), name)?;
    if let Some(kept) = kept.filter(|kept| !is_beside(kept)) {
        return Err(Error::usage(format!("`{kept}` is no edit that was kept beside the table"))
            .help("rdb status names those there are: current.csv.edited-…")
            .at_table(state.name().as_str()));
    }
    if kept.is_none() && !TableFile::new(inner, state).edited()?.any() {
        return Ok(None);
    }
    let read = || -> Result<OutsideEdit> {
        let storage = &**inner.store.storage();
        let mark = inner.store.look(state.name())?.map(|look| look.mark.version);
        let said = kept.and_then(edited_from);
        let base = base.or(said).or(mark).unwrap_or_else(|| state.version());
        let files = EditedFiles::read(storage, state.name(), kept.unwrap_or("current.csv"))?;
        let past = Past::of(snapshot, name)?;
        let ours = state.table(&inner.store)?.flatten()?;
        let base =
            if base == ours.version() { ours.clone() } else { past.table_at(base)?.flatten()? };
        let theirs = files.as_table(storage, &base)?;
        let changes = compare(&base, &theirs)?;
        let (merged, conflicts) = merge(&past, &base, &ours, &theirs, &changes)?;
        let ours_is_base = ours.version() == base.version();
        let changeset = if ours_is_base { changes.clone() } else { compare(&ours, &merged)? };
        let kept = kept.map(str::to_owned);
        let prepared = Prepared { files, kept, ours: ours.version(), merged, changeset };
        describe(state.name(), &past, &base, &changes, conflicts, prepared)
    };
    read().map(Some).map_err(|error| error.at_table(state.name().as_str()))
}

/// What an edit does, and what looks odd about it.
fn describe(
    name: &TableName,
    past: &Past<'_>,
    base: &Table,
    changes: &Changeset,
    conflicts: Vec<Conflict>,
    prepared: Prepared,
) -> Result<OutsideEdit> {
    let mut rows = RowChanges::default();
    rows.add(changes)?;
    let changes = rows.finish();
    let removed = changes.rows.iter().filter(|row| row.after.is_none()).count() as u64;
    Ok(OutsideEdit {
        table: name.clone(),
        base: base.version(),
        saved: Timestamp::from_micros(prepared.files.stat.modified / 1000),
        older: older_rows(past, base, &changes.rows)?,
        diff: Diff::new(changes, base.version(), Timestamp::MAX),
        conflicts,
        removes_most: removed * 2 > base.rows(),
        prepared,
    })
}

/// How many rows are looked up in the history.
const LOOKED_UP: usize = 100;

/// The rows that are made what they were before the base.
fn older_rows(past: &Past<'_>, base: &Table, rows: &[RowChange]) -> Result<Option<OlderRows>> {
    let (mut count, mut from, mut until) = (0, Timestamp::ZERO, Timestamp::MAX);
    for row in rows.iter().filter(|row| row.after.is_some()).take(LOOKED_UP) {
        let Some((bytes, shape)) = &row.after else { continue };
        let after = Row::new(bytes.clone(), Arc::clone(shape));
        let mut end = Timestamp::MAX;
        for moment in past.row(&row.key)? {
            if same(moment.row.as_ref(), Some(&after))
                && moment.timestamp < base.version()
                && end < Timestamp::MAX
            {
                count += 1;
                from = from.max(moment.timestamp);
                until = until.min(end);
                break;
            }
            end = moment.timestamp;
        }
    }
    if count == 0 {
        return Ok(None);
    }
    let versions = past.timestamps().filter(|version| (from..until).contains(version));
    Ok(Some(OlderRows { rows: count, version: versions.max() }))
}

/// Theirs, with what frames committed since the base changed; and where that did not work. Until three-way merging
/// exists, a row that both changed in different ways is a conflict, and a change of columns beside any other
/// change is refused.
fn merge(
    past: &Past<'_>,
    base: &Table,
    ours: &Table,
    theirs: &Table,
    changes: &Changeset,
) -> Result<(Table, Vec<Conflict>)> {
    if ours.version() == base.version() {
        return Ok((theirs.clone(), Vec::new()));
    }
    if changes.is_empty() {
        return Ok((ours.clone(), Vec::new()));
    }
    check_columns(base, ours, theirs)?;
    let mut since = RowChanges::default();
    for (_, changeset) in past.changes(base.version(), ours.version())? {
        since.add(&changeset)?;
    }
    let mut edit = Edit::new(theirs.clone(), Stamp::new(ours.version()));
    let mut conflicts = Vec::new();
    for ours in since.finish().rows.into_iter().map(row_diff) {
        let now = theirs.get(&ours.key)?;
        let row = now.clone().map(|bytes| Row::new(bytes, Arc::clone(theirs.shape())));
        if same(row.as_ref(), ours.before.as_ref()) {
            let after = ours.after.map(|row| spelled_for(theirs.shape(), &row, now.as_ref()));
            edit.put(&ours.key, after)?;
        } else if !same(row.as_ref(), ours.after.as_ref()) {
            let theirs = RowDiff { after: row, ..ours.clone() };
            conflicts.push(Conflict { ours, theirs });
        }
    }
    let (table, ..) = edit.finish()?;
    let schema = if base.schema() == theirs.schema() { ours.schema() } else { theirs.schema() };
    Ok((table.flatten()?.with_schema(schema.cloned()), conflicts))
}

/// Refuses what only merging by columns could put together.
fn check_columns(base: &Table, ours: &Table, theirs: &Table) -> Result<()> {
    let cut = |table: &Table| (table.shape().columns().to_vec(), table.shape().key().to_vec());
    let changed = |side: &Table| cut(side) != cut(base) || side.schema() != base.schema();
    if !changed(ours) && cut(theirs) == cut(base) {
        return Ok(());
    }
    if ours.schema() == theirs.schema() && cut(ours) == cut(theirs) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "the columns changed on one side, and the table on the other",
    )
    .help("discard the edit, which stays beside the table, and make it again"))
}
