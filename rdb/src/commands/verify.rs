//! `rdb verify`

use std::sync::Arc;
use std::time::Instant;

use reedbase::storage::{FileSystem, Storage};
use reedbase::verify::{Concern, Finding, cut_journal, verify};
use reedbase::{Error, Result, Timestamp};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style, counted, size};

/// Read everything and check it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Checks every checksum and hash chain, and all that was written more than once against each other: tables, marks, \
    histories, dictionaries, logs. Exit code 5 if something is damaged.\n\n\
    Examples:\n  rdb verify\n  rdb verify --cut      put aside what follows the last good frame of a damaged journal"
)]
pub(crate) struct Verify {
    /// Cut a damaged journal off after its last good frame, and keep the rest aside
    #[arg(long)]
    cut: bool,
}

impl Verify {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(&locate::folder(global)?));
        if self.cut {
            cut(&storage, output)?;
        }
        let start = Instant::now();
        let bar = output.bar("checking");
        let report = verify(&storage)?;
        drop(bar);
        let seconds = start.elapsed().as_secs_f64();
        for finding in &report.findings {
            print(finding, output)?;
        }
        if output.is_json() {
            output.json(&json!({
                "bytes": report.bytes,
                "tables": report.tables,
                "versions": report.versions,
                "frames": report.frames,
                "findings": report.findings.len(),
            }))?;
        } else {
            let parts = [
                counted(report.tables, "table"),
                counted(report.versions, "version"),
                counted(report.frames, "frame"),
            ];
            let what = match (report.is_damaged(), report.findings.is_empty()) {
                (true, _) => "not all is well",
                (_, false) => "nothing is damaged",
                _ => "all is well",
            };
            let parts = parts.join(", ");
            output.line(&format!("{what}: {parts}, {} in {seconds:.2} s", size(report.bytes)))?;
        }
        match report.is_damaged() {
            true => Err(Error::corrupt("the database is damaged")
                .at_path(storage.root())
                .help("see above; keep a copy of the folder before you change anything")),
            false => Ok(()),
        }
    }
}

fn cut(storage: &Arc<dyn Storage>, output: &mut Output) -> Result<()> {
    let Some(cut) = cut_journal(storage)? else {
        output.notice("the journal is whole: nothing to cut");
        return Ok(());
    };
    if output.is_json() {
        let lost = cut.lost.iter();
        let lost =
            lost.map(|(frame, table)| json!({"frame": frame.as_micros(), "table": table.as_str()}));
        return output.json(&json!({
            "kept": cut.kept, "last_good": cut.last_good.as_micros(), "lost": lost.collect::<Vec<_>>(),
        }));
    }
    output.line(&match cut.last_good {
        Timestamp::ZERO => {
            "nothing is left in the journal: tables are as they were written last".to_owned()
        }
        frame => format!("the journal ends with frame {frame} now"),
    })?;
    for path in &cut.kept {
        output.line(&format!("what followed stays in {path}"))?;
    }
    for (frame, table) in &cut.lost {
        output.notice(&format!(
            "what frame {frame} did to {table} was in the part that was cut: {table} is without it, other tables may have their part"
        ));
    }
    Ok(())
}

fn print(finding: &Finding, output: &mut Output) -> Result<()> {
    let (word, style) = match finding.concern {
        Concern::Damaged => ("damaged", Style::Removed),
        Concern::Torn => ("torn", Style::Changed),
        Concern::Edited => ("edited", Style::Changed),
        Concern::Derived => ("stale", Style::Changed),
    };
    if output.is_json() {
        let position = finding.error.position();
        return output.json(&json!({
            "concern": word,
            "message": finding.error.message(),
            "path": position.path.as_ref().map(|path| path.display().to_string()),
            "table": position.table,
            "frame": position.frame.map(|frame| frame.as_micros()),
            "line": position.line,
            "byte": position.byte,
            "help": finding.error.way_out(),
        }));
    }
    let word = output.styled(style, word);
    output.line(&format!("{word}  {}", finding.error))?;
    match finding.error.way_out() {
        Some(help) => output.line(&format!("  help: {help}")),
        None => Ok(()),
    }
}
