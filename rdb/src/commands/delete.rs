//! `rdb delete`

use reedbase::Result;

use super::{committed, key};
use crate::args::{Global, Message};
use crate::locate;
use crate::output::{Output, counted};

/// Remove rows
#[derive(Debug, clap::Args)]
#[command(
    after_help = "They stay in the history.\n\nExample:\n  rdb delete pages about contact -m \"merged into home\""
)]
pub(crate) struct Delete {
    /// The table
    table: String,
    /// The keys of the rows; parts with commas between
    #[arg(required = true, allow_hyphen_values = true)]
    keys: Vec<String>,
    #[command(flatten)]
    message: Message,
}

impl Delete {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let snapshot = database.snapshot()?;
        let mut transaction = database.begin()?;
        if let Some(message) = &self.message.message {
            transaction = transaction.named(message);
        }
        for text in &self.keys {
            transaction.delete(&self.table, &key(&snapshot, &self.table, text)?)?;
        }
        let commit = transaction.commit()?;
        let rows = counted(self.keys.len() as u64, "row");
        committed(&commit, &format!("removed {rows} from {}", self.table), output)
    }
}
