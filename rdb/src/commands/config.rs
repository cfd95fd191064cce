//! `rdb config:get`, `rdb config:set`

use reedbase::{Result, SETTINGS};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::Output;

/// Print settings of the database
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rdb config:get\n  rdb config:get frame.retention.days")]
pub(crate) struct Get {
    /// The setting [default: all]
    key: Option<String>,
}

/// Change a setting of the database
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It stands in config.toml. The settings: frame.retention.days, for how many days snapshots of frames are kept (365); \
    history.keep, how much history is kept: 32 versions of each table, 90d, or all (all).\n\n\
    Examples:\n  rdb config:set frame.retention.days 730\n  rdb config:set history.keep 90d"
)]
pub(crate) struct Set {
    /// The setting
    key: String,
    /// Its value
    value: String,
}

impl Get {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        if let Some(key) = &self.key {
            let value = database.setting(key)?;
            return match output.is_json() {
                true => output.json(&json!(value)),
                false => output.line(value.as_deref().unwrap_or("default")),
            };
        }
        let mut rows = vec![["setting", "value", "what"].map(str::to_owned).to_vec()];
        for (key, what) in SETTINGS {
            let value = database.setting(key)?;
            if output.is_json() {
                output.json(&json!({"setting": key, "value": value}))?;
            }
            let value = value.unwrap_or_else(|| "default".to_owned());
            rows.push(vec![key.to_owned(), value, what.to_owned()]);
        }
        if output.is_json() { Ok(()) } else { output.table(&rows) }
    }
}

impl Set {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        database.set_setting(&self.key, &self.value)?;
        match output.is_json() {
            true => output.json(&json!({"setting": self.key, "value": self.value})),
            false => output.line(&format!("{} is {}", self.key, self.value)),
        }
    }
}
