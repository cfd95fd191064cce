//! `rdb get`

use reedbase::{Error, Result};
use serde_json::json;

use super::{key, row_json};
use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style};

/// Print a row, or one cell of it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  rdb get pages home\n  rdb get pages home title\n  rdb get orders berlin,17"
)]
pub(crate) struct Get {
    /// The table
    table: String,
    /// The key of the row; parts with commas between
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// One column, of which just the value is printed
    column: Option<String>,
}

impl Get {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let snapshot = locate::open(global, output)?.snapshot()?;
        let key = key(&snapshot, &self.table, &self.key)?;
        let row = snapshot.get(&self.table, &key)?.ok_or_else(|| {
            Error::not_found("there is no row with this key")
                .help("look whether there ever was one: rdb history TABLE KEY")
                .at_table(&self.table)
                .at_key(&self.key)
        })?;
        if let Some(column) = &self.column {
            snapshot.column(&self.table, column)?;
            let cell = row.get(column);
            return if output.is_json() {
                output.json(&json!(cell))
            } else {
                output.line(&cell.unwrap_or_default())
            };
        }
        if output.is_json() {
            return output.json(&row_json(&row));
        }
        let width = row.columns().iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let indent = width + 2;
        for (name, cell) in row.columns().iter().zip(row.cells()) {
            let name = format!("{name:width$}");
            let name = output.styled(Style::Dim, &name);
            match cell {
                Some(text) => {
                    // A cell of several lines stays in its column.
                    let text = text.replace('\n', &format!("\n{:indent$}", ""));
                    output.line(&format!("{name}  {text}"))?;
                }
                None => {
                    let null = output.styled(Style::Dim, "NULL");
                    output.line(&format!("{name}  {null}"))?;
                }
            }
        }
        Ok(())
    }
}
