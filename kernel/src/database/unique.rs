//! What must be unique: a column of which the schema says so, or the columns of a unique index together. Values compare as
//! they do in the index, so that `7` and `07` are one number; a row with a NULL among them does not count.

use std::collections::HashMap;

use reedbase_plugin_api::sql::{CellValue, Collation, encode};
use reedbase_plugin_api::{ColumnType, Result, Schema, Shape, row};

use crate::schema;
use crate::table::{Key, Table, key_of};

/// Columns of which no two rows may have the same values.
#[derive(Debug, PartialEq)]
pub(super) struct Unique {
    columns: Vec<Part>,
}

/// A column, and how its values compare.
#[derive(Debug, PartialEq)]
struct Part {
    name: String,
    kind: ColumnType,
    collation: Collation,
}

impl Unique {
    /// The rules of a schema.
    pub(super) fn rules(schema: &Schema) -> Vec<Self> {
        let part = |name: &str, nocase: bool| {
            let known = schema.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name));
            // What nothing is said of is a text.
            let kind = known.map(|column| column.kind).unwrap_or_default();
            let collation = if nocase { Collation::NoCase } else { Collation::of(kind) };
            Part { name: name.to_owned(), kind, collation }
        };
        let columns = schema.columns.iter().filter(|column| column.unique);
        let columns = columns.map(|column| Self { columns: vec![part(&column.name, false)] });
        let indices = schema.indices.iter().filter(|index| index.unique);
        let indices = indices.map(|index| {
            let parts = index.columns.iter().map(|column| part(&column.name, column.nocase));
            Self { columns: parts.collect() }
        });
        columns.chain(indices).collect()
    }

    /// The names of the columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|part| part.name.as_str())
    }

    /// Whether a row may have such values at all: all columns are there.
    pub(super) fn is_in(&self, shape: &Shape) -> bool {
        self.columns().all(|name| shape.column(name).is_some())
    }

    /// The values of a row, as bytes that are the same where the values are; `None` if one of them is NULL.
    pub(super) fn value(&self, line: &[u8], shape: &Shape) -> Option<Vec<u8>> {
        let cells: Vec<_> = row::cells(line, shape.delimiter()).collect();
        let mut value = Vec::new();
        for part in &self.columns {
            let cell = cells.get(shape.column(&part.name)?).filter(|cell| !cell.is_null())?;
            encode(&CellValue::read(*cell, part.kind), part.collation, &mut value);
        }
        Some(value)
    }

    /// The rules of a table.
    pub(super) fn rules_of(table: Option<&Table>) -> Vec<Self> {
        let text = table.and_then(Table::schema).and_then(|text| std::str::from_utf8(text).ok());
        let schema = text.and_then(|text| schema::parse(text).ok());
        schema.as_ref().map(Self::rules).unwrap_or_default()
    }

    /// Which of these rows of a table have which values.
    ///
    /// # Errors
    /// Those of reading the file.
    pub(super) fn taken(
        &self,
        keys: impl IntoIterator<Item = Key<'static>>,
        table: &Table,
    ) -> Result<Taken> {
        let mut taken = Taken::new();
        for key in keys {
            let value = table.get(&key)?.and_then(|row| self.value(&row, table.shape()));
            taken.extend(value.map(|value| (value, key)));
        }
        Ok(taken)
    }

    /// Which rows of a whole table have which values; or two that have the same. Cost: every row is read.
    ///
    /// # Errors
    /// Those of reading the file.
    pub(super) fn all_taken(&self, table: &Table) -> Result<std::result::Result<Taken, Twins>> {
        let mut taken = Taken::new();
        for row in table.rows_iter() {
            let (row, shape) = (row?, table.shape());
            let Some((value, key)) = self.value(&row, shape).zip(key_of(&row, shape)) else {
                continue;
            };
            let key = key.into_owned();
            if let Some(other) = taken.insert(value, key.clone()) {
                return Ok(Err((other, key)));
            }
        }
        Ok(Ok(taken))
    }
}

/// Which rows have the values that must be unique.
pub(super) type Taken = HashMap<Vec<u8>, Key<'static>>;

/// Two rows with the same values.
pub(super) type Twins = (Key<'static>, Key<'static>);

#[cfg(test)]
mod tests {
    use reedbase_plugin_api::Bytes;

    use super::*;

    #[test]
    fn rules_are_of_columns_and_of_indices() {
        let text = "[[columns]]\nname = \"id\"\nprimary_key = true\n\n[[columns]]\nname = \"n\"\ntype = \"integer\"\nunique = true\n\n\
                    [[indices]]\nname = \"i\"\nusing = \"composite\"\ncolumns = [\"a\", \"n\"]\n\
                    nocase = [\"a\"]\nunique = true\n";
        let rules = Unique::rules(&schema::parse(text).unwrap());
        let shape = Shape::new(b',', Bytes::from("id,a,n\n"), vec![0]).unwrap();
        let [column, index] = &rules[..] else { panic!("{rules:?}") };
        let same = |rule: &Unique, one: &str, other: &str| {
            let value = |line: &str| rule.value(line.as_bytes(), &shape);
            value(one).zip(value(other)).is_some_and(|(one, other)| one == other)
        };
        assert!(same(column, "1,x,7\n", "2,y,07\n"));
        assert!(!same(column, "1,x,\n", "2,x,\n"), "NULL does not count");
        assert!(same(index, "1,Ab,7\n", "2,aB,7\n"));
        assert!(!same(index, "1,Ab,7\n", "2,Ab,8\n"));
        assert!(!same(index, "1,,7\n", "2,,7\n"));
        assert!(same(index, "1,\"\",7\n", "2,\"\",7\n"), "the empty text is a value");
        let other = Shape::new(b',', Bytes::from("id,n\n"), vec![0]).unwrap();
        assert_eq!((column.is_in(&other), index.is_in(&other)), (true, false));
    }
}
