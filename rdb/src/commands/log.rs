//! `rdb log`

use reedbase::{FrameInfo, Result};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::Output;
use crate::time;

/// Print who changed what, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rdb log\n  rdb log pages -n 5\n  rdb log --json | jq .name")]
pub(crate) struct Log {
    /// Only frames that touched this table
    table: Option<String>,
    /// How many frames
    #[arg(short = 'n', long, default_value_t = 20, value_name = "NUMBER")]
    number: usize,
}

impl Log {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        if let Some(table) = &self.table {
            database.snapshot()?.table(table)?;
        }
        let frames = database.frames()?;
        let wanted = |frame: &FrameInfo| match &self.table {
            Some(table) => {
                frame.tables.iter().any(|(name, _)| name.as_str().eq_ignore_ascii_case(table))
            }
            None => true,
        };
        let frames = frames.iter().rev().filter(|frame| wanted(frame)).take(self.number);
        if output.is_json() {
            for frame in frames {
                output.json(&frame_json(frame))?;
            }
            return Ok(());
        }
        let mut rows = vec![["time", "frame", "user", "what", "name"].map(str::to_owned).to_vec()];
        for frame in frames {
            rows.push(vec![
                time::local(frame.timestamp),
                frame.timestamp.to_string(),
                frame.user.clone(),
                what(frame),
                frame.name.clone().unwrap_or_default(),
            ]);
        }
        if rows.len() == 1 {
            return output.line("nothing has happened yet");
        }
        output.table(&rows)
    }
}

/// The tables with what was done to them.
fn what(frame: &FrameInfo) -> String {
    let tables = frame.tables.iter().map(|(name, action)| format!("{} {name}", action.name()));
    tables.collect::<Vec<_>>().join(", ")
}

fn frame_json(frame: &FrameInfo) -> serde_json::Value {
    let tables = frame
        .tables
        .iter()
        .map(|(name, action)| json!({"table": name.as_str(), "action": action.name()}));
    json!({
        "frame": frame.id().to_string(),
        "timestamp": frame.timestamp.as_micros(),
        "time": time::rfc3339(frame.timestamp),
        "user": frame.user,
        "name": frame.name,
        "tables": tables.collect::<Vec<_>>(),
        "details": frame.details,
    })
}
