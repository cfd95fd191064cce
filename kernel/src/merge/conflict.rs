//! What no rule decides: somebody has to.

use std::fmt;

use reedbase_plugin_api::{Error, TableName};
use sha2::{Digest, Sha256};

/// Something that two sides changed, each in another way, and that nothing decides. *Ours* is what the database holds,
/// and goes on holding; *theirs* is what was to be merged into it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The table.
    pub table: TableName,
    /// What the sides disagree on.
    pub kind: ConflictKind,
    /// The key of the row, a text for each of its columns; none if it is about the table as a whole.
    pub key: Vec<String>,
    /// The column, if it is about one.
    pub column: Option<String>,
    /// What it was when both sides began: the text of a cell, or a row as JSON; `None` is NULL, or no row.
    pub base: Option<String>,
    /// What the database holds.
    pub ours: Option<String>,
    /// What was to be merged.
    pub theirs: Option<String>,
}

/// What two sides disagree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConflictKind {
    /// A cell that both wrote.
    Cell,
    /// A row that one removed and the other changed.
    Delete,
    /// A row that both inserted under one key.
    Insert,
    /// Cells that two rows would have of which the schema says that they are unique.
    Unique,
    /// A cell that would name a row of another table that is not there any more, or a row that would be removed while
    /// others name it.
    Reference,
    /// A cell that is no value of the type that the other side gave its column.
    Type,
    /// A cell of a column that the other side dropped.
    Column,
    /// What schema.toml says of a column or of the table.
    Schema,
}

impl ConflictKind {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::Cell, "cell"),
        (Self::Delete, "delete"),
        (Self::Insert, "insert"),
        (Self::Unique, "unique"),
        (Self::Reference, "reference"),
        (Self::Type, "type"),
        (Self::Column, "column"),
        (Self::Schema, "schema"),
    ];

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// Whether it is about a table as a whole, never about one of its rows.
    pub fn is_of_tables(self) -> bool {
        self == Self::Schema
    }

    /// Whether its sides are whole rows.
    pub fn is_of_rows(self) -> bool {
        matches!(self, Self::Delete | Self::Insert)
    }
}

impl fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(kind, _)| kind == self).map_or("", |(_, name)| *name);
        f.write_str(name)
    }
}

impl Conflict {
    /// What names it: 12 hexadecimal digits of a hash of what it is about and of theirs. So the same conflict has the same id
    /// wherever it is met, and is parked once.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        let mut put = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        put(self.table.as_str());
        put(&self.kind.to_string());
        self.key.iter().for_each(|part| put(part));
        put(self.column.as_deref().unwrap_or("\0"));
        put(self.theirs.as_deref().unwrap_or("\0"));
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is about a column or the schema, and no row.
    pub fn is_about_table(&self) -> bool {
        self.key.is_empty() || self.kind.is_of_tables()
    }

    /// The key as a person reads it.
    pub fn key_text(&self) -> String {
        self.key.join(", ")
    }

    /// One line that says what happened.
    pub fn summary(&self) -> &'static str {
        match self.kind {
            ConflictKind::Cell => "both sides changed this cell",
            ConflictKind::Delete => "one side removed the row, the other changed it",
            ConflictKind::Insert => "both sides inserted a row under this key",
            ConflictKind::Unique => "another row has this already, and it must be unique",
            ConflictKind::Reference if self.theirs.is_none() => "other rows refer to this row",
            ConflictKind::Reference => "the row that is referred to is gone",
            ConflictKind::Type => "the cell is no value of the column's new type",
            ConflictKind::Column => "one side dropped the column, the other wrote into it",
            ConflictKind::Schema => "both sides changed what the schema says",
        }
    }
}

/// Why nothing was committed: what an error of the kind [`Conflict`](reedbase_plugin_api::ErrorKind::Conflict) carries.
#[derive(Debug, Clone)]
pub struct Conflicts(Vec<Conflict>);

impl Conflicts {
    /// The conflicts that an error carries; none if it is another error.
    pub fn of(error: &Error) -> &[Conflict] {
        let source = std::error::Error::source(error);
        let conflicts = source.and_then(|source| source.downcast_ref::<Self>());
        conflicts.map_or(&[], |conflicts| &conflicts.0)
    }

    /// An error that carries conflicts; there must be one.
    pub(crate) fn into_error(conflicts: Vec<Conflict>) -> Error {
        let message = match conflicts.as_slice() {
            [conflict] => conflict.summary().to_owned(),
            more => format!("{} conflicts with what others committed meanwhile", more.len()),
        };
        let mut error = Error::new(reedbase_plugin_api::ErrorKind::Conflict, message).help(
            "look at it again and repeat the change, or let the rest in and park what is disputed",
        );
        if let Some(conflict) = conflicts.first() {
            error = error.at_table(conflict.table.as_str());
            if !conflict.key.is_empty() {
                error = error.at_key(conflict.key_text());
            }
            if let Some(column) = &conflict.column {
                error = error.at_column(column);
            }
        }
        error.caused_by(Self(conflicts))
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of what was to be merged is disputed", self.0.len())
    }
}

impl std::error::Error for Conflicts {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_tells_conflicts_apart_and_nothing_else() {
        let conflict = |key: &[&str], column: Option<&str>, theirs: Option<&str>| Conflict {
            table: TableName::new("t").unwrap(),
            kind: ConflictKind::Cell,
            key: key.iter().map(|part| (*part).to_owned()).collect(),
            column: column.map(str::to_owned),
            base: None,
            ours: None,
            theirs: theirs.map(str::to_owned),
        };
        let one = conflict(&["1"], Some("x"), Some("a"));
        assert_eq!(one.id().len(), 12);
        let later = Conflict { ours: Some("changed since".into()), ..one.clone() };
        assert_eq!(one.id(), later.id());
        for other in [
            conflict(&["1"], Some("x"), None),
            conflict(&["1"], Some("y"), Some("a")),
            conflict(&["1", "x"], None, Some("a")),
            conflict(&["1x"], None, Some("a")),
            Conflict { kind: ConflictKind::Type, ..one.clone() },
        ] {
            assert_ne!(one.id(), other.id(), "{other:?}");
        }
    }

    #[test]
    fn an_error_carries_conflicts() {
        let name = TableName::new("t").unwrap();
        let conflict = Conflict {
            table: name,
            kind: ConflictKind::Delete,
            key: vec!["7".into()],
            column: None,
            base: Some("{}".into()),
            ours: None,
            theirs: Some("{}".into()),
        };
        let error = Conflicts::into_error(vec![conflict.clone()]);
        assert_eq!(
            error.to_string(),
            "table t, key 7: one side removed the row, the other changed it"
        );
        assert_eq!(Conflicts::of(&error), [conflict]);
        assert!(Conflicts::of(&Error::usage("x")).is_empty());
    }
}
