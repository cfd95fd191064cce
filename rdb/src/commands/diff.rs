//! `rdb diff`

use reedbase::{Database, Result, Snapshot, Timestamp};

use super::outside::{self, Source};
use crate::args::Global;
use crate::locate;
use crate::output::Output;
use crate::render::{self, DiffFormat, Document, Heading};

/// A table, and two instants.
type Words<'w> = (Option<&'w str>, Option<&'w str>, Option<&'w str>);

/// Print what changed between two instants
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An instant is a frame (its number, id or name), HEAD~3, a date, a time, or `20 minutes ago`.\n\n\
    Examples:\n  rdb diff                       the last frame\n  rdb diff --outside             what was edited outside, and waits\n  rdb diff pages HEAD~5          from then until now\n  \
    rdb diff pages yesterday HEAD --format csv\n  rdb diff yesterday             all tables, from an instant until now\n  rdb diff yesterday --format html > today.html     a page for a browser\n  \
    rdb diff pages HEAD~5 --format sql | sqlite3 copy.db\n  rdb diff pages HEAD~5 --format daff > patch.csv     for: daff patch old.csv patch.csv"
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
        let (table, from, to) = self.words(&database, &snapshot);
        let to = match to {
            Some(text) => database.frame_at(text)?.timestamp,
            None => snapshot.frame(),
        };
        let from = match from {
            Some(text) => database.instant(text)?,
            None => {
                let frames = database.frames()?;
                frames.iter().rev().nth(1).map_or(Timestamp::ZERO, |frame| frame.timestamp)
            }
        };
        let mut diffs = Vec::new();
        match table {
            Some(table) => diffs.push((table.to_owned(), snapshot.diff(table, from, to)?)),
            None => {
                for table in snapshot.tables() {
                    diffs.push((table.to_string(), snapshot.diff(table.as_str(), from, to)?));
                }
                diffs.retain(|(_, diff)| !diff.is_empty());
            }
        }
        let title = format!("from frame {from} to frame {to}");
        let heading = Heading { title, facts: Vec::new() };
        let mut document = Document::begin(self.format, &heading, output)?;
        for (table, diff) in &diffs {
            document.table(table, diff, output)?;
        }
        let is_text = document.is_text();
        match document.end(output)? {
            0 if is_text => output.line("no difference"),
            _ => Ok(()),
        }
    }

    /// What was typed: a first word that is no table is an instant.
    fn words<'w>(&'w self, database: &Database, snapshot: &Snapshot) -> Words<'w> {
        let (table, from, to) = (self.table.as_deref(), self.from.as_deref(), self.to.as_deref());
        match table {
            Some(word)
                if to.is_none()
                    && !snapshot.tables().iter().any(|table| table.as_str() == word)
                    && database.instant(word).is_ok() =>
            {
                (None, Some(word), from)
            }
            _ => (table, from, to),
        }
    }

    fn outside(&self, database: &Database, output: &mut Output) -> Result<()> {
        let tables: Vec<String> = self.table.iter().cloned().collect();
        let edits = outside::edits(database, &tables, &Source::default())?;
        let heading = Heading { title: "edited outside".into(), facts: Vec::new() };
        let mut document = Document::begin(self.format, &heading, output)?;
        for edit in &edits {
            document.table(edit.table.as_str(), &edit.diff, output)?;
            if document.is_text() {
                outside::met(edit, output)?;
            }
        }
        let is_text = document.is_text();
        document.end(output)?;
        if !is_text && !output.is_json() {
            return Ok(());
        }
        let settings = match self.table {
            Some(_) => Vec::new(),
            None => database.edited_settings()?,
        };
        for edit in &settings {
            render::file_edit(edit, output)?;
        }
        if edits.is_empty() && settings.is_empty() && is_text {
            output.line("nothing was edited outside")?;
        }
        Ok(())
    }
}
