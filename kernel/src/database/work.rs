//! What a transaction does to one table, until it is committed.

use reedbase_plugin_api::{Bytes, Changeset, Lines, Result, SchemaText, Timestamp};

use super::compare::{compare, draw_salt};
use crate::frame::Action;
use crate::table::{Edit, Table};

/// What a transaction does to one table.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Edits of single rows.
    Rows { edit: Box<Edit>, action: Action },
    /// Another table in its place, or a new one.
    Whole(Box<Whole>),
    /// The same, and edits of its rows: until it is committed.
    Altered(Box<Altered>),
}

impl Work {
    /// Whether it does nothing.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Rows { edit, .. } if edit.is_empty())
    }
}

/// A whole table that replaces another.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// The table it was compared with; `None` for a new table.
    pub(super) before: Option<Table>,
    pub(super) after: Table,
    pub(super) changeset: Changeset,
    pub(super) action: Action,
}

/// A table with other columns, and edits of its rows.
#[derive(Debug, Clone)]
pub(super) struct Altered {
    /// The table it was; `None` for a new one.
    pub(super) before: Option<Table>,
    pub(super) edit: Edit,
    pub(super) action: Action,
}

impl Whole {
    /// A table that is made.
    pub(super) fn new_table(after: Table) -> Result<Self> {
        let shape = after.shape();
        let file = after.to_bytes()?;
        let bytes = file.slice(shape.header().len()..);
        let lines = Lines { start: 0, count: after.lines(), bytes };
        let schema = after.schema().cloned();
        let changeset = Changeset {
            before: None,
            after: (**shape).clone(),
            schema: schema.map(|after| SchemaText { before: Bytes::new(), after }),
            removed: Vec::new(),
            added: if lines.count > 0 { vec![lines] } else { Vec::new() },
            moves: Vec::new(),
            salt: draw_salt()?,
        };
        Ok(Self { before: None, after, changeset, action: Action::INIT })
    }

    /// A table in the place of another; `None` if they are the same. Both must be bases.
    pub(super) fn replacing(before: &Table, after: Table, action: Action) -> Result<Option<Self>> {
        let changeset = compare(before, &after)?;
        let before = Some(before.clone());
        let whole = Self { before, after, changeset, action };
        Ok((!whole.changeset.is_empty()).then_some(whole))
    }

    /// The version it was compared with; zero for a new table.
    pub(super) fn base(&self) -> Timestamp {
        self.before.as_ref().map_or(Timestamp::ZERO, Table::version)
    }
}
