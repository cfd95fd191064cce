//! Rules of the schema that only two sides together break.
//!
//! Each side may have kept them, and the merged table does not: one gave a name to a row that the other gave to another where
//! it must be unique; one removed a row that the other refers to; ours gave a column another type than what theirs wrote
//! into it. What theirs wrote is withheld then, and disputed. A rule that one side broke by itself is its own matter.
//!
//! What both sides did is looked at; a whole table only where one side made a rule that the other did not know.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Column, Error, ErrorKind, Result, Schema, Shape, TableName, Timestamp, row,
};

use super::fitted::{Fit, Fitted};
use super::inner::Inner;
use super::past::Past;
use super::snapshot::Snapshot;
use super::transaction::{OnConflict, Transaction};
use super::unique::{Taken, Twins, Unique};
use super::work::Work;
use crate::changes::RowChanges;
use crate::merge::{Conflict, ConflictKind, fits, row_json};
use crate::schema;
use crate::state::State;
use crate::store::retry;
use crate::table::{Key, Stamp, Table};

/// Withholds what would break a rule. Tables that it would need and that are not loaded yet are named in the fit.
pub(super) fn check(
    fit: &mut Fit,
    transaction: &Transaction,
    state: &Arc<State>,
    inner: &Inner,
) -> Result<()> {
    let frame = transaction.snapshot.frame();
    let is_old = |(name, work): (&TableName, &Work)| began(transaction, name, work) < frame;
    if state.newest() == frame && !transaction.work.iter().any(is_old) {
        return Ok(());
    }
    let now = Snapshot::new(Arc::clone(state), Arc::clone(&inner.store));
    let mut disputed = Vec::new();
    for fitted in &mut fit.tables {
        let Some(work) = transaction.work.get(&fitted.name) else { continue };
        if fitted.name.is_reserved() {
            continue;
        }
        let since = began(transaction, &fitted.name, work);
        let base = match work {
            Work::Rows { edit, .. } => Some(edit.before()),
            Work::Whole(whole) => whole.before.as_ref(),
            Work::Altered(altered) => altered.before.as_ref(),
        };
        let (missing, withheld) = (Vec::new(), Vec::new());
        let mut checker = Checker { since, base, now: &now, missing, withheld };
        checker.table(fitted)?;
        let Checker { missing, withheld, .. } = checker;
        fit.missing.extend(missing);
        if !withheld.is_empty() {
            withhold(fitted, &withheld)?;
            disputed.extend(withheld);
        }
    }
    if transaction.on_conflict != OnConflict::Ours {
        fit.conflicts.extend(disputed);
    }
    Ok(())
}

/// The frame that a part of a transaction began with: that of its snapshot, unless it was made from an older version.
fn began(transaction: &Transaction, name: &TableName, work: &Work) -> Timestamp {
    let base = match work {
        Work::Rows { edit, .. } => edit.before().version(),
        Work::Whole(whole) => whole.base(),
        Work::Altered(altered) => altered.before.as_ref().map_or(Timestamp::ZERO, Table::version),
    };
    let snapshot = &transaction.snapshot;
    let known = snapshot.state().table(name).map(|table| table.version());
    if known.is_some_and(|known| base < known) { base } else { snapshot.frame() }
}

/// Takes what is disputed out of what a table becomes.
fn withhold(fitted: &mut Fitted, conflicts: &[Conflict]) -> Result<()> {
    let mut edit = fitted.editing(&Stamp::new(fitted.after.version()));
    for conflict in conflicts {
        let key = Key::from_parts(&conflict.key);
        let shape = Arc::clone(edit.table().shape());
        let head = fitted.before.as_ref().map(|before| before.get(&key)).transpose()?.flatten();
        let at = conflict.column.as_ref().and_then(|column| shape.column(column));
        match (at, edit.table().get(&key)?) {
            (Some(at), Some(now)) => {
                let cells = [(at, conflict.ours.as_deref())];
                let row = row::replace_cells(&now, shape.delimiter(), &cells);
                edit.replace(&key, Bytes::from(row))?;
            }
            _ => edit.put(&key, head)?,
        }
    }
    *fitted = fitted.edited(&edit)?;
    Ok(())
}

