//! Changes that become visible together.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Error, ErrorKind, Result, Schema, Shape, TableName, Timestamp, row,
};

use super::conditions::{Counted, Expected};
use super::inner::Inner;
use super::new_table::NewTable;
use super::open_frame::OpenFrame;
use super::row::{Cell, Row};
use super::snapshot::{Snapshot, find_column, find_known, find_table};
use super::work::{Altered, Whole, Work};
use crate::frame::{Action, Adopted};
use crate::schema;
use crate::table::{Edit, Key, Stamp, Table};

/// Changes of one or more tables, which become visible together when they are committed, and not at all
/// if they are not. Nobody else sees them before.
#[derive(Debug)]
pub struct Transaction {
    pub(super) inner: Arc<Inner>,
    pub(super) snapshot: Snapshot,
    pub(super) stamp: Stamp,
    pub(super) work: BTreeMap<TableName, Work>,
    pub(super) user: Option<String>,
    pub(super) name: Option<String>,
    pub(super) details: BTreeMap<String, String>,
    /// The open frame that it is a step of.
    pub(super) frame: Option<Arc<OpenFrame>>,
    /// What must still be so when it is committed.
    pub(super) expected: Vec<Expected>,
    /// The cells in which it counted instead of writing.
    pub(super) counted: Counted,
    pub(super) on_conflict: OnConflict,
    /// Whether it is a conflict also if another writer wrote the same.
    pub(super) strict: bool,
    /// The outside edits that it takes in.
    pub(super) adopted: BTreeMap<TableName, Adopted>,
    /// When the changes were made, if that was before the commit.
    pub(super) written_at: Option<Timestamp>,
}

/// What becomes of changes that conflict with what others committed meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnConflict {
    /// Nothing at all is committed, and the conflicts are returned.
    #[default]
    Refuse,
    /// What is clean is committed; the rest is parked in the table `reed_conflicts` until somebody resolves it.
    Park,
    /// What others committed stays: the first to write wins.
    Ours,
    /// What this transaction wrote takes its place: the last to write wins.
    Theirs,
    /// Rows that conflict are kept twice: under their key with `-a` behind it, and with `-b`.
    Both,
}

/// How far a transaction had come.
#[derive(Debug, Clone)]
pub struct Mark {
    work: BTreeMap<TableName, Work>,
    expected: Vec<Expected>,
    counted: Counted,
}

impl Transaction {
    pub(super) fn new(inner: Arc<Inner>, snapshot: Snapshot) -> Self {
        let (work, details) = (BTreeMap::new(), BTreeMap::new());
        let stamp = Stamp::new(Timestamp::ZERO);
        Self {
            inner,
            snapshot,
            stamp,
            work,
            user: None,
            name: None,
            details,
            frame: None,
            expected: Vec::new(),
            counted: Counted::default(),
            on_conflict: OnConflict::default(),
            strict: false,
            adopted: BTreeMap::new(),
            written_at: None,
        }
    }

    /// Who makes the frame; without it, whom the database was opened for.
    #[must_use]
    pub fn by(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Gives the frame a name: one line that says why.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What becomes of changes that conflict with what others commit meanwhile: unless it is said, nothing at all is
    /// committed then.
    #[must_use]
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.on_conflict = on_conflict;
        self
    }

    /// It is a conflict also if another writer wrote the same: for changes that follow from what was read.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Adds a detail to the frame, such as the host or the reason.
    #[must_use]
    pub fn with_detail(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }

