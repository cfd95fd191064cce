//! `rdb history`

use std::collections::HashMap;
use std::sync::Arc;

use reedbase::{CellVersion, FrameInfo, Result, Row, RowVersion, Snapshot, Timestamp};
use serde_json::{Value, json};

use super::{key, row_json};
use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style};
use crate::render::shown;
use crate::time;

/// Print the life of a row or of a cell, newest first
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  rdb history pages home\n  rdb history pages home title\n  rdb history pages home --json"
)]
pub(crate) struct History {
    /// The table
    table: String,
    /// The key of the row; parts with commas between
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// The column, for the life of one cell
    column: Option<String>,
}

impl History {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("reading the history", global, output)?;
        let snapshot = database.snapshot()?;
        let key = key(&snapshot, &self.table, &self.key)?;
        let frames = database.frames()?;
        let frames = frames.into_iter().map(|frame| (frame.timestamp, frame)).collect();
        let moments: Vec<Moment> = match &self.column {
            Some(column) => cell_moments(&snapshot.cell_history(&self.table, &key, column)?),
            None => row_moments(&snapshot.history(&self.table, &key)?),
        };
        if moments.is_empty() && !output.is_json() {
            return output.line("there never was such a row");
        }
        moments.iter().try_for_each(|moment| moment.print(&frames, output))?;
        tell_start(&snapshot, &self.table, output)
    }
}

/// Says so where what is older was removed.
pub(super) fn tell_start(snapshot: &Snapshot, table: &str, output: &mut Output) -> Result<()> {
    if let Some(start) = snapshot.history_start(table)? {
        output.notice(&format!(
            "the history of {table} begins with frame {start}: what was there then may be older, and somebody else's"
        ));
    }
    Ok(())
}

/// One moment, as it is told to a person and to a program.
struct Moment {
    timestamp: Timestamp,
    text: String,
    json: (&'static str, Value),
}

fn row_moments(life: &[RowVersion]) -> Vec<Moment> {
    let older = life.iter().skip(1).map(Some).chain([None]);
    let moment = |(moment, older): (&RowVersion, Option<&RowVersion>)| Moment {
        timestamp: moment.timestamp,
        text: what(moment.row.as_ref(), older.and_then(|older| older.row.as_ref())),
        json: ("row", moment.row.as_ref().map_or(Value::Null, row_json)),
    };
    life.iter().zip(older).map(moment).collect()
}

fn cell_moments(life: &[CellVersion]) -> Vec<Moment> {
    let moment = |moment: &CellVersion| Moment {
        timestamp: moment.timestamp,
        text: match &moment.text {
            _ if !moment.row => "the row was removed".to_owned(),
            Some(text) => shown(text),
            None => "NULL".to_owned(),
        },
        json: ("cell", json!(moment.text)),
    };
    life.iter().map(moment).collect()
}

impl Moment {
    fn print(
        &self,
        frames: &HashMap<Timestamp, Arc<FrameInfo>>,
        output: &mut Output,
    ) -> Result<()> {
        let frame = frames.get(&self.timestamp);
        let user = frame.map_or("?", |frame| frame.user.as_str());
        let name = frame.and_then(|frame| frame.name.as_deref());
        if output.is_json() {
            let (what, value) = &self.json;
            return output.json(&json!({
                "timestamp": self.timestamp.as_micros(),
                "time": time::rfc3339(self.timestamp),
                "user": user,
                "name": name,
                *what: value,
            }));
        }
        let time = time::local(self.timestamp);
        let head =
            format!("{time}  frame {}  {user}  {}", self.timestamp, name.unwrap_or_default());
        let head = output.styled(Style::Bold, head.trim_end());
        output.line(&head)?;
        output.line(&format!("    {}", self.text))
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
