//! `rdb cat`

use std::sync::Arc;

use reedbase::{Result, Row};

use super::row_json;
use crate::args::Global;
use crate::locate;
use crate::output::Output;

/// Print a whole table
#[derive(Debug, clap::Args)]
#[command(after_help = "Prints the exact bytes of the table; with --json, one object a line.\n\n\
    Example:\n  rdb cat pages | head\n  rdb cat pages --at yesterday > pages-yesterday.csv")]
pub(crate) struct Cat {
    /// The table
    table: String,
    /// As it was at some instant: a frame, a date, a time, or `20 minutes ago`
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Cat {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let snapshot = database.snapshot()?;
        let table = match &self.at {
            Some(at) => snapshot.table_at(&self.table, database.frame_at(at)?.timestamp)?,
            None => snapshot.table(&self.table)?.clone(),
        };
        if !output.is_json() {
            return table.for_each_piece(|piece| output.bytes(&piece));
        }
        table.for_each_row(|row| output.json(&row_json(&Row::new(row, Arc::clone(table.shape())))))
    }
}
