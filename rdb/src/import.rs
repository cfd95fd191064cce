//! From a file to a new table: dialect, types and key, guessed where nobody says.

use reedbase_kernel::csv::{CsvFormat, Header, guess_keys};
use reedbase_kernel::database::NewTable;
use reedbase_plugin_api::{
    Bytes, Column, ColumnType, Document, Error, Format, ImportOptions, Result, Schema,
};
use reedbase_plugin_api::{LineEnd, row};

/// How to read a file into a table.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Import {
    /// The columns of the key; a guess if empty.
    pub key: Vec<String>,
    /// The name of a key column to add in front, numbered from 1.
    pub add_key: Option<String>,
    /// The byte between cells; a guess if `None`.
    pub delimiter: Option<u8>,
    /// Whether to write the table anew in ReedBase's own dialect, cells between `|`.
    pub pipe: bool,
}

/// A table from the text of a CSV file, with this key.
///
/// # Errors
/// What is wrong with the text, or a key that names no column.
pub fn csv(text: impl Into<String>, key: &[&str]) -> Result<NewTable> {
    let key = key.iter().map(|name| (*name).to_owned()).collect();
    Import { key, ..Import::default() }.read(Bytes::from(text.into()))
}

impl Import {
    /// The table in the bytes of a file.
    ///
    /// # Errors
    /// What is wrong with the file, with line and cell; or a key that names no column, or cannot be
    /// guessed.
    pub fn read(&self, bytes: Bytes) -> Result<NewTable> {
        let mut options = ImportOptions::default();
        options.delimiter = self.delimiter;
        let mut document = CsvFormat.read(bytes, &options)?;
        if let Some(name) = &self.add_key {
            document.text = add_key(&document.text, &document.schema, name)?;
            let column = Column::new(name.clone(), ColumnType::Integer).in_key(true);
            document.schema.columns.insert(0, column);
        }
        if self.pipe {
            document.text = to_pipes(&document.text, &document.schema)?;
            document.schema.delimiter = b'|';
            document.schema.line_end = LineEnd::Lf;
        }
        if self.add_key.is_some() {
            return NewTable::new(document.schema, document.text).parsed();
        }
        if self.key.is_empty() {
            return with_guessed_key(document);
        }
        self.mark_key(&mut document.schema)?;
        NewTable::new(document.schema, document.text).parsed()
    }

    fn mark_key(&self, schema: &mut Schema) -> Result<()> {
        for name in &self.key {
            let names: Vec<_> = schema.columns.iter().map(|column| column.name.clone()).collect();
            let column = schema.columns.iter_mut().find(|c| c.name.eq_ignore_ascii_case(name));
            let column = column.ok_or_else(|| {
                Error::not_found(format!("there is no column `{name}` to be the key"))
                    .help(format!("the columns are {}", names.join(", ")))
            })?;
            column.primary_key = true;
        }
        Ok(())
    }
}

/// The table with the first column as its key that can be one.
fn with_guessed_key(document: Document) -> Result<NewTable> {
    let Document { schema, text, .. } = document;
    let header = Header::parse(&text, schema.delimiter)?;
    for index in guess_keys(&text, &header, schema.delimiter) {
        let mut schema = schema.clone();
        if let Some(column) = schema.columns.get_mut(index) {
            column.primary_key = true;
        }
        match NewTable::new(schema, text.clone()).parsed() {
            // The first rows allowed it, a later one does not.
            Err(error) if is_about_key(&error) => {}
            table => return table,
        }
    }
    Err(Error::invalid("no column can be the key: each lacks a value or has one twice")
        .help("name several columns with --key a,b, or let --add-key make a key"))
}

fn is_about_key(error: &Error) -> bool {
    let position = error.position();
    position.key.is_some() || position.column.is_some()
}

/// The text with a column of numbers in front.
fn add_key(text: &[u8], schema: &Schema, name: &str) -> Result<Bytes> {
    if schema.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
        return Err(Error::usage(format!("there is a column `{name}` already"))
            .help("give the key another name: --add-key=NAME"));
    }
    let mut number = 0_u64;
    each_line(text, schema, |out, line, is_header| {
        if is_header {
            row::write_cell(out, Some(name), schema.delimiter, false);
        } else {
            number += 1;
            out.extend_from_slice(number.to_string().as_bytes());
        }
        out.push(schema.delimiter);
        out.extend_from_slice(line);
    })
}

/// The text with `|` between its cells.
fn to_pipes(text: &[u8], schema: &Schema) -> Result<Bytes> {
    each_line(text, schema, |out, line, _| {
        let cells: Vec<_> = row::cells(line, schema.delimiter).map(|cell| cell.text()).collect();
        let cells: Vec<_> = cells.iter().map(Option::as_deref).collect();
        out.extend_from_slice(&row::write_row(&cells, b'|', b"\n"));
    })
}

/// Writes every line of a file anew; blank lines and the byte order mark stay.
fn each_line(
    text: &[u8],
    schema: &Schema,
    mut write: impl FnMut(&mut Vec<u8>, &[u8], bool),
) -> Result<Bytes> {
    use reedbase_kernel::csv::next_record;
    let mark = reedbase_plugin_api::Shape::BYTE_ORDER_MARK;
    let mut at = if text.starts_with(mark) { mark.len() } else { 0 };
    let mut out = text.get(..at).unwrap_or_default().to_vec();
    let mut is_header = true;
    while at < text.len() {
        let record = next_record(text, at, schema.delimiter, |_, _, _| {})
            .map_err(|fault| fault.into_error(text))?;
        let line = text.get(at..record.end).unwrap_or_default();
        if row::content(line).is_empty() && (is_header || schema.columns.len() > 1) {
            out.extend_from_slice(line);
        } else {
            write(&mut out, line, is_header);
            is_header = false;
        }
        at = record.end;
    }
    Ok(Bytes::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_guessed_named_or_added() {
        let key = |import: &Import| {
            let table = import.read(Bytes::from("name,n\nx,1\n\ny,2\n")).unwrap();
            let names = table.schema.columns.iter().filter(|column| column.primary_key);
            (
                names.map(|c| c.name.clone()).collect::<Vec<_>>(),
                String::from_utf8(table.text.to_vec()).unwrap(),
            )
        };
        assert_eq!(key(&Import::default()).0, ["name"]);
        // A column that only the last row rules out.
        let late =
            (0..1500).fold("id,name\n".to_owned(), |text, n| format!("{text}{},x{n}\n", n % 1499));
        let table = Import::default().read(Bytes::from(late)).unwrap();
        assert_eq!(table.schema.key(), [1]);
        let error = Import::default().read(Bytes::from("a,b\n1,1\n1,1\n")).unwrap_err();
        assert_eq!(
            error.message(),
            "no column can be the key: each lacks a value or has one twice"
        );
        assert_eq!(key(&Import { key: vec!["N".into()], ..Import::default() }).0, ["n"]);
        let (names, text) = key(&Import { add_key: Some("id".into()), ..Import::default() });
        assert_eq!(
            (names.as_slice(), text.as_str()),
            (&["id".to_owned()][..], "id,name,n\n1,x,1\n\n2,y,2\n")
        );
        let (_, text) = key(&Import { pipe: true, ..Import::default() });
        assert_eq!(text, "name|n\nx|1\n\ny|2\n");
    }
}
