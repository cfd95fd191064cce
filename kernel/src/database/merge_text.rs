//! Three texts of a table that is in no database, put together: what git asks for.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Result, Shape, TableName, Timestamp, row};

use super::new_table::NewTable;
use crate::merge::{Conflict, Drivers, Tables, origins};
use crate::schema;
use crate::table::{Edit, Key, Stamp, Table};

/// A text that was merged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MergedText {
    /// The text. In a cell that is disputed stands `<<<<<<< ours ||||||| base ======= theirs >>>>>>>`.
    pub text: Bytes,
    /// How many rows both sides had changed, and hold what both wrote.
    pub merged: u64,
    /// What is disputed.
    pub conflicts: Vec<Conflict>,
}

impl NewTable {
    /// What two sides made of this table, put together. All three must have the same key.
    ///
    /// # Errors
    /// What is wrong with one of the texts; [`Conflict`](reedbase_plugin_api::ErrorKind::Conflict) if the keys differ.
    pub fn merge(&self, name: &str, ours: &Self, theirs: &Self) -> Result<MergedText> {
        let name = TableName::new(name)?;
        let [base, ours, theirs] = [self.table()?, ours.table()?, theirs.table()?];
        let columns = |table: &Table| table.shape().columns().to_vec();
        let tables = Tables {
            name: &name,
            base: &base,
            ours: &ours,
            theirs: &theirs,
            our_origins: &origins(&columns(&base), &columns(&ours)),
            their_origins: &origins(&columns(&base), &columns(&theirs)),
            drivers: &Drivers::default(),
            theirs_at: Timestamp::MAX,
        };
        let merged = tables.merge()?;
        let mut edit = Edit::new(merged.table, Stamp::new(Timestamp::ZERO));
        for conflict in &merged.conflicts {
            mark(&mut edit, conflict)?;
        }
        Ok(MergedText {
            text: edit.table().to_bytes()?,
            merged: merged.both.len() as u64,
            conflicts: merged.conflicts,
        })
    }

    fn table(&self) -> Result<Table> {
        let text = Bytes::from(schema::to_text(&self.schema));
        Ok(Table::new(self.base(&self.shape()?)?, Timestamp::ZERO).with_schema(Some(text)))
    }
}

/// Writes what is disputed into its cell. What is about a whole column has no cell.
fn mark(edit: &mut Edit, conflict: &Conflict) -> Result<()> {
    let shape = Arc::clone(edit.table().shape());
    let key = Key::from_parts(&conflict.key);
    if conflict.is_about_table() {
        return Ok(());
    }
    if !conflict.kind.is_of_rows() {
        let at = conflict.column.as_ref().and_then(|column| shape.column(column));
        let (Some(at), Some(row)) = (at, edit.table().get(&key)?) else { return Ok(()) };
        let marker = marker([&conflict.ours, &conflict.base, &conflict.theirs]);
        return edit.replace(&key, replaced(&row, &shape, &[(at, marker)]));
    }
    let cells = |side: &Option<String>| -> Vec<Option<String>> {
        let members: Option<serde_json::Map<String, serde_json::Value>> =
            side.as_ref().and_then(|text| serde_json::from_str(text).ok());
        let cell = |name: &String| {
            let member = members.as_ref().map(|members| members.get(name));
            member.map_or(Some("(no row)".to_owned()), |cell| Some(cell?.as_str()?.to_owned()))
        };
        shape.columns().iter().map(cell).collect()
    };
    let [base, ours, theirs] = [&conflict.base, &conflict.ours, &conflict.theirs].map(cells);
    let sides = ours.iter().zip(&base).zip(&theirs).enumerate();
    let disputed =
        sides.filter(|(at, ((ours, _), theirs))| ours != theirs && !shape.key().contains(at));
    let marks: Vec<(usize, String)> =
        disputed.map(|(at, ((ours, base), theirs))| (at, marker([ours, base, theirs]))).collect();
    // The row of the side that has one.
    let row = match edit.table().get(&key)? {
        Some(row) => row,
        None => {
            let cells = if conflict.ours.is_some() { ours } else { theirs };
            let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
            let ends = shape.line_end().as_bytes();
            Bytes::from(row::write_row(&cells, shape.delimiter(), ends))
        }
    };
    edit.put(&key, Some(replaced(&row, &shape, &marks)))
}

fn replaced(bytes: &[u8], shape: &Shape, cells: &[(usize, String)]) -> Bytes {
    let cells: Vec<(usize, Option<&str>)> =
        cells.iter().map(|(at, text)| (*at, Some(text.as_str()))).collect();
    Bytes::from(row::replace_cells(bytes, shape.delimiter(), &cells))
}

/// Ours, base and theirs in one cell, as git marks lines.
fn marker([ours, base, theirs]: [&Option<String>; 3]) -> String {
    let text = |side: &Option<String>| side.clone().unwrap_or_default();
    format!("<<<<<<< {} ||||||| {} ======= {} >>>>>>>", text(ours), text(base), text(theirs))
}
