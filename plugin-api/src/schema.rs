//! What a table looks like: the types of its columns, its key, and the dialect of its file.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The schema of a table, as its `schema.toml` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The byte between two cells.
    pub delimiter: u8,
    /// The line end of rows that ReedBase writes.
    pub line_end: LineEnd,
    /// The columns, in the order of the file.
    pub columns: Vec<Column>,
    /// The indices.
    pub indices: Vec<IndexSpec>,
    /// Whether the table was dropped: it has no rows and is not seen, but it has a past.
    pub dropped: bool,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name, as it stands in the header.
    pub name: String,
    /// What the cells mean.
    pub kind: ColumnType,
    /// Whether the column is part of the primary key.
    pub primary_key: bool,
    /// The id of the merge driver that decides cells which two sides changed; `None` asks a person.
    pub merge: Option<String>,
    /// Whether no two rows may have the same value; NULL does not count.
    pub unique: bool,
    /// The table whose key the cells name.
    pub references: Option<String>,
    /// Whether a cell must have a value.
    pub required: bool,
    /// The text of the cell in a new row that does not say it.
    pub default: Option<String>,
    /// How a new row that does not say its key gets one.
    pub generated: Option<KeyRule>,
    /// Whether `SELECT *` leaves it out, and an INSERT need not name it.
    pub hidden: bool,
}

/// What is said of an index in `schema.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// The name: no two indices of a database have the same.
    pub name: String,
    /// The id of its kind.
    pub using: String,
    /// What is indexed.
    pub columns: Vec<IndexColumn>,
    /// Whether no two rows may have the same values; a row with a NULL among them does not count.
    pub unique: bool,
    /// Whether rows are left out in which all these columns are NULL.
    pub sparse: bool,
}

impl IndexSpec {
    /// An index of a kind, of columns as they are.
    pub fn new(name: impl Into<String>, using: impl Into<String>, columns: &[&str]) -> Self {
        let column = |name: &&str| IndexColumn { name: (*name).to_owned(), nocase: false };
        let columns = columns.iter().map(column).collect();
        Self { name: name.into(), using: using.into(), columns, unique: false, sparse: false }
    }
}

/// A column of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// The name of the column.
    pub name: String,
    /// Whether capital letters of ASCII count as small ones.
    pub nocase: bool,
}

/// A change of the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnStep {
    /// A column behind the others; rows that are there get its default.
    Add(Column),
    /// A column goes, with its cells.
    Drop(String),
    /// A column gets another name.
    Rename {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
}

/// How keys are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRule {
    /// A UUID of version 7: unique everywhere, and in the order of time.
    Uuid7,
    /// The whole number after the largest one there is.
    Next,
}

impl KeyRule {
    /// The word for it in schema.toml.
    pub fn word(self) -> &'static str {
        match self {
            Self::Uuid7 => "uuid7",
            Self::Next => "next",
        }
    }
}

impl FromStr for KeyRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "uuid7" => Ok(Self::Uuid7),
            "next" => Ok(Self::Next),
            _ => Err(Error::invalid(format!("`{text}` is no way to make keys"))
                .help("write key = \"uuid7\" or key = \"next\"")),
        }
    }
}

impl Column {
    /// A column that is in no key and has no rules.
    pub fn new(name: impl Into<String>, kind: ColumnType) -> Self {
        Self {
            name: name.into(),
            kind,
            primary_key: false,
            merge: None,
            unique: false,
            references: None,
            required: false,
            default: None,
            generated: None,
            hidden: false,
        }
    }

    /// The same column as part of the primary key.
    #[must_use]
    pub fn in_key(mut self, primary_key: bool) -> Self {
        self.primary_key = primary_key;
        self
    }
}

/// What the cells of a column mean.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColumnType {
    /// Any text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A floating-point number.
    Float,
    /// A number kept as text and compared as a number.
    Decimal,
    /// `true` or `false`, also written `1` or `0`.
    Boolean,
    /// An instant.
    Timestamp,
    /// A day.
    Date,
    /// A JSON value.
    Json,
    /// Bytes, as base64.
    Binary,
}

impl ColumnType {
    const NAMES: [(Self, &'static str); 9] = [
        (Self::String, "string"),
        (Self::Integer, "integer"),
        (Self::Float, "float"),
        (Self::Decimal, "decimal"),
        (Self::Boolean, "boolean"),
        (Self::Timestamp, "timestamp"),
        (Self::Date, "date"),
        (Self::Json, "json"),
        (Self::Binary, "binary"),
    ];
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(kind, _)| kind == self).map_or("string", |(_, n)| n);
        f.write_str(name)
    }
}

impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::NAMES.iter().find(|(_, name)| *name == text);
        known.map(|(kind, _)| *kind).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(_, name)| *name).collect();
            Error::invalid(format!("`{text}` is not a type"))
                .help(format!("the types are {}", names.join(", ")))
        })
    }
}

/// How a line ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are no others: a lone CR is content")]
pub enum LineEnd {
    /// `\n`
    #[default]
    Lf,
    /// `\r\n`
    CrLf,
}

impl LineEnd {
    /// The bytes.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

impl Schema {
    /// A schema with these columns, in the order of the file.
    pub fn new(delimiter: u8, line_end: LineEnd, columns: Vec<Column>) -> Self {
        Self { delimiter, line_end, columns, indices: Vec::new(), dropped: false }
    }

    /// The positions of the key's columns, in the order of the file.
    pub fn key(&self) -> Vec<usize> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(_, column)| column.primary_key).map(|(index, _)| index).collect()
    }
}
