//! All of a difference, in one of the formats.

use clap::ValueEnum;
use reedbase::{Diff, Error, Result};

use super::sheet::Sheet;
use super::{daff, html, lines, sql, text};
use crate::output::Output;

/// How a difference is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people
    #[default]
    Text,
    /// One object for each row
    Json,
    /// One line for each cell: table,change,key,column,before,after
    Csv,
    /// Statements that make the same change in an SQL database
    Sql,
    /// The format of the daff tools: a patch of one table
    Daff,
    /// A page for a browser, whole in one file
    Html,
}

/// What a document is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heading {
    /// One line.
    pub(crate) title: String,
    /// Names and values: who, when.
    pub(crate) facts: Vec<(String, String)>,
}

/// A difference that is printed table by table.
#[derive(Debug)]
pub(crate) struct Document {
    format: DiffFormat,
    tables: u64,
    /// What is printed when it is sure that there is no other.
    patch: String,
}

impl Document {
    /// Begins one. Formats without a heading leave it out.
    pub(crate) fn begin(
        format: DiffFormat,
        heading: &Heading,
        output: &mut Output,
    ) -> Result<Self> {
        let format = if output.is_json() { DiffFormat::Json } else { format };
        match format {
            DiffFormat::Html => html::begin(heading, output)?,
            DiffFormat::Sql => sql::begin(heading, output)?,
            DiffFormat::Csv => lines::begin_csv(output)?,
            _ => {}
        }
        Ok(Self { format, tables: 0, patch: String::new() })
    }

    /// Whether it is for a person at a terminal.
    pub(crate) fn is_text(&self) -> bool {
        self.format == DiffFormat::Text
    }

    /// Prints what changed in a table.
    pub(crate) fn table(&mut self, table: &str, diff: &Diff, output: &mut Output) -> Result<()> {
        self.tables += 1;
        match self.format {
            DiffFormat::Text => text::diff(table, diff, output),
            DiffFormat::Json => lines::json(table, diff, output),
            DiffFormat::Csv => lines::csv(table, diff, output),
            DiffFormat::Sql => sql::table(&Sheet::new(table, diff), output),
            DiffFormat::Html => html::table(&Sheet::new(table, diff), output),
            DiffFormat::Daff if self.tables > 1 => {
                Err(Error::usage("a daff patch is about one table, and several changed")
                    .help("name one: rdb diff TABLE --format daff"))
            }
            DiffFormat::Daff => {
                self.patch = daff::patch(&Sheet::new(table, diff));
                Ok(())
            }
        }
    }

    /// Ends it; gives how many tables it shows.
    pub(crate) fn end(self, output: &mut Output) -> Result<u64> {
        match self.format {
            DiffFormat::Html => html::end(self.tables, output)?,
            DiffFormat::Sql => sql::end(output)?,
            DiffFormat::Daff => output.bytes(self.patch.as_bytes())?,
            _ => {}
        }
        Ok(self.tables)
    }
}
