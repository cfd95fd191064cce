//! What a transaction did, fitted to the newest state.
//!
//! Where nobody committed to its tables since it began, that is what it did. Else it is merged: *ours* is the newest
//! state, *theirs* the transaction. Edits of rows are merged row by row, which costs what was edited, whatever the size of
//! the table and however much was committed meanwhile; only unique columns and references have to read what was
//! committed meanwhile (`rules`). Where columns, order or dialect changed, whole tables are merged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reedbase_plugin_api::{
    Changeset, Error, ErrorKind, Lines, Result, Shape, TableName, Timestamp,
};

use super::compare::compare;
use super::conditions::check_expected;
use super::fitted::{Fit, Fitted, RowName};
use super::inner::Inner;
use super::past::Past;
use super::resolve::{Pick, decide_all};
use super::rules;
use super::snapshot::Snapshot;
use super::transaction::{OnConflict, Transaction};
use super::work::{Whole, Work};
use crate::changes::RowChanges;
use crate::frame::Action;
use crate::merge::{
    Columns, Conflict, Origins, RowSides, Rows, Side, Tables, cell_rules, check_key, origins, then,
};
use crate::state::State;
use crate::table::{Edit, Key, Stamp, Table, key_of, split};

/// Fits a transaction to a state.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict) if a table was made meanwhile that it makes, or if what it relies on is no longer so.
pub(super) fn fit(transaction: &Transaction, state: &Arc<State>, inner: &Inner) -> Result<Fit> {
    check_expected(&transaction.expected, state, &inner.store)?;
    let mut fit = Fit::default();
    for (name, work) in &transaction.work {
        let fitting = Fitting { transaction, state, inner, name };
        let fitted = fitting.fit(work, &mut fit).map_err(|error| error.at_table(name.as_str()))?;
        let adopted = transaction.adopted.get(name).copied();
        let fitted = fitted.map(|fitted| Fitted { adopted, ..fitted });
        // An edit that says nothing new is taken in, too: its file is known to be ours then.
        let says = |fitted: &Fitted| !fitted.changeset.is_empty() || fitted.adopted.is_some();
        fit.tables.extend(fitted.filter(says));
    }
    rules::check(&mut fit, transaction, state, inner)?;
    fit.tables.retain(|fitted| !fitted.changeset.is_empty() || fitted.adopted.is_some());
    Ok(fit)
}

/// Whether fitting a transaction to a state takes so long that it must not be done with the database locked.
pub(super) fn is_slow(transaction: &Transaction, state: &State) -> bool {
    transaction.work.iter().any(|(name, work)| {
        let Some(head) = state.table(name) else { return false };
        match work {
            Work::Whole(whole) => whole.base() != head.version(),
            Work::Altered(_) => true,
            Work::Rows { edit, .. } => {
                let before = edit.before();
                let head_shape = head.loaded().map(Table::shape);
                before.version() != head.version()
                    && (edit.touched_count() > QUICK_ROWS || head_shape != Some(before.shape()))
            }
        }
    })
}

/// This many rows are merged with the database locked: that takes about 2 ms.
const QUICK_ROWS: usize = 1000;

/// One table of a transaction.
struct Fitting<'a> {
    transaction: &'a Transaction,
    state: &'a Arc<State>,
    inner: &'a Inner,
    name: &'a TableName,
}

/// A row that theirs changed.
struct TheirRow {
    key: Key<'static>,
    base: Option<bytes::Bytes>,
    theirs: Option<bytes::Bytes>,
}

