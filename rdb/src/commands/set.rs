//! `rdb set`

use reedbase::{Error, Result};

use super::{cells, committed, key, parse_cell};
use crate::args::{Global, Message};
use crate::locate;
use crate::output::Output;

/// Change cells of a row
#[derive(Debug, clap::Args)]
#[command(
    after_help = "All other bytes of the row stay as they are. An empty VALUE is the empty text.\n\n\
    Examples:\n  rdb set pages home title=Welcome\n  rdb set pages home title=Hello views=7 -m \"new title\"\n  \
    rdb set pages home --null author"
)]
pub(crate) struct Set {
    /// The table
    table: String,
    /// The key of the row; parts with commas between
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// The cells: COLUMN=VALUE
    #[arg(value_name = "COLUMN=VALUE", value_parser = parse_cell)]
    cells: Vec<(String, String)>,
    /// A column to become NULL; may be given more than once
    #[arg(long, value_name = "COLUMN")]
    null: Vec<String>,
    #[command(flatten)]
    message: Message,
}

impl Set {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        if self.cells.is_empty() && self.null.is_empty() {
            return Err(Error::usage("nothing to set").help("write COLUMN=VALUE, or --null COLUMN"));
        }
        let database = locate::open(global, output)?;
        let key = key(&database.snapshot()?, &self.table, &self.key)?;
        let mut transaction = database.begin()?;
        if let Some(message) = &self.message.message {
            transaction = transaction.named(message);
        }
        transaction.update(&self.table, &key, cells(&self.cells, &self.null))?;
        let commit = transaction.commit()?;
        committed(&commit, &format!("changed {} in {}", self.key, self.table), output)
    }
}
