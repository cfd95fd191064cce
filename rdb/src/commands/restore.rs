//! `rdb restore`

use reedbase::{Action, Result};

use super::committed;
use crate::args::{Global, Message};
use crate::locate;
use crate::output::Output;

/// Bring a table back as it was at some instant
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is lost: the table as it is now stays in the history, and this is a frame of its own.\n\n\
    Examples:\n  rdb restore pages --at HEAD~1\n  rdb restore pages --at \"20 minutes ago\" -m \"wrong file\""
)]
pub(crate) struct Restore {
    /// The table
    table: String,
    /// The instant: a frame, a date, a time, or `20 minutes ago`
    #[arg(long, value_name = "TIME")]
    at: String,
    #[command(flatten)]
    message: Message,
}

impl Restore {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        restore(&self.table, &self.at, Action::RESTORE, &self.message, global, output)
    }
}

/// Adds a frame that makes a table what it was.
pub(super) fn restore(
    table: &str,
    at: &str,
    action: Action,
    message: &Message,
    global: &Global,
    output: &mut Output,
) -> Result<()> {
    let database = locate::open_for("restoring", global, output)?;
    let frame = database.frame_at(at)?;
    let mut transaction = database.begin()?;
    if let Some(message) = &message.message {
        transaction = transaction.named(message);
    }
    transaction.restore_table(table, frame.timestamp, action)?;
    let commit = transaction.commit()?;
    committed(&commit, &format!("{table} is as it was at frame {}", frame.timestamp), output)
}
