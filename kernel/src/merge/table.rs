//! Whole tables on three sides: columns, order and dialect as well as rows.
//!
//! This reads every row of all three. Where only rows were edited, merging these alone comes to the same
//! ([`Rows`](super::Rows)), and costs what was edited.
//!
//! THE ORDER of the side that moved rows counts; where both did, that of ours. A row that only the other side has
//! follows its nearest predecessor there that survives, behind what was inserted at that place already. A table that is
//! sorted by key stays sorted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Error, ErrorKind, LineEnd, Result, Schema, Shape, TableName, Timestamp, row,
};

use super::columns::{Columns, Origins, Side, Sides};
use super::conflict::{Conflict, ConflictKind};
use super::drivers::Drivers;
use super::lines::Lines;
use super::row::{CellRule, MergedRow, RowSides, Rows};
use super::schema::{SchemaSides, merge_schema};
use crate::schema;
use crate::table::{Base, Key, Table, key_of};

/// Three tables to be merged. All must be bases.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "all that counts")]
pub struct Tables<'a> {
    /// The table.
    pub name: &'a TableName,
    /// What both sides began with.
    pub base: &'a Table,
    /// What the database holds.
    pub ours: &'a Table,
    /// What is merged into it.
    pub theirs: &'a Table,
    /// Where the columns of ours were in the base.
    pub our_origins: &'a Origins,
    /// Where those of theirs were.
    pub their_origins: &'a Origins,
    /// Who decides cells.
    pub drivers: &'a Drivers,
    /// When theirs was written.
    pub theirs_at: Timestamp,
}

/// A table that was merged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MergedTable {
    /// The table; as ours has it where that is disputed.
    pub table: Table,
    /// The rows that both sides changed.
    pub both: Vec<Key<'static>>,
    /// What is disputed.
    pub conflicts: Vec<Conflict>,
}

/// How many rows are merged at once.
const AT_ONCE: usize = 4096;

