//! From a cell to a value of SQL, and back: the one mapping that both access paths use.
//!
//! ```text
//! type        declared as            a cell is                         written as
//! string      TEXT                   TEXT                              TEXT
//! integer     INTEGER                INTEGER, REAL if it has to be     the digits
//! float       REAL                   REAL                              0.5, 5.0, 1e300
//! decimal     TEXT COLLATE decimal   TEXT, compared as a number        as given
//! boolean     BOOLEAN                1 or 0                            true or false
//! timestamp   TEXT                   TEXT                              TEXT
//! date        TEXT                   TEXT                              TEXT
//! json        TEXT                   TEXT                              TEXT
//! binary      BLOB                   BLOB                              base64
//! ```
//!
//! NULL is NULL. A cell that is no value of its type stays TEXT, so that nothing is hidden. What a column is declared as
//! gives it an affinity; a value that is read here is never changed by it any more. That is what makes the two paths
//! agree: a native table would convert values when they are stored, a virtual one does not.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reedbase_plugin_api::row::RawCell;
use reedbase_plugin_api::{Column, ColumnType, Error, Result};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use crate::number::Number;

/// A value of SQL, as a cell holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CellValue<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, [u8]>),
    Blob(Vec<u8>),
}

impl CellValue<'_> {
    /// The same, as SQLite takes it.
    pub(crate) fn as_sql(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }
}

impl ToSql for CellValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.as_sql()))
    }
}

/// The type and the collation that a column is declared with.
pub(crate) fn declaration(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Integer => "INTEGER",
        ColumnType::Float => "REAL",
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::Decimal => "TEXT COLLATE decimal",
        ColumnType::Binary => "BLOB",
        _ => "TEXT",
    }
}

/// What SQLite does to values of a column before it compares them with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affinity {
    Text,
    Numeric,
    Real,
    Blob,
}

/// The affinity of a column.
pub(crate) fn affinity(kind: ColumnType) -> Affinity {
    match kind {
        ColumnType::Integer | ColumnType::Boolean => Affinity::Numeric,
        ColumnType::Float => Affinity::Real,
        ColumnType::Binary => Affinity::Blob,
        _ => Affinity::Text,
    }
}

/// The value of a cell.
pub(crate) fn read(cell: RawCell<'_>, kind: ColumnType) -> CellValue<'_> {
    if cell.is_null() { CellValue::Null } else { read_content(cell.content(), kind) }
}

/// The value of a cell with this text.
pub(crate) fn read_text(text: &str, kind: ColumnType) -> CellValue<'_> {
    read_content(Cow::Borrowed(text.as_bytes()), kind)
}

fn read_content(content: Cow<'_, [u8]>, kind: ColumnType) -> CellValue<'_> {
    match kind {
        ColumnType::Integer => read_number(content),
        ColumnType::Float => match number(&content) {
            Some(number) => CellValue::Real(number.real()),
            None => CellValue::Text(content),
        },
        ColumnType::Boolean => match &*content {
            b"true" => CellValue::Integer(1),
            b"false" => CellValue::Integer(0),
            _ => read_number(content),
        },
        ColumnType::Binary => match BASE64.decode(&content) {
            Ok(bytes) => CellValue::Blob(bytes),
            Err(_) => CellValue::Text(content),
        },
        _ => CellValue::Text(content),
    }
}

fn read_number(content: Cow<'_, [u8]>) -> CellValue<'_> {
    match number(&content).map(Number::whole) {
        Some(Number::Integer(integer)) => CellValue::Integer(integer),
        Some(Number::Real(real)) => CellValue::Real(real),
        None => CellValue::Text(content),
    }
}

fn number(content: &[u8]) -> Option<Number> {
    Number::parse(std::str::from_utf8(content).ok()?)
}

/// The text of the cell that a value becomes; `None` is NULL. Whether it is of the type is not looked at here.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) for a BLOB in a column of text, or text that is not UTF-8.
pub(crate) fn write<'a>(value: ValueRef<'a>, column: &Column) -> Result<Option<Cow<'a, str>>> {
    let text = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(value) => match (column.kind, value) {
            (ColumnType::Boolean, 1) => Cow::Borrowed("true"),
            (ColumnType::Boolean, 0) => Cow::Borrowed("false"),
            (ColumnType::Float, _) => real_text(Number::Integer(value).real()).into(),
            _ => value.to_string().into(),
        },
        ValueRef::Real(value) => match (column.kind, Number::Real(value).whole()) {
            (ColumnType::Integer | ColumnType::Boolean, Number::Integer(value)) => {
                return write(ValueRef::Integer(value), column);
            }
            _ => real_text(value).into(),
        },
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| {
                Error::invalid("the text is not UTF-8").at_column(column.name.clone())
            })?;
            return Ok(Some(write_text(text, column.kind)));
        }
        ValueRef::Blob(bytes) if column.kind == ColumnType::Binary => BASE64.encode(bytes).into(),
        ValueRef::Blob(_) => {
            return Err(Error::invalid(format!("a BLOB does not fit into a {}", column.kind))
                .help("write CAST(… AS TEXT), or give the column the type binary")
                .at_column(column.name.clone()));
        }
    };
    Ok(Some(text))
}

