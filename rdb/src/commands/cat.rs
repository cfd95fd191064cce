//! `rdb cat`

use reedbase::Result;

use super::row_json;
use crate::args::Global;
use crate::locate;
use crate::output::Output;

/// Print a whole table
#[derive(Debug, clap::Args)]
#[command(after_help = "Prints the exact bytes of the table; with --json, one object a line.\n\n\
    Example:\n  rdb cat pages | head")]
pub(crate) struct Cat {
    /// The table
    table: String,
}

impl Cat {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let snapshot = locate::open(global, output)?.snapshot()?;
        if output.is_json() {
            for row in snapshot.rows(&self.table)? {
                output.json(&row_json(&row?))?;
            }
            return Ok(());
        }
        snapshot.table(&self.table)?.for_each_piece(|piece| output.bytes(&piece))
    }
}
