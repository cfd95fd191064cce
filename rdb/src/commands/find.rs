//! `rdb find`

use reedbase::Result;

use super::query::{Asking, show};
use crate::args::Global;
use crate::locate;
use crate::output::Output;
use crate::render::rows::Format;

/// Print the rows whose columns hold these values
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  rdb find pages lang=de\n  rdb find pages lang=de status=draft --format csv\n  \
    rdb find pages lang=de --as-of yesterday"
)]
pub(crate) struct Find {
    /// The table
    table: String,
    /// What must be so
    #[arg(required = true, value_name = "COLUMN=VALUE", value_parser = super::parse_cell)]
    conditions: Vec<(String, String)>,
    #[command(flatten)]
    asking: Asking,
    /// How rows are printed [default: table, or jsonl with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Find {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let mut session = self.asking.session(&database)?;
        for (column, _) in self.conditions.iter().filter(|_| self.asking.is_now()) {
            database.snapshot()?.column(&self.table, column)?;
        }
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let equal = |(column, _): &(String, String)| format!("{} = ?", quoted(column));
        let conditions: Vec<_> = self.conditions.iter().map(equal).collect();
        let sql =
            format!("SELECT * FROM {} WHERE {}", quoted(&self.table), conditions.join(" AND "));
        let values: Vec<_> = self.conditions.iter().map(|(_, value)| value.clone()).collect();
        let params = self.asking.params(&values);
        show(&mut session, &sql, params, self.format, output)
    }
}
