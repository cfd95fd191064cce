//! Parked conflicts: finding them, deciding them, and what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, Result, Shape, TableName, Timestamp, row};

use super::new_table::NewTable;
use super::parked::{self, CONFLICTS, OpenConflict};
use super::past::Past;
use super::resolve::{Pick, decide, decide_all, held};
use super::row::Row;
use super::snapshot::{Snapshot, find_column, find_table};
use super::transaction::Transaction;
use super::work::{Whole, Work};
use crate::frame::Action;
use crate::merge::{Conflict, ConflictKind, renamed, set_property, without_column};
use crate::store::retry;
use crate::table::{Key, Table, split};

/// A conflict that was parked once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PastConflict {
    /// What it was about, when it was parked and by which frame.
    pub conflict: OpenConflict,
    /// The frame that resolved it; `None` if it is open.
    pub resolved: Option<Timestamp>,
}

impl PastConflict {
    /// One that is open.
    pub fn open(conflict: OpenConflict) -> Self {
        Self { conflict, resolved: None }
    }
}

impl Snapshot {
    /// The conflicts that nobody has resolved, oldest first.
    ///
    /// # Errors
    /// Those of reading their table.
    pub fn conflicts(&self) -> Result<Vec<OpenConflict>> {
        match self.conflict_table()? {
            Some(table) => parked::all(table),
            None => Ok(Vec::new()),
        }
    }

    /// The conflict with this id, or with the only one that begins so.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), or [`Usage`](ErrorKind::Usage) if several begin so.
    pub fn conflict(&self, id: &str) -> Result<OpenConflict> {
        let mut found = self.conflicts()?;
        found.retain(|open| open.id.starts_with(id));
        match (found.len(), found.pop()) {
            (1, Some(open)) if !id.is_empty() => Ok(open),
            (0, _) => Err(Error::not_found(format!("there is no open conflict `{id}`"))
                .help("rdb conflict:list names those there are")),
            _ => Err(Error::usage(format!("several conflicts begin with `{id}`"))
                .help("write more of the id")),
        }
    }

    /// What the database holds now of what a conflict is about: the text of a cell, or a row as JSON; `None` is NULL, or no
    /// row.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table, or those of reading it.
    pub fn held(&self, conflict: &Conflict) -> Result<Option<String>> {
        match is_about_rows(conflict) {
            true => held(self.table(conflict.table.as_str())?, conflict),
            false => Ok(conflict.ours.clone()),
        }
    }

