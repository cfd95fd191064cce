//! `rdb repair`

use std::sync::Arc;

use reedbase::repair::repair;
use reedbase::storage::{FileSystem, Storage};
use reedbase::{Error, Limits, Result};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, Style};

/// Make anew what is damaged or lost, of what is left
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tables, logs and marks are made of histories, the index of frames of all these. What is damaged stays \
    beside what takes its place. What nothing says any more is told; exit code 5 then.\n\
    Keep a copy of the folder before. A damaged journal is for: rdb verify --cut\n\n\
    Example:\n  rdb verify; cp -r .reedbase kept; rdb repair"
)]
pub(crate) struct Repair {}

impl Repair {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(&locate::folder(global)?));
        let bar = output.bar("repairing");
        let done = repair(&storage, Limits::default())?;
        drop(bar);
        if output.is_json() {
            output.json(&json!({"made": done.made, "lost": done.lost, "kept": done.kept}))?;
        } else if done.is_empty() {
            output.line("nothing to repair")?;
        } else {
            for made in &done.made {
                output.line(&format!("made anew  {made}"))?;
            }
            for kept in &done.kept {
                output.line(&format!("kept       {kept}"))?;
            }
            for lost in &done.lost {
                let word = output.styled(Style::Removed, "lost");
                output.line(&format!("{word}       {lost}"))?;
            }
        }
        match done.lost.is_empty() {
            true => Ok(()),
            false => Err(Error::corrupt("not all could be made anew")
                .at_path(storage.root())
                .help("a backup may have the rest: rdb backup:list")),
        }
    }
}
