//! `rdb compact`

use reedbase::{Compact as How, Keep, Result};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, counted, size};

/// Remove old history
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What was before cannot be seen or brought back any more: look first with --plan, or make a backup. \
    rdb config:set history.keep does it on the way.\n\n\
    Examples:\n  rdb compact --keep 90d --plan\n  rdb compact --keep 90d\n  rdb compact --keep 32 pages"
)]
pub(crate) struct Compact {
    /// The tables [default: all]
    tables: Vec<String>,
    /// How much is kept of each table: 90d (days), or 32 (versions)
    #[arg(long, value_name = "HOW MUCH", value_parser = keep)]
    keep: Keep,
    /// Write nothing; print what would be removed
    #[arg(long)]
    plan: bool,
    /// Also what happened in the last hour, which somebody may be reading
    #[arg(long)]
    young: bool,
}

fn keep(text: &str) -> Result<Keep, String> {
    let wrong = || "write a number of versions (32), or of days (90d)".to_owned();
    text.parse().ok().filter(|keep| *keep != Keep::All).ok_or_else(wrong)
}

impl Compact {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("removing history", global, output)?;
        let names: Vec<&str> = self.tables.iter().map(String::as_str).collect();
        let how = How::keep(self.keep).young(self.young);
        let (tables, frames) = match self.plan {
            true => (database.plan_compact(&names, &how)?, 0),
            false => {
                let report = database.compact(&names, &how)?;
                (report.tables, report.frames)
            }
        };
        if output.is_json() {
            for done in &tables {
                output.json(&json!({
                    "table": done.table.as_str(),
                    "start": done.start.as_micros(),
                    "versions": done.versions,
                    "bytes": (!self.plan).then_some(done.bytes),
                }))?;
            }
            return output.json(&json!({"frames": (!self.plan).then_some(frames)}));
        }
        if tables.is_empty() {
            return output.line("nothing to remove: there is no older history");
        }
        for done in &tables {
            let versions = counted(done.versions, "version");
            let (name, start) = (&done.table, done.start);
            let line = match (self.plan, u64::try_from(done.bytes)) {
                (true, _) => format!("{name}: {versions} would be removed"),
                (false, Ok(bytes)) => format!("{name}: removed {versions}, {}", size(bytes)),
                (false, Err(_)) => format!("{name}: removed {versions}"),
            };
            output.line(&format!("{line}; its history begins with frame {start}"))?;
        }
        match frames {
            0 => Ok(()),
            frames => output.line(&format!("{} left the log", counted(frames, "frame"))),
        }
    }
}