    /// The row with this key, as the transaction left it.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table, or those of reading it.
    pub fn get<'k>(&self, table: &str, key: impl Into<Key<'k>>) -> Result<Option<Row>> {
        let (_, table) = self.table(table)?;
        let row = table.get(&key.into())?;
        Ok(row.map(|bytes| Row::new(bytes, Arc::clone(table.shape()))))
    }

    /// Adds a row with these cells; columns that are not named become NULL.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if the key is taken, [`NotFound`](ErrorKind::NotFound)
    /// for table or column, [`InvalidInput`](ErrorKind::InvalidInput) if a cell of the key is missing.
    pub fn insert<'c, V: Into<Cell<'c>>>(
        &mut self,
        table: &str,
        cells: impl IntoIterator<Item = (&'c str, V)>,
    ) -> Result<()> {
        let shape = Arc::clone(self.table(table)?.1.shape());
        let mut values = vec![None; shape.columns().len()];
        for (column, cell) in cells {
            let index = find_column(&shape, column).map_err(|error| error.at_table(table))?;
            if let Some(value) = values.get_mut(index) {
                *value = cell.into().0;
            }
        }
        self.insert_cells(table, values)
    }

    /// Adds a row with these cells, one for each column.
    ///
    /// # Errors
    /// Those of [`insert`](Self::insert).
    pub fn insert_cells(&mut self, table: &str, values: Vec<Option<Cow<'_, str>>>) -> Result<()> {
        self.edit(table, Action::CREATE, |edit| {
            let shape = Arc::clone(edit.table().shape());
            for index in shape.key() {
                if values.get(*index).is_none_or(Option::is_none) {
                    let name = shape.columns().get(*index).map_or("", String::as_str);
                    return Err(Error::invalid("a cell of the key is missing")
                        .help(format!("give it a value: {name}=…"))
                        .at_column(name));
                }
            }
            let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
            let line_end = shape.line_end().as_bytes();
            edit.insert(Bytes::from(row::write_row(&values, shape.delimiter(), line_end)))
        })
    }

    /// Changes cells of the row with this key; all its other bytes stay as they are.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for table, row or column.
    pub fn update<'k, 'c, V: Into<Cell<'c>>>(
        &mut self,
        table: &str,
        key: impl Into<Key<'k>>,
        cells: impl IntoIterator<Item = (&'c str, V)>,
    ) -> Result<()> {
        self.update_as(Action::UPDATE, table, key.into(), cells)
    }

    /// The same, noted as another action.
    pub(super) fn update_as<'c, V: Into<Cell<'c>>>(
        &mut self,
        action: Action,
        table: &str,
        key: Key<'_>,
        cells: impl IntoIterator<Item = (&'c str, V)>,
    ) -> Result<()> {
        self.edit(table, action, |edit| {
            let shape = Arc::clone(edit.table().shape());
            let old = edit.table().get(&key)?.ok_or_else(|| no_such_row(&key, &shape))?;
            let cells: Vec<_> = cells
                .into_iter()
                .map(|(column, cell)| Ok((find_column(&shape, column)?, cell.into().0)))
                .collect::<Result<_>>()?;
            let cells: Vec<_> = cells.iter().map(|(at, cell)| (*at, cell.as_deref())).collect();
            for (index, cell) in &cells {
                if cell.is_none() && shape.key().contains(index) {
                    let name = shape.columns().get(*index).map_or("", String::as_str);
                    return Err(Error::invalid("a cell of the key cannot be NULL")
                        .help("delete the row, or give it another key")
                        .at_column(name));
                }
            }
            let new = row::replace_cells(&old, shape.delimiter(), &cells);
            edit.replace(&key, Bytes::from(new))
        })
    }

    /// Removes the row with this key.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for table or row.
    pub fn delete<'k>(&mut self, table: &str, key: impl Into<Key<'k>>) -> Result<()> {
        let key = key.into();
        self.edit(table, Action::DELETE, |edit| edit.remove(&key))
    }

    /// Makes a table.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), or what is wrong with its text, with line and cell.
    pub fn create_table(&mut self, name: &str, table: &NewTable) -> Result<()> {
        let name = TableName::new(name)?;
        name.check_unreserved()?;
        let known = find_known(self.snapshot.state(), name.as_str()).ok();
        let name = known.map_or(name, |known| known.name().clone());
        if self.is_there(&name) {
            return Err(Error::new(ErrorKind::AlreadyExists, "there is such a table already")
                .at_table(name.as_str())
                .help("choose another name with --table, or replace its content with --replace"));
        }
        let base = table.base(&table.shape()?)?;
        let text = Bytes::from(schema::to_text(&table.schema));
        let made = Table::new(base, Timestamp::ZERO).with_schema(Some(text));
        // One that was dropped, here or before, is replaced: it has a past.
        let before = match self.work.remove(&name) {
            Some(Work::Altered(altered)) => altered.before,
            Some(Work::Whole(whole)) => whole.before,
            _ => known.map(|dropped| dropped.table(&self.inner.store).cloned()).transpose()?,
        };
        match before {
            Some(before) => self.put_whole(name, &before.flatten()?, made, Action::INIT),
            None => {
                self.work.insert(name, Work::Whole(Box::new(Whole::new_table(made)?)));
                Ok(())
            }
        }
    }

    /// Makes the content of a table that of a file: rows are matched by key, and only what differs is
    /// written. The file's bytes become the table's, dialect included.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table, or what is wrong with the text.
    pub fn replace_table(&mut self, name: &str, table: &NewTable) -> Result<()> {
        let state = find_table(self.snapshot.state(), name)?;
        let name = state.name().clone();
        if name.is_reserved() {
            return Err(kept_by_us(&name));
        }
        let before = state.table(&self.inner.store)?.flatten()?;
        let schema = adapted_schema(&before, &table.schema)?;
        let base = table.base(&table.shape()?)?;
        let after = Table::new(base, Timestamp::ZERO).with_schema(Some(schema));
        self.put_whole(name, &before, after, Action::IMPORT)
    }

    /// Makes a table what it was after a frame. Earlier frames stay as they are: this adds one.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table, or if it did not exist yet; damage of its history.
    pub fn restore_table(&mut self, name: &str, at: Timestamp, action: Action) -> Result<()> {
        let snapshot = self.snapshot.clone();
        let state = find_known(snapshot.state(), name)?;
        let name = state.name().clone();
        if !self.work.contains_key(&name) && self.put_rows_back(&name, at, action)? {
            return Ok(());
        }
        let before = state.table(&self.inner.store)?.flatten()?;
        let after = snapshot.table_at(name.as_str(), at)?.flatten()?;
        self.put_whole(name, &before, after, action)
    }

    /// Puts rows back that were only updated since; `false` if more happened, and the whole table must be compared.
    fn put_rows_back(&mut self, name: &TableName, at: Timestamp, action: Action) -> Result<bool> {
        let Some(then) = self.snapshot.updated_since(name.as_str(), at)? else { return Ok(false) };
        let mut edit = Edit::new(self.snapshot.table(name.as_str())?.clone(), self.stamp.clone());
        for (key, row) in then.rows {
            edit.put(&key, Some(row))?;
        }
        let done = (edit.table().file_len(), edit.table().rows()) == then.totals;
        if done && !edit.is_empty() {
            self.work.insert(name.clone(), Work::Rows { edit: Box::new(edit), action });
        }
        Ok(done)
    }

    /// Puts a whole table in the place of another.
    fn put_whole(
        &mut self,
        name: TableName,
        before: &Table,
        after: Table,
        action: Action,
    ) -> Result<()> {
        if let Some(whole) = Whole::replacing(before, after, action)? {
            self.work.insert(name, Work::Whole(Box::new(whole)));
        }
        Ok(())
    }

    /// A table as the transaction left it, with its name as it is spelled.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table, or those of reading it.
    pub fn table(&self, name: &str) -> Result<(TableName, &Table)> {
        let exact = match find_table(self.snapshot.state(), name) {
            Ok(state) => state.name().clone(),
            // A table that this transaction makes is not in the snapshot, or is one that was dropped.
            Err(error) => {
                let mut made = self.work.keys();
                let made = made.find(|made| made.as_str().eq_ignore_ascii_case(name));
                made.ok_or(error)?.clone()
            }
        };
        let table = match self.work.get(&exact) {
            Some(Work::Rows { edit, .. }) => edit.table(),
            Some(Work::Whole(whole)) => &whole.after,
            Some(Work::Altered(altered)) => altered.edit.table(),
            None => self.snapshot.table(exact.as_str())?,
        };
        if table.rows() == 0 && table.schema().is_some_and(|text| schema::is_dropped(text)) {
            return Err(Error::not_found(format!("there is no table `{name}` any more")));
        }
        Ok((exact, table))
    }

    /// The names of the tables as it left them, sorted; those that ReedBase keeps itself, too.
    pub fn tables(&self) -> Vec<TableName> {
        let known = self.snapshot.state().tables().map(|table| table.name());
        let mut names: Vec<_> = known.chain(self.work.keys()).cloned().collect();
        names.sort();
        names.dedup();
        names.retain(|name| self.is_there(name));
        names
    }

    /// Whether a table is there and was not dropped. Reads none.
    fn is_there(&self, name: &TableName) -> bool {
        let dropped = |table: &Table| {
            table.rows() == 0 && table.schema().is_some_and(|text| schema::is_dropped(text))
        };
        match self.work.get(name) {
            Some(Work::Whole(whole)) => !dropped(&whole.after),
            Some(Work::Altered(altered)) => !dropped(altered.edit.table()),
            _ => self.snapshot.state().table(name).is_some_and(|table| !table.is_dropped()),
        }
    }

    /// How far it has come, to go back to. Cost: the same for any number of changes.
    pub fn mark(&self) -> Mark {
        Mark {
            work: self.work.clone(),
            expected: self.expected.clone(),
            counted: self.counted.clone(),
        }
    }

    /// Undoes what it did since.
    pub fn go_back(&mut self, mark: Mark) {
        (self.work, self.expected, self.counted) = (mark.work, mark.expected, mark.counted);
    }

    /// What it began with.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Tables with other columns, and edits of their rows, become whole tables.
    pub(super) fn settle(&mut self) -> Result<()> {
        for (name, work) in std::mem::take(&mut self.work) {
            let Work::Altered(altered) = work else {
                self.work.insert(name, work);
                continue;
            };
            let after = altered.edit.table().flatten()?;
            let whole = match &altered.before {
                Some(before) => Whole::replacing(&before.flatten()?, after, altered.action)?,
                None => Some(Whole::new_table(after)?),
            };
            self.work.extend(whole.map(|whole| (name, Work::Whole(Box::new(whole)))));
        }
        Ok(())
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.work.values().all(Work::is_empty) && self.adopted.is_empty()
    }

    /// Edits a table of people's own.
    pub(super) fn edit(
        &mut self,
        table: &str,
        action: Action,
        act: impl FnOnce(&mut Edit) -> Result<()>,
    ) -> Result<()> {
        match TableName::new(table) {
            Ok(name) if name.is_reserved() => Err(kept_by_us(&name)),
            _ => self.edit_any(table, action, act),
        }
    }

    /// Edits any table.
    pub(super) fn edit_any(
        &mut self,
        table: &str,
        action: Action,
        act: impl FnOnce(&mut Edit) -> Result<()>,
    ) -> Result<()> {
        let (name, _) = self.table(table)?;
        if !self.work.contains_key(&name) {
            let table = self.snapshot.table(name.as_str())?.clone();
            let edit = Box::new(Edit::new(table, self.stamp.clone()));
            self.work.insert(name.clone(), Work::Rows { edit, action });
        }
        match self.work.get_mut(&name) {
            Some(Work::Rows { edit, action: noted }) => {
                act(edit).map_err(|error| error.at_table(name.as_str()))?;
                if *noted != action {
                    *noted = Action::UPDATE;
                }
                Ok(())
            }
            Some(Work::Altered(altered)) => {
                act(&mut altered.edit).map_err(|error| error.at_table(name.as_str()))
            }
            Some(Work::Whole(whole)) => {
                let mut edit = Edit::new(whole.after.clone(), self.stamp.clone());
                act(&mut edit).map_err(|error| error.at_table(name.as_str()))?;
                let (before, action) = (whole.before.clone(), whole.action);
                self.work.insert(name, Work::Altered(Box::new(Altered { before, edit, action })));
                Ok(())
            }
            None => Err(Error::internal("the table is not a part of the transaction")),
        }
    }
}

pub(super) fn kept_by_us(name: &TableName) -> Error {
    Error::usage("ReedBase keeps this table itself")
        .at_table(name.as_str())
        .help("resolve conflicts with rdb conflict:resolve, or write picks into its file")
}

pub(super) fn no_such_row(key: &Key<'_>, shape: &Shape) -> Error {
    Error::not_found("there is no row with this key")
        .help("look whether there ever was one: rdb history TABLE KEY")
        .at_key(key.display(shape.key().len()))
}

/// What schema.toml says of a table that a file replaces: what it said, where columns stay.
fn adapted_schema(before: &Table, schema: &Schema) -> Result<Bytes> {
    let known = before.schema().and_then(|text| std::str::from_utf8(text).ok());
    let text = match known {
        Some(text) => schema::adapt(text, schema, &|_| None)?,
        None => schema::to_text(schema),
    };
    Ok(Bytes::from(text))
}
