//! From a cell to a value of SQL: the one mapping that every way to read a table uses.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::number::Number;
use crate::ColumnType;
use crate::row::RawCell;

/// A value of SQL, as a cell holds it.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "SQL has no others")]
pub enum CellValue<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A text, as UTF-8 if the file is.
    Text(Cow<'a, [u8]>),
    /// Bytes.
    Blob(Vec<u8>),
}

/// What SQL does to values before it compares them with those of a column. (SQLite, "Datatypes", section 3.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "SQL has no others")]
pub enum Affinity {
    /// Numbers become texts.
    Text,
    /// Texts that are numbers become numbers.
    Numeric,
    /// The same, and floating-point ones.
    Real,
    /// Nothing.
    Blob,
}

impl Affinity {
    /// The affinity of a column.
    pub fn of(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Integer | ColumnType::Boolean => Self::Numeric,
            ColumnType::Float => Self::Real,
            ColumnType::Binary => Self::Blob,
            _ => Self::Text,
        }
    }
}

impl<'a> CellValue<'a> {
    /// The value of a cell. A cell that is no value of its type stays a text.
    pub fn read(cell: RawCell<'a>, kind: ColumnType) -> Self {
        if cell.is_null() { Self::Null } else { Self::of_content(cell.content(), kind) }
    }

    /// The value of a cell with this text.
    pub fn of_text(text: &'a str, kind: ColumnType) -> Self {
        Self::of_content(Cow::Borrowed(text.as_bytes()), kind)
    }

    fn of_content(content: Cow<'a, [u8]>, kind: ColumnType) -> Self {
        match kind {
            ColumnType::Integer => Self::whole_number(content),
            ColumnType::Float => match number(&content) {
                Some(number) => Self::Real(number.real()),
                None => Self::Text(content),
            },
            ColumnType::Boolean => match &*content {
                b"true" => Self::Integer(1),
                b"false" => Self::Integer(0),
                _ => Self::whole_number(content),
            },
            ColumnType::Binary => match BASE64.decode(&content) {
                Ok(bytes) => Self::Blob(bytes),
                Err(_) => Self::Text(content),
            },
            _ => Self::Text(content),
        }
    }

    fn whole_number(content: Cow<'a, [u8]>) -> Self {
        match number(&content).map(Number::whole) {
            Some(Number::Integer(integer)) => Self::Integer(integer),
            Some(Number::Real(real)) => Self::Real(real),
            None => Self::Text(content),
        }
    }
}

fn number(content: &[u8]) -> Option<Number> {
    Number::parse(std::str::from_utf8(content).ok()?)
}
