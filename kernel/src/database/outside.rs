//! Outside edits: what somebody did to a table's files in an editor or a spreadsheet, seen as a change of rows.
//!
//! Three tables meet. The *base* is the version that the files held when they were last ours; *theirs* is what
//! the files hold now; *ours* is the newest version, which frames committed since have made of the base. The
//! edit is what makes theirs of the base, whatever ours has become; adopting it merges the two, like any transaction
//! that was begun on an older state.

use std::path::PathBuf;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changeset, Error, Result, Schema, TableName, Timestamp};

use super::compare::compare;
use super::edited_table::{EditedFiles, EditedText};
use super::fit::fit;
use super::fitted::{Fit, RowName};
use super::history::Diff;
use super::inner::Inner;
use super::past::Past;
use super::row::{Row, same};
use super::snapshot::{Snapshot, find_known};
use super::table_file::{TableFile, edited_from, is_beside};
use super::transaction::Transaction;
use super::work::{Whole, Work};
use crate::changes::{RowChange, RowChanges};
use crate::frame::Action;
use crate::mark::table_path;
use crate::merge::{Conflict, written_like};
use crate::schema;
use crate::table::Table;

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
    /// The rows that frames committed since the base changed, too, and that would hold what both wrote.
    pub merged: Vec<RowName>,
    /// What frames committed since the base changed in another way.
    pub conflicts: Vec<Conflict>,
    /// Rows that the edit makes what they were at an older version, if there are any: a hint that the file was
    /// made from an older copy.
    pub older: Option<OlderRows>,
    /// Whether it removes more than half of the rows: a hint that the file was cut.
    pub removes_most: bool,
    pub(super) prepared: Prepared,
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
    /// The version that it was made from, what the file holds, and what leads there.
    pub(super) before: Table,
    pub(super) after: Table,
    pub(super) changeset: Changeset,
}

impl Prepared {
    /// Makes the edit a part of a transaction.
    pub(super) fn add_to(&self, transaction: &mut Transaction, table: &TableName) {
        let whole = Whole {
            before: Some(self.before.clone()),
            after: self.after.clone(),
            changeset: self.changeset.clone(),
            action: Action::ADOPT,
        };
        transaction.work.insert(table.clone(), Work::Whole(Box::new(whole)));
    }

    /// When it was saved, by the clock of the file system.
    pub(super) fn saved(&self) -> Timestamp {
        Timestamp::from_micros(self.files.stat.modified / 1000)
    }
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
    inner: &Arc<Inner>,
    snapshot: &Snapshot,
    name: &str,
    base: Option<Timestamp>,
    kept: Option<&str>,
) -> Result<Option<OutsideEdit>> {
    let state = find_known(snapshot.state(), name)?;
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
        let before = past.table_at(base)?.flatten()?;
        let after = files.content.as_table(&before)?;
        let changeset = compare(&before, &after)?;
        let kept = kept.map(str::to_owned);
        let prepared = Prepared { files, kept, before, after, changeset };
        describe(inner, snapshot, state.name(), &past, prepared)
    };
    read().map(Some).map_err(|error| error.at_table(state.name().as_str()))
}

/// What somebody's copy of a table does to the version it was made from, as a transaction.
pub(super) fn merge_copy(
    inner: &Arc<Inner>,
    snapshot: &Snapshot,
    name: &str,
    base: Timestamp,
    copy: &TableCopy,
) -> Result<Transaction> {
    let state = find_known(snapshot.state(), name)?;
    let before = Past::of(snapshot, name)?.table_at(base)?.flatten()?;
    let schema = before.schema().cloned().unwrap_or_default();
    let storage = inner.store.storage();
    let schema_path = storage.full_path(&table_path(state.name(), "schema.toml"));
    let (text, path) = (copy.text.clone(), copy.path.clone());
    let content = EditedText { text, path, schema, schema_path };
    let after = content.as_table(&before)?;
    // How a copy is written is no change.
    let after = written_like(&after, &before)?;
    let schema = adapted_schema(&before, &after)?;
    let after = after.with_schema(Some(schema));
    let mut transaction = Transaction::new(Arc::clone(inner), snapshot.clone());
    transaction.written_at = copy.saved;
    if let Some(whole) = Whole::replacing(&before, after, Action::AUTOMERGE)? {
        transaction.work.insert(state.name().clone(), Work::Whole(Box::new(whole)));
    }
    Ok(transaction)
}

/// What schema.toml says of a table of other columns, in the dialect of before.
fn adapted_schema(before: &Table, after: &Table) -> Result<Bytes> {
    let said = |table: &Table| {
        let text = table.schema().map(|text| String::from_utf8_lossy(text).into_owned());
        schema::parse(&text.unwrap_or_default())
    };
    let (dialect, said) = (said(before)?, said(after)?);
    let wanted = Schema { columns: said.columns, ..dialect };
    let text = after.schema().cloned().unwrap_or_default();
    schema::adapt(&String::from_utf8_lossy(&text), &wanted, &|_| None).map(Bytes::from)
}

/// Somebody's copy of a table, changed.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "this is what a copy is")]
pub struct TableCopy {
    /// What it holds.
    pub text: Bytes,
    /// Where it stands, for messages.
    pub path: PathBuf,
    /// When it was saved, if that is known.
    pub saved: Option<Timestamp>,
}

/// What an edit does, what it meets, and what looks odd about it.
fn describe(
    inner: &Arc<Inner>,
    snapshot: &Snapshot,
    name: &TableName,
    past: &Past<'_>,
    prepared: Prepared,
) -> Result<OutsideEdit> {
    let base = &prepared.before;
    let mut rows = RowChanges::default();
    rows.add(&prepared.changeset)?;
    let changes = rows.finish();
    let removed = changes.rows.iter().filter(|row| row.after.is_none()).count() as u64;
    let mut transaction = Transaction::new(Arc::clone(inner), snapshot.clone());
    transaction.written_at = Some(prepared.saved());
    if !name.is_reserved() && !prepared.changeset.is_empty() {
        prepared.add_to(&mut transaction, name);
    }
    let Fit { merged, conflicts, .. } = fit(&transaction, snapshot.state(), inner)?;
    Ok(OutsideEdit {
        table: name.clone(),
        base: base.version(),
        saved: prepared.saved(),
        older: older_rows(past, base, &changes.rows)?,
        diff: Diff::new(changes, base.version(), Timestamp::MAX),
        merged,
        conflicts,
        // A conflict whose line is removed stays open.
        removes_most: removed * 2 > base.rows() && !name.is_reserved(),
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
