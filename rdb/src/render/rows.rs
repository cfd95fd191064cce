//! The rows of a query, printed as they come.

use std::ops::ControlFlow;

use reedbase::{Result, RowSink, ValueRef};
use reedbase_plugin_api::row;
use serde_json::{Map, Value as Json, json};

use crate::output::{Output, Style};

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns of text, for people
    Table,
    /// CSV with commas, a header, and empty cells for NULL
    Csv,
    /// One JSON array of objects
    Json,
    /// A JSON object a line
    Jsonl,
    /// A table for Markdown
    Markdown,
}

/// So many rows decide how wide the columns of a table are; those that follow are printed as they come.
const MEASURED: usize = 1000;

/// Prints rows.
pub(crate) struct RowPrinter<'a> {
    output: &'a mut Output,
    format: Format,
    names: Vec<String>,
    /// Rows of text that wait until it is known how wide the columns are.
    waiting: Vec<Vec<Cell>>,
    widths: Vec<usize>,
    right: Vec<bool>,
    count: u64,
}

/// A cell as it is printed.
struct Cell {
    text: String,
    null: bool,
}

impl<'a> RowPrinter<'a> {
    pub(crate) fn new(format: Format, output: &'a mut Output) -> Self {
        let (names, waiting, widths, right) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { output, format, names, waiting, widths, right, count: 0 }
    }

    /// Ends the rows of one statement; gives how many there were, or `None` if it had no columns.
    pub(crate) fn end(&mut self) -> Result<Option<u64>> {
        if self.names.is_empty() {
            return Ok(None);
        }
        match self.format {
            Format::Table | Format::Markdown => self.print_waiting()?,
            Format::Json => self.output.line(if self.count == 0 { "[]" } else { "\n]" })?,
            Format::Csv | Format::Jsonl => {}
        }
        self.names.clear();
        Ok(Some(self.count))
    }

    fn print_waiting(&mut self) -> Result<()> {
        if self.widths.is_empty() {
            self.measure();
            self.print_head()?;
        }
        for row in std::mem::take(&mut self.waiting) {
            self.print_row(&row)?;
        }
        Ok(())
    }

    fn measure(&mut self) {
        let least = if self.format == Format::Markdown { 3 } else { 0 };
        for (at, name) in self.names.iter().enumerate() {
            let cells = || self.waiting.iter().filter_map(|row| row.get(at));
            let width = cells().map(|cell| console::measure_text_width(&cell.text)).max();
            let name = console::measure_text_width(name);
            self.widths.push(width.unwrap_or(0).max(name).max(least));
        }
    }

    fn print_head(&mut self) -> Result<()> {
        let names = self.names.clone();
        let line = self.aligned(names.iter().map(|name| (name.as_str(), false)));
        if self.format == Format::Table {
            let line = self.output.styled(Style::Dim, &line);
            return self.output.line(&line);
        }
        self.output.line(&line)?;
        let rules = self.widths.iter().zip(&self.right).map(|(width, right)| match right {
            true => format!("{}:", "-".repeat(width - 1)),
            false => "-".repeat(*width),
        });
        let rules: Vec<_> = rules.collect();
        self.output.line(&format!("| {} |", rules.join(" | ")))
    }

    fn print_row(&mut self, row: &[Cell]) -> Result<()> {
        let line = self.aligned(row.iter().map(|cell| (cell.text.as_str(), cell.null)));
        self.output.line(&line)
    }

    /// A line of cells, each as wide as its column.
    fn aligned<'c>(&self, cells: impl Iterator<Item = (&'c str, bool)>) -> String {
        let mut parts = Vec::new();
        for (at, (text, null)) in cells.enumerate() {
            let width = self.widths.get(at).copied().unwrap_or_default();
            let pad = " ".repeat(width.saturating_sub(console::measure_text_width(text)));
            let text = if null { self.output.styled(Style::Dim, text) } else { text.to_owned() };
            let right = self.right.get(at).copied().unwrap_or_default();
            parts.push(if right { pad + &text } else { text + &pad });
        }
        match self.format {
            Format::Markdown => format!("| {} |", parts.join(" | ")),
            _ => parts.join("  ").trim_end().to_owned(),
        }
    }

    fn text_row(&mut self, values: &[ValueRef<'_>]) -> Result<()> {
        for (right, value) in self.right.iter_mut().zip(values) {
            *right |= matches!(value, ValueRef::Integer(_) | ValueRef::Float(_));
        }
        let markdown = self.format == Format::Markdown;
        let cell = |value: &ValueRef<'_>| {
            let text = shown(*value).replace('\r', "\\r").replace('\n', "\\n");
            let text = if markdown { text.replace('|', "\\|") } else { text };
            Cell { text, null: *value == ValueRef::Null }
        };
        self.waiting.push(values.iter().map(cell).collect());
        if !self.widths.is_empty() || self.waiting.len() >= MEASURED {
            self.print_waiting()?;
        }
        Ok(())
    }

    fn csv_row(&mut self, cells: &[Option<String>]) -> Result<()> {
        let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
        self.output.bytes(&row::write_row(&cells, b',', b"\n"))
    }

    fn json_row(&mut self, values: &[ValueRef<'_>]) -> Result<()> {
        let cells = self.names.iter().zip(values);
        let object: Map<String, Json> =
            cells.map(|(name, value)| (name.clone(), json_value(*value))).collect();
        match (self.format, self.count) {
            (Format::Json, 1) => self.output.bytes(b"[\n  ")?,
            (Format::Json, _) => self.output.bytes(b",\n  ")?,
            _ => return self.output.json(&Json::Object(object)),
        }
        self.output.bytes(Json::Object(object).to_string().as_bytes())
    }
}

impl RowSink for RowPrinter<'_> {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.end()?;
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self.right = vec![false; names.len()];
        (self.widths, self.count) = (Vec::new(), 0);
        if self.format == Format::Csv && !names.is_empty() {
            let names: Vec<_> = names.iter().map(|name| Some((*name).to_owned())).collect();
            self.csv_row(&names)?;
        }
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> Result<ControlFlow<()>> {
        self.count += 1;
        match self.format {
            Format::Table | Format::Markdown => self.text_row(values)?,
            Format::Csv => {
                let cell = |value: &ValueRef<'_>| match value {
                    ValueRef::Null => None,
                    value => Some(shown(*value)),
                };
                self.csv_row(&values.iter().map(cell).collect::<Vec<_>>())?;
            }
            Format::Json | Format::Jsonl => self.json_row(values)?,
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// A value as text.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Float(value) => format!("{value:?}"),
        value => value.to_value().to_string(),
    }
}

/// A value in JSON: numbers that JSON does not know, and bytes in hexadecimal, are texts.
pub(crate) fn json_value(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(value) => json!(value),
        ValueRef::Float(value) if value.is_finite() => json!(value),
        ValueRef::Text(text) => json!(text),
        value => json!(shown(value)),
    }
}
