//! Rows on three sides, cell by cell.
//!
//! ```text
//! base         ours         theirs         result
//! 7,Ada,30     7,Ada,31     7,Eda,30       7,Eda,31      each side changed another cell
//! 7,Ada,30     7,Ada,31     7,Ada,31       7,Ada,31      both wrote the same
//! 7,Ada,30     7,Ada,31     7,Ada,32       7,Ada,31      conflict, unless the column has a merge driver
//! 7,Ada,30     7,Ada,31     -              7,Ada,31      conflict: removed here, changed there
//! -            7,Ada,31     7,Bob,31       7,Ada,31      conflict: two rows under one key
//! ```
//!
//! What is disputed stays as ours has it. A row that only one side touched keeps the bytes of that side.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reedbase_plugin_api::{
    Bytes, ColumnType, Decision, MergeCell, Result, Shape, TableName, Timestamp, row,
};

use super::columns::{Columns, Sides};
use super::conflict::{Conflict, ConflictKind};
use super::drivers::{Drivers, SUM};
use crate::table::Key;

/// A row on three sides; `None` where it is not there.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "a merge has three sides")]
pub struct RowSides {
    /// Its key.
    pub key: Key<'static>,
    /// When both sides began.
    pub base: Option<Bytes>,
    /// In the database.
    pub ours: Option<Bytes>,
    /// In what is merged.
    pub theirs: Option<Bytes>,
    /// When ours was written, as far as that is known.
    pub ours_at: Timestamp,
    /// Columns of the result in which theirs counted instead of writing.
    pub counted: Vec<usize>,
}

/// A row that was merged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MergedRow {
    /// Its key.
    pub key: Key<'static>,
    /// What it is now; ours where that is disputed.
    pub row: Option<Bytes>,
    /// Whether both sides had changed it, and both changes are in the result.
    pub both: bool,
    /// What is disputed.
    pub conflicts: Vec<Conflict>,
}

/// What counts when cells of a column are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "all that counts")]
pub struct CellRule {
    /// The type.
    pub kind: ColumnType,
    /// The id of the driver that decides; `None` asks a person.
    pub driver: Option<String>,
}

/// What the rows of one merge have in common.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "all that counts")]
pub struct Rows<'a> {
    /// The table.
    pub table: &'a TableName,
    /// How the rows of each side are cut: base, ours, theirs.
    pub shapes: [&'a Shape; 3],
    /// How those of the result are.
    pub result: &'a Shape,
    /// Which columns are the same.
    pub columns: &'a Columns,
    /// For each column of the result.
    pub rules: &'a [CellRule],
    /// Who decides.
    pub drivers: &'a Drivers,
    /// When theirs was written.
    pub theirs_at: Timestamp,
    /// Whether it is a conflict also if both sides wrote the same: whoever read before it wrote must know.
    pub strict: bool,
}

/// What a driver decides after this time does not count.
const DRIVER_MAX: Duration = Duration::from_millis(50);

const BASE: usize = 0;
const OURS: usize = 1;
const THEIRS: usize = 2;

/// The cells of a row on one side.
type Cells<'a> = Vec<row::RawCell<'a>>;

/// A row of which some cells are not decided yet.
struct Draft {
    sides: RowSides,
    /// Whether it is there in the result.
    is_there: bool,
    /// The cells that are not those of ours.
    taken: BTreeMap<usize, Option<String>>,
    /// Columns of the result that are disputed.
    disputed: Vec<usize>,
    /// Whether both sides changed it.
    both: bool,
    conflicts: Vec<Conflict>,
}

/// A question to a driver: which row, which column.
struct Question {
    draft: usize,
    column: usize,
    cell: MergeCell,
}

