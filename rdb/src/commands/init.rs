//! `rdb db:init`

use std::path::PathBuf;

use reedbase::{Database, Result};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::Output;

/// Make a database
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  rdb db:init            makes ./.reedbase\n  rdb db:init blog       makes ./blog"
)]
pub(crate) struct Init {
    /// The folder [default: .reedbase in the current folder]
    folder: Option<PathBuf>,
}

impl Init {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let named = self.folder.clone().or_else(|| global.db.clone());
        let folder = match named {
            Some(folder) => folder,
            None => locate::current_folder()?.join(locate::LOCAL),
        };
        Database::create(&folder)?;
        if output.is_json() {
            return output.json(&json!({"path": folder.display().to_string()}));
        }
        output.line(&format!("made an empty database in {}", folder.display()))?;
        output.line("next: rdb import FILE.csv")
    }
}
