//! Values of cells on their way to SQLite and back. What value a cell has, `plugin-api` says: indices use the same mapping.
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
use reedbase_plugin_api::sql::{CellValue, Number};
use reedbase_plugin_api::{Column, ColumnType, Error, Result};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

/// A value of a cell, as SQLite takes it.
pub(crate) trait AsSql {
    /// The same value.
    fn as_sql(&self) -> ValueRef<'_>;
}

impl AsSql for CellValue<'_> {
    fn as_sql(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }
}

/// A value of a cell on its way to SQLite.
#[derive(Debug)]
pub(crate) struct Given<'a>(pub(crate) CellValue<'a>);

impl ToSql for Given<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0.as_sql()))
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
        CellValue::read(row::cells(text.as_bytes(), b'|').next().unwrap(), kind)
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
                let given = Given(read.clone());
                sqlite.execute("INSERT INTO t VALUES (?)", [&given]).unwrap();
                sqlite
                    .query_row("SELECT v FROM t", [], |row| {
                        assert_eq!(row.get_ref(0).unwrap(), read.as_sql(), "{cell} {kind}");
                        Ok(())
                    })
                    .unwrap();
            }
        }
    }

    /// What SQLite makes of texts in a column of a type is what we make of them.
    #[test]
    fn numbers_are_what_sqlite_takes_for_numbers() {
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        sqlite.execute_batch("CREATE TABLE t (i INTEGER, r REAL)").unwrap();
        let texts = [
            "0",
            "-0",
            "+5",
            "007",
            " 12 ",
            "12 x",
            "\t3\n",
            "1.0",
            "1.",
            ".5",
            ".",
            "-.5e1",
            "1e3",
            "1e",
            "1e+",
            "1E-2",
            "0x10",
            "inf",
            "NaN",
            "infinity",
            "1_000",
            "",
            " ",
            "-",
            "--1",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "1e999",
            "-1e999",
            "123456789012345678901234567890",
            "0.1",
            "1.5e300",
            "5e-324",
            "9007199254740993",
            "1 2",
            "1\u{a0}",
            "٣",
            "1e5 ",
            "+.0",
            "9.999999999999999999999",
            "\x0b7\x0c",
        ];
        for text in texts {
            let mut insert =
                sqlite.prepare_cached("REPLACE INTO t (rowid, i, r) VALUES (1, ?1, ?1)");
            insert.as_mut().unwrap().execute([text]).unwrap();
            let read = |column: &str| {
                let value =
                    sqlite.query_row(&format!("SELECT {column} FROM t"), [], |row| row.get(0));
                value.unwrap()
            };
            let number = Number::parse(text);
            let integer: rusqlite::types::Value = match number.map(Number::whole) {
                Some(Number::Integer(integer)) => integer.into(),
                Some(Number::Real(real)) => real.into(),
                None => text.to_owned().into(),
            };
            let real = match number {
                Some(number) => number.real().into(),
                None => text.to_owned().into(),
            };
            assert_eq!((integer, real), (read("i"), read("r")), "{text:?}");
        }
    }
}
