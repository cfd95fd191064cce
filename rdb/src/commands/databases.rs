//! `rdb db:register`, `rdb db:unregister` and `rdb db:list`

use std::path::{Path, PathBuf};

use reedbase::{Database, Error, Result};
use serde_json::json;

use crate::args::Global;
use crate::databases::{self, Named};
use crate::locate::{self, LOCAL};
use crate::output::Output;
use crate::time;

/// Give a database a name that --db takes from any folder
#[derive(Debug, clap::Args)]
#[command(after_help = "The names stand in ~/.reedbase/registry.toml.\n\n\
    Examples:\n  rdb db:register\n  rdb db:register --name blog\n  rdb --db blog status")]
pub(crate) struct Register {
    /// The name [default: that of the folder it is in]
    #[arg(long)]
    name: Option<String>,
}

/// Forget the name of a database, which stays as it is
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb db:unregister blog")]
pub(crate) struct Unregister {
    /// The name
    name: String,
}

/// Print the databases that have a name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb db:list")]
pub(crate) struct List {}

impl Register {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let folder = locate::folder(global)?;
        drop(Database::open(&folder)?);
        let location = folder
            .canonicalize()
            .map_err(|source| Error::io("find the folder", &folder, source))?;
        let project_root = match location.parent() {
            Some(parent) if location.ends_with(LOCAL) => parent.to_path_buf(),
            _ => location.clone(),
        };
        let name = match &self.name {
            Some(name) => name.clone(),
            None => project_root.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        check_name(&name)?;
        databases::add(&Named { name: name.clone(), location: location.clone(), project_root })?;
        if output.is_json() {
            return output.json(&json!({"name": name, "location": location}));
        }
        output.line(&format!("{name} is the database in {}", location.display()))?;
        output.line(&format!("from anywhere: rdb --db {name} status"))
    }
}

/// A name must not be taken for a path.
fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::usage(format!("`{name}` is no name for a database"))
            .help("choose one of letters, digits, - and _: rdb db:register --name NAME"));
    }
    Ok(())
}

impl Unregister {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        databases::remove(&self.name)?;
        match output.is_json() {
            true => output.json(&json!({"forgotten": self.name})),
            false => output.line(&format!("{} has no name any more; it stays as it is", self.name)),
        }
    }
}

impl List {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let all = databases::list()?;
        if output.is_json() {
            for named in &all {
                let state = state(&named.location);
                output.json(&json!({
                    "name": named.name, "mode": "local", "location": named.location,
                    "project_root": named.project_root, "state": state,
                }))?;
            }
            return Ok(());
        }
        if all.is_empty() {
            return output.line("no database has a name: rdb db:register gives it one");
        }
        let head = ["name", "last change", "folder"].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        rows.extend(all.iter().map(|named| {
            let state = state(&named.location).unwrap_or_else(|| "not there".to_owned());
            vec![named.name.clone(), state, named.location.display().to_string()]
        }));
        output.line("Local")?;
        output.table(&rows)
    }
}

/// When it was changed last; `None` if it cannot be opened.
fn state(location: &Path) -> Option<String> {
    let database = location.is_dir().then(|| Database::open(PathBuf::from(location)).ok())??;
    let frames = database.frames().ok()?;
    Some(frames.last().map_or_else(|| "empty".to_owned(), |frame| time::local(frame.wall)))
}