impl Fitting<'_> {
    fn fit(&self, work: &Work, fit: &mut Fit) -> Result<Option<Fitted>> {
        let head = match self.state.table(self.name) {
            Some(head) => Some(head.table(&self.inner.store)?),
            None => None,
        };
        match (work, head) {
            (Work::Whole(whole), head) if whole.base() == version_of(head) => {
                Ok(Some(Fitted::whole(self.name, whole)))
            }
            (Work::Rows { edit, action }, Some(head)) if is_same(edit.before(), head) => {
                Fitted::rows(self.name, edit, *action).map(Some)
            }
            (Work::Rows { edit, action }, Some(head)) => {
                self.fit_rows(edit, *action, head, fit).map(Some)
            }
            (Work::Whole(whole), Some(head)) => match &whole.before {
                Some(before) => self.fit_whole(whole, before, head, fit).map(Some),
                None => Err(meanwhile("the table was made meanwhile")),
            },
            (Work::Altered(_), _) => {
                Err(Error::internal("a table with other columns was not settled"))
            }
            (_, None) => Err(meanwhile("the table is gone")),
        }
    }

    /// Edits of rows on a table that others changed.
    fn fit_rows(&self, edit: &Edit, action: Action, head: &Table, fit: &mut Fit) -> Result<Fitted> {
        let touched = edit.touched()?;
        let rows = touched.into_iter().map(|(key, touched)| TheirRow {
            key,
            base: touched.before,
            theirs: touched.after,
        });
        let before = edit.before();
        let mut again = Edit::new(head.clone(), self.transaction.stamp.clone());
        let merge = Merge { fitting: self, before, theirs: before.shape(), head };
        merge.rows(rows.collect(), &mut again, None, fit)?;
        Fitted::rows(self.name, &again, action)
    }

    /// A whole table beside what others did to it.
    fn fit_whole(
        &self,
        whole: &Whole,
        before: &Table,
        head: &Table,
        fit: &mut Fit,
    ) -> Result<Fitted> {
        let rows_only = is_rows_only(&whole.changeset) && stays_in_place(&whole.changeset)?;
        if !rows_only || head.shape() != before.shape() {
            return self.merge_tables(whole, before, head, fit);
        }
        let mut changes = RowChanges::default();
        changes.add(&whole.changeset)?;
        let line = |side: Option<(bytes::Bytes, _)>| side.map(|(line, _)| line);
        let rows = changes.every_row().map(|row| TheirRow {
            key: row.key,
            base: line(row.before),
            theirs: line(row.after),
        });
        let mut edit = Edit::new(head.clone(), self.transaction.stamp.clone());
        let merge = Merge { fitting: self, before, theirs: whole.after.shape(), head };
        merge.rows(rows.collect(), &mut edit, Some(&whole.after), fit)?;
        Fitted::rows(self.name, &edit, whole.action)
    }

    /// Columns, order or dialect changed on a side.
    fn merge_tables(
        &self,
        whole: &Whole,
        before: &Table,
        head: &Table,
        fit: &mut Fit,
    ) -> Result<Fitted> {
        let (base, ours, theirs) = (before.flatten()?, head.flatten()?, whole.after.flatten()?);
        let tables = Tables {
            name: self.name,
            base: &base,
            ours: &ours,
            theirs: &theirs,
            our_origins: &self.our_origins(before, head)?,
            their_origins: &origins(base.shape().columns(), theirs.shape().columns()),
            drivers: &self.inner.drivers,
            theirs_at: self.theirs_at(),
        };
        let mut merged = tables.merge()?;
        merged.conflicts = self.settle(merged.conflicts, &mut merged.table)?;
        let columns = head.shape().key().len();
        let named = |key: Key<'_>| RowName { table: self.name.clone(), key: key.parts(columns) };
        fit.merged.extend(merged.both.into_iter().map(named));
        fit.conflicts.extend(merged.conflicts);
        Ok(Fitted {
            name: self.name.clone(),
            changeset: compare(&ours, &merged.table)?,
            before: Some(ours),
            action: whole.action,
            after: merged.table,
            adopted: None,
            edit: None,
        })
    }

    /// Decides what the transaction says is to be decided in one way; gives what is left.
    fn settle(&self, conflicts: Vec<Conflict>, table: &mut Table) -> Result<Vec<Conflict>> {
        let mut edit = Edit::new(table.clone(), Stamp::new(table.version()));
        let rest = self.settle_in(conflicts, &mut edit)?;
        if !edit.is_empty() {
            *table = edit.table().flatten()?;
        }
        Ok(rest)
    }

    fn settle_in(&self, conflicts: Vec<Conflict>, edit: &mut Edit) -> Result<Vec<Conflict>> {
        let pick = match self.transaction.on_conflict {
            OnConflict::Refuse | OnConflict::Park => return Ok(conflicts),
            OnConflict::Ours => Pick::Ours,
            OnConflict::Theirs => Pick::Theirs,
            OnConflict::Both => Pick::Both,
        };
        decide_all(edit, conflicts, &pick)
    }

    fn theirs_at(&self) -> Timestamp {
        self.transaction.written_at.unwrap_or(Timestamp::MAX)
    }

    /// Where the columns of the newest table were in the one that the transaction began with.
    fn our_origins(&self, before: &Table, head: &Table) -> Result<Origins> {
        let mut all: Origins = (0..before.shape().columns().len()).map(Some).collect();
        if before.shape().columns() == head.shape().columns() {
            return Ok(all);
        }
        let snapshot = Snapshot::new(Arc::clone(self.state), Arc::clone(&self.inner.store));
        let past = Past::of(&snapshot, self.name.as_str())?;
        if !past.timestamps().any(|version| version == before.version()) {
            // That of another copy of the database.
            return Ok(origins(before.shape().columns(), head.shape().columns()));
        }
        for (_, changeset) in past.changes(before.version(), head.version())? {
            let Some(shape) = &changeset.before else { continue };
            all = then(&all, &origins(shape.columns(), changeset.after.columns()));
        }
        Ok(all)
    }
}

/// Rows of a transaction and rows of the newest table.
struct Merge<'a> {
    fitting: &'a Fitting<'a>,
    before: &'a Table,
    theirs: &'a Shape,
    head: &'a Table,
}

