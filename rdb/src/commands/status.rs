//! `rdb status`

use reedbase::{Database, Result, Standing, TableStatus};
use serde_json::json;

use super::outside;
use crate::args::Global;
use crate::locate;
use crate::output::{Output, counted, grouped, size};
use crate::time;

/// Print how things stand
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb status")]
pub(crate) struct Status {}

/// An edit of a table up to this size is compared row by row at once.
const LOOKED_AT: u64 = 4 << 20;

impl Status {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let status = database.status()?;
        if output.is_json() {
            let shown = status.tables.iter().filter(|table| !table.name.is_reserved());
            let tables = shown.map(|table| {
                json!({
                    "table": table.name.as_str(),
                    "rows": table.rows,
                    "bytes": table.size,
                    "version": table.version.as_micros(),
                    "behind": table.behind,
                    "edited_outside": table.edited_outside,
                    "kept": table.kept,
                })
            });
            let settings = database.edited_settings()?;
            let settings: Vec<&str> = settings.iter().map(|edit| edit.path).collect();
            return output.json(&json!({
                "path": database.path().display().to_string(),
                "frame": status.frame.as_micros(),
                "tables": tables.collect::<Vec<_>>(),
                "edited_settings": settings,
                "conflicts": status.conflicts,
            }));
        }
        output.line(&format!("database {}", database.path().display()))?;
        if status.tables.iter().all(|table| table.name.is_reserved()) {
            output.line("no tables yet: rdb import FILE.csv makes one")?;
            return self.advise(&database, &status, output);
        }
        let mut rows =
            vec![["table", ">rows", ">size", "changed", "file"].map(str::to_owned).to_vec()];
        for table in status.tables.iter().filter(|table| !table.name.is_reserved()) {
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
        self.advise(&database, &status, output)
    }

    /// What can be done about it.
    fn advise(
        &self,
        database: &Database,
        status: &reedbase::Status,
        output: &mut Output,
    ) -> Result<()> {
        for table in status.tables.iter().filter(|table| table.edited_outside) {
            let name = table.name.as_str();
            if table.name.is_reserved() {
                output.notice("picks for conflicts were written into tables/reed_conflicts/current.csv: rdb adopt takes them");
                continue;
            }
            if table.size > LOOKED_AT {
                output.notice(&format!(
                    "{name} was edited outside: see it with rdb diff --outside {name}"
                ));
                continue;
            }
            match database.outside_edit(name) {
                Ok(Some(edit)) => {
                    let rows = counted(edit.diff.rows.len() as u64, "row");
                    output.notice(&format!("{name} was edited outside: {rows} changed; see them with rdb diff --outside, then rdb adopt or rdb discard"));
                    outside::met(&edit, output)?;
                }
                Ok(None) => {}
                Err(error) => output.notice(&format!(
                    "{name} was edited outside, and cannot be adopted as it is: {error}"
                )),
            }
        }
        if status.conflicts > 0 {
            let conflicts = counted(status.conflicts, "conflict");
            output.notice(&format!(
                "{conflicts} to be resolved: rdb conflict:list, rdb conflict:resolve -i"
            ));
        }
        for edit in database.edited_settings()? {
            output.notice(&format!(
                "{} was edited outside, and does not count yet: see it with rdb diff --outside, then rdb adopt or rdb discard",
                edit.path
            ));
        }
        for table in &status.tables {
            for file in &table.kept {
                let name = table.name.as_str();
                output.notice(&format!(
                    "tables/{name}/{file} holds an edit that could not stay in its place: rdb adopt {name} --from {file} takes it in"
                ));
            }
        }
        for table in &status.tables {
            for (column, id) in &table.unknown_drivers {
                output.notice(&format!(
                    "the column {column} of {} names the merge driver `{id}`, which there is not: what two sides change is a conflict",
                    table.name
                ));
            }
        }
        for frame in database.uncommitted_frames()? {
            let name = frame.info.name.as_deref().unwrap_or("without a name");
            let steps = counted(frame.steps.len() as u64, "step");
            match frame.standing {
                Standing::Open => output.notice(&format!(
                    "frame {} ({name}) is open, {steps} so far: rdb frame:commit makes it visible",
                    frame.info.timestamp
                )),
                Standing::Crashed => output.notice(&format!(
                    "frame {} ({name}) crashed: rdb frame:cleanup removes what is left of it",
                    frame.info.timestamp
                )),
                Standing::Abandoned => {}
            }
        }
        let waits = |table: &TableStatus| table.behind > 0 && !table.edited_outside;
        if status.tables.iter().any(waits) {
            output.notice("rdb checkpoint writes files that are behind");
        }
        Ok(())
    }
}
