//! The past of a table: its versions, what changed between two of them, and the life of one row.

use reedbase_plugin_api::{Bytes, Result, Timestamp};

use super::past::{Past, RowVersion, Updated};
use super::row::Row;
use super::snapshot::Snapshot;
use crate::changes::{Changes, RowChange, RowChanges};
use crate::frame::Action;
use crate::store::retry;
use crate::table::{Key, Table};

/// One version of a table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableVersion {
    /// The frame that made it.
    pub timestamp: Timestamp,
    /// The version before; zero for the first.
    pub base: Timestamp,
    /// What the frame did.
    pub action: Action,
    /// Where it is kept.
    pub place: VersionPlace,
    /// The bytes and the rows of the table, where they are known already.
    pub totals: Option<(u64, u64)>,
}

/// Where a version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionPlace {
    /// In the journal, until the next checkpoint.
    Journal,
    /// In a file of its own.
    Loose,
    /// In a pack.
    Packed,
}

/// What makes one version of a table of another.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Diff {
    /// The version it starts from; zero is before the first.
    pub from: Timestamp,
    /// The version it leads to.
    pub to: Timestamp,
    /// The rows whose cells differ.
    pub rows: Vec<RowDiff>,
    /// How many lines changed place on the way.
    pub moved: u64,
    /// How many rows have the same cells in other bytes: other quotes, another line end.
    pub respelled: u64,
    /// The names of the columns before and after, if they differ.
    pub columns: Option<(Vec<String>, Vec<String>)>,
    /// Columns that only have another name: before and after.
    pub renamed: Vec<(String, String)>,
    /// The text of schema.toml before and after, if it differs.
    pub schema: Option<(String, String)>,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && (self.moved, self.respelled) == (0, 0)
            && self.columns.is_none()
            && self.schema.is_none()
    }

    /// What changesets came to, which lead from the earlier instant to the later; backwards if these are
    /// given so.
    pub(super) fn new(changes: Changes, from: Timestamp, to: Timestamp) -> Self {
        let back = from > to;
        let rows = changes.rows.into_iter();
        let rows = rows.map(|row| row_diff(if back { row.inverse() } else { row })).collect();
        let turned = |(one, other)| if back { (other, one) } else { (one, other) };
        let columns = changes.shapes.filter(|(one, other)| one.columns() != other.columns());
        let columns = columns
            .map(|(one, other)| (one.columns().to_vec(), other.columns().to_vec()))
            .map(turned);
        let pairs = columns.iter().filter(|_| changes.columns_stay);
        let pairs = pairs.flat_map(|(before, after)| before.iter().zip(after));
        let renamed = pairs.filter(|(one, other)| one != other);
        let renamed = renamed.map(|(one, other)| (one.clone(), other.clone())).collect();
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let schema = changes.schema.map(|both| (text(&both.before), text(&both.after)));
        Self {
            from,
            to,
            rows,
            moved: changes.moved,
            respelled: changes.respelled,
            columns,
            renamed,
            schema: schema.map(|(one, other)| if back { (other, one) } else { (one, other) }),
        }
    }
}

/// A row that differs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RowDiff {
    /// The key.
    pub key: Key<'static>,
    /// The row before; `None` if it was added.
    pub before: Option<Row>,
    /// The row after; `None` if it was removed.
    pub after: Option<Row>,
}

impl RowDiff {
    /// The key as a person reads it.
    pub fn key_text(&self) -> String {
        let row = self.after.as_ref().or(self.before.as_ref());
        self.key.display(row.map_or(1, Row::key_columns))
    }
}

impl Snapshot {
    /// The versions of a table, oldest first.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or damage of its history.
    pub fn versions(&self, table: &str) -> Result<Vec<TableVersion>> {
        let past = Past::of(self, table)?;
        let mut versions: Vec<_> = past
            .logged()
            .map(|version| TableVersion {
                timestamp: version.timestamp,
                base: version.base,
                action: version.action,
                place: if past.versions.is_packed(version.timestamp) {
                    VersionPlace::Packed
                } else {
                    VersionPlace::Loose
                },
                totals: Some((version.size, version.rows)),
            })
            .collect();
        versions.extend(past.unlogged().map(|(timestamp, base, action)| TableVersion {
            timestamp,
            base,
            action,
            place: VersionPlace::Journal,
            totals: None,
        }));
        Ok(versions)
    }

    /// The version that the history of a table begins with, if what was before was removed.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or damage of its history.
    pub fn history_start(&self, table: &str) -> Result<Option<Timestamp>> {
        Ok(Past::of(self, table)?.versions.start())
    }

    /// The table as it was after a frame: its newest version that is not younger.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or if it did not exist yet;
    /// damage of its history.
    pub fn table_at(&self, table: &str, at: Timestamp) -> Result<Table> {
        retry(|| Past::of(self, table)?.table_at(at))
    }

    /// What each row was after a frame, of those that were only updated since; `None` if anything else happened.
    pub(super) fn updated_since(&self, table: &str, at: Timestamp) -> Result<Option<Updated>> {
        retry(|| {
            let past = Past::of(self, table)?;
            match past.timestamps().filter(|version| *version <= at).max() {
                Some(version) => {
                    let totals = past.totals(version);
                    let rows = past.updated_since(version)?;
                    Ok(rows.zip(totals).map(|(rows, totals)| Updated { rows, totals }))
                }
                None => Ok(None),
            }
        })
    }

    /// What changed from one instant to another; from the later to the earlier if they are given so.
    /// Cost: O(what changed in between), whatever the size of the table.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or damage of its history.
    pub fn diff(&self, table: &str, from: Timestamp, to: Timestamp) -> Result<Diff> {
        retry(|| {
            let past = Past::of(self, table)?;
            let mut changes = RowChanges::default();
            for (_, changeset) in past.changes(from.min(to), from.max(to))? {
                changes.add(&changeset)?;
            }
            Ok(Diff::new(changes.finish(), from, to))
        })
    }

    /// The life of a row, newest first. Cost: O(what changed in the versions that touched it).
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or damage of its history.
    pub fn history<'k>(&self, table: &str, key: impl Into<Key<'k>>) -> Result<Vec<RowVersion>> {
        let key = key.into();
        retry(|| Past::of(self, table)?.row(&key))
    }
}

pub(super) fn row_diff(change: RowChange) -> RowDiff {
    let row = |side: Option<_>| side.map(|(bytes, shape)| Row::new(bytes, shape));
    RowDiff { key: change.key, before: row(change.before), after: row(change.after) }
}
