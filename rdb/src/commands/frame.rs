//! `rdb frame:*`

use reedbase::{Database, Error, FrameEntry, FrameStatus, Result};
use serde_json::json;

use super::committed;
use super::restore::preview;
use super::revert::revert;
use crate::args::{Global, Merging, Message};
use crate::locate;
use crate::output::{Output, Style, counted};
use crate::time;

/// Begin a frame that several commands work on
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints the frame's number. Commands work in it with --frame, or with REED_FRAME; they show the database as it \
    was when the frame was begun, with what the frame did since. Nobody else sees anything before frame:commit.\n\n\
    Examples:\n  rdb frame:begin \"spring prices\"\n  export REED_FRAME=$(rdb frame:begin \"spring prices\")"
)]
pub(crate) struct Begin {
    /// A name: one line that says why
    name: Option<String>,
}

/// Print frames, newest first
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A frame is active (open), committed, rolled_back (undone, or given up), crashed (its program died), or archived \
    (committed longer ago than frame.retention.days).\n\n\
    Examples:\n  rdb frame:list\n  rdb frame:list --open\n  rdb frame:list --crashed"
)]
pub(crate) struct List {
    /// Only frames that are open
    #[arg(long)]
    open: bool,
    /// Only frames whose program died before it committed
    #[arg(long)]
    crashed: bool,
    /// How many frames
    #[arg(short = 'n', long, default_value_t = 20, value_name = "NUMBER")]
    number: usize,
}

/// Print how a frame stands: what it did so far, or which versions of all tables it left
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  rdb frame:status                  the open frame\n  rdb frame:status HEAD~2"
)]
pub(crate) struct Status {
    /// The frame: its number, id or name, HEAD~3, or an instant [default: the open one]
    frame: Option<String>,
}

/// Make visible what an open frame did
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What others changed since the frame was begun is merged, cell by cell. Where both changed the same cell, that of the others stays, and \
    yours waits in conflict:list.\n\n\
    Examples:\n  rdb frame:commit\n  rdb frame:commit \"spring prices\""
)]
pub(crate) struct Commit {
    /// The frame: its number, id or name [default: the open one]
    frame: Option<String>,
    /// Print what would become visible, and commit nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    merging: Merging,
}

/// Give up an open frame
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What it did stays in frames/<id>.abandoned until frame:cleanup; renamed to <id>.open, the file is an open frame again.\n\n\
    Example:\n  rdb frame:abandon"
)]
pub(crate) struct Abandon {
    /// The frame: its number, id or name [default: the open one]
    frame: Option<String>,
}

/// Undo a committed frame by a new one
#[derive(Debug, clap::Args)]
#[command(after_help = "As rdb revert does it; without --confirm, prints what would change.\n\n\
    Examples:\n  rdb frame:rollback HEAD\n  rdb frame:rollback \"spring prices\" --confirm")]
pub(crate) struct Rollback {
    /// The frame: its number, id or name, HEAD~3, or an instant
    frame: String,
    /// Do it
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    merging: Merging,
    #[command(flatten)]
    message: Message,
}

/// Remove what crashed and abandoned frames left, and old snapshots of frames
#[derive(Debug, clap::Args)]
#[command(
    after_help = "No history is removed: snapshots are lists of versions, kept for frame.retention.days of config.toml (365).\n\n\
    Example:\n  rdb frame:cleanup"
)]
pub(crate) struct Cleanup {}

impl Begin {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_outside_frame(global, output)?;
        let frame = database.begin_frame(self.name.as_deref())?;
        if output.is_json() {
            return output.json(&json!({
                "frame": frame.id().to_string(),
                "timestamp": frame.timestamp.as_micros(),
                "name": frame.name,
            }));
        }
        output.line(&frame.timestamp.to_string())?;
        output.notice(&format!(
            "commands with --frame {0}, or after export REED_FRAME={0}, work in this frame; rdb frame:commit makes it visible",
            frame.timestamp
        ));
        Ok(())
    }
}

impl List {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_outside_frame(global, output)?;
        let all = !self.open && !self.crashed;
        let wanted = |entry: &&FrameEntry| match entry.status {
            FrameStatus::Active => all || self.open,
            FrameStatus::Crashed => all || self.crashed,
            _ => all,
        };
        let entries = database.frame_entries()?;
        let entries = entries.iter().rev().filter(wanted).take(self.number);
        if output.is_json() {
            let mut entries = entries;
            return entries.try_for_each(|entry| output.json(&entry_json(entry)));
        }
        let mut rows =
            vec![["status", "time", "frame", "user", "what", "name"].map(str::to_owned).to_vec()];
        rows.extend(entries.map(|entry| {
            vec![
                entry.status.as_str().to_owned(),
                time::local(entry.info.wall),
                entry.info.timestamp.to_string(),
                entry.info.user.clone(),
                what(entry),
                entry.info.name.clone().unwrap_or_default(),
            ]
        }));
        if rows.len() == 1 {
            return output.line("no such frame");
        }
        output.table(&rows)
    }
}

/// The tables it touched, or how far it is.
fn what(entry: &FrameEntry) -> String {
    if !entry.steps.is_empty() {
        return counted(entry.steps.len() as u64, "step");
    }
    let tables = entry.info.tables.iter().map(|(name, _)| name.as_str());
    tables.collect::<Vec<_>>().join(", ")
}

fn entry_json(entry: &FrameEntry) -> serde_json::Value {
    let tables: Vec<&str> = entry.info.tables.iter().map(|(name, _)| name.as_str()).collect();
    json!({
        "frame": entry.info.id().to_string(),
        "timestamp": entry.info.timestamp.as_micros(),
        "status": entry.status.as_str(),
        "time": time::rfc3339(entry.info.wall),
        "user": entry.info.user,
        "name": entry.info.name,
        "tables": tables,
        "steps": entry.steps.len(),
    })
}

