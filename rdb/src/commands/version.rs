//! `rdb version:list`, `version:show`, `version:rollback`, `version:export`, `version:pack`

use std::collections::HashMap;
use std::path::PathBuf;

use reedbase::{Error, Result, VersionPlace};
use serde_json::json;

use super::restore::rollback;
use crate::args::{Global, Message};
use crate::locate;
use crate::output::{Output, counted, grouped, size};
use crate::render::{DiffFormat, Document, Heading};
use crate::time;

/// Print the versions of a table, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb version:list pages -n 5")]
pub(crate) struct List {
    /// The table
    table: String,
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "NUMBER")]
    number: usize,
}

impl List {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("reading the history", global, output)?;
        let versions = database.snapshot()?.versions(&self.table)?;
        let frames = database.frames()?;
        let frames: HashMap<_, _> = frames.iter().map(|frame| (frame.timestamp, frame)).collect();
        let head = ["time", "version", "user", "what", ">rows", ">size", "kept", "name"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for version in versions.iter().rev().take(self.number) {
            let frame = frames.get(&version.timestamp);
            let user = frame.map_or("?", |frame| frame.user.as_str());
            let name = frame.and_then(|frame| frame.name.as_deref());
            let kept = match version.place {
                VersionPlace::Journal => "journal",
                VersionPlace::Packed => "pack",
                _ => "file",
            };
            if output.is_json() {
                output.json(&json!({
                    "version": version.timestamp.as_micros(),
                    "time": time::rfc3339(version.timestamp),
                    "base": version.base.as_micros(),
                    "action": version.action.name(),
                    "user": user,
                    "name": name,
                    "bytes": version.totals.map(|(bytes, _)| bytes),
                    "rows": version.totals.map(|(_, rows)| rows),
                    "kept": kept,
                }))?;
            }
            let (bytes, count) = version
                .totals
                .map_or_else(Default::default, |(bytes, rows)| (size(bytes), grouped(rows)));
            rows.push(vec![
                time::local(version.timestamp),
                version.timestamp.to_string(),
                user.to_owned(),
                version.action.name().to_owned(),
                count,
                bytes,
                kept.to_owned(),
                name.unwrap_or_default().to_owned(),
            ]);
        }
        if output.is_json() { Ok(()) } else { output.table(&rows) }
    }
}

/// Print what one version changed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb version:show pages HEAD~1")]
pub(crate) struct Show {
    /// The table
    table: String,
    /// The version: a frame, a date, a time
    #[arg(value_name = "VERSION")]
    at: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: DiffFormat,
}

impl Show {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("reading the history", global, output)?;
        let snapshot = database.snapshot()?;
        let at = database.frame_at(&self.at)?.timestamp;
        let versions = snapshot.versions(&self.table)?;
        let version =
            versions.iter().rev().find(|version| version.timestamp <= at).ok_or_else(|| {
                Error::not_found("the table did not exist yet").at_table(&self.table)
            })?;
        let before = version.timestamp.previous();
        let (when, action) = (time::local(version.timestamp), version.action.name());
        let heading = Heading {
            title: format!("version {} of {}", version.timestamp, self.table),
            facts: vec![("time".into(), when.clone()), ("action".into(), action.into())],
        };
        let mut document = Document::begin(self.format, &heading, output)?;
        if document.is_text() {
            output.line(&format!("version {}  {when}  {action}", version.timestamp))?;
        }
        let diff = snapshot.diff(&self.table, before, version.timestamp)?;
        document.table(&self.table, &diff, output)?;
        document.end(output).map(drop)
    }
}

/// Make an earlier version of a table current again
#[derive(Debug, clap::Args)]
#[command(
    after_help = "This adds a frame; nothing is lost.\n\nExample:\n  rdb version:rollback pages HEAD~1"
)]
pub(crate) struct Rollback {
    /// The table
    table: String,
    /// The version: a frame, a date, a time
    #[arg(value_name = "VERSION")]
    at: String,
    #[command(flatten)]
    message: Message,
}

impl Rollback {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        rollback(&self.table, &self.at, &self.message, global, output)
    }
}

/// Write a bsdiff patch that makes an earlier version of current.csv
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The stock bspatch applies it.\n\nExample:\n  rdb version:export pages HEAD~3 -o old.patch\n  \
    bspatch .reedbase/tables/pages/current.csv old.csv old.patch"
)]
pub(crate) struct Export {
    /// The table
    table: String,
    /// The version: a frame, a date, a time
    #[arg(value_name = "VERSION")]
    at: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl Export {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("comparing the versions", global, output)?;
        let frame = database.frame_at(&self.at)?;
        database.checkpoint(&[&self.table])?;
        let patch = database.export_patch(&self.table, frame.timestamp)?;
        #[expect(clippy::disallowed_methods, reason = "a file of the user's, not of a database")]
        let written = std::fs::write(&self.output, &patch);
        written.map_err(|source| Error::io("write the patch", &self.output, source))?;
        if output.is_json() {
            return output
                .json(&json!({"bytes": patch.len(), "path": self.output.display().to_string()}));
        }
        output.line(&format!("wrote {} to {}", size(patch.len() as u64), self.output.display()))
    }
}

/// Put all versions of tables into packs
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Happens by itself for small changes; this packs everything, as tightly as it gets.\n\n\
    Example:\n  rdb version:pack"
)]
pub(crate) struct Pack {
    /// The tables [default: all]
    tables: Vec<String>,
}

impl Pack {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("packing", global, output)?;
        database.checkpoint(&[])?;
        let mut tables = self.tables.clone();
        if tables.is_empty() {
            tables = database.snapshot()?.tables().iter().map(ToString::to_string).collect();
        }
        for table in tables {
            let folded = database.pack(&table)?;
            if output.is_json() {
                output.json(
                    &json!({"table": table, "versions": folded.versions, "packs": folded.packs}),
                )?;
            } else if folded.packs == 0 {
                output.line(&format!("{table}: packed already"))?;
            } else {
                output.line(&format!("{table}: packed {}", counted(folded.versions, "version")))?;
            }
        }
        Ok(())
    }
}
