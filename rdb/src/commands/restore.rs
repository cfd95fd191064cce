//! `rdb restore`

use reedbase::{Action, Preview, Result, Timestamp, Transaction};
use serde_json::json;

use super::{committed, key};
use crate::args::{Global, Message};
use crate::conflict_json::conflict_json;
use crate::locate;
use crate::output::{Output, counted};
use crate::render;

/// Bring back what was at some instant: everything, a table, a row or a cell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is lost: what is there now stays in the history, and this is a frame of its own. Tables that did not exist \
    at that instant are left as they are.\n\n\
    Examples:\n  rdb restore --at \"20 minutes ago\" --plan       see it first\n  rdb restore pages --at HEAD~1\n  \
    rdb restore pages home --at yesterday\n  rdb restore pages home title --at \"first pages\" -m \"wrong title\""
)]
pub(crate) struct Restore {
    /// The table [default: all]
    table: Option<String>,
    /// The key of a row; parts with commas between
    #[arg(allow_hyphen_values = true)]
    key: Option<String>,
    /// The column, for one cell
    column: Option<String>,
    /// The instant: a frame, a date, a time, or `20 minutes ago`
    #[arg(long, value_name = "TIME")]
    at: String,
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    message: Message,
}

/// Seeing a change before it is made.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Plan {
    /// Print what would change, and change nothing
    #[arg(long)]
    pub(super) plan: bool,
}

impl Restore {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("restoring", global, output)?;
        let at = database.frame_at(&self.at)?.timestamp;
        let mut transaction = self.message.name(database.begin()?);
        let what = match (&self.table, &self.key, &self.column) {
            (None, ..) => {
                for table in database.snapshot()?.tables() {
                    restore_if_it_was(&mut transaction, table.as_str(), at, output)?;
                }
                "everything".to_owned()
            }
            (Some(table), None, _) => {
                transaction.restore_table(table, at, Action::RESTORE)?;
                table.clone()
            }
            (Some(table), Some(text), None) => {
                let key = key(&database.snapshot()?, table, text)?;
                transaction.restore_row(table, &key, at)?;
                format!("{text} in {table}")
            }
            (Some(table), Some(text), Some(column)) => {
                let key = key(&database.snapshot()?, table, text)?;
                transaction.restore_cell(table, &key, column, at)?;
                format!("{column} of {text} in {table}")
            }
        };
        self.plan.finish(transaction, &format!("{what} is as it was at frame {at}"), output)
    }
}

/// Prints what a transaction would change, and what it would meet.
pub(super) fn preview(preview: &Preview, output: &mut Output) -> Result<()> {
    for (table, diff) in &preview.changes {
        render::diff(table.as_str(), diff, output)?;
    }
    if output.is_json() {
        let lines =
            preview.conflicts.iter().map(|conflict| json!({"conflict": conflict_json(conflict)}));
        return lines.into_iter().try_for_each(|line| output.json(&line));
    }
    if preview.changes.is_empty() && preview.conflicts.is_empty() {
        return output.line("nothing would change");
    }
    if !preview.merged.is_empty() {
        let rows = counted(preview.merged.len() as u64, "row");
        output.notice(&format!("others changed {rows} meanwhile: what both wrote would be there"));
    }
    if !preview.conflicts.is_empty() {
        render::conflicts(&preview.conflicts, output)?;
        output.notice(&counted(preview.conflicts.len() as u64, "conflict"));
    }
    Ok(())
}

/// A table that did not exist at that instant stays.
fn restore_if_it_was(
    transaction: &mut Transaction,
    table: &str,
    at: Timestamp,
    output: &mut Output,
) -> Result<()> {
    match transaction.restore_table(table, at, Action::RESTORE) {
        Err(error) if error.is_not_found() => {
            output.notice(&format!("{table} did not exist yet: it stays as it is"));
            Ok(())
        }
        restored => restored,
    }
}

impl Plan {
    /// Commits, or prints what would be committed.
    pub(super) fn finish(
        &self,
        transaction: Transaction,
        done: &str,
        output: &mut Output,
    ) -> Result<()> {
        if !self.plan {
            return committed(&transaction.commit()?, done, output);
        }
        preview(&transaction.preview()?, output)
    }
}

/// Adds a frame that makes a table what it was.
pub(super) fn rollback(
    table: &str,
    at: &str,
    message: &Message,
    global: &Global,
    output: &mut Output,
) -> Result<()> {
    let database = locate::open_for("restoring", global, output)?;
    let at = database.frame_at(at)?.timestamp;
    let mut transaction = message.name(database.begin()?);
    transaction.restore_table(table, at, Action::ROLLBACK)?;
    Plan::default().finish(transaction, &format!("{table} is as it was at frame {at}"), output)
}
