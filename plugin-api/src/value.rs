//! What a cell means. Cells are kept as text and typed when they are read, so that `00123` and `1.10`
//! survive; this is the type they are read into.

use std::borrow::Cow;
use std::fmt;

use crate::{ColumnType, Error, Result};

/// A cell, read by the type of its column.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value: an empty unquoted cell.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// Anything else, as it stands in the cell: text, and the types that are kept as text (decimal,
    /// timestamp, date, json).
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// The same, borrowed: what a row that passes by holds.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> ValueRef<'a> {
    /// The text that the value is, or that the number is written as; `None` is NULL.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for bytes.
    pub fn text(self) -> Result<Option<Cow<'a, str>>> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text.into())),
            Self::Integer(value) => Ok(Some(value.to_string().into())),
            Self::Float(value) => Ok(Some(value.to_string().into())),
            Self::Binary(_) => Err(Error::invalid("a text is expected, and this is a BLOB")),
        }
    }

    /// The whole number that the value is; `None` is NULL.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if it is none.
    pub fn integer(self) -> Result<Option<i64>> {
        let wrong = || Error::invalid("a whole number is expected here");
        match self {
            Self::Null => Ok(None),
            Self::Integer(value) => Ok(Some(value)),
            Self::Text(text) => text.trim().parse().map(Some).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    /// The value, kept.
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(value) => Value::Integer(value),
            Self::Float(value) => Value::Float(value),
            Self::Text(value) => Value::Text(value.to_owned()),
            Self::Binary(value) => Value::Binary(value.to_vec()),
        }
    }
}

impl Value {
    /// The value, borrowed.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Boolean(value) => ValueRef::Integer((*value).into()),
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Float(value) => ValueRef::Float(*value),
            Self::Text(text) => ValueRef::Text(text),
            Self::Binary(bytes) => ValueRef::Binary(bytes),
        }
    }

    /// Reads the text of a cell (`None` is NULL). A text that is no value of the type stays text, so
    /// that nothing is hidden.
    pub fn read(text: Option<&str>, kind: ColumnType) -> Self {
        let Some(text) = text else { return Self::Null };
        let typed = match kind {
            ColumnType::Integer => text.parse().ok().map(Self::Integer),
            ColumnType::Float => text.parse().ok().map(Self::Float),
            ColumnType::Boolean => match text {
                "true" | "1" => Some(Self::Boolean(true)),
                "false" | "0" => Some(Self::Boolean(false)),
                _ => None,
            },
            _ => None,
        };
        typed.unwrap_or_else(|| Self::Text(text.to_owned()))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Binary(value)
    }
}

impl<V: Into<Self>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
            Self::Binary(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_typed_when_read() {
        assert_eq!(Value::read(None, ColumnType::Integer), Value::Null);
        assert_eq!(Value::read(Some("7"), ColumnType::Integer), Value::Integer(7));
        assert_eq!(Value::read(Some("7"), ColumnType::String), Value::Text("7".into()));
        assert_eq!(Value::read(Some("x"), ColumnType::Integer), Value::Text("x".into()));
        assert_eq!(Value::read(Some("0"), ColumnType::Boolean), Value::Boolean(false));
        assert_eq!(Value::read(Some("1.10"), ColumnType::Decimal), Value::Text("1.10".into()));
        assert_eq!(Value::read(Some(""), ColumnType::Integer), Value::Text(String::new()));
    }
}
