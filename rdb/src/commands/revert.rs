//! `rdb revert`

use reedbase::Result;

use super::restore::Plan;
use crate::args::{Global, Merging, Message};
use crate::locate;
use crate::output::Output;

/// Undo what one frame did
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What other frames did since stays. Where they changed the same cells, these stay, too, and wait in conflict:list.\n\n\
    Examples:\n  rdb revert HEAD --plan       see it first\n  rdb revert HEAD\n  rdb revert \"monday's export\" -m \"it was an old one\""
)]
pub(crate) struct Revert {
    /// The frame: its number, id or name, HEAD~3, or an instant
    frame: String,
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    merging: Merging,
    #[command(flatten)]
    message: Message,
}

impl Revert {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        revert(&self.frame, self.plan.plan, (self.merging, &self.message), global, output)
    }
}

/// Undoes a frame, or prints what that would change.
pub(super) fn revert(
    frame: &str,
    plan: bool,
    (merging, message): (Merging, &Message),
    global: &Global,
    output: &mut Output,
) -> Result<()> {
    let database = locate::open_for("reading the history", global, output)?;
    let frame = database.frame_at(frame)?;
    let mut transaction = message.name(database.begin()?).on_conflict(merging.how());
    transaction.revert(&frame)?;
    let done = format!("frame {} is undone", frame.timestamp);
    Plan { plan }.finish(transaction, &done, output)
}