impl Tables<'_> {
    /// Merges them. Cost: reading all three, about 1 µs a row.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) if the sides have other keys, or the result two columns of one name; those of
    /// reading the tables.
    pub fn merge(&self) -> Result<MergedTable> {
        self.check_keys()?;
        let names = self.base.shape().columns();
        let ours = Side { names: self.ours.shape().columns(), origins: self.our_origins };
        let theirs = Side { names: self.theirs.shape().columns(), origins: self.their_origins };
        let mut columns = Columns::merge(names, ours, theirs);
        let mut conflicts = self.take_back(&mut columns)?;
        conflicts.extend(columns.disputed.iter().filter_map(|sides| self.disputed_name(*sides)));
        if let Some(name) = columns.name_taken_twice() {
            return Err(Error::new(ErrorKind::Conflict, "both sides made a column of this name")
                .at_table(self.name.as_str())
                .at_column(name)
                .help("give one of them another name"));
        }
        let merged = self.put_together(&columns)?;
        conflicts.extend(merged.conflicts);
        Ok(MergedTable { conflicts, ..merged })
    }

    /// The table with these columns.
    pub(super) fn put_together(&self, columns: &Columns) -> Result<MergedTable> {
        let shape = Arc::new(self.shape(columns)?);
        let (schema, mut conflicts) = self.schema(columns, &shape)?;
        let (rows, both) = self.rows(columns, &shape, schema.as_ref(), &mut conflicts)?;
        let text = self.text(&shape, rows)?;
        let base = Base::parse(text, shape)
            .map_err(|error| Error::internal("the merged table does not parse").caused_by(error))?;
        let table = Table::new(Arc::new(base), self.ours.version()).with_schema(schema);
        Ok(MergedTable { table, both, conflicts })
    }

    /// Rows are found by their key on all sides.
    fn check_keys(&self) -> Result<()> {
        check_key(self.base.shape(), self.ours.shape(), self.our_origins)?;
        check_key(self.base.shape(), self.theirs.shape(), self.their_origins)
    }

    /// Columns that theirs dropped and ours wrote into stay until somebody decides.
    fn take_back(&self, columns: &mut Columns) -> Result<Vec<Conflict>> {
        let mut conflicts = Vec::new();
        for sides in columns.dropped.clone() {
            let (Some(base), Some(ours)) = (sides.base, sides.ours) else { continue };
            if !self.is_written(base, ours)? {
                continue;
            }
            let Some(name) = self.ours.shape().columns().get(ours) else { continue };
            columns.take_back(name, sides);
            conflicts.push(Conflict {
                table: self.name.clone(),
                kind: ConflictKind::Column,
                key: Vec::new(),
                column: Some(name.clone()),
                base: Some(name.clone()),
                ours: Some(name.clone()),
                theirs: None,
            });
        }
        Ok(conflicts)
    }

    /// Whether ours wrote into a column.
    fn is_written(&self, base: usize, ours: usize) -> Result<bool> {
        let cell = |row: &[u8], shape: &Shape, at: usize| {
            row::cells(row, shape.delimiter())
                .nth(at)
                .and_then(|cell| Some(cell.text()?.into_owned()))
        };
        let (base_shape, shape) = (self.base.shape(), self.ours.shape());
        for row in self.ours.rows_iter() {
            let row = row?;
            let Some(key) = key_of(&row, shape) else { continue };
            let before = self.base.get(&key)?;
            let before = before.and_then(|before| cell(&before, base_shape, base));
            if cell(&row, shape, ours) != before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn disputed_name(&self, sides: Sides) -> Option<Conflict> {
        let name = |table: &Table, at: Option<usize>| table.shape().columns().get(at?).cloned();
        let ours = name(self.ours, sides.ours)?;
        Some(Conflict {
            table: self.name.clone(),
            kind: ConflictKind::Schema,
            key: vec!["name".to_owned()],
            column: Some(ours.clone()),
            base: name(self.base, sides.base),
            ours: Some(ours),
            theirs: name(self.theirs, sides.theirs),
        })
    }

    /// What only one side changed of the dialect is taken from it.
    fn shape(&self, columns: &Columns) -> Result<Shape> {
        let [base, ours, theirs] = self.shapes();
        let delimiter = changed(base.delimiter(), ours.delimiter(), theirs.delimiter());
        let line_end = changed(base.line_end(), ours.line_end(), theirs.line_end());
        let mark = |shape: &Shape| shape.header().starts_with(Shape::BYTE_ORDER_MARK);
        let marked = changed(mark(base), mark(ours), mark(theirs));
        let names: Vec<&str> = columns.kept.iter().map(|(name, _)| name.as_str()).collect();
        let fits = |shape: &&Shape| {
            shape.columns() == names
                && shape.delimiter() == delimiter
                && shape.line_end() == line_end
                && mark(shape) == marked
        };
        // A header keeps its bytes where a side has just that one.
        let sides = if base.header() == ours.header() { [theirs, ours] } else { [ours, theirs] };
        let header = match sides.into_iter().find(fits) {
            Some(side) => side.header().clone(),
            None => {
                let names: Vec<Option<&str>> = names.into_iter().map(Some).collect();
                let row = row::write_row(&names, delimiter, line_end.as_bytes());
                let mark = if marked { Shape::BYTE_ORDER_MARK } else { &[] };
                Bytes::from([mark, &row].concat())
            }
        };
        let rows = self.ours.rows() + self.theirs.rows();
        let header = match rows > 0 && !header.ends_with(b"\n") {
            true => Bytes::from([&header, line_end.as_bytes()].concat()),
            false => header,
        };
        let is_key = |sides: &Sides| sides.ours.is_some_and(|at| ours.key().contains(&at));
        let kept = columns.kept.iter().enumerate();
        let key = kept.filter(|(_, (_, sides))| is_key(sides)).map(|(at, _)| at).collect();
        Shape::new(delimiter, header, key)
    }

    fn shapes(&self) -> [&Shape; 3] {
        [self.base.shape(), self.ours.shape(), self.theirs.shape()]
    }

    fn schema(&self, columns: &Columns, shape: &Shape) -> Result<(Option<Bytes>, Vec<Conflict>)> {
        let texts = [self.base, self.ours, self.theirs].map(Table::schema);
        let [Some(base), Some(ours), Some(theirs)] = texts else {
            return Ok((self.ours.schema().cloned(), Vec::new()));
        };
        let made = |said: Schema| {
            let is_key = |at: usize| shape.key().contains(&at);
            let columns = said.columns.into_iter().enumerate();
            let columns = columns.map(|(at, column)| column.in_key(is_key(at))).collect();
            let line_end = match shape.header().ends_with(b"\n") {
                true => shape.line_end(),
                false => LineEnd::default(),
            };
            Schema::new(shape.delimiter(), line_end, columns)
        };
        let sides = SchemaSides { base, ours, theirs };
        let (text, conflicts) = merge_schema(self.name, sides, columns, &made)?;
        Ok((Some(text), conflicts))
    }

    /// All rows of the result by key, and which of them both sides changed.
    fn rows(
        &self,
        columns: &Columns,
        shape: &Shape,
        schema: Option<&Bytes>,
        conflicts: &mut Vec<Conflict>,
    ) -> Result<(HashMap<Key<'static>, Bytes>, Vec<Key<'static>>)> {
        let rules = cell_rules(schema, columns);
        let merger = Rows {
            table: self.name,
            shapes: self.shapes(),
            result: shape,
            columns,
            rules: &rules,
            drivers: self.drivers,
            theirs_at: self.theirs_at,
            strict: false,
        };
        let (mut merged, mut both) = (HashMap::new(), Vec::new());
        let mut take = |sides: Vec<RowSides>| -> Result<()> {
            for row in merger.merge(sides)? {
                let MergedRow { key, row, both: is_both, conflicts: disputed } = row;
                conflicts.extend(disputed);
                both.extend(is_both.then(|| key.clone()));
                merged.extend(row.map(|row| (key, row)));
            }
            Ok(())
        };
        let mut some = Vec::new();
        for (side, other) in [(self.ours, None), (self.theirs, Some(self.ours))] {
            for row in side.rows_iter() {
                let row = row?;
                let Some(key) = key_of(&row, side.shape()).map(Key::into_owned) else { continue };
                if let Some(other) = other
                    && other.get(&key)?.is_some()
                {
                    continue;
                }
                some.push(self.sides(key)?);
                if some.len() == AT_ONCE {
                    take(std::mem::take(&mut some))?;
                }
            }
        }
        take(some)?;
        Ok((merged, both))
    }

    fn sides(&self, key: Key<'static>) -> Result<RowSides> {
        Ok(RowSides {
            base: self.base.get(&key)?,
            ours: self.ours.get(&key)?,
            theirs: self.theirs.get(&key)?,
            ours_at: self.ours.written_at(&key)?,
            counted: Vec::new(),
            key,
        })
    }

    /// The file: rows in their order, with the blank lines of the side whose order counts.
    fn text(&self, shape: &Shape, rows: HashMap<Key<'static>, Bytes>) -> Result<Bytes> {
        let theirs_moved = !self.is_in_order(self.theirs)? && self.is_in_order(self.ours)?;
        let (first, other) =
            if theirs_moved { (self.theirs, self.ours) } else { (self.ours, self.theirs) };
        let followers = followers(first, other, &rows)?;
        let mut lines = Lines::new(shape.header(), shape.line_end());
        let sorted = first.is_base() && first.base().order().is_some() && !theirs_moved;
        if let Some(order) = first.base().order().filter(|_| sorted)
            && first.lines() == first.rows()
        {
            let mut all: Vec<(&Key<'_>, &Bytes)> = rows.iter().collect();
            all.sort_by(|(one, _), (other, _)| order.compare(one, other).unwrap_or(one.cmp(other)));
            all.into_iter().for_each(|(_, row)| lines.push(row));
            return Ok(lines.finish());
        }
        let follow = |lines: &mut Lines, key: Option<&Key<'static>>| {
            for key in followers.get(&key.cloned()).into_iter().flatten() {
                rows.get(key).into_iter().for_each(|row| lines.push(row));
            }
        };
        // What followed a row waits until the rows that were inserted behind it on this side are there.
        let mut waiting = Some(None);
        first.for_each_line(|line| {
            let key = key_of(&line, first.shape()).filter(|_| !first.shape().is_blank(&line));
            let Some(key) = key.map(Key::into_owned) else {
                lines.push(&line);
                return Ok(());
            };
            let Some(row) = rows.get(&key) else { return Ok(()) };
            let inserted = self.base.get(&key)?.is_none();
            if (!inserted || theirs_moved)
                && let Some(anchor) = waiting.take()
            {
                follow(&mut lines, Option::as_ref(&anchor));
            }
            lines.push(row);
            match inserted && !theirs_moved {
                // Those behind an inserted row follow it at once.
                true => follow(&mut lines, Some(&key)),
                false => waiting = Some(Some(key)),
            }
            Ok(())
        })?;
        if let Some(anchor) = waiting {
            follow(&mut lines, anchor.as_ref());
        }
        Ok(lines.finish())
    }

    /// Whether the rows that a side has of the base stand as they stood.
    fn is_in_order(&self, side: &Table) -> Result<bool> {
        let mut last = None;
        for row in side.rows_iter() {
            let row = row?;
            let Some(key) = key_of(&row, side.shape()) else { continue };
            let Some((slot, _)) = self.base.base().find(&key)? else { continue };
            if last > Some(slot) {
                return Ok(false);
            }
            last = Some(slot);
        }
        Ok(true)
    }
}

/// That rows are found by the same columns on a side as in the base.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict) if not.
pub fn check_key(base: &Shape, side: &Shape, origins: &Origins) -> Result<()> {
    let places = side.key().iter().map(|at| origins.get(*at).copied().flatten());
    match places.eq(base.key().iter().map(|at| Some(*at))) {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Conflict,
            "one side has another key: its rows cannot be found on the other",
        )
        .help("change the key while nobody else changes the table")),
    }
}

