//! A table that is in no database yet.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, Result, Schema, Shape, Timestamp};

use super::compare::compare;
use super::history::Diff;
use crate::changes::RowChanges;
use crate::table::{Base, Table};

/// A table to be made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewTable {
    /// Columns, key and dialect.
    pub schema: Schema,
    /// The text of the file: header and rows.
    pub text: Bytes,
    /// The text parsed, if that was done already.
    parsed: Option<Arc<Base>>,
}

impl NewTable {
    /// A table with this schema and this text.
    pub fn new(schema: Schema, text: Bytes) -> Self {
        Self { schema, text, parsed: None }
    }

    /// The same, parsed: so that what is wrong with the text is known now. A transaction does not parse it
    /// again.
    ///
    /// # Errors
    /// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) with line and cell; [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if the
    /// schema has no key.
    pub fn parsed(mut self) -> Result<Self> {
        self.parsed = Some(self.base(&self.shape()?)?);
        Ok(self)
    }

    /// The same columns without a row.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub fn emptied(&self) -> Result<Self> {
        let header = self.shape()?.header().len();
        Self::new(self.schema.clone(), self.text.slice(..header)).parsed()
    }

    /// What makes another table of this one. The texts of their schemas are not compared. Cost: reading both.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn diff(&self, after: &Self) -> Result<Diff> {
        let table = |new: &Self| Ok(Table::new(new.base(&new.shape()?)?, Timestamp::ZERO));
        let mut changes = RowChanges::default();
        changes.add(&compare(&table(self)?, &table(after)?)?)?;
        Ok(Diff::new(changes.finish(), Timestamp::ZERO, Timestamp::MAX))
    }

    pub(super) fn shape(&self) -> Result<Arc<Shape>> {
        let header = crate::csv::Header::parse(&self.text, self.schema.delimiter)?;
        let key = self.schema.key();
        if key.is_empty() {
            return Err(Error::usage("the table has no key")
                .help("name the columns of the key with --key, or let --add-key make one"));
        }
        Shape::new(self.schema.delimiter, self.text.slice(..header.len), key).map(Arc::new)
    }

    /// The lines of the text. What was parsed before counts only if nobody changed text or schema since.
    pub(super) fn base(&self, shape: &Arc<Shape>) -> Result<Arc<Base>> {
        let parsed = self.parsed.as_ref().filter(|base| {
            base.shape() == shape && base.text().is_some_and(|text| is_same(text, &self.text))
        });
        match parsed {
            Some(base) => Ok(Arc::clone(base)),
            None => Base::parse(self.text.clone(), Arc::clone(shape)).map(Arc::new),
        }
    }
}

/// Whether two texts are the same memory.
fn is_same(one: &Bytes, other: &Bytes) -> bool {
    std::ptr::eq(one.as_ptr(), other.as_ptr()) && one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedbase_plugin_api::{Column, LineEnd};

    fn table(text: &str) -> NewTable {
        let kind = reedbase_plugin_api::ColumnType::String;
        let column = |(at, name): (usize, &str)| Column::new(name, kind).in_key(at == 0);
        let names = text.lines().next().unwrap().split(',').enumerate();
        let columns = names.map(column).collect();
        let schema = Schema::new(b',', LineEnd::Lf, columns);
        NewTable::new(schema, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn changed(before: &str, after: &str) -> Vec<String> {
        let diff = table(before).diff(&table(after)).unwrap();
        diff.rows.iter().map(super::super::RowDiff::key_text).collect()
    }

    #[test]
    fn a_line_that_stays_may_say_something_else() {
        // Under another name the cells are the same; in another column they are not.
        assert!(changed("id,b,c\n1,2,2\n", "id,b,d\n1,2,2\n").is_empty());
        assert_eq!(changed("id,b,c\n1,2,2\n", "id,c,d\n1,2,2\n"), ["1"]);
        assert_eq!(changed("id,b,c\n1,2,2\n3,x,y\n", "id,c,b\n1,2,2\n3,y,x\n"), [""; 0]);
        assert_eq!(changed("id,b\n1,2\n", "id,b\n1,2\n4,5\n"), ["4"]);
        assert_eq!(table("id,b\n1,2\n").emptied().unwrap().text, "id,b\n");
    }
}