impl Status {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_outside_frame(global, output)?;
        let text = match (&self.frame, &global.in_frame) {
            (Some(text), _) | (None, Some(text)) => text.clone(),
            (None, None) => the_open_one(&database)?,
        };
        let entries = database.frame_entries()?;
        let is_meant = |entry: &&FrameEntry| {
            let info = &entry.info;
            info.timestamp.to_string() == text
                || info.id().to_string() == text
                || (entry.status == FrameStatus::Active && info.name.as_deref() == Some(&text))
        };
        let entry = match entries.iter().find(is_meant) {
            Some(entry) => entry,
            None => {
                let frame = database.frame_at(&text)?;
                let mut entries = entries.iter();
                let found = entries.find(|entry| entry.info.timestamp == frame.timestamp);
                found.ok_or_else(|| Error::not_found("the frame is gone"))?
            }
        };
        print_entry(&database, entry, output)
    }
}

fn print_entry(database: &Database, entry: &FrameEntry, output: &mut Output) -> Result<()> {
    let info = &entry.info;
    let is_committed = !info.tables.is_empty();
    let tables = if is_committed { database.tables_at(info.timestamp)? } else { Vec::new() };
    if output.is_json() {
        let mut value = entry_json(entry);
        let versions: Vec<_> = tables
            .iter()
            .map(|table| json!({"table": table.table.as_str(), "version": table.version.as_micros()}))
            .collect();
        if let Some(object) = value.as_object_mut() {
            object.insert("versions".to_owned(), json!(versions));
        }
        return output.json(&value);
    }
    let name = info.name.as_deref().unwrap_or_default();
    let head = format!("frame {}  {name}", info.timestamp);
    let head = output.styled(Style::Bold, head.trim_end());
    output.line(&head)?;
    output.line(&format!("id      {}", info.id()))?;
    output.line(&format!("status  {}", entry.status.as_str()))?;
    output.line(&format!("time    {}", time::local(info.wall)))?;
    output.line(&format!("user    {}", info.user))?;
    if !is_committed {
        output.line(&format!("base    frame {}", info.parent))?;
    }
    for step in &entry.steps {
        let tables = step.tables.iter().map(|(name, action)| format!("{} {name}", action.name()));
        let words = ["operation", "table"].iter().filter_map(|key| step.details.get(*key).cloned());
        let all: Vec<String> = words.chain(tables).collect();
        output.line(&format!("  {}  {}", time::local(step.wall), all.join(" ")))?;
    }
    let mut rows = vec![["table", "version"].map(str::to_owned).to_vec()];
    rows.extend(tables.iter().map(|at| vec![at.table.to_string(), at.version.to_string()]));
    if rows.len() > 1 { output.table(&rows) } else { Ok(()) }
}

/// The number of the frame that is open, if there is just one.
fn the_open_one(database: &Database) -> Result<String> {
    let frames = database.frame_entries()?;
    let mut open = frames.iter().filter(|entry| entry.status == FrameStatus::Active);
    match (open.next(), open.next()) {
        (Some(entry), None) => Ok(entry.info.timestamp.to_string()),
        (None, _) => {
            Err(Error::not_found("no frame is open").help("begin one: rdb frame:begin NAME"))
        }
        (Some(_), Some(_)) => Err(Error::usage("several frames are open")
            .help("say which: rdb frame:list --open names them")),
    }
}

/// The open frame that was typed, or set, or the only one.
fn named(text: Option<&String>, global: &Global, database: &Database) -> Result<String> {
    match text.or(global.in_frame.as_ref()) {
        Some(text) => Ok(text.clone()),
        None => the_open_one(database),
    }
}

impl Commit {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_outside_frame(global, output)?;
        let database = database.in_frame(&named(self.frame.as_ref(), global, &database)?)?;
        let steps = counted(database.open_frame_steps()? as u64, "step");
        if self.plan {
            return preview(&database.frame_preview()?, output);
        }
        let commit = database.commit_frame_with(self.merging.how())?;
        committed(&commit, &format!("committed {steps}"), output)
    }
}

impl Abandon {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_outside_frame(global, output)?;
        let frame = database.abandon_frame(&named(self.frame.as_ref(), global, &database)?)?;
        if output.is_json() {
            return output
                .json(&json!({"frame": frame.info.id().to_string(), "status": "rolled_back"}));
        }
        output.line(&format!("frame {} is given up", frame.info.timestamp))?;
        if !frame.steps.is_empty() {
            output.notice(&format!(
                "what it did stays in frames/{}.abandoned until rdb frame:cleanup",
                frame.info.id()
            ));
        }
        Ok(())
    }
}

impl Rollback {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        revert(&self.frame, !self.confirm, (self.merging, &self.message), global, output)?;
        if !self.confirm {
            output.notice("nothing was changed: rdb frame:rollback FRAME --confirm does it");
        }
        Ok(())
    }
}

impl Cleanup {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_outside_frame(global, output)?;
        let report = database.clean_up_frames()?;
        if output.is_json() {
            let ids: Vec<String> =
                report.frames.iter().map(|frame| frame.id().to_string()).collect();
            return output.json(&json!({"frames": ids, "snapshots": report.snapshots}));
        }
        for frame in &report.frames {
            let name = frame.name.as_deref().unwrap_or("without a name");
            output.line(&format!("removed what was left of frame {} ({name})", frame.timestamp))?;
        }
        if report.snapshots > 0 {
            output.line(&format!("removed {}", counted(report.snapshots, "old snapshot")))?;
        }
        if report.frames.is_empty() && report.snapshots == 0 {
            output.line("nothing to remove")?;
        }
        Ok(())
    }
}