/// A text in a column of numbers is the number that it says, as affinity makes it; elsewhere it stays as it is.
fn write_text(text: &str, kind: ColumnType) -> Cow<'_, str> {
    let number = match kind {
        ColumnType::Integer | ColumnType::Boolean => Number::parse(text).map(Number::whole),
        ColumnType::Float => Number::parse(text).map(|number| Number::Real(number.real())),
        _ => None,
    };
    match (number, kind) {
        (Some(Number::Integer(1)), ColumnType::Boolean) => "true".into(),
        (Some(Number::Integer(0)), ColumnType::Boolean) => "false".into(),
        (Some(Number::Integer(integer)), _) => integer.to_string().into(),
        (Some(Number::Real(real)), _) => real_text(real).into(),
        (None, _) => text.into(),
    }
}

/// The shortest text that is this number, with a point or an exponent in it.
fn real_text(real: f64) -> String {
    if real.is_infinite() {
        return if real > 0.0 { "1e999".into() } else { "-1e999".into() };
    }
    format!("{real:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedbase_plugin_api::row;

    fn value(text: &str, kind: ColumnType) -> CellValue<'_> {
        read(row::cells(text.as_bytes(), b'|').next().unwrap(), kind)
    }

    #[test]
    fn cells_are_values_of_their_type_or_stay_text() {
        use CellValue::{Blob, Integer, Null, Real, Text};
        let text = |text: &str| Text(Cow::Owned(text.as_bytes().to_vec()));
        for (cell, kind, expected) in [
            ("", ColumnType::Integer, Null),
            ("\"\"", ColumnType::String, text("")),
            ("007", ColumnType::Integer, Integer(7)),
            ("007", ColumnType::String, text("007")),
            ("1.5", ColumnType::Integer, Real(1.5)),
            ("x", ColumnType::Integer, text("x")),
            ("5", ColumnType::Float, Real(5.0)),
            ("NaN", ColumnType::Float, text("NaN")),
            ("true", ColumnType::Boolean, Integer(1)),
            ("0", ColumnType::Boolean, Integer(0)),
            ("yes", ColumnType::Boolean, text("yes")),
            ("1.10", ColumnType::Decimal, text("1.10")),
            ("aGk=", ColumnType::Binary, Blob(b"hi".to_vec())),
            ("aGk", ColumnType::Binary, text("aGk")),
            ("2026-01-01", ColumnType::Date, text("2026-01-01")),
        ] {
            assert_eq!(value(cell, kind), expected, "{cell} {kind}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let hi = b"hi".as_slice();
        for (given, kind, cell) in [
            (ValueRef::Integer(1), ColumnType::Boolean, "true"),
            (ValueRef::Integer(7), ColumnType::Integer, "7"),
            (ValueRef::Real(7.0), ColumnType::Integer, "7"),
            (ValueRef::Integer(7), ColumnType::Float, "7.0"),
            (ValueRef::Real(1e300), ColumnType::Float, "1e300"),
            (ValueRef::Real(f64::INFINITY), ColumnType::Float, "1e999"),
            (ValueRef::Text(b"007"), ColumnType::Integer, "7"),
            (ValueRef::Text(b"007"), ColumnType::String, "007"),
            (ValueRef::Text(b"1.10"), ColumnType::Decimal, "1.10"),
            (ValueRef::Blob(hi), ColumnType::Binary, "aGk="),
        ] {
            let column = Column::new("c", kind);
            let written = write(given, &column).unwrap().unwrap();
            assert_eq!(written, cell, "{kind}");
            let again = value(&written, kind);
            assert_eq!(write(again.as_sql(), &column).unwrap().unwrap(), cell, "{kind}");
        }
        let error = write(ValueRef::Blob(hi), &Column::new("c", ColumnType::Json)).unwrap_err();
        assert_eq!(error.to_string(), "column c: a BLOB does not fit into a json");
    }

    /// A value that was read is not changed by the affinity of a native column.
    #[test]
    fn native_columns_keep_what_was_read() {
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        sqlite.create_collation("decimal", |one, other| one.cmp(other)).unwrap();
        let cells =
            ["", "7", "007", "1.5", "1e3", "x", "\"\"", "true", "aGk=", "9e99", " 5 ", "inf"];
        for kind in [
            ColumnType::Integer,
            ColumnType::Float,
            ColumnType::Boolean,
            ColumnType::Decimal,
            ColumnType::String,
            ColumnType::Binary,
            ColumnType::Json,
        ] {
            let declared = declaration(kind);
            sqlite
                .execute_batch(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (v {declared})"))
                .unwrap();
            for cell in cells {
                let read = value(cell, kind);
                sqlite.execute("DELETE FROM t", []).unwrap();
                sqlite.execute("INSERT INTO t VALUES (?)", [&read]).unwrap();
                sqlite
                    .query_row("SELECT v FROM t", [], |row| {
                        assert_eq!(row.get_ref(0).unwrap(), read.as_sql(), "{cell} {kind}");
                        Ok(())
                    })
                    .unwrap();
            }
        }
    }
}
