//! `rdb revert`

use reedbase::{Error, ErrorKind, Result};

use super::outside::conflicts;
use super::restore::Plan;
use crate::args::{Global, Message};
use crate::locate;
use crate::output::Output;

/// Undo what one frame did
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What other frames did since stays. Where they changed the same rows, nothing is undone and both sides are shown.\n\n\
    Examples:\n  rdb revert HEAD --plan       see it first\n  rdb revert HEAD\n  rdb revert \"monday's export\" -m \"it was an old one\""
)]
pub(crate) struct Revert {
    /// The frame: its number, id or name, HEAD~3, or an instant
    frame: String,
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    message: Message,
}

impl Revert {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        revert(&self.frame, self.plan.plan, &self.message, global, output)
    }
}

/// Undoes a frame, or prints what that would change.
pub(super) fn revert(
    frame: &str,
    plan: bool,
    message: &Message,
    global: &Global,
    output: &mut Output,
) -> Result<()> {
    let database = locate::open_for("reading the history", global, output)?;
    let frame = database.frame_at(frame)?;
    let mut transaction = message.name(database.begin()?);
    let found = transaction.revert(&frame)?;
    if let Some(first) = found.first() {
        if !output.is_json() {
            conflicts(&found, ["since", "undo"], "a later frame changed this row", output)?;
        }
        return Err(Error::new(ErrorKind::Conflict, "later frames changed the same rows")
            .at_frame(frame.timestamp)
            .at_key(first.ours.key_text())
            .help("restore single rows or cells: rdb restore TABLE KEY [COLUMN] --at TIME"));
    }
    let done = format!("frame {} is undone", frame.timestamp);
    Plan { plan }.finish(transaction, &done, output)
}