/// What counts for each column of a result.
pub fn cell_rules(schema: Option<&Bytes>, columns: &Columns) -> Vec<CellRule> {
    let said = schema.and_then(|text| std::str::from_utf8(text).ok());
    let said = said.and_then(|text| schema::parse(text).ok());
    let rule = |name: &str| {
        let mut known = said.iter().flat_map(|schema| &schema.columns);
        let column = known.find(|column| column.name.eq_ignore_ascii_case(name));
        column.map_or_else(CellRule::default, |column| CellRule {
            kind: column.kind,
            driver: column.merge.clone(),
        })
    };
    columns.kept.iter().map(|(name, _)| rule(name)).collect()
}

/// Which rows of the other side, that the first lacks, follow which row; `None` is the start.
type Followers = HashMap<Option<Key<'static>>, Vec<Key<'static>>>;

fn followers(
    first: &Table,
    other: &Table,
    rows: &HashMap<Key<'static>, Bytes>,
) -> Result<Followers> {
    let mut followers = Followers::new();
    let mut seen = HashSet::new();
    let mut anchor = None;
    for row in other.rows_iter() {
        let row = row?;
        let Some(key) = key_of(&row, other.shape()).map(Key::into_owned) else { continue };
        if !rows.contains_key(&key) || !seen.insert(key.clone()) {
            continue;
        }
        match first.get(&key)?.is_some() {
            true => anchor = Some(key),
            false => followers.entry(anchor.clone()).or_default().push(key),
        }
    }
    Ok(followers)
}

/// What only one side changed; where both did, ours.
fn changed<T: PartialEq>(base: T, ours: T, theirs: T) -> T {
    if ours == base { theirs } else { ours }
}
