//! `rdb diff`

use reedbase::{Database, Result, Timestamp};

use super::outside::{self, Source};
use crate::args::Global;
use crate::locate;
use crate::output::Output;
use crate::render::{self, DiffFormat};

/// Print what changed between two instants
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An instant is a frame (its number, id or name), HEAD~3, a date, a time, or `20 minutes ago`.\n\n\
    Examples:\n  rdb diff                       the last frame\n  rdb diff --outside             what was edited outside, and waits\n  rdb diff pages HEAD~5          from then until now\n  \
    rdb diff pages yesterday HEAD --format csv"
)]
pub(crate) struct Diff {
    /// The table [default: all]
    table: Option<String>,
    /// From when [default: before the last frame]
    from: Option<String>,
    /// Until when [default: now]
    to: Option<String>,
    /// What was edited outside ReedBase, and was neither adopted nor discarded
    #[arg(long, conflicts_with_all = ["from", "to"])]
    outside: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: DiffFormat,
}

impl Diff {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("reading the history", global, output)?;
        if self.outside {
            return self.outside(&database, output);
        }
        let snapshot = database.snapshot()?;
        let to = match &self.to {
            Some(text) => database.frame_at(text)?.timestamp,
            None => snapshot.frame(),
        };
        let from = match &self.from {
            Some(text) => database.frame_at(text)?.timestamp,
            None => {
                let frames = database.frames()?;
                frames.iter().rev().nth(1).map_or(Timestamp::ZERO, |frame| frame.timestamp)
            }
        };
        if let Some(table) = &self.table {
            return render::diff(table, &snapshot.diff(table, from, to)?, self.format, output);
        }
        let mut printed = false;
        for table in snapshot.tables() {
            let diff = snapshot.diff(table.as_str(), from, to)?;
            if !diff.is_empty() {
                printed = true;
                render::diff(table.as_str(), &diff, self.format, output)?;
            }
        }
        if printed || output.is_json() || self.format != DiffFormat::Text {
            return Ok(());
        }
        output.line("no difference")
    }

    fn outside(&self, database: &Database, output: &mut Output) -> Result<()> {
        let tables: Vec<String> = self.table.iter().cloned().collect();
        let edits = outside::edits(database, &tables, &Source::default())?;
        for edit in &edits {
            render::diff(edit.table.as_str(), &edit.diff, self.format, output)?;
            outside::warn(edit, output)?;
        }
        let settings = match self.table {
            Some(_) => Vec::new(),
            None => database.edited_settings()?,
        };
        for edit in &settings {
            render::file_edit(edit, output)?;
        }
        if edits.is_empty()
            && settings.is_empty()
            && !output.is_json()
            && self.format == DiffFormat::Text
        {
            output.line("nothing was edited outside")?;
        }
        Ok(())
    }
}
