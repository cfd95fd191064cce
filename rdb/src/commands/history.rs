//! `rdb history`

use std::collections::HashMap;

use reedbase::{Result, Row};
use serde_json::json;

use super::{key, row_json};
use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style};
use crate::render::shown;
use crate::time;

/// Print the life of a row, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rdb history pages home\n  rdb history pages home --json")]
pub(crate) struct History {
    /// The table
    table: String,
    /// The key of the row; parts with commas between
    #[arg(allow_hyphen_values = true)]
    key: String,
}

impl History {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("reading the history", global, output)?;
        let snapshot = database.snapshot()?;
        let key = key(&snapshot, &self.table, &self.key)?;
        let life = snapshot.history(&self.table, &key)?;
        let frames = database.frames()?;
        let frames: HashMap<_, _> = frames.iter().map(|frame| (frame.timestamp, frame)).collect();
        if life.is_empty() && !output.is_json() {
            return output.line("there never was such a row");
        }
        for (number, moment) in life.iter().enumerate() {
            let frame = frames.get(&moment.timestamp);
            let user = frame.map_or("?", |frame| frame.user.as_str());
            let name = frame.and_then(|frame| frame.name.as_deref());
            if output.is_json() {
                output.json(&json!({
                    "timestamp": moment.timestamp.as_micros(),
                    "time": time::rfc3339(moment.timestamp),
                    "user": user,
                    "name": name,
                    "row": moment.row.as_ref().map(row_json),
                }))?;
                continue;
            }
            let head = format!(
                "{}  frame {}  {user}  {}",
                time::local(moment.timestamp),
                moment.timestamp,
                name.unwrap_or_default()
            );
            let head = output.styled(Style::Bold, head.trim_end());
            output.line(&head)?;
            let before = life.get(number + 1).and_then(|older| older.row.as_ref());
            output.line(&format!("    {}", what(moment.row.as_ref(), before)))?;
        }
        Ok(())
    }
}

/// What the moment did to the row.
fn what(row: Option<&Row>, before: Option<&Row>) -> String {
    let show = |text: Option<std::borrow::Cow<'_, str>>| match text {
        None => "NULL".to_owned(),
        Some(text) => shown(&text),
    };
    match (row, before) {
        (None, _) => "removed".to_owned(),
        (Some(row), None) => {
            let cells = row.columns().iter().map(|name| (name, row.get(name)));
            let cells = cells.filter(|(_, cell)| cell.is_some());
            let cells: Vec<_> =
                cells.map(|(name, cell)| format!("{name}={}", show(cell))).collect();
            format!("added: {}", cells.join(", "))
        }
        (Some(row), Some(before)) => {
            let cells = row.columns().iter().filter(|name| row.get(name) != before.get(name));
            let cells: Vec<_> = cells
                .map(|name| format!("{name}: {} → {}", show(before.get(name)), show(row.get(name))))
                .collect();
            if cells.is_empty() {
                "the same cells, written otherwise".to_owned()
            } else {
                cells.join(", ")
            }
        }
    }
}
