//! The shape of tables: columns that come, go or get another name; tables that are dropped or get another name.
//!
//! A table that is dropped loses its rows and is not seen any more, but its folder stays, with its history: it is a table
//! of which `schema.toml` says `dropped = true`. So its past can be read, and it can be brought back, like anything else.

use std::borrow::Cow;
use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Column, ColumnStep, Error, ErrorKind, IndexSpec, Result, Schema, Shape, TableName,
    Timestamp, nearest, row,
};

use super::new_table::NewTable;
use super::snapshot::find_known;
use super::transaction::{Transaction, kept_by_us};
use super::work::{Altered, Work};
use crate::frame::Action;
use crate::schema;
use crate::table::{Base, Edit, Table};

impl Transaction {
    /// Changes the columns of a table. Cost: the table is written anew.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for table or column, [`AlreadyExists`](ErrorKind::AlreadyExists) for a name that is
    /// taken, [`Usage`](ErrorKind::Usage) for a column of the key that is to go.
    pub fn alter_table(&mut self, table: &str, step: &ColumnStep) -> Result<()> {
        let (name, now) = self.table(table)?;
        if name.is_reserved() {
            return Err(kept_by_us(&name));
        }
        let after = altered(now, step).map_err(|error| error.at_table(name.as_str()))?;
        self.put_altered(name, after, Action::UPDATE)
    }

    /// Removes a table. Its past stays, and it can be restored.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table.
    pub fn drop_table(&mut self, table: &str) -> Result<()> {
        let (name, now) = self.table(table)?;
        if name.is_reserved() {
            return Err(kept_by_us(&name));
        }
        let made_here = find_known(self.snapshot.state(), name.as_str()).is_err();
        if made_here {
            self.work.remove(&name);
            return Ok(());
        }
        let header = now.shape().header().clone();
        let base = Base::parse(header, Arc::clone(now.shape()))?;
        let said = schema_text(now);
        let text = schema::say_dropped(&said)?;
        let after = Table::new(Arc::new(base), Timestamp::ZERO).with_schema(Some(text.into()));
        self.put_altered(name, after, Action::DROP)
    }

    /// Gives a table another name: one with its rows is made, and the old one is dropped.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the table, [`AlreadyExists`](ErrorKind::AlreadyExists) for the name.
    pub fn rename_table(&mut self, table: &str, to: &str) -> Result<()> {
        let (_, now) = self.table(table)?;
        let schema = schema::parse(&schema_text(now))?;
        let made = NewTable::new(schema, now.to_bytes()?);
        let only_case = table.eq_ignore_ascii_case(to);
        if only_case {
            return Err(Error::usage("names of tables that differ in case only are the same name"));
        }
        self.create_table(to, &made)?;
        self.drop_table(table)
    }

    /// Puts a table with other columns in the place of one.
    pub(super) fn put_altered(
        &mut self,
        name: TableName,
        after: Table,
        action: Action,
    ) -> Result<()> {
        let edit = Edit::new(after, self.stamp.clone());
        let before = match self.work.remove(&name) {
            Some(Work::Rows { edit, .. }) => Some(edit.before().clone()),
            Some(Work::Whole(whole)) => whole.before,
            Some(Work::Altered(altered)) => altered.before,
            None => match find_known(self.snapshot.state(), name.as_str()) {
                Ok(state) => Some(state.table(&self.inner.store)?.clone()),
                Err(_) => None,
            },
        };
        let altered = Altered { before, edit, action };
        self.work.insert(name, Work::Altered(Box::new(altered)));
        Ok(())
    }
}

/// What schema.toml says of a table, or would say.
pub(super) fn schema_text(table: &Table) -> Cow<'_, str> {
    let said = table.schema().and_then(|text| std::str::from_utf8(text).ok());
    said.map_or_else(
        || {
            let shape = table.shape();
            let column = |(at, name): (usize, &String)| {
                Column::new(name, Default::default()).in_key(shape.key().contains(&at))
            };
            let columns = shape.columns().iter().enumerate().map(column).collect();
            let (delimiter, line_end) = (shape.delimiter(), shape.line_end());
            Cow::Owned(schema::to_text(&Schema::new(delimiter, line_end, columns)))
        },
        Cow::Borrowed,
    )
}

/// What becomes of the cells of a row.
enum Cells {
    Same,
    Append(Option<String>),
    Without(usize),
}

/// The table with other columns.
fn altered(table: &Table, step: &ColumnStep) -> Result<Table> {
    let text = schema_text(table);
    let mut schema = schema::parse(&text)?;
    let (cells, former) = alter_schema(&mut schema, step, table.rows() > 0)?;
    let shape = table.shape();
    let (delimiter, line_end) = (shape.delimiter(), shape.line_end().as_bytes());
    let names: Vec<_> = schema.columns.iter().map(|column| Some(column.name.as_str())).collect();
    let mut file = Vec::with_capacity(usize::try_from(table.file_len()).unwrap_or_default());
    if shape.header().starts_with(Shape::BYTE_ORDER_MARK) {
        file.extend_from_slice(Shape::BYTE_ORDER_MARK);
    }
    file.extend_from_slice(&row::write_row(&names, delimiter, line_end));
    table.for_each_line(|line| {
        match shape.is_blank(&line) {
            true => file.extend_from_slice(&line),
            false => cells.write(&mut file, &line, delimiter),
        }
        Ok(())
    })?;
    let was =
        |name: &str| former.as_ref().filter(|(to, _)| to == name).map(|(_, from)| from.clone());
    let text = schema::adapt(&text, &schema, &was)?;
    let text = schema::say_indices(&text, &schema.indices)?;
    let made = NewTable::new(schema, Bytes::from(file));
    let base = made.base(&made.shape()?)?;
    Ok(Table::new(base, Timestamp::ZERO).with_schema(Some(Bytes::from(text))))
}