struct Checker<'a> {
    /// The frame that theirs began with.
    since: Timestamp,
    /// The table that theirs began with.
    base: Option<&'a Table>,
    /// What it is fitted to.
    now: &'a Snapshot,
    missing: Vec<TableName>,
    withheld: Vec<Conflict>,
}

/// A row on one side of a change, and how it is cut.
type Cut = Option<(Bytes, Arc<Shape>)>;

/// A row that a side changed: before and after.
type Changed = (Key<'static>, Cut, Cut);

impl Checker<'_> {
    fn table(&mut self, fitted: &Fitted) -> Result<()> {
        let Some(head) = &fitted.before else { return Ok(()) };
        let text = fitted.after.schema().cloned().unwrap_or_default();
        let said = |word: &str| memchr::memmem::find(&text, word.as_bytes()).is_some();
        let retyped = self.base.and_then(Table::schema) != fitted.after.schema();
        let theirs = changed(fitted)?;
        if said("unique") || said("references") || retyped {
            let Some(schema) = parsed(&text) else { return Ok(()) };
            self.all_unique(fitted, head, &Unique::rules(&schema), &theirs)?;
            for column in &schema.columns {
                if let Some(parent) = &column.references {
                    self.reference(fitted, parent, column, &theirs)?;
                }
                if retyped {
                    self.retyped(fitted, column, &theirs);
                }
            }
        }
        let removed: Vec<&Changed> =
            theirs.iter().filter(|(_, _, after)| after.is_none()).collect();
        if removed.is_empty() { Ok(()) } else { self.referred(fitted, &removed) }
    }

    /// What others did to a table since the transaction began.
    fn ours(&self, table: &TableName) -> Result<Vec<Changed>> {
        let now = self.now.state().table(table).map(|table| table.version());
        let Some(now) = now.filter(|now| *now > self.since) else { return Ok(Vec::new()) };
        // Files may be folded together between their being listed and read.
        retry(|| {
            let mut changes = RowChanges::default();
            for (_, changeset) in Past::of(self.now, table.as_str())?.changes(self.since, now)? {
                changes.add(&changeset)?;
            }
            Ok(rows_of(changes))
        })
    }

    /// Every rule that something must be unique. One that only one side knew is held against the whole table.
    fn all_unique(
        &mut self,
        fitted: &Fitted,
        head: &Table,
        rules: &[Unique],
        theirs: &[Changed],
    ) -> Result<()> {
        let ours = if rules.is_empty() { Vec::new() } else { self.ours(&fitted.name)? };
        let (base, here) = (Unique::rules_of(self.base), Unique::rules_of(Some(head)));
        for rule in rules {
            if !here.contains(rule) {
                // Theirs made it, and looked at the rows that it knew.
                rule.all_taken(&fitted.after)?.map_err(|twins| broken(rule, &twins, fitted))?;
                continue;
            }
            let known = base.contains(rule);
            // Ours made it, and kept it; an edit of the file may have broken it since.
            let all = if known { None } else { rule.all_taken(head)?.ok() };
            let by_ours = || rule.taken(ours.iter().map(|(key, ..)| key.clone()), head);
            let taken = all.map_or_else(by_ours, Ok)?;
            self.unique(fitted, rule, &taken, theirs)?;
        }
        Ok(())
    }

    /// No two rows that the sides changed may have the same values where they must be unique.
    fn unique(
        &mut self,
        fitted: &Fitted,
        rule: &Unique,
        taken: &Taken,
        theirs: &[Changed],
    ) -> Result<()> {
        for changed in theirs {
            let Some(value) = given(changed, rule) else { continue };
            let Some(other) = taken.get(&value).filter(|other| **other != changed.0) else {
                continue;
            };
            // The other row may have got another cell, or be gone, on this side.
            let there = fitted.after.get(other)?;
            let there = there.and_then(|row| rule.value(&row, fitted.after.shape()));
            if there.as_ref() == Some(&value) {
                for column in rule.columns().filter(|column| differs(changed, column)) {
                    self.withhold(ConflictKind::Unique, fitted, changed, column);
                }
            }
        }
        Ok(())
    }

    /// A row that theirs refers to must not have been removed by others.
    fn reference(
        &mut self,
        fitted: &Fitted,
        parent: &str,
        column: &Column,
        theirs: &[Changed],
    ) -> Result<()> {
        let Some((parent, now)) = self.loaded(parent)? else { return Ok(()) };
        let gone: HashSet<Key<'static>> = self
            .ours(&parent)?
            .into_iter()
            .filter_map(|(key, _, after)| after.is_none().then_some(key))
            .collect();
        for changed in theirs.iter().filter(|_| !gone.is_empty()) {
            let Some(text) = written(changed, &column.name) else { continue };
            let key = Key::from(text.as_str());
            if gone.contains(&key) && now.get(&key)?.is_none() {
                self.withhold(ConflictKind::Reference, fitted, changed, &column.name);
            }
        }
        Ok(())
    }

    /// A row that others refer to since must not be removed by theirs.
    fn referred(&mut self, fitted: &Fitted, removed: &[&Changed]) -> Result<()> {
        let removed: HashMap<&Key<'_>, &Cut> =
            removed.iter().map(|(key, before, _)| (key, before)).collect();
        let mut told = HashSet::new();
        let state = Arc::clone(self.now.state());
        for child in state.tables().filter(|child| !child.name().is_reserved()) {
            let Some(text) = child.schema_text() else { continue };
            if memchr::memmem::find(text, b"references").is_none() {
                continue;
            }
            let Some(schema) = parsed(text) else { continue };
            for column in &schema.columns {
                let parent = column.references.as_deref();
                if !parent.is_some_and(|parent| names(parent, &fitted.name)) {
                    continue;
                }
                let Some((name, now)) = self.loaded(child.name().as_str())? else { continue };
                for (key, ..) in self.ours(&name)? {
                    let row = now.get(&key)?;
                    let text = row.and_then(|row| cell(&row, now.shape(), &column.name));
                    let Some(key) = text.map(|text| Key::from(text.as_str()).into_owned()) else {
                        continue;
                    };
                    if let Some(before) = removed.get(&key).filter(|_| told.insert(key.clone())) {
                        let json = before.as_ref().map(|(row, shape)| row_json(row, shape));
                        self.withheld.push(Conflict {
                            table: fitted.name.clone(),
                            kind: ConflictKind::Reference,
                            key: key.parts(fitted.after.shape().key().len()),
                            column: None,
                            base: json.clone(),
                            ours: json,
                            theirs: None,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// What theirs wrote must be of the type that ours gave the column.
    fn retyped(&mut self, fitted: &Fitted, column: &Column, theirs: &[Changed]) {
        let before = self.base.and_then(Table::schema).and_then(|text| parsed(text));
        let mut known = before.iter().flat_map(|schema| &schema.columns);
        let was = known.find(|was| was.name.eq_ignore_ascii_case(&column.name));
        if was.is_none_or(|was| was.kind == column.kind) {
            return;
        }
        for changed in theirs {
            let Some(text) = written(changed, &column.name) else { continue };
            if !fits(column.kind, &text) {
                self.withhold(ConflictKind::Type, fitted, changed, &column.name);
            }
        }
    }

    /// A table as it is now, if it is loaded; else it is noted as missing.
    fn loaded(&mut self, name: &str) -> Result<Option<(TableName, Table)>> {
        let state = self.now.state();
        let mut tables = state.tables();
        let Some(table) = tables.find(|table| names(name, table.name())) else { return Ok(None) };
        match table.loaded() {
            Some(loaded) => Ok(Some((table.name().clone(), loaded.clone()))),
            None => {
                self.missing.push(table.name().clone());
                Ok(None)
            }
        }
    }

    /// Notes what theirs wrote into a cell; of a new row, the row.
    fn withhold(
        &mut self,
        kind: ConflictKind,
        fitted: &Fitted,
        (key, before, after): &Changed,
        column: &str,
    ) {
        let key = key.parts(fitted.after.shape().key().len());
        let covers = |known: &str| known == column;
        let known =
            |known: &Conflict| known.key == key && known.column.as_deref().is_none_or(covers);
        if self.withheld.iter().any(known) {
            return;
        }
        let table = fitted.name.clone();
        let text = |row: &Cut| row.as_ref().and_then(|(row, shape)| cell(row, shape, column));
        self.withheld.push(match before {
            Some(_) => Conflict {
                table,
                kind,
                key,
                column: Some(column.to_owned()),
                base: text(before),
                ours: text(before),
                theirs: text(after),
            },
            None => Conflict {
                table,
                kind,
                key,
                column: None,
                base: None,
                ours: None,
                theirs: after.as_ref().map(|(row, shape)| row_json(row, shape)),
            },
        });
    }
}

/// The rows that a frame is going to change.
fn changed(fitted: &Fitted) -> Result<Vec<Changed>> {
    let mut changes = RowChanges::default();
    changes.add(&fitted.changeset)?;
    Ok(rows_of(changes))
}

fn rows_of(changes: RowChanges) -> Vec<Changed> {
    changes.every_row().map(|row| (row.key, row.before, row.after)).collect()
}

/// That ours did not keep a rule that theirs makes.
fn broken(rule: &Unique, (one, other): &Twins, fitted: &Fitted) -> Error {
    let columns = fitted.after.shape().key().len();
    let (one, other) = (one.display(columns), other.display(columns));
    let message = format!("meanwhile the rows {one} and {other} got what must be unique");
    Error::new(ErrorKind::AlreadyExists, message)
        .at_table(fitted.name.as_str())
        .at_column(rule.columns().collect::<Vec<_>>().join(", "))
        .help("change one of them, or make an index that is not unique")
}

/// The values that a change gave to a row, if it did. Columns that had another name before were not written.
fn given((_, before, after): &Changed, rule: &Unique) -> Option<Vec<u8>> {
    let (after, shape) = after.as_ref()?;
    let value = rule.value(after, shape)?;
    let before = match before {
        Some((_, shape)) if !rule.is_in(shape) => return None,
        Some((row, shape)) => rule.value(row, shape),
        None => None,
    };
    (before.as_ref() != Some(&value)).then_some(value)
}

/// Whether a change gave a row another cell than it had.
fn differs((_, before, after): &Changed, column: &str) -> bool {
    let text = |row: &Cut| row.as_ref().and_then(|(row, shape)| cell(row, shape, column));
    before.is_none() || text(before) != text(after)
}

/// The text that a change wrote into a column, if it did and that is not empty. A column that had another name before was not
/// written.
fn written((_, before, after): &Changed, column: &str) -> Option<String> {
    let (after, shape) = after.as_ref()?;
    let text = cell(after, shape, column)?;
    let before = match before {
        Some((_, shape)) if shape.column(column).is_none() => return None,
        Some((row, shape)) => cell(row, shape, column),
        None => None,
    };
    (!text.is_empty() && before.as_ref() != Some(&text)).then_some(text)
}

fn cell(row: &[u8], shape: &Shape, column: &str) -> Option<String> {
    let at = shape.column(column)?;
    row::cells(row, shape.delimiter()).nth(at).and_then(|cell| Some(cell.text()?.into_owned()))
}

fn parsed(text: &[u8]) -> Option<Schema> {
    schema::parse(std::str::from_utf8(text).ok()?).ok()
}

/// Whether `references` means this table: its name, or that and one of its columns.
fn names(references: &str, table: &TableName) -> bool {
    let is_table = |name: &str| name.eq_ignore_ascii_case(table.as_str());
    is_table(references) || references.rsplit_once('.').is_some_and(|(name, _)| is_table(name))
}
