//! `rdb shell`: questions typed one after the other, in one session.
//!
//! ```text
//! words     what Tab completes
//! source    where lines come from: a terminal with editing and history, or a pipe
//! dot       commands that begin with a dot
//! session   reads, runs, prints, until the end
//! ```

mod words;
mod source;
mod dot;
mod session;

use reedbase::Result;

use crate::args::Global;
use crate::locate;
use crate::output::Output;

/// Type questions in SQL, one after the other
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A statement ends with `;`, a command such as .tables with the line; .help tells all. Tab completes the names of\n\
    tables and columns, Ctrl-R looks for what was typed before, Ctrl-C stops a query, Ctrl-D ends.\n\n\
    Examples:\n  rdb shell\n  rdb shell < report.sql"
)]
pub(crate) struct Shell {}

impl Shell {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        session::run(&locate::open(global, output)?, output)
    }
}
