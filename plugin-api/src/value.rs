//! What a cell means. Cells are kept as text and typed when they are read, so that `00123` and `1.10`
//! survive; this is the type they are read into.

use std::fmt;

use crate::ColumnType;

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
    /// timestamp, date, json, binary).
    Text(String),
}

impl Value {
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

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
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