impl Cells {
    /// Writes a row; the cells that stay keep their bytes.
    fn write(&self, file: &mut Vec<u8>, line: &[u8], delimiter: u8) {
        match self {
            Self::Same => return file.extend_from_slice(line),
            Self::Append(text) => {
                file.extend_from_slice(row::content(line));
                file.push(delimiter);
                row::write_cell(file, text.as_deref(), delimiter, false);
            }
            Self::Without(gone) => {
                let kept = row::cells(line, delimiter).enumerate().filter(|(at, _)| at != gone);
                for (number, (_, cell)) in kept.enumerate() {
                    if number > 0 {
                        file.push(delimiter);
                    }
                    file.extend_from_slice(cell.bytes());
                }
            }
        }
        file.extend_from_slice(row::line_end(line));
    }
}

/// Changes what is said of the columns. Gives what becomes of the cells, and the new and the old name of a column that is renamed.
fn alter_schema(
    schema: &mut Schema,
    step: &ColumnStep,
    has_rows: bool,
) -> Result<(Cells, Option<(String, String)>)> {
    match step {
        ColumnStep::Add(column) => {
            check_free(schema, &column.name)?;
            if column.required && column.default.is_none() && has_rows {
                return Err(Error::usage(
                    "the rows that are there would have no value in the new column",
                )
                .help("give it a default")
                .at_column(&column.name));
            }
            schema.columns.push(column.clone());
            Ok((Cells::Append(column.default.clone()), None))
        }
        ColumnStep::Drop(name) => {
            let at = place(schema, name)?;
            if schema.columns.remove(at).primary_key {
                return Err(Error::usage("a column of the key cannot be dropped").at_column(name));
            }
            if let Some(index) = index_with(schema, name) {
                return Err(Error::usage(format!("the index {index} has this column"))
                    .help(format!("drop the index first: DROP INDEX {index}"))
                    .at_column(name));
            }
            Ok((Cells::Without(at), None))
        }
        ColumnStep::Rename { from, to } => {
            let at = place(schema, from)?;
            if !from.eq_ignore_ascii_case(to) {
                check_free(schema, to)?;
            }
            let column = schema.columns.get_mut(at).map(|column| &mut column.name);
            let was = column.map(|name| std::mem::replace(name, to.clone()));
            let indexed = schema.indices.iter_mut().flat_map(|index| &mut index.columns);
            for column in indexed.filter(|column| column.name.eq_ignore_ascii_case(from)) {
                column.name.clone_from(to);
            }
            Ok((Cells::Same, was.map(|was| (to.clone(), was))))
        }
        _ => Err(Error::usage("columns cannot be changed in this way")),
    }
}

/// The name of an index that has a column.
fn index_with<'s>(schema: &'s Schema, column: &str) -> Option<&'s str> {
    let has = |index: &&IndexSpec| {
        index.columns.iter().any(|known| known.name.eq_ignore_ascii_case(column))
    };
    schema.indices.iter().find(has).map(|index| index.name.as_str())
}

fn place(schema: &Schema, name: &str) -> Result<usize> {
    let named = |column: &Column| column.name.eq_ignore_ascii_case(name);
    schema.columns.iter().position(named).ok_or_else(|| {
        let names = schema.columns.iter().map(|column| column.name.as_str());
        nearest(Error::not_found(format!("there is no column `{name}`")), "column", name, names)
    })
}

fn check_free(schema: &Schema, name: &str) -> Result<()> {
    match place(schema, name) {
        Ok(_) => {
            Err(Error::new(ErrorKind::AlreadyExists, format!("there is a column `{name}` already")))
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str, key: &str) -> Table {
        let names = text.lines().next().unwrap_or_default().split(',');
        let column = |name: &str| Column::new(name, Default::default()).in_key(name == key);
        let columns = names.map(column).collect();
        let line_end = reedbase_plugin_api::LineEnd::Lf;
        let schema = Schema::new(b',', line_end, columns);
        let made = NewTable::new(schema, Bytes::copy_from_slice(text.as_bytes()));
        Table::new(made.base(&made.shape().unwrap()).unwrap(), Timestamp::ZERO)
    }

    #[test]
    fn cells_that_stay_keep_their_bytes() {
        let table = table("id,a,b\n1,\"x\",2\n\n2,,\"\"\r\n", "id");
        let text = |step: &ColumnStep| {
            let after = altered(&table, step).unwrap();
            String::from_utf8(after.to_bytes().unwrap().to_vec()).unwrap()
        };
        let mut column = Column::new("c,d", Default::default());
        assert_eq!(
            text(&ColumnStep::Add(column.clone())),
            "id,a,b,\"c,d\"\n1,\"x\",2,\n\n2,,\"\",\r\n"
        );
        column.default = Some("new".into());
        assert_eq!(
            text(&ColumnStep::Add(column)),
            "id,a,b,\"c,d\"\n1,\"x\",2,new\n\n2,,\"\",new\r\n"
        );
        assert_eq!(text(&ColumnStep::Drop("A".into())), "id,b\n1,2\n\n2,\"\"\r\n");
        let rename = ColumnStep::Rename { from: "a".into(), to: "title".into() };
        assert_eq!(text(&rename), "id,title,b\n1,\"x\",2\n\n2,,\"\"\r\n");
        let error = altered(&table, &ColumnStep::Drop("id".into())).unwrap_err();
        assert_eq!(error.to_string(), "column id: a column of the key cannot be dropped");
    }
}
