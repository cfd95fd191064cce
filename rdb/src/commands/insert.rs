//! `rdb insert`

use reedbase::Result;

use super::{cells, committed, parse_cell};
use crate::args::{Global, Message};
use crate::locate;
use crate::output::Output;

/// Add a row
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Columns that are not named become NULL. In a table sorted by its key, the row goes \
    where it belongs, else to the end.\n\n\
    Example:\n  rdb insert pages id=about title=\"About us\""
)]
pub(crate) struct Insert {
    /// The table
    table: String,
    /// The cells: COLUMN=VALUE
    #[arg(value_name = "COLUMN=VALUE", value_parser = parse_cell, required = true)]
    cells: Vec<(String, String)>,
    #[command(flatten)]
    message: Message,
}

impl Insert {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let mut transaction = database.begin()?;
        if let Some(message) = &self.message.message {
            transaction = transaction.named(message);
        }
        transaction.insert(&self.table, cells(&self.cells, &[]))?;
        let commit = transaction.commit()?;
        committed(&commit, &format!("added a row to {}", self.table), output)
    }
}