impl Rows<'_> {
    /// Merges rows.
    ///
    /// # Errors
    /// Those of drivers.
    pub fn merge(&self, rows: Vec<RowSides>) -> Result<Vec<MergedRow>> {
        let mut questions: BTreeMap<&str, Vec<Question>> = BTreeMap::new();
        let mut drafts = Vec::with_capacity(rows.len());
        for (at, sides) in rows.into_iter().enumerate() {
            drafts.push(self.draft(sides, |driver, column, cell| {
                questions.entry(driver).or_default().push(Question { draft: at, column, cell });
            }));
        }
        for (driver, questions) in questions {
            self.ask(driver, questions, &mut drafts)?;
        }
        Ok(drafts.into_iter().map(|draft| self.finish(draft)).collect())
    }

    fn draft<'s>(
        &'s self,
        sides: RowSides,
        mut ask: impl FnMut(&'s str, usize, MergeCell),
    ) -> Draft {
        let mut draft = Draft {
            is_there: sides.ours.is_some(),
            taken: BTreeMap::new(),
            disputed: Vec::new(),
            both: false,
            conflicts: Vec::new(),
            sides,
        };
        let RowSides { base, ours, theirs, .. } = &draft.sides;
        match (base, ours, theirs) {
            (base, Some(_), Some(_)) => {
                let inserted = base.is_none();
                self.draft_cells(&mut draft, inserted, &mut ask);
            }
            (None, None, Some(_)) => {
                draft.is_there = true;
                self.draft_dropped(&mut draft);
            }
            (Some(_), Some(_), None) if self.is_unchanged(&draft.sides, OURS) => {
                draft.is_there = false;
            }
            (Some(_), None, Some(_)) if self.is_unchanged(&draft.sides, THEIRS) => {}
            (Some(_), Some(_), None) | (Some(_), None, Some(_)) => {
                let conflict = self.row_conflict(ConflictKind::Delete, &draft.sides);
                draft.conflicts.push(conflict);
            }
            (Some(_), None, None) if self.strict => {
                let conflict = self.row_conflict(ConflictKind::Delete, &draft.sides);
                draft.conflicts.push(conflict);
            }
            (_, None, None) | (None, Some(_), None) => {}
        }
        draft
    }

    /// A row that both sides have.
    fn draft_cells<'s>(
        &'s self,
        draft: &mut Draft,
        inserted: bool,
        ask: &mut impl FnMut(&'s str, usize, MergeCell),
    ) {
        let sides = &draft.sides;
        let [base, ours, theirs] = [&sides.base, &sides.ours, &sides.theirs];
        if base == theirs && self.shapes[BASE] == self.shapes[THEIRS] && sides.counted.is_empty() {
            return;
        }
        let cells: [Cells<'_>; 3] = [BASE, OURS, THEIRS].map(|side| self.cells_of(sides, side));
        let (ours_changed, mut theirs_changed) = (base != ours, false);
        for (at, (_, columns)) in self.columns.kept.iter().enumerate() {
            let [base, ours, theirs] = texts(&cells, *columns);
            let (we, they) = (inserted || ours != base, inserted || theirs != base);
            let counted = sides.counted.contains(&at);
            theirs_changed |= they;
            if !they && !counted {
                continue;
            }
            if !we {
                draft.taken.insert(at, theirs.map(Cow::into_owned));
                continue;
            }
            let rule = self.rules.get(at);
            let driver = rule.and_then(|rule| rule.driver.as_deref()).filter(|_| !self.strict);
            let driver = if counted { Some(SUM) } else { driver };
            let known = driver.and_then(|id| self.drivers.get(id));
            let agreed = ours == theirs;
            match (known, driver) {
                // Two rows that were inserted the same are one.
                (Some(known), Some(id)) if !agreed || (known.decides_agreement() && !inserted) => {
                    let text = |side: Option<Cow<'_, str>>| side.map(Cow::into_owned);
                    let cell = MergeCell {
                        kind: rule.map(|rule| rule.kind).unwrap_or_default(),
                        base: text(base),
                        ours: text(ours),
                        theirs: text(theirs),
                        ours_at: sides.ours_at,
                        theirs_at: self.theirs_at,
                    };
                    ask(id, at, cell);
                }
                _ if agreed && !self.strict => {}
                _ => draft.disputed.push(at),
            }
        }
        draft.both = ours_changed && theirs_changed;
        self.draft_dropped(draft);
    }

    /// What theirs wrote into columns that ours dropped has no place.
    fn draft_dropped(&self, draft: &mut Draft) {
        let cells: [Cells<'_>; 3] =
            [BASE, OURS, THEIRS].map(|side| self.cells_of(&draft.sides, side));
        let dropped = self.columns.dropped.iter().filter(|columns| columns.theirs.is_some());
        let conflicts = dropped.filter_map(|columns| {
            let [base, _, theirs] = texts(&cells, *columns);
            (theirs != base).then(|| self.dropped_conflict(*columns, &draft.sides, base, theirs))
        });
        let conflicts: Vec<Conflict> = conflicts.collect();
        draft.conflicts.extend(conflicts);
    }

    /// Asks a driver for all its cells at once.
    fn ask(&self, id: &str, questions: Vec<Question>, drafts: &mut [Draft]) -> Result<()> {
        let Some(driver) = self.drivers.get(id) else { return Ok(()) };
        let cells: Vec<MergeCell> = questions.iter().map(|asked| asked.cell.clone()).collect();
        let start = Instant::now();
        let mut decisions = driver.merge(&cells)?;
        if !Drivers::is_built_in(id) && start.elapsed() > DRIVER_MAX {
            decisions.clear();
        }
        let mut decisions = decisions.into_iter();
        for Question { draft, column, .. } in questions {
            let Some(draft) = drafts.get_mut(draft) else { continue };
            match decisions.next() {
                Some(Decision::Cell(text)) => drop(draft.taken.insert(column, text)),
                Some(Decision::Conflict) | None => draft.disputed.push(column),
            }
        }
        Ok(())
    }

    fn finish(&self, mut draft: Draft) -> MergedRow {
        draft.disputed.sort_unstable();
        let inserted = draft.sides.base.is_none();
        if inserted && !draft.disputed.is_empty() {
            // Cells of two rows that have nothing but their key in common are not mixed.
            let conflict = self.row_conflict(ConflictKind::Insert, &draft.sides);
            draft.conflicts.push(conflict);
            draft.taken.clear();
        } else {
            for at in &draft.disputed {
                draft.conflicts.extend(self.cell_conflict(*at, &draft.sides));
            }
        }
        let row = draft.is_there.then(|| self.spell(&draft)).flatten();
        let both = draft.both && draft.conflicts.is_empty();
        MergedRow { key: draft.sides.key, row, both, conflicts: draft.conflicts }
    }

    /// The bytes of the result: those of a side, where they say the same.
    fn spell(&self, draft: &Draft) -> Option<Bytes> {
        let RowSides { base, ours, theirs, .. } = &draft.sides;
        let Some(ours) = ours else { return theirs.as_ref().map(|row| self.whole(row, THEIRS)) };
        let is_base = base.as_ref() == Some(ours) && self.shapes[BASE] == self.shapes[OURS];
        if let Some(theirs) = theirs.as_ref().filter(|_| is_base && draft.conflicts.is_empty())
            && self.is_laid_out(THEIRS)
        {
            return Some(self.whole(theirs, THEIRS));
        }
        if draft.taken.is_empty() {
            return Some(self.whole(ours, OURS));
        }
        if !self.is_laid_out(OURS) {
            return Some(self.put_together(&draft.sides, &draft.taken));
        }
        let cells: Vec<_> = draft.taken.iter().map(|(at, text)| (*at, text.as_deref())).collect();
        Some(Bytes::from(row::replace_cells(ours, self.result.delimiter(), &cells)))
    }

    /// A row of one side as it stands in the result.
    fn whole(&self, bytes: &Bytes, side: usize) -> Bytes {
        if !self.is_laid_out(side) {
            let none = RowSides {
                key: Key::from_bytes(b"").into_owned(),
                base: None,
                ours: (side == OURS).then(|| bytes.clone()),
                theirs: (side == THEIRS).then(|| bytes.clone()),
                ours_at: Timestamp::ZERO,
                counted: Vec::new(),
            };
            return self.put_together(&none, &BTreeMap::new());
        }
        let ends = self.result.line_end().as_bytes();
        let other_end =
            self.shapes.get(side).is_some_and(|shape| shape.line_end().as_bytes() != ends);
        match other_end && !row::line_end(bytes).is_empty() {
            true => Bytes::from([row::content(bytes), ends].concat()),
            false => bytes.clone(),
        }
    }

    /// A row cell by cell: what was taken, else ours, else theirs; cells that were quoted stay so.
    fn put_together(&self, sides: &RowSides, taken: &BTreeMap<usize, Option<String>>) -> Bytes {
        let cells: [Cells<'_>; 3] = [BASE, OURS, THEIRS].map(|side| self.cells_of(sides, side));
        let delimiter = self.result.delimiter();
        let mut out = Vec::new();
        for (at, (_, columns)) in self.columns.kept.iter().enumerate() {
            if at > 0 {
                out.push(delimiter);
            }
            let [_, ours, theirs] = raw(&cells, *columns);
            let (raw, text) = match (taken.get(&at), ours, theirs) {
                (Some(text), ..) => (theirs.or(ours), text.as_deref().map(Cow::Borrowed)),
                (None, Some(ours), _) => (Some(ours), ours.text()),
                (None, None, Some(theirs)) => (Some(theirs), theirs.text()),
                (None, None, None) => (None, None),
            };
            let quoted = raw.is_some_and(row::RawCell::is_quoted);
            row::write_cell(&mut out, text.as_deref(), delimiter, quoted);
        }
        out.extend_from_slice(self.result.line_end().as_bytes());
        Bytes::from(out)
    }

    /// Whether the cells of a side stand where those of the result do.
    fn is_laid_out(&self, side: usize) -> bool {
        let Some(shape) = self.shapes.get(side) else { return false };
        let place =
            |columns: &Sides| [columns.base, columns.ours, columns.theirs].get(side).copied();
        let mut kept = self.columns.kept.iter().enumerate();
        shape.delimiter() == self.result.delimiter()
            && shape.columns().len() == self.columns.kept.len()
            && kept.all(|(at, (_, columns))| place(columns).flatten() == Some(at))
    }

    fn cells_of<'r>(&self, sides: &'r RowSides, side: usize) -> Cells<'r> {
        let row = [&sides.base, &sides.ours, &sides.theirs].get(side).copied();
        let Some((Some(row), shape)) = row.zip(self.shapes.get(side)) else { return Vec::new() };
        row::cells(row, shape.delimiter()).collect()
    }

    /// Whether a side has the row as it was.
    fn is_unchanged(&self, sides: &RowSides, side: usize) -> bool {
        let row = if side == OURS { &sides.ours } else { &sides.theirs };
        if *row == sides.base && self.shapes.get(side) == Some(&self.shapes[BASE]) {
            return true;
        }
        let cells: [Cells<'_>; 3] = [BASE, OURS, THEIRS].map(|side| self.cells_of(sides, side));
        let kept = self.columns.kept.iter().map(|(_, columns)| columns);
        kept.chain(&self.columns.dropped).all(|columns| {
            let [base, ours, theirs] = texts(&cells, *columns);
            base == if side == OURS { ours } else { theirs }
        })
    }

    fn key_parts(&self, key: &Key<'_>) -> Vec<String> {
        key.parts(self.shapes[OURS].key().len())
    }

    fn row_conflict(&self, kind: ConflictKind, sides: &RowSides) -> Conflict {
        let json = |row: &Option<Bytes>, side: usize| {
            let shape = self.shapes.get(side)?;
            row.as_ref().map(|row| {
                let place = |columns: &Sides| match side {
                    BASE => columns.base,
                    OURS => columns.ours,
                    _ => columns.theirs,
                };
                // Under the names that the columns have in the result.
                let name = |at: usize, own: &str| {
                    let mut kept = self.columns.kept.iter();
                    let found = kept.find(|(_, columns)| place(columns) == Some(at));
                    found.map_or_else(|| own.to_owned(), |(name, _)| name.clone())
                };
                let names = shape.columns().iter().enumerate();
                let names: Vec<String> = names.map(|(at, own)| name(at, own)).collect();
                json_of(row, shape, &names)
            })
        };
        Conflict {
            table: self.table.clone(),
            kind,
            key: self.key_parts(&sides.key),
            column: None,
            base: json(&sides.base, BASE),
            ours: json(&sides.ours, OURS),
            theirs: json(&sides.theirs, THEIRS),
        }
    }

    fn cell_conflict(&self, at: usize, sides: &RowSides) -> Option<Conflict> {
        let (name, columns) = self.columns.kept.get(at)?;
        let cells: [Cells<'_>; 3] = [BASE, OURS, THEIRS].map(|side| self.cells_of(sides, side));
        let [base, ours, theirs] = texts(&cells, *columns).map(|text| text.map(Cow::into_owned));
        Some(Conflict {
            table: self.table.clone(),
            kind: ConflictKind::Cell,
            key: self.key_parts(&sides.key),
            column: Some(name.clone()),
            base,
            ours,
            theirs,
        })
    }

    /// Theirs wrote into a column that ours dropped.
    fn dropped_conflict(
        &self,
        columns: Sides,
        sides: &RowSides,
        base: Option<Cow<'_, str>>,
        theirs: Option<Cow<'_, str>>,
    ) -> Conflict {
        let name = columns.theirs.and_then(|at| self.shapes[THEIRS].columns().get(at));
        Conflict {
            table: self.table.clone(),
            kind: ConflictKind::Column,
            key: self.key_parts(&sides.key),
            column: name.cloned(),
            base: base.map(Cow::into_owned),
            ours: None,
            theirs: theirs.map(Cow::into_owned),
        }
    }
}

/// The cells of a column on all sides, as they stand.
fn raw<'r>(cells: &[Cells<'r>; 3], columns: Sides) -> [Option<row::RawCell<'r>>; 3] {
    let [base, ours, theirs] = cells;
    let cell = |side: &Cells<'r>, at: Option<usize>| at.and_then(|at| side.get(at)).copied();
    [cell(base, columns.base), cell(ours, columns.ours), cell(theirs, columns.theirs)]
}

/// The texts of a column on all sides. A side that lacks the column did not change it.
fn texts<'r>(cells: &[Cells<'r>; 3], columns: Sides) -> [Option<Cow<'r, str>>; 3] {
    let [base, ours, theirs] = raw(cells, columns);
    let text = |cell: Option<row::RawCell<'r>>| cell.and_then(row::RawCell::text);
    let or_base = |cell: Option<row::RawCell<'r>>| text(cell.or(base));
    [text(base), or_base(ours), or_base(theirs)]
}

/// A row as a JSON object of texts, in the order of its columns.
pub fn row_json(bytes: &[u8], shape: &Shape) -> String {
    json_of(bytes, shape, shape.columns())
}

/// The same under other names.
fn json_of(bytes: &[u8], shape: &Shape, names: &[String]) -> String {
    let cells = names.iter().zip(row::cells(bytes, shape.delimiter()));
    let members: Vec<String> = cells
        .map(|(name, cell)| {
            let text = cell.text().map_or(serde_json::Value::Null, |text| text.as_ref().into());
            format!("{}:{text}", serde_json::Value::from(name.as_str()))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}
