//! Rules of the schema that only two sides together break.
//!
//! Each side may have kept them, and the merged table does not: one gave a name to a row that the other gave to another in a
//! unique column; one removed a row that the other refers to; one gave a column another type than what the other wrote
//! into it. What theirs wrote is withheld then, and disputed. A rule that one side broke by itself is its own matter.
//!
//! What both sides did is looked at, never a whole table.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Column, Result, Schema, Shape, TableName, row};

use super::compare::compare;
use super::fitted::{Fit, Fitted};
use super::inner::Inner;
use super::past::Past;
use super::snapshot::Snapshot;
use super::transaction::{OnConflict, Transaction};
use crate::changes::RowChanges;
use crate::merge::{Conflict, ConflictKind, fits, row_json};
use crate::schema;
use crate::state::State;
use crate::table::{Edit, Key, Stamp, Table};

/// Withholds what would break a rule. Tables that it would need and that are not loaded yet are named in the fit.
pub(super) fn check(
    fit: &mut Fit,
    transaction: &Transaction,
    state: &Arc<State>,
    inner: &Inner,
) -> Result<()> {
    let then = &transaction.snapshot;
    if state.newest() == then.frame() {
        return Ok(());
    }
    let now = Snapshot::new(Arc::clone(state), Arc::clone(&inner.store));
    let mut disputed = Vec::new();
    for fitted in &mut fit.tables {
        if fitted.name.is_reserved() {
            continue;
        }
        let mut checker = Checker { then, now: &now, missing: Vec::new(), withheld: Vec::new() };
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

/// Takes what is disputed out of what a table becomes.
fn withhold(fitted: &mut Fitted, conflicts: &[Conflict]) -> Result<()> {
    let whole = fitted.edit.is_none();
    let after = fitted.after.clone();
    let mut edit = match fitted.edit.take() {
        Some(edit) => *edit,
        None => Edit::new(after.clone(), Stamp::new(after.version())),
    };
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
    let made = match (&fitted.before, whole) {
        (Some(before), true) => {
            let after = edit.table().flatten()?;
            let changeset = compare(before, &after)?;
            Fitted { changeset, after, ..fitted.clone() }
        }
        _ => Fitted::rows(&fitted.name, &edit, fitted.action)?,
    };
    *fitted = Fitted { adopted: fitted.adopted, ..made };
    Ok(())
}

struct Checker<'a> {
    /// What the transaction began with.
    then: &'a Snapshot,
    /// What it is fitted to.
    now: &'a Snapshot,
    missing: Vec<TableName>,
    withheld: Vec<Conflict>,
}

/// A row that a side changed: before and after.
type Changed = (Key<'static>, Option<Bytes>, Option<Bytes>);

impl Checker<'_> {
    fn table(&mut self, fitted: &Fitted) -> Result<()> {
        let Some(head) = &fitted.before else { return Ok(()) };
        let text = fitted.after.schema().cloned().unwrap_or_default();
        let said = |word: &str| memchr::memmem::find(&text, word.as_bytes()).is_some();
        let retyped = self.then.table(fitted.name.as_str()).ok().and_then(Table::schema)
            != fitted.after.schema();
        let theirs = changed(fitted)?;
        if said("unique") || said("references") || retyped {
            let Some(schema) = parsed(&text) else { return Ok(()) };
            for (at, column) in schema.columns.iter().enumerate() {
                if column.unique {
                    self.unique(fitted, head, at, column, &theirs)?;
                }
                if let Some(parent) = &column.references {
                    self.reference(fitted, parent, at, column, &theirs)?;
                }
                if retyped {
                    self.retyped(fitted, at, column, &theirs)?;
                }
            }
        }
        let removed: Vec<&Changed> =
            theirs.iter().filter(|(_, _, after)| after.is_none()).collect();
        if removed.is_empty() { Ok(()) } else { self.referred(fitted, &removed) }
    }

    /// What others did to a table since the transaction began.
    fn ours(&self, table: &TableName) -> Result<Vec<Changed>> {
        let then = self.then.state().table(table).map(|table| table.version());
        let now = self.now.state().table(table).map(|table| table.version());
        let (Some(then), Some(now)) = (then, now) else { return Ok(Vec::new()) };
        if then == now {
            return Ok(Vec::new());
        }
        let mut changes = RowChanges::default();
        for (_, changeset) in Past::of(self.now, table.as_str())?.changes(then, now)? {
            changes.add(&changeset)?;
        }
        Ok(rows_of(changes))
    }

    /// No two rows that the sides changed may have the same cell in a unique column.
    fn unique(
        &mut self,
        fitted: &Fitted,
        head: &Table,
        at: usize,
        column: &Column,
        theirs: &[Changed],
    ) -> Result<()> {
        let mut taken: HashMap<String, Key<'static>> = HashMap::new();
        for (key, ..) in self.ours(&fitted.name)? {
            let row = head.get(&key)?;
            let text = row.and_then(|row| cell(&row, head.shape(), at));
            taken.extend(text.filter(|text| !text.is_empty()).map(|text| (text, key)));
        }
        for changed in theirs {
            let Some(text) = written(changed, fitted.after.shape(), at) else { continue };
            let Some(other) = taken.get(&text).filter(|other| **other != changed.0) else {
                continue;
            };
            // The other row may have got another cell, or be gone, on this side.
            let there = fitted.after.get(other)?;
            if there.and_then(|row| cell(&row, fitted.after.shape(), at)).as_ref() == Some(&text) {
                self.withhold(ConflictKind::Unique, fitted, changed, at, column);
            }
        }
        Ok(())
    }

    /// A row that theirs refers to must not have been removed by others.
    fn reference(
        &mut self,
        fitted: &Fitted,
        parent: &str,
        at: usize,
        column: &Column,
        theirs: &[Changed],
    ) -> Result<()> {
        let Some((parent, now)) = self.loaded(parent)? else { return Ok(()) };
        let gone: Vec<Key<'static>> = self
            .ours(&parent)?
            .into_iter()
            .filter_map(|(key, _, after)| after.is_none().then_some(key))
            .collect();
        for changed in theirs.iter().filter(|_| !gone.is_empty()) {
            let Some(text) = written(changed, fitted.after.shape(), at) else { continue };
            let key = Key::from(text.as_str());
            if gone.contains(&key) && now.get(&key)?.is_none() {
                self.withhold(ConflictKind::Reference, fitted, changed, at, column);
            }
        }
        Ok(())
    }

    /// A row that others refer to since must not be removed by theirs.
    fn referred(&mut self, fitted: &Fitted, removed: &[&Changed]) -> Result<()> {
        let state = Arc::clone(self.now.state());
        for child in state.tables().filter(|child| !child.name().is_reserved()) {
            let Some(text) = child.schema_text() else { continue };
            if memchr::memmem::find(text, b"references").is_none() {
                continue;
            }
            let Some(schema) = parsed(text) else { continue };
            for (at, column) in schema.columns.iter().enumerate() {
                let parent = column.references.as_deref();
                if !parent.is_some_and(|parent| names(parent, &fitted.name)) {
                    continue;
                }
                let Some((name, now)) = self.loaded(child.name().as_str())? else { continue };
                for (key, ..) in self.ours(&name)? {
                    let row = now.get(&key)?;
                    let Some(text) = row.and_then(|row| cell(&row, now.shape(), at)) else {
                        continue;
                    };
                    let wanted = Key::from(text.as_str());
                    if let Some((key, before, _)) = removed.iter().find(|(key, ..)| *key == wanted)
                    {
                        let json = before.as_ref().map(|row| row_json(row, fitted.after.shape()));
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
        self.withheld.dedup();
        Ok(())
    }

    /// What a side wrote must be of the type that the other gave the column.
    fn retyped(
        &mut self,
        fitted: &Fitted,
        at: usize,
        column: &Column,
        theirs: &[Changed],
    ) -> Result<()> {
        let before = self.then.table(fitted.name.as_str()).ok().and_then(Table::schema);
        let before = before.and_then(|text| parsed(text)).unwrap_or_else(|| Schema {
            delimiter: b',',
            line_end: reedbase_plugin_api::LineEnd::Lf,
            columns: Vec::new(),
        });
        let was = before.columns.iter().find(|c| c.name.eq_ignore_ascii_case(&column.name));
        if was.is_none_or(|was| was.kind == column.kind) {
            return Ok(());
        }
        for changed in theirs {
            let Some(text) = written(changed, fitted.after.shape(), at) else { continue };
            if !fits(column.kind, &text) {
                self.withhold(ConflictKind::Type, fitted, changed, at, column);
            }
        }
        Ok(())
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
        at: usize,
        column: &Column,
    ) {
        let shape = fitted.after.shape();
        let key = key.parts(shape.key().len());
        let known = |known: &&Conflict| known.key == key && known.column.is_none();
        if self.withheld.iter().any(|conflict| known(&conflict)) {
            return;
        }
        let table = fitted.name.clone();
        let text = |row: &Option<Bytes>| row.as_ref().and_then(|row| cell(row, shape, at));
        self.withheld.push(match before {
            Some(_) => Conflict {
                table,
                kind,
                key,
                column: Some(column.name.clone()),
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
                theirs: after.as_ref().map(|row| row_json(row, shape)),
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
    let line = |side: Option<(Bytes, _)>| side.map(|(line, _)| line);
    changes.every_row().map(|row| (row.key, line(row.before), line(row.after))).collect()
}

/// The text that a change wrote into a column, if it did and that is not empty.
fn written((_, before, after): &Changed, shape: &Shape, at: usize) -> Option<String> {
    let text = cell(after.as_ref()?, shape, at)?;
    let before = before.as_ref().and_then(|row| cell(row, shape, at));
    (!text.is_empty() && before.as_ref() != Some(&text)).then_some(text)
}

fn cell(row: &[u8], shape: &Shape, at: usize) -> Option<String> {
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