    fn conflict_table(&self) -> Result<Option<&Table>> {
        match find_table(self.state(), CONFLICTS) {
            Ok(state) => state.table(self.store()).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// All conflicts that ever were parked, oldest first. Cost: reading the history of their table.
    ///
    /// # Errors
    /// Damage of that history.
    pub fn conflict_history(&self) -> Result<Vec<PastConflict>> {
        if self.conflict_table()?.is_none() {
            return Ok(Vec::new());
        }
        let changes = retry(|| Past::of(self, CONFLICTS)?.all_changes())?;
        let mut all: Vec<PastConflict> = Vec::new();
        let mut open: BTreeMap<String, usize> = BTreeMap::new();
        for (frame, changeset) in changes {
            let before = changeset.before.clone().unwrap_or_else(|| changeset.after.clone());
            for line in lines(&changeset.removed, before)? {
                if let Some(at) = open.remove(&line.id).and_then(|at| all.get_mut(at)) {
                    at.resolved = Some(frame);
                }
            }
            for line in lines(&changeset.added, changeset.after.clone())? {
                // One that was only written anew, with a pick say, is the same.
                let known = all
                    .iter()
                    .position(|past| past.conflict.id == line.id && past.resolved == Some(frame));
                let at = known.unwrap_or(all.len());
                let past = PastConflict { conflict: line, resolved: None };
                open.insert(past.conflict.id.clone(), at);
                match all.get_mut(at) {
                    Some(known) => *known = past,
                    None => all.push(past),
                }
            }
        }
        Ok(all)
    }
}

/// The conflicts that some lines of a changeset say.
fn lines(runs: &[reedbase_plugin_api::Lines], shape: Shape) -> Result<Vec<OpenConflict>> {
    let shape = Arc::new(shape);
    let mut found = Vec::new();
    for run in runs {
        for (_, line) in split(run, shape.delimiter())? {
            found.extend(parked::read(&line, &shape));
        }
    }
    Ok(found)
}

/// Whether a conflict is about a row or a cell; else it is about the table as a whole.
fn is_about_rows(conflict: &Conflict) -> bool {
    !conflict.is_about_table()
}

impl Transaction {
    /// Decides a parked conflict: the cell or the row becomes what is picked, and the conflict is gone, in one frame.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if it is not open any more; [`Conflict`](ErrorKind::Conflict) if theirs or the base is
    /// picked though the cell was changed since the conflict was parked: see [`resolve_anyway`](Self::resolve_anyway);
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a value is no row.
    pub fn resolve(&mut self, id: &str, pick: &Pick) -> Result<OpenConflict> {
        let open = self.open_conflict(id)?;
        let held = self.held_now(&open.conflict)?;
        let keeps = matches!(pick, Pick::Ours | Pick::Value(_));
        if !keeps && held != open.conflict.ours {
            let held = held.map_or_else(|| "NULL".to_owned(), |text| format!("`{text}`"));
            return Err(place(
                Error::new(
                    ErrorKind::Conflict,
                    format!("it was changed since the conflict came up: it is {held} now"),
                ),
                &open.conflict,
            )
            .help("look at it again: keep ours, write a value, or resolve it with --force"));
        }
        self.resolve_anyway(id, pick)
    }

    /// What stands now where a conflict is; where it is about a table as a whole, that is not looked at.
    fn held_now(&mut self, conflict: &Conflict) -> Result<Option<String>> {
        match is_about_rows(conflict) {
            true => held(self.work_table(&conflict.table)?, conflict),
            false => Ok(conflict.ours.clone()),
        }
    }

    /// The same, whatever became of the cell since.
    ///
    /// # Errors
    /// Those of [`resolve`](Self::resolve) that are no conflicts.
    pub fn resolve_anyway(&mut self, id: &str, pick: &Pick) -> Result<OpenConflict> {
        let open = self.open_conflict(id)?;
        let conflict = &open.conflict;
        let mut decided = vec![open.id.clone()];
        match (is_about_rows(conflict), pick) {
            (_, Pick::Ours) => {}
            (false, _) => self.decide_for_table(conflict, pick)?,
            (true, Pick::Both) => {
                // Both rows stay: that decides all that is disputed about the row.
                let mut row = self.open_conflicts()?;
                row.retain(|other| {
                    (&other.conflict.table, &other.conflict.key) == (&conflict.table, &conflict.key)
                });
                decided = row.iter().map(|open| open.id.clone()).collect();
                let row = row.into_iter().map(|open| open.conflict).collect();
                self.edit_any(conflict.table.as_str(), Action::RESOLVE, |edit| {
                    decide_all(edit, row, pick).map(drop)
                })?;
            }
            (true, _) => self.edit_any(conflict.table.as_str(), Action::RESOLVE, |edit| {
                decide(edit, conflict, pick)
            })?,
        }
        self.edit_any(CONFLICTS, Action::RESOLVE, |edit| {
            decided.iter().try_for_each(|id| edit.remove(&Key::from(id.as_str())))
        })?;
        Ok(open)
    }

    /// Notes how a conflict is going to be decided, for whoever goes on later; `None` takes the note away. It stands in the columns
    /// `pick` and `value`, and nothing is decided yet.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if it is not open any more.
    pub fn note_pick(&mut self, id: &str, pick: Option<&Pick>) -> Result<()> {
        let open = self.open_conflict(id)?;
        self.edit_any(CONFLICTS, Action::CONFLICT, |edit| {
            let shape = Arc::clone(edit.table().shape());
            let key = Key::from(open.id.as_str());
            let Some(row) = edit.table().get(&key)? else { return Ok(()) };
            let value = match pick {
                Some(Pick::Value(text)) => text.as_deref(),
                _ => None,
            };
            let cells = [
                (find_column(&shape, "pick")?, pick.map(Pick::name)),
                (find_column(&shape, "value")?, value),
            ];
            let row = row::replace_cells(&row, shape.delimiter(), &cells);
            edit.replace(&key, row.into())
        })
    }

    /// Decides what two sides made of a column, or of the schema.
    fn decide_for_table(&mut self, conflict: &Conflict, pick: &Pick) -> Result<()> {
        let table = self.work_table(&conflict.table)?.flatten()?;
        let text = match pick {
            Pick::Theirs => conflict.theirs.clone(),
            Pick::Base => conflict.base.clone(),
            Pick::Value(text) => text.clone(),
            Pick::Ours | Pick::Both => {
                let one =
                    Error::new(ErrorKind::InvalidChoice, "that is one or the other, not both");
                return Err(place(one, conflict).help("pick ours, theirs, or a value"));
            }
        };
        let after = match conflict.kind {
            ConflictKind::Column if text.is_none() => without_column(&table, conflict)?,
            ConflictKind::Column => return Ok(()),
            _ => match (conflict.key.as_slice(), &text) {
                ([key], Some(name)) if key == "name" => renamed(&table, conflict, name)?,
                _ => set_property(&table, conflict, text.as_deref())?,
            },
        };
        let before = self.snapshot.table(conflict.table.as_str())?.flatten()?;
        if let Some(whole) = Whole::replacing(&before, after, Action::RESOLVE)? {
            self.work.insert(conflict.table.clone(), Work::Whole(Box::new(whole)));
        }
        Ok(())
    }

    /// A table as the transaction left it.
    fn work_table(&self, name: &TableName) -> Result<&Table> {
        match self.work.get(name) {
            Some(Work::Rows { edit, .. }) => Ok(edit.table()),
            Some(Work::Whole(whole)) => Ok(&whole.after),
            Some(Work::Altered(altered)) => Ok(altered.edit.table()),
            None => self.snapshot.table(name.as_str()),
        }
    }

    fn open_conflicts(&self) -> Result<Vec<OpenConflict>> {
        match self.work_table(&parked::table_name()?) {
            Ok(table) => parked::all(table),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn open_conflict(&self, id: &str) -> Result<OpenConflict> {
        let known = match self.work_table(&parked::table_name()?) {
            Ok(table) => {
                let row = table.get(&Key::from(id))?;
                row.and_then(|row| parked::read(&row, table.shape()))
            }
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        known.ok_or_else(|| {
            Error::not_found(format!("the conflict `{id}` is not open"))
                .help("rdb conflict:list names those that are")
        })
    }

    /// Takes the picks that somebody wrote into a table with the columns `id`, `pick` and `value`, such as a copy of the table
    /// of conflicts. A line that is missing stays open, and a pick counts only if ours still is what it was. Gives the ids
    /// of those that do not count.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if a column is missing, [`InvalidInput`](ErrorKind::InvalidInput) if a pick is none of
    /// those there are, or a value no row.
    pub fn resolve_from(&mut self, table: &NewTable) -> Result<Vec<String>> {
        let base = table.base(&table.shape()?)?;
        self.take_picks(&Table::new(base, Timestamp::ZERO))
    }

    pub(super) fn take_picks(&mut self, file: &Table) -> Result<Vec<String>> {
        let (mut stale, mut picks) = (Vec::new(), Vec::new());
        find_column(file.shape(), "id")?;
        find_column(file.shape(), "pick")?;
        for bytes in file.rows_iter() {
            let row = Row::new(bytes?, Arc::clone(file.shape()));
            let text = |column: &str| row.get(column).map(|text| text.into_owned());
            let (Some(id), Some(word)) = (text("id"), text("pick")) else { continue };
            if word.trim().is_empty() {
                continue;
            }
            let pick = Pick::from_name(&word, text("value")).ok_or_else(|| {
                Error::new(ErrorKind::InvalidChoice, format!("`{word}` is no pick"))
                    .at_key(&id)
                    .at_column("pick")
                    .help("write ours, theirs, base, both or value, and the value beside it")
            })?;
            match self.open_conflict(&id) {
                Ok(open) => picks.push((open, pick)),
                Err(_) => stale.push(id),
            }
        }
        // What is about a table as a whole comes last: it writes the table anew.
        picks.sort_by_key(|(open, _)| !is_about_rows(&open.conflict));
        for (open, pick) in picks {
            if self.held_now(&open.conflict)? != open.conflict.ours {
                stale.push(open.id);
                continue;
            }
            match self.resolve(&open.id, &pick) {
                Err(error) if error.is_conflict() || error.is_not_found() => stale.push(open.id),
                done => drop(done?),
            }
        }
        Ok(stale)
    }
}

fn place(error: Error, conflict: &Conflict) -> Error {
    let error = error.at_table(conflict.table.as_str());
    let error = match conflict.key.is_empty() {
        true => error,
        false => error.at_key(conflict.key_text()),
    };
    match &conflict.column {
        Some(column) => error.at_column(column),
        None => error,
    }
}
