//! `rdb checkpoint`

use reedbase::Result;
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, counted};

/// Write what the journal holds into the tables' files
#[derive(Debug, clap::Args)]
#[command(after_help = "Small tables are written at every change; this is for large ones.\n\n\
    Examples:\n  rdb checkpoint\n  rdb checkpoint pages")]
pub(crate) struct Checkpoint {
    /// The tables [default: all]
    tables: Vec<String>,
}

impl Checkpoint {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("writing", global, output)?;
        let names: Vec<&str> = self.tables.iter().map(String::as_str).collect();
        let report = database.checkpoint(&names)?;
        let list = |names: &[reedbase::TableName]| -> Vec<String> {
            names.iter().map(ToString::to_string).collect()
        };
        let (written, edited) = (list(&report.written), list(&report.edited_outside));
        if output.is_json() {
            return output.json(&json!({"written": written, "edited_outside": edited}));
        }
        for name in &edited {
            output.notice(&format!("{name} was edited outside and was left as it is"));
        }
        match written.as_slice() {
            [] => output.line("nothing to write"),
            names => {
                let tables = counted(names.len() as u64, "table");
                output.line(&format!("wrote {tables}: {}", names.join(", ")))
            }
        }
    }
}
