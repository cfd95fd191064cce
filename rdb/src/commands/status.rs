//! `rdb status`

use reedbase::Result;
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, counted, grouped, size};
use crate::time;

/// Print how things stand
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb status")]
pub(crate) struct Status {}

impl Status {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let status = database.status()?;
        if output.is_json() {
            let tables = status.tables.iter().map(|table| {
                json!({
                    "table": table.name.as_str(),
                    "rows": table.rows,
                    "bytes": table.size,
                    "version": table.version.as_micros(),
                    "behind": table.behind,
                    "edited_outside": table.edited_outside,
                })
            });
            return output.json(&json!({
                "path": database.path().display().to_string(),
                "frame": status.frame.as_micros(),
                "tables": tables.collect::<Vec<_>>(),
            }));
        }
        output.line(&format!("database {}", database.path().display()))?;
        if status.tables.is_empty() {
            return output.line("no tables yet: rdb import FILE.csv makes one");
        }
        let mut rows =
            vec![["table", ">rows", ">size", "changed", "file"].map(str::to_owned).to_vec()];
        for table in &status.tables {
            let file = if table.edited_outside {
                "edited outside".to_owned()
            } else if table.behind > 0 {
                format!("behind by {}", counted(table.behind, "frame"))
            } else {
                "up to date".to_owned()
            };
            rows.push(vec![
                table.name.to_string(),
                grouped(table.rows),
                size(table.size),
                time::local(table.version),
                file,
            ]);
        }
        output.table(&rows)?;
        if status.tables.iter().any(|table| table.behind > 0) {
            output.notice("rdb checkpoint writes files that are behind");
        }
        Ok(())
    }
}
