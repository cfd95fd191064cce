//! Which database, and who asks.

use std::path::{Path, PathBuf};

use reedbase::{Checkpoints, Database, Error, OpenOptions, Result};

use crate::args::Global;
use crate::databases;
use crate::output::Output;

/// The name of the folder of a local database.
pub(crate) const LOCAL: &str = ".reedbase";

/// Opens the database that the command is about, for work that may take long.
pub(crate) fn open_for(doing: &str, global: &Global, output: &mut Output) -> Result<Database> {
    let bar = output.bar(doing);
    open_with(OpenOptions::new().progress(bar), global, output)
}

/// Opens the database that the command is about.
pub(crate) fn open(global: &Global, output: &mut Output) -> Result<Database> {
    open_with(OpenOptions::new(), global, output)
}

/// The folder of the database that the command is about.
pub(crate) fn folder(global: &Global) -> Result<PathBuf> {
    match &global.db {
        Some(path) => named(path),
        None => nearest(&current_folder()?),
    }
}

/// What --db says: the folder of a database, a folder that has one in it, or the name of a database.
fn named(path: &Path) -> Result<PathBuf> {
    let inside = path.join(LOCAL);
    if path.join("config.toml").is_file() {
        return Ok(path.to_path_buf());
    }
    if inside.is_dir() {
        return Ok(inside);
    }
    let name = path.to_str().filter(|_| path.components().count() == 1);
    let found = name.map(databases::find).transpose()?.flatten();
    Ok(found.unwrap_or_else(|| path.to_path_buf()))
}

fn open_with(options: OpenOptions, global: &Global, output: &mut Output) -> Result<Database> {
    let path = folder(global)?;
    let options = options.user(user(global)).checkpoints(Checkpoints::Eager);
    let database = options.open(path)?;
    for notice in database.notices() {
        output.notice(notice);
    }
    match global.in_frame.as_deref() {
        Some(frame) if !frame.is_empty() => database.in_frame(frame),
        _ => Ok(database),
    }
}

/// The same, for a command about frames themselves.
pub(crate) fn open_outside_frame(global: &Global, output: &mut Output) -> Result<Database> {
    open(&Global { in_frame: None, ..global.clone() }, output)
}

/// The folder that the command runs in.
pub(crate) fn current_folder() -> Result<PathBuf> {
    std::env::current_dir().map_err(|source| Error::io("find the current folder", ".", source))
}

/// The nearest local database, from this folder upwards.
fn nearest(folder: &Path) -> Result<PathBuf> {
    // The folder of the same name at home holds the names of databases, and is none itself.
    let is_list = |path: &Path| {
        databases::home().is_some_and(|home| home == path) && !path.join("config.toml").is_file()
    };
    let mut above = folder.ancestors().map(|above| above.join(LOCAL));
    let found = above.find(|path| path.is_dir() && !is_list(path));
    found.ok_or_else(|| {
        Error::not_found(format!("there is no {LOCAL} in {} or above it", folder.display()))
            .help("make a database with: rdb db:init, or name one with --db FOLDER")
    })
}

/// Who makes the change: the option, the environment, or the login name.
pub(crate) fn user(global: &Global) -> String {
    let named = global.user.clone().filter(|name| !name.is_empty());
    let login = || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    named.or_else(login).or_else(account).unwrap_or_else(|| "system".to_owned())
}

/// The name of the account, where the environment does not tell it.
fn account() -> Option<String> {
    let id = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2) == Some(&id.as_str()))?.first().map(|name| (*name).to_owned())
}
