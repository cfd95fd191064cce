//! The files of a table as somebody left them, read as the table they were meant to be.
//!
//! A spreadsheet saves with another delimiter, quotes what was not quoted, adds or drops a column, gives one
//! another name; a person writes another type into schema.toml. All of that is a table as before, as long as its
//! key is still there. What the file's header says of names counts; what schema.toml says of a column stays with
//! the column. A new name in the place of an old one is the same column if its cells stayed.

use std::path::PathBuf;
use std::sync::Arc;

use reedbase_plugin_api::{
    Bytes, Column, Error, ErrorKind, LineEnd, Result, Schema, Shape, TableName, row,
};
use sha2::{Digest, Sha256};

use crate::csv::{Header, guess_delimiter, guess_types, next_record};
use crate::frame::Adopted;
use crate::look::Hashes;
use crate::mark::table_path;
use crate::schema;
use crate::storage::{Access, File, Stat, Storage, read_all};
use crate::table::{Base, Table};

/// The files of a table as they stand.
#[derive(Debug, Clone)]
pub(super) struct EditedFiles {
    /// `current.csv`, or the file that is read in its place.
    file: Arc<dyn File>,
    pub(super) stat: Stat,
    path: String,
    schema_path: String,
    pub(super) content: EditedText,
}

/// What the files of a table say, wherever they stand.
#[derive(Debug, Clone)]
pub(super) struct EditedText {
    /// The rows, and where they stand.
    pub(super) text: Bytes,
    pub(super) path: PathBuf,
    /// schema.toml, and where it stands.
    pub(super) schema: Bytes,
    pub(super) schema_path: PathBuf,
}

impl EditedFiles {
    /// Reads them; `name` is that of the file that holds the rows.
    ///
    /// # Errors
    /// [`OutsideEdit`](ErrorKind::OutsideEdit) if one is gone, [`Busy`](ErrorKind::Busy) if one changes while it
    /// is read, or those of the storage.
    pub(super) fn read(storage: &dyn Storage, table: &TableName, name: &str) -> Result<Self> {
        let (path, schema_path) = (table_path(table, name), table_path(table, "schema.toml"));
        let gone = |path: &str| {
            Error::new(ErrorKind::OutsideEdit, "the file is gone")
                .at_path(storage.full_path(path))
                .help(format!("bring it back: rdb discard {table}"))
        };
        let file = storage.open(&path, Access::Read)?.ok_or_else(|| gone(&path))?;
        let stat = file.stat()?;
        let text = read_all(&*file)?;
        if file.stat()?.version() != stat.version() {
            return Err(being_written(storage, &path));
        }
        let schema = storage.read(&schema_path)?.ok_or_else(|| gone(&schema_path))?;
        let full = |path: &str| storage.full_path(path);
        let (rows, said) = (full(&path), full(&schema_path));
        let content = EditedText { text, path: rows, schema, schema_path: said };
        Ok(Self { file, stat, path, schema_path, content })
    }

    /// Makes what was read durable.
    ///
    /// # Errors
    /// [`Busy`](ErrorKind::Busy) if the file changed since it was read, or those of the storage.
    pub(super) fn sync(&self, storage: &dyn Storage, table: &TableName) -> Result<()> {
        self.file.sync()?;
        if let Some(schema) = storage.open(&self.schema_path, Access::Read)? {
            schema.sync()?;
        }
        storage.sync_folder(table_path(table, "").trim_end_matches('/'))?;
        if self.file.stat()?.version() != self.stat.version() {
            return Err(being_written(storage, &self.path));
        }
        Ok(())
    }

    /// What a frame that takes them in writes down of them: the hashes of what was read.
    pub(super) fn adopted(&self, hashes: &Hashes) -> Adopted {
        let table = hashes.of_bytes(&self.path, &self.stat, &self.content.text);
        Adopted { table, schema: Sha256::digest(&self.content.schema).into() }
    }
}

impl EditedText {
    /// The table they hold, which was made of `base`.
    ///
    /// # Errors
    /// What is wrong with one of the files, with its path, line and cell.
    pub(super) fn as_table(&self, base: &Table) -> Result<Table> {
        let in_schema = |error: Error| error.at_path(&self.schema_path);
        let in_table = |error: Error| error.at_path(&self.path);
        let text = std::str::from_utf8(&self.schema)
            .map_err(|_| in_schema(Error::invalid("the schema is not UTF-8")))?;
        let said = schema::parse(text).map_err(in_schema)?;
        let delimiter = self.delimiter(&said);
        let header = Header::parse(&self.text, delimiter).map_err(in_table)?;
        let names = match_columns(&said, &header, &self.text, delimiter, base);
        let schema = self.schema(&said, &header, delimiter, &names);
        self.check_names(&said, &names, base).map_err(in_schema)?;
        if schema.key().len() < said.key().len() {
            return Err(in_table(missing_key(&said, &schema)));
        }
        let former = |name: &str| {
            let pair = names.iter().find(|(new, _)| new == name);
            pair.and_then(|(_, old)| old.clone())
        };
        let adapted = schema::adapt(text, &schema, &former).map_err(in_schema)?;
        let shape = Shape::new(delimiter, self.text.slice(..header.len), schema.key());
        let parsed = Base::parse(self.text.clone(), Arc::new(shape.map_err(in_table)?));
        let parsed = Arc::new(parsed.map_err(in_table)?);
        Ok(Table::new(parsed, base.version()).with_schema(Some(Bytes::from(adapted))))
    }

