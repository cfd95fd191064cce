//! `rdb adopt` and `rdb discard`

use std::time::{Duration, Instant};

use reedbase::{Commit, Database, Error, ErrorKind, OutsideEdit, Result, Timestamp};
use serde_json::json;

use super::committed;
use crate::args::{Global, Merging, Message};
use crate::locate;
use crate::output::{Output, counted};
use crate::render;
use crate::time;

/// Make a frame of what was edited outside
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The files stay as they are. What frames changed meanwhile is kept; where both changed the same cell, \
    that of the frame stays, and the other waits in conflict:list.\n\n\
    Examples:\n  rdb adopt\n  rdb adopt pages -m \"spring prices\"\n  rdb adopt pages --base HEAD~3     the file was made from that copy"
)]
pub(crate) struct Adopt {
    /// The tables [default: all that were edited]
    tables: Vec<String>,
    #[command(flatten)]
    source: Source,
    /// Also an edit that removes more than half of the rows
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    merging: Merging,
    #[command(flatten)]
    message: Message,
}

/// What an edit was made from, and where it is.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Source {
    /// The frame that the file was made from [default: the one it was written at]
    #[arg(long, value_name = "FRAME")]
    base: Option<String>,
    /// A file beside current.csv that holds the edit
    #[arg(long, value_name = "FILE")]
    from: Option<String>,
}

/// Put aside what was edited outside
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The newest versions take the place of the files. What was edited stays beside them as \
    current.csv.discarded-<time>.\n\n\
    Examples:\n  rdb discard\n  rdb discard pages"
)]
pub(crate) struct Discard {
    /// The tables [default: all that were edited]
    tables: Vec<String>,
}

/// How long a command waits for a file to hold still.
const PATIENCE: Duration = Duration::from_secs(10);

impl Adopt {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("adopting", global, output)?;
        let (start, mut told, mut settings) = (Instant::now(), false, false);
        loop {
            let edits = edits(&database, &self.tables, &self.source)?;
            if !told {
                settings |= self.adopt_settings(&database, output)?;
            }
            if edits.is_empty() {
                return if settings { Ok(()) } else { nothing(output) };
            }
            let done = edits.iter().map(summary).collect::<Vec<_>>().join(", ");
            for edit in edits.iter().filter(|_| !told) {
                warn(edit, output);
            }
            told = true;
            let how = adopt_as(&self.message).force(self.force).on_conflict(self.merging.how());
            match database.adopt(edits, &how) {
                Err(error) if error.kind() == ErrorKind::Busy && start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                commit => return adopted(&commit?, &done, output),
            }
        }
    }
}

impl Adopt {
    /// Where no table is named, config.toml and the dictionaries are meant, too. Tells whether one was adopted.
    fn adopt_settings(&self, database: &Database, output: &mut Output) -> Result<bool> {
        let edits = match self.tables.is_empty() {
            true => database.edited_settings()?,
            false => Vec::new(),
        };
        for edit in &edits {
            database.adopt_settings(edit)?;
            match output.is_json() {
                true => output.json(&json!({"file": edit.path}))?,
                false => output.line(&format!("{} counts as it is now", edit.path))?,
            }
        }
        Ok(!edits.is_empty())
    }
}

/// How edits are adopted that a person gave this name.
pub(super) fn adopt_as(message: &Message) -> reedbase::Adopt {
    let how = reedbase::Adopt::new();
    match &message.message {
        Some(message) => how.named(message),
        None => how,
    }
}

/// What an edit did, in a few words.
pub(super) fn summary(edit: &OutsideEdit) -> String {
    format!("{} of {}", counted(edit.diff.rows.len() as u64, "changed row"), edit.table)
}

fn adopted(commit: &Commit, done: &str, output: &mut Output) -> Result<()> {
    if commit.frame.is_none() && !output.is_json() {
        return output.line("the files hold what frames did already: nothing to adopt");
    }
    committed(commit, &format!("adopted {done}"), output)
}

impl Discard {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("discarding", global, output)?;
        let tables = named_or_edited(&database, &self.tables)?;
        let settings = match self.tables.is_empty() {
            true => database.edited_settings()?,
            false => Vec::new(),
        };
        for edit in &settings {
            let kept = database.discard_settings(edit)?;
            if !output.is_json() {
                let kept = kept.map(|kept| format!(": the edit stays in {kept}"));
                output.line(&format!("{} is as it was{}", edit.path, kept.unwrap_or_default()))?;
            }
        }
        if tables.is_empty() && !settings.is_empty() && !output.is_json() {
            return Ok(());
        }
        if tables.is_empty() {
            return nothing(output);
        }
        let names: Vec<&str> = tables.iter().map(String::as_str).collect();
        let report = database.discard(&names)?;
        if output.is_json() {
            return output.json(&json!({"tables": tables, "kept": report.kept}));
        }
        for file in &report.kept {
            output.line(&format!("the edit stays in {file}"))?;
        }
        output.line(&format!("{} as of frame {}", names.join(", "), database.snapshot()?.frame()))
    }
}

fn nothing(output: &mut Output) -> Result<()> {
    if output.is_json() {
        return output.json(&json!({"frame": null}));
    }
    output.line("nothing was edited outside")
}

/// The tables that were typed, or all that were edited.
fn named_or_edited(database: &Database, tables: &[String]) -> Result<Vec<String>> {
    if !tables.is_empty() {
        return Ok(tables.to_vec());
    }
    Ok(database.edited_outside()?.iter().map(ToString::to_string).collect())
}

/// What was edited of these tables, or of all.
pub(super) fn edits(
    database: &Database,
    tables: &[String],
    source: &Source,
) -> Result<Vec<OutsideEdit>> {
    let base = source.base.as_ref().map(|text| database.frame_at(text)).transpose()?;
    let base = base.map(|frame| frame.timestamp);
    let tables = named_or_edited(database, tables)?;
    if source.from.is_some() && tables.len() != 1 {
        return Err(Error::usage("one file is the edit of one table").help("name the table"));
    }
    let edits = tables.iter().map(|table| edit(database, table, base, source.from.as_deref()));
    Ok(edits.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn edit(
    database: &Database,
    table: &str,
    base: Option<Timestamp>,
    from: Option<&str>,
) -> Result<Option<OutsideEdit>> {
    let name = from.map(|file| file.rsplit('/').next().unwrap_or(file));
    database.outside_edit_from(table, base, name)
}

/// Says what is odd about an edit, and what it would meet if it were adopted.
pub(super) fn met(edit: &OutsideEdit, output: &mut Output) -> Result<()> {
    warn(edit, output);
    match output.is_json() {
        true => Ok(()),
        false => render::conflicts(&edit.conflicts, output),
    }
}

/// Says what is odd about an edit: rows of an older copy.
pub(super) fn warn(edit: &OutsideEdit, output: &mut Output) {
    let Some(older) = edit.older.filter(|_| !output.is_json()) else { return };
    let rows = counted(older.rows, "row");
    output.notice(&match older.version {
        Some(version) => format!(
            "{rows} of {} would be again what they were at frame {version} ({}): if the file was made from that copy, \
             adopt it with --base {version}",
            edit.table,
            time::local(version)
        ),
        None => format!("{rows} of {} would be again what they were before", edit.table),
    });
}
