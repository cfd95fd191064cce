//! Rows as types of the caller's own, through serde.

use std::fmt;

use reedbase_plugin_api::{Error, Result, Value};
use serde::Deserialize;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// A row as a type: a struct takes columns by their names, a tuple or a single value by their order.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) with the column that does not fit.
pub(crate) fn typed<'de, T: Deserialize<'de>>(
    columns: &'de [String],
    values: &'de [Value],
) -> Result<T> {
    T::deserialize(RowDeserializer { columns, values })
        .map_err(|Mismatch(message)| Error::invalid(format!("the row does not fit: {message}")))
}

/// That a value does not fit.
#[derive(Debug)]
struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

struct RowDeserializer<'de> {
    columns: &'de [String],
    values: &'de [Value],
}

impl<'de> RowDeserializer<'de> {
    fn cells(&self) -> impl Iterator<Item = Cell<'de>> {
        let named = self.columns.iter().zip(self.values);
        named.map(|(column, value)| Cell { column, value })
    }

    fn only(&self) -> Result<Cell<'de>, Mismatch> {
        match (self.cells().next(), self.values.len()) {
            (Some(cell), 1) => Ok(cell),
            (_, count) => {
                Err(Mismatch(format!("one value is expected, and there are {count} columns")))
            }
        }
    }
}

impl<'de> Deserializer<'de> for RowDeserializer<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.only()?.deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let named = self.cells().map(|cell| (cell.column.as_str(), cell));
        visitor.visit_map(MapDeserializer::new(named))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_seq(SeqDeserializer::new(self.cells()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.only()?.deserialize_option(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.only()?.deserialize_bool(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit unit_struct enum identifier ignored_any
    }
}

/// A value, and the column that it is in.
#[derive(Clone, Copy)]
struct Cell<'de> {
    column: &'de String,
    value: &'de Value,
}

impl<'de> IntoDeserializer<'de, Mismatch> for Cell<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Cell<'_> {
    fn named<T>(self, read: Result<T, Mismatch>) -> Result<T, Mismatch> {
        read.map_err(|Mismatch(message)| match message.starts_with("column ") {
            true => Mismatch(message),
            false => Mismatch(format!("column {}: {message}", self.column)),
        })
    }
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.named(match self.value {
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Binary(bytes) => visitor.visit_borrowed_bytes(bytes),
            _ => visitor.visit_unit(),
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => self.named(visitor.visit_some(self)),
        }
    }

    /// SQL has no truth values of its own: they are 1 and 0.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Integer(value @ (0 | 1)) => visitor.visit_bool(*value == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    /// Bytes as a list of numbers, for `Vec<u8>`.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Binary(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    /// A variant by its name.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Text(text) => self.named(visitor.visit_enum(text.as_str().into_deserializer())),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct User {
        id: u32,
        name: String,
        age: Option<i64>,
        active: bool,
        role: Role,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Role {
        Admin,
    }

    fn row<'de, T: Deserialize<'de>>(columns: &'de [String], values: &'de [Value]) -> Result<T> {
        typed(columns, values)
    }

    #[test]
    fn rows_become_structs_tuples_and_values() {
        let columns = ["id", "name", "age", "active", "role"].map(str::to_owned);
        let values = [7.into(), "Ann".into(), Value::Null, 1.into(), "admin".into()];
        let user: User = row(&columns, &values).unwrap();
        let expected =
            User { id: 7, name: "Ann".into(), age: None, active: true, role: Role::Admin };
        assert_eq!(user, expected);
        let (id, name): (i64, &str) = row(&columns[..2], &values[..2]).unwrap();
        assert_eq!((id, name), (7, "Ann"));
        assert_eq!(row::<Option<i64>>(&columns[2..3], &values[2..3]).unwrap(), None);
        assert_eq!(row::<f64>(&columns[..1], &[1.5.into()]).unwrap(), 1.5);
        assert!(row::<Vec<i64>>(&columns[..1], &["no list".into()]).is_err());
        assert_eq!(
            row::<(Vec<u8>,)>(&columns[..1], &[Value::Binary(vec![1, 2])]).unwrap().0,
            [1, 2]
        );
    }

    #[test]
    fn what_does_not_fit_names_its_column() {
        let columns = ["id", "name", "age", "active", "role"].map(str::to_owned);
        let values = [(-7).into(), "Ann".into(), Value::Null, 1.into(), "admin".into()];
        let error = row::<User>(&columns, &values).unwrap_err();
        assert_eq!(
            error.message(),
            "the row does not fit: column id: invalid value: integer `-7`, expected u32"
        );
        let error = row::<i64>(&columns[..2], &values[..2]).unwrap_err();
        assert_eq!(
            error.message(),
            "the row does not fit: one value is expected, and there are 2 columns"
        );
    }
}