impl Merge<'_> {
    /// Merges rows into `edit`, which edits the newest table. Where the order of theirs is known, a new row goes where it
    /// stands there.
    fn rows(
        &self,
        rows: Vec<TheirRow>,
        edit: &mut Edit,
        order: Option<&Table>,
        fit: &mut Fit,
    ) -> Result<()> {
        let Fitting { transaction, inner, name, .. } = *self.fitting;
        let shape = self.head.shape();
        let columns = self.columns()?;
        let mut changed = false;
        let counted = transaction.counted.get(name);
        let mut sides = Vec::with_capacity(rows.len());
        for TheirRow { key, base, theirs } in rows {
            let ours = self.head.get(&key)?;
            changed |= ours != base;
            let ours_at = self.head.written_at(&key)?;
            let names = counted.and_then(|counted| counted.get(&key)).into_iter().flatten();
            let counted = names.filter_map(|name| shape.column(name)).collect();
            sides.push(RowSides { key, base, ours, theirs, ours_at, counted });
        }
        let rules = if changed { cell_rules(self.head.schema(), &columns) } else { Vec::new() };
        let merger = Rows {
            table: name,
            shapes: [self.before.shape(), shape, self.theirs],
            result: shape,
            columns: &columns,
            rules: &rules,
            drivers: &inner.drivers,
            theirs_at: self.fitting.theirs_at(),
            strict: transaction.strict,
        };
        let (mut new, mut conflicts) = (HashMap::new(), Vec::new());
        for merged in merger.merge(sides)? {
            conflicts.extend(merged.conflicts);
            let key = || merged.key.parts(shape.key().len());
            fit.merged.extend(merged.both.then(|| RowName { table: name.clone(), key: key() }));
            match (merged.row, order) {
                (Some(row), Some(_)) if edit.table().get(&merged.key)?.is_none() => {
                    new.insert(merged.key, row);
                }
                (row, _) => edit.put(&merged.key, row)?,
            }
        }
        if let Some(theirs) = order {
            self.insert(new, theirs, edit)?;
        }
        fit.conflicts.extend(self.fitting.settle_in(conflicts, edit)?);
        Ok(())
    }

    fn columns(&self) -> Result<Columns> {
        let (before, ours) = (self.before.shape().columns(), self.head.shape().columns());
        let origins = self.fitting.our_origins(self.before, self.head)?;
        check_key(self.before.shape(), self.head.shape(), &origins)?;
        if before == ours {
            return Ok(Columns::same(ours));
        }
        let unchanged: Origins = (0..before.len()).map(Some).collect();
        let theirs = Side { names: before, origins: &unchanged };
        Ok(Columns::merge(before, Side { names: ours, origins: &origins }, theirs))
    }

    /// Puts new rows behind the rows that they follow in theirs.
    fn insert(
        &self,
        mut new: HashMap<Key<'static>, bytes::Bytes>,
        theirs: &Table,
        edit: &mut Edit,
    ) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let is_old = |key: &Key<'_>| self.before.get(key).map(|row| row.is_some());
        let mut anchor: Option<Key<'static>> = None;
        for row in theirs.rows_iter() {
            let Some(key) = key_of(&row?, theirs.shape()).map(Key::into_owned) else { continue };
            if let Some(row) = new.remove(&key) {
                edit.insert_behind(anchor.as_ref(), &is_old, row)?;
                if new.is_empty() {
                    return Ok(());
                }
            } else if edit.table().get(&key)?.is_none() {
                continue;
            }
            anchor = Some(key);
        }
        Ok(())
    }
}

fn version_of(table: Option<&Table>) -> Timestamp {
    table.map_or(Timestamp::ZERO, Table::version)
}

/// Whether two tables are the very same, lines and all.
fn is_same(one: &Table, other: &Table) -> bool {
    one.version() == other.version() && Arc::ptr_eq(one.base(), other.base())
}

/// Whether a changeset does no more than change rows where they stand, add some and remove some.
fn is_rows_only(changeset: &Changeset) -> bool {
    changeset.before.as_ref() == Some(&changeset.after)
        && changeset.schema.is_none()
        && changeset.moves.is_empty()
}

/// Whether rows that were changed stand where they stood: behind the same number of lines that stayed, and in the same
/// order among themselves.
fn stays_in_place(changeset: &Changeset) -> Result<bool> {
    let before = changeset.before.as_ref().unwrap_or(&changeset.after);
    let removed = places(&changeset.removed, before)?;
    let added = places(&changeset.added, &changeset.after)?;
    let left: HashSet<&Key<'_>> = added.iter().map(|(key, _)| key).collect();
    let there: HashSet<&Key<'_>> = removed.iter().map(|(key, _)| key).collect();
    let one = removed.iter().filter(|(key, _)| left.contains(key));
    Ok(one.eq(added.iter().filter(|(key, _)| there.contains(key))))
}

/// The keys of some lines, with how many lines that stayed are before each.
fn places(runs: &[Lines], shape: &Shape) -> Result<Vec<(Key<'static>, u64)>> {
    let (mut places, mut passed) = (Vec::new(), 0);
    for run in runs {
        for (_, line) in split(run, shape.delimiter())? {
            let key = key_of(&line, shape).filter(|_| !shape.is_blank(&line));
            places.extend(key.map(|key| (key.into_owned(), run.start - passed)));
        }
        passed += run.count;
    }
    Ok(places)
}

fn meanwhile(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, what).help("look at it again, and repeat the change")
}
