//! `rdb dict:actions`, `rdb dict:users`, `rdb dict:validate`

use reedbase::{Action, Result};
use serde_json::json;

use crate::args::Global;
use crate::locate;
use crate::output::{Output, counted};
use crate::time;

/// Print the codes of actions
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb dict:actions")]
pub(crate) struct Actions {}

impl Actions {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let mut rows = vec![[">code", "name", "description"].map(str::to_owned).to_vec()];
        for (code, (name, description)) in Action::ALL.iter().enumerate() {
            if output.is_json() {
                output.json(&json!({"code": code, "name": name, "description": description}))?;
            }
            rows.push(vec![code.to_string(), (*name).to_owned(), (*description).to_owned()]);
        }
        if output.is_json() { Ok(()) } else { output.table(&rows) }
    }
}

/// Print the codes of users
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb dict:users")]
pub(crate) struct Users {}

impl Users {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let users = locate::open(global, output)?.users()?;
        let mut rows = vec![[">code", "name", "since"].map(str::to_owned).to_vec()];
        for (code, (name, since)) in users.users().enumerate() {
            if output.is_json() {
                output.json(&json!({"code": code, "name": name, "since": time::rfc3339(since)}))?;
            }
            rows.push(vec![code.to_string(), name.to_owned(), time::local(since)]);
        }
        if output.is_json() { Ok(()) } else { output.table(&rows) }
    }
}

/// Check the dictionaries
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Names the first line that is not what it should be.\n\nExample:\n  rdb dict:validate"
)]
pub(crate) struct Validate {}

impl Validate {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let (actions, users) = locate::open(global, output)?.check_dictionaries()?;
        if output.is_json() {
            return output.json(&json!({"actions": actions, "users": users}));
        }
        let (actions, users) = (counted(actions, "action"), counted(users, "user"));
        output.line(&format!("the dictionaries are fine: {actions}, {users}"))
    }
}
