//! What a frame is going to do, table by table.

use reedbase_plugin_api::{Changeset, Result, TableName, Timestamp};

use super::compare::{changeset, compare};
use super::work::Whole;
use crate::frame::{Action, Adopted};
use crate::merge::Conflict;
use crate::table::{Difference, Edit, Stamp, Table};

/// What a frame does to one table, fitted to the newest state.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) name: TableName,
    pub(super) before: Option<Table>,
    pub(super) action: Action,
    pub(super) changeset: Changeset,
    pub(super) after: Table,
    pub(super) adopted: Option<Adopted>,
    /// The edits, if rows were edited and no more.
    pub(super) edit: Option<Box<Edit>>,
}

/// What a transaction comes to.
#[derive(Debug, Default)]
pub(super) struct Fit {
    pub(super) tables: Vec<Fitted>,
    /// The rows that others had changed, too.
    pub(super) merged: Vec<RowName>,
    /// What is disputed: it is not in the tables.
    pub(super) conflicts: Vec<Conflict>,
    /// Tables that it would take to know, and that are not loaded.
    pub(super) missing: Vec<TableName>,
}

/// A row, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowName {
    /// The table.
    pub table: TableName,
    /// The key, a text for each of its columns.
    pub key: Vec<String>,
}

impl Fitted {
    /// The version before; zero for a new table.
    pub(super) fn base(&self) -> Timestamp {
        self.before.as_ref().map_or(Timestamp::ZERO, Table::version)
    }

    /// A table that is made.
    pub(super) fn new_table(name: &TableName, made: Table) -> Result<Self> {
        Ok(Self::whole(name, &Whole::new_table(made)?))
    }

    /// Edits of rows of a table.
    pub(super) fn rows(name: &TableName, edit: &Edit, action: Action) -> Result<Self> {
        let before = edit.before().clone();
        let (after, removed, added) = edit.finish()?;
        let changeset = changeset(&before, &after, Difference::lines(removed, added))?;
        let (before, edit) = (Some(before), Some(Box::new(edit.clone())));
        Ok(Self { name: name.clone(), before, action, changeset, after, adopted: None, edit })
    }

    /// What it becomes, to be edited on.
    pub(super) fn editing(&self, stamp: &Stamp) -> Edit {
        match &self.edit {
            Some(edit) => (**edit).clone(),
            None => Edit::new(self.after.clone(), stamp.clone()),
        }
    }

    /// The same with more edits: those of [`editing`](Self::editing), and others.
    pub(super) fn edited(&self, edit: &Edit) -> Result<Self> {
        let made = match (&self.edit, &self.before) {
            (Some(_), _) => Self::rows(&self.name, edit, self.action)?,
            (None, Some(before)) => {
                let after = edit.table().flatten()?;
                let changeset = compare(&before.flatten()?, &after)?;
                Self { changeset, after, ..self.clone() }
            }
            (None, None) => Self::new_table(&self.name, edit.table().flatten()?)?,
        };
        Ok(Self { adopted: self.adopted, ..made })
    }

    /// A whole table in the place of another.
    pub(super) fn whole(name: &TableName, whole: &Whole) -> Self {
        Self {
            name: name.clone(),
            before: whole.before.clone(),
            action: whole.action,
            changeset: whole.changeset.clone(),
            after: whole.after.clone(),
            adopted: None,
            edit: None,
        }
    }
}
