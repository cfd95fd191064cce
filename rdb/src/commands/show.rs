//! `rdb show`

use reedbase::{FrameInfo, Result};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style};
use crate::render::{DiffFormat, Document, Heading};
use crate::time;

/// Print what one frame did
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rdb show\n  rdb show HEAD~2\n  rdb show \"first pages\"\n  \
    rdb show HEAD --format html > report.html     a page for a browser")]
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
        }
        let heading = heading(&frame);
        let mut document = Document::begin(self.format, &heading, output)?;
        if document.is_text() {
            let head = output.styled(Style::Bold, &heading.title);
            output.line(&head)?;
            for (name, value) in &heading.facts {
                output.line(&format!("{name:<4}  {value}"))?;
            }
        }
        for (table, _) in &frame.tables {
            let mut diff = snapshot.diff(table.as_str(), before, frame.timestamp)?;
            // What ReedBase says of its own tables is nobody's change.
            diff.schema = diff.schema.filter(|_| !table.is_reserved());
            document.table(table.as_str(), &diff, output)?;
        }
        document.end(output).map(drop)
    }
}

fn heading(frame: &FrameInfo) -> Heading {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let mut facts = vec![
        fact("id", frame.id().to_string()),
        fact("time", time::local(frame.wall)),
        fact("user", frame.user.clone()),
    ];
    facts.extend(frame.details.iter().map(|(name, value)| fact(name, value.clone())));
    let title = format!("frame {}  {}", frame.timestamp, frame.name.as_deref().unwrap_or_default());
    Heading { title: title.trim_end().to_owned(), facts }
}
