//! The rows and columns of a difference, as a sheet: the columns of both sides in one order, and each row with its cells
//! before and after.

use std::borrow::Cow;

use reedbase::{Diff, Row, RowDiff};
use similar::{ChangeTag, TextDiff};

use crate::output::counted;

/// What changed in a table.
pub(super) struct Sheet<'d> {
    pub(super) table: &'d str,
    pub(super) diff: &'d Diff,
    /// Those of both sides: new ones where they are now, removed ones where they were.
    pub(super) columns: Vec<Column<'d>>,
    /// The names of the columns of the key.
    pub(super) key: Vec<&'d str>,
}

/// A column.
pub(super) struct Column<'d> {
    pub(super) name: &'d str,
    /// What it was called before.
    pub(super) was: &'d str,
    pub(super) standing: Standing,
    /// Whether it stands elsewhere among the columns that are on both sides.
    pub(super) is_moved: bool,
    /// Whether a cell in it differs in a row that is on both sides.
    pub(super) is_changed: bool,
}

/// On which sides a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Kept,
    Added,
    Removed,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Insert,
    Update,
    Delete,
}

/// A cell by its name, before and after; `None` is NULL.
pub(super) type CellDiff<'a> = (&'a str, Option<Cow<'a, str>>, Option<Cow<'a, str>>);

/// Columns that only have another name: before and after.
type Renamed = [(String, String)];

impl Change {
    pub(super) fn of(row: &RowDiff) -> Self {
        match (&row.before, &row.after) {
            (None, _) => Self::Insert,
            (Some(_), None) => Self::Delete,
            (Some(_), Some(_)) => Self::Update,
        }
    }

    /// As programs read it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Column<'_> {
    /// The cell of a row of before, if the column was there.
    pub(super) fn before<'r>(&self, row: &'r Row) -> Option<Option<Cow<'r, str>>> {
        row.has_column(self.was).then(|| row.get(self.was))
    }

    /// The cell of a row of after, if the column is there.
    pub(super) fn after<'r>(&self, row: &'r Row) -> Option<Option<Cow<'r, str>>> {
        row.has_column(self.name).then(|| row.get(self.name))
    }
}

impl<'d> Sheet<'d> {
    pub(super) fn new(table: &'d str, diff: &'d Diff) -> Self {
        let side = |after: bool| diff.rows.iter().find_map(move |row| one_side(row, after));
        let (before, after) = match &diff.columns {
            Some((before, after)) => (before.as_slice(), after.as_slice()),
            None => {
                let any = side(true).or_else(|| side(false)).map_or(&[][..], Row::columns);
                (any, any)
            }
        };
        let row = side(true).or_else(|| side(false));
        let key = row.map_or(Vec::new(), |row| {
            let names = row.shape().key().iter();
            let names = names.filter_map(|at| row.columns().get(*at));
            names.map(|name| name_after(name, &diff.renamed)).collect()
        });
        Self { table, diff, columns: columns(before, after, diff), key }
    }

    /// The columns that there are afterwards.
    pub(super) fn columns_after(&self) -> impl Iterator<Item = &Column<'d>> {
        self.columns.iter().filter(|column| column.standing != Standing::Removed)
    }

    /// Whether the table was made by this.
    pub(super) fn is_created(&self) -> bool {
        matches!(&self.diff.schema, Some((before, after)) if before.is_empty() && !after.is_empty())
    }

    pub(super) fn is_key(&self, column: &str) -> bool {
        self.key.iter().any(|name| name.eq_ignore_ascii_case(column))
    }
}

fn one_side(row: &RowDiff, after: bool) -> Option<&Row> {
    if after { row.after.as_ref() } else { row.before.as_ref() }
}

fn columns<'d>(before: &'d [String], after: &'d [String], diff: &'d Diff) -> Vec<Column<'d>> {
    let is_in = |side: &[&str], name: &str| side.iter().any(|n| n.eq_ignore_ascii_case(name));
    let old: Vec<&str> = before.iter().map(|name| name_after(name, &diff.renamed)).collect();
    let new: Vec<&str> = after.iter().map(String::as_str).collect();
    let merged = TextDiff::from_slices(&old, &new);
    let merged = merged.iter_all_changes().filter_map(|change| {
        let name = match change.tag() {
            ChangeTag::Delete => old.get(change.old_index()?),
            _ => new.get(change.new_index()?),
        };
        let name = *name?;
        let standing = match (is_in(&old, name), is_in(&new, name)) {
            (true, true) => Standing::Kept,
            (true, false) => Standing::Removed,
            (false, _) => Standing::Added,
        };
        let moved = standing == Standing::Kept && change.tag() != ChangeTag::Equal;
        // A column that moved stands where it is now.
        (!moved || change.tag() == ChangeTag::Insert).then_some((name, standing, moved))
    });
    let changed = |column: &Column<'_>| {
        let both = diff.rows.iter().filter_map(|row| row.before.as_ref().zip(row.after.as_ref()));
        both.into_iter().any(|(before, after)| column.before(before) != column.after(after))
    };
    let column = |(name, standing, is_moved)| {
        let was = name_before(name, &diff.renamed);
        let column = Column { name, was, standing, is_moved, is_changed: false };
        Column { is_changed: changed(&column), ..column }
    };
    merged.map(column).collect()
}

/// How much changed.
pub(super) fn summary(diff: &Diff) -> String {
    let rows = |change| diff.rows.iter().filter(|row| Change::of(row) == change).count() as u64;
    let parts = [
        (rows(Change::Update), "row", "changed"),
        (rows(Change::Insert), "row", "added"),
        (rows(Change::Delete), "row", "removed"),
        (diff.moved, "line", "moved"),
        (diff.respelled, "row", "written otherwise"),
    ];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<_> =
        parts.map(|(count, noun, verb)| format!("{} {verb}", counted(*count, noun))).collect();
    match parts.is_empty() {
        true => "no row changed".to_owned(),
        false => parts.join(", "),
    }
}

/// What a column is called afterwards.
fn name_after<'d>(name: &'d str, renamed: &'d Renamed) -> &'d str {
    renamed.iter().find(|(before, _)| before == name).map_or(name, |(_, after)| after)
}

/// What a column was called before.
fn name_before<'d>(name: &'d str, renamed: &'d Renamed) -> &'d str {
    renamed.iter().find(|(_, after)| after == name).map_or(name, |(before, _)| before)
}

/// The cells of a row that differ; all that hold something where one side is missing.
pub(super) fn cells<'a>(row: &'a RowDiff, renamed: &'a Renamed) -> Vec<CellDiff<'a>> {
    let (before, after) = (row.before.as_ref(), row.after.as_ref());
    let old = before.map_or(&[][..], Row::columns).iter().map(|name| name_after(name, renamed));
    let mut names: Vec<&str> = old.collect();
    for name in after.map_or(&[][..], Row::columns) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    let all = names.into_iter().map(|name| {
        let before = before.and_then(|row| row.get(name_before(name, renamed)));
        (name, before, after.and_then(|row| row.get(name)))
    });
    all.filter(|(_, before, after)| before != after).collect()
}
