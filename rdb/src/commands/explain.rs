//! `rdb explain`

use reedbase::Result;
use serde_json::json;

use super::query::{Asking, read_text};
use crate::args::Global;
use crate::locate;
use crate::output::Output;

/// Print how a query would be run, without running it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb explain \"SELECT * FROM pages WHERE id = 'home'\"")]
pub(crate) struct Explain {
    /// The text; - reads it from standard input
    sql: String,
    /// The values of `?`, in order
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    values: Vec<String>,
    #[command(flatten)]
    asking: Asking,
}

impl Explain {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let text = read_text(&self.sql)?;
        output.set_source(&text);
        let mut session = self.asking.session(&locate::open(global, output)?)?;
        let lines = session.explain(&text, self.asking.params(&self.values))?;
        if output.is_json() {
            return output.json(&json!({"explanation": lines}));
        }
        lines.iter().try_for_each(|line| output.line(line))
    }
}