    /// The delimiter under which the header names more of the columns: that of the schema, or a guess.
    fn delimiter(&self, said: &Schema) -> u8 {
        let known = |delimiter: u8| match Header::parse(&self.text, delimiter) {
            Ok(header) => said.columns.iter().filter(|c| has_name(&header, &c.name)).count(),
            Err(_) => 0,
        };
        if known(said.delimiter) == said.columns.len() {
            return said.delimiter;
        }
        let guess = guess_delimiter(&self.text);
        if known(guess) > known(said.delimiter) { guess } else { said.delimiter }
    }

    /// The schema of the file: what was said of the columns that stay, and guesses for new ones.
    fn schema(
        &self,
        said: &Schema,
        header: &Header,
        delimiter: u8,
        names: &[(String, Option<String>)],
    ) -> Schema {
        let types = guess_types(&self.text, header, delimiter);
        let columns = names.iter().zip(types).map(|((name, former), kind)| {
            let known =
                former.as_ref().and_then(|old| said.columns.iter().find(|c| c.name == *old));
            match known {
                Some(column) => Column { name: name.clone(), ..column.clone() },
                None => Column::new(name.clone(), kind),
            }
        });
        let ends = self.text.get(..header.len).unwrap_or_default();
        let line_end = if ends.ends_with(b"\r\n") { LineEnd::CrLf } else { LineEnd::Lf };
        let line_end = if ends.ends_with(b"\n") { line_end } else { said.line_end };
        Schema::new(delimiter, line_end, columns.collect())
    }

    /// Whoever edits schema.toml means what he writes: a column that the file lacks is a mistake there.
    fn check_names(
        &self,
        said: &Schema,
        names: &[(String, Option<String>)],
        base: &Table,
    ) -> Result<()> {
        if base.schema() == Some(&self.schema) {
            return Ok(());
        }
        let taken = |name: &str| names.iter().any(|(_, former)| former.as_deref() == Some(name));
        let lacking = said.columns.iter().find(|column| !taken(&column.name));
        match lacking.filter(|column| base.shape().column(&column.name).is_none()) {
            Some(column) => Err(Error::invalid("the schema names a column that the table lacks")
                .help(
                    "write the same names into schema.toml and into the first line of current.csv",
                )
                .at_column(column.name.clone())),
            None => Ok(()),
        }
    }
}

fn being_written(storage: &dyn Storage, path: &str) -> Error {
    Error::new(ErrorKind::Busy, "the file is being written")
        .at_path(storage.full_path(path))
        .help("save it, wait a second, and try again")
}

fn missing_key(said: &Schema, found: &Schema) -> Error {
    let lacks = |name: &str| !found.columns.iter().any(|c| c.primary_key && c.name == name);
    let mut keys = said.columns.iter().filter(|c| c.primary_key && lacks(&c.name));
    let name = keys.next().map(|column| column.name.clone()).unwrap_or_default();
    Error::invalid("a column of the key is gone")
        .help("put it back, or name another key in schema.toml with `primary_key = true`")
        .at_column(name)
}

fn has_name(header: &Header, name: &str) -> bool {
    header.columns.iter().any(|column| column.eq_ignore_ascii_case(name))
}

/// Each column of the file with the name it had; `None` for a new one.
fn match_columns(
    said: &Schema,
    header: &Header,
    text: &[u8],
    delimiter: u8,
    base: &Table,
) -> Vec<(String, Option<String>)> {
    let known = |name: &str| said.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name));
    let names =
        header.columns.iter().map(|name| (name.clone(), known(name).map(|c| c.name.clone())));
    let mut names: Vec<(String, Option<String>)> = names.collect();
    let gone: Vec<usize> = (0..said.columns.len())
        .filter(|at| said.columns.get(*at).is_some_and(|c| !has_name(header, &c.name)))
        .collect();
    let new: Vec<usize> = (0..names.len())
        .filter(|at| names.get(*at).is_some_and(|(_, old)| old.is_none()))
        .collect();
    for at in &new {
        // In the same place, or the only one that went where only one came.
        let only = (gone.len() == 1 && new.len() == 1).then(|| gone.first().copied()).flatten();
        let Some(old) = gone.iter().copied().find(|old| old == at).or(only) else { continue };
        let Some(column) = said.columns.get(old) else { continue };
        let stayed = base.shape().column(&column.name).is_some_and(|before| {
            cells_stayed(text.get(header.len..).unwrap_or_default(), delimiter, *at, base, before)
        });
        if let Some((_, former)) = names.get_mut(*at).filter(|_| stayed) {
            *former = Some(column.name.clone());
        }
    }
    names
}

/// How many rows are compared.
const SAMPLE: usize = 100;

/// Whether the first rows have the same cells in a column as the rows of the table in theirs, but for one in ten.
fn cells_stayed(rows: &[u8], delimiter: u8, at: usize, base: &Table, before: usize) -> bool {
    let cell = |line: &[u8], delimiter: u8, at: usize| {
        row::cells(line, delimiter)
            .nth(at)
            .and_then(|cell| cell.text().map(|text| text.into_owned()))
    };
    let mut start = 0;
    let now = std::iter::from_fn(|| {
        let record = next_record(rows, start, delimiter, |_, _, _| {}).ok()?;
        let line = rows.get(start..record.end).filter(|line| !line.is_empty())?;
        start = record.end;
        Some(line)
    });
    let now = now.filter(|line| !row::content(line).is_empty());
    let then = base.rows_iter().take(SAMPLE).filter_map(Result::ok);
    let pairs: Vec<bool> = now
        .zip(then)
        .map(|(now, then)| {
            cell(now, delimiter, at) == cell(&then, base.shape().delimiter(), before)
        })
        .collect();
    let same = pairs.iter().filter(|same| **same).count();
    same * 10 >= pairs.len() * 9
}
