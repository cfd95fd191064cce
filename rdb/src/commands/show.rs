//! `rdb show`

use reedbase::Result;
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style};
use crate::render::{self, DiffFormat};
use crate::time;

/// Print what one frame did
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rdb show\n  rdb show HEAD~2\n  rdb show \"first pages\"")]
pub(crate) struct Show {
    /// The frame: its number, id or name, HEAD~3, or an instant
    #[arg(default_value = "HEAD")]
    frame: String,
    /// How to print what changed
    #[arg(long, value_enum, default_value_t)]
    format: DiffFormat,
}

impl Show {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("reading the history", global, output)?;
        let frame = database.frame_at(&self.frame)?;
        let snapshot = database.snapshot()?;
        let before = frame.timestamp.previous();
        if output.is_json() {
            output.json(&json!({
                "frame": frame.id().to_string(),
                "timestamp": frame.timestamp.as_micros(),
                "time": time::rfc3339(frame.timestamp),
                "user": frame.user,
                "name": frame.name,
            }))?;
        } else if self.format == DiffFormat::Text {
            let head =
                format!("frame {}  {}", frame.timestamp, frame.name.as_deref().unwrap_or_default());
            let head = output.styled(Style::Bold, head.trim_end());
            output.line(&head)?;
            output.line(&format!("id    {}", frame.id()))?;
            output.line(&format!("time  {}", time::local(frame.wall)))?;
            output.line(&format!("user  {}", frame.user))?;
            for (key, value) in &frame.details {
                output.line(&format!("{key:<4}  {value}"))?;
            }
        }
        for (table, _) in &frame.tables {
            let diff = snapshot.diff(table.as_str(), before, frame.timestamp)?;
            render::diff(table.as_str(), &diff, self.format, output)?;
        }
        Ok(())
    }
}
