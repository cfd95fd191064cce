//! `rdb git:install` and `rdb git:diff`: git shows CSV files as ReedBase does, row by row and cell by cell.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use reedbase::{Diff, Error, ErrorKind, Import, NewTable, Result};
use serde_json::json;

use crate::output::Output;
use crate::render;

/// Let git show and merge CSV files row by row
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Then git diff shows what changed in CSV files cell by cell (git log -p and git show with --ext-diff), git merge puts them \
    together cell by cell, and git commit writes databases of the repository first. It is written into .git of this repository, \
    and is not committed.\n\n\
    Examples:\n  rdb git:install\n  rdb git:install --global     for all repositories of this user\n  rdb git:install --remove"
)]
pub(crate) struct Install {
    /// For all repositories of this user
    #[arg(long)]
    global: bool,
    /// Take it away again
    #[arg(long)]
    remove: bool,
}

/// Print what changed between two files, as git asks for it
#[derive(Debug, clap::Args)]
#[command(after_help = "git calls this itself after rdb git:install.\n\nExamples:\n  \
    rdb git:diff pages.csv old.csv . . new.csv . .")]
pub(crate) struct GitDiff {
    /// The path in the repository
    path: OsString,
    /// The file before, its hash and mode; the file after, its hash and mode; for a renamed file, its new path and more
    #[arg(value_name = "FILE HASH MODE", num_args = 0..)]
    rest: Vec<OsString>,
}

/// Which files git asks us about.
const ATTRIBUTE: &str = "*.csv diff=reedbase merge=reedbase";

/// The same of an earlier version.
const OLD_ATTRIBUTE: &str = "*.csv diff=reedbase";

/// What git runs before it commits.
const HOOK: &str = "#!/bin/sh\n# of rdb git:install: databases in this repository are written before they are committed\nexec ";

impl Install {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let attributes = self.attributes_path()?;
        if self.remove {
            // Not set is as good as removed.
            drop(self.config(&["--remove-section", "diff.reedbase"]));
            drop(self.config(&["--remove-section", "merge.reedbase"]));
        } else {
            let rdb = command()?;
            self.config(&["diff.reedbase.command", &format!("{rdb} git:diff --")])?;
            self.config(&["merge.reedbase.name", "row by row, cell by cell"])?;
            self.config(&["merge.reedbase.driver", &format!("{rdb} git:merge %O %A %B %P")])?;
        }
        if !self.global {
            self.hook(output)?;
        }
        let text = read(&attributes)?.unwrap_or_default();
        let mut lines: Vec<&str> =
            text.lines().filter(|line| ![ATTRIBUTE, OLD_ATTRIBUTE].contains(line)).collect();
        lines.extend((!self.remove).then_some(ATTRIBUTE));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        write(&attributes, text.as_bytes())?;
        if output.is_json() {
            return output.json(&json!({"attributes": attributes, "installed": !self.remove}));
        }
        if self.remove {
            return output.line("git shows and merges CSV files line by line again");
        }
        output.line(
            "git diff shows CSV files row by row now (git log -p and git show with --ext-diff), git merge puts them together so",
        )?;
        output.line(&format!("written into the git config and {}", attributes.display()))?;
        let global = if self.global { " --global" } else { "" };
        output.line(&format!("take it away: rdb git:install{global} --remove"))
    }

    /// Puts the hook in its place, or takes it away. One of somebody else is left alone.
    fn hook(&self, output: &mut Output) -> Result<()> {
        let path = PathBuf::from(git(&["rev-parse", "--git-path", "hooks/pre-commit"])?);
        match (read(&path)?, self.remove) {
            (Some(text), true) if text.starts_with(HOOK) => {
                std::fs::remove_file(&path).map_err(|source| Error::io("remove", path, source))
            }
            (Some(text), false) if !text.starts_with(HOOK) => {
                output.notice(&format!(
                    "{} is there already: add the line `rdb git:checkpoint` to it, so that databases are written before they are committed",
                    path.display()
                ));
                Ok(())
            }
            (_, true) => Ok(()),
            (_, false) => {
                write(&path, format!("{HOOK}{} git:checkpoint\n", command()?).as_bytes())?;
                let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(&path, executable)
                    .map_err(|source| Error::io("make executable", path, source))
            }
        }
    }

    fn config(&self, args: &[&str]) -> Result<String> {
        let global: &[&str] = if self.global { &["--global"] } else { &[] };
        git(&[&["config"], global, args].concat())
    }

    /// The file that says which driver shows which files.
    fn attributes_path(&self) -> Result<PathBuf> {
        if !self.global {
            let path = git(&["rev-parse", "--git-path", "info/attributes"]);
            return path.map(PathBuf::from).map_err(|error| {
                error.help(
                    "run it inside a git repository, or for all of them: rdb git:install --global",
                )
            });
        }
        if let Ok(path) = self.config(&["--path", "core.attributesFile"]) {
            return Ok(PathBuf::from(path));
        }
        let folder =
            |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        let config =
            config.ok_or_else(|| Error::not_found("neither XDG_CONFIG_HOME nor HOME is set"));
        Ok(config?.join("git/attributes"))
    }
}

/// How a shell finds this program: by its name, if that is this program.
fn command() -> Result<String> {
    let here =
        std::env::current_exe().map_err(|source| Error::io("find the program", "", source))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).map(|folder| folder.join("rdb")).find(|p| p.is_file());
    let is_named =
        named.and_then(|named| Some(named.canonicalize().ok()? == here.canonicalize().ok()?));
    Ok(match is_named {
        Some(true) => "rdb".to_owned(),
        _ => format!("'{}'", here.display().to_string().replace('\'', "'\\''")),
    })
}

/// What git prints.
pub(super) fn git(args: &[&str]) -> Result<String> {
    let done = Command::new("git").args(args).output();
    let done = done.map_err(|source| Error::io("run git", "git", source))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match done.status.success() {
        true => Ok(text(&done.stdout)),
        false => Err(Error::new(ErrorKind::Io, format!("git says: {}", text(&done.stderr)))),
    }
}

/// Whether a folder of the working tree is a database.
pub(super) fn is_database(folder: &Path) -> bool {
    folder.join("config.toml").is_file() && folder.join("registry/users.dict").is_file()
}

fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("read", path, source)),
    }
}

pub(super) fn write(path: &Path, text: &[u8]) -> Result<()> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    #[expect(clippy::disallowed_methods, reason = "a file of git, not of a database")]
    let written = folder.and_then(|()| std::fs::write(path, text));
    written.map_err(|source| Error::io("write", path, source))
}

impl GitDiff {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let path = self.path.to_string_lossy();
        let word = |at: usize| self.rest.get(at);
        let (Some(before), Some(after)) = (word(0), word(3)) else {
            return output.line(&format!("{path}: both sides changed it; it is not merged yet"));
        };
        let name = match word(6) {
            Some(renamed) => format!("{path} → {}", renamed.to_string_lossy()),
            None => path.into_owned(),
        };
        let [before, after] = [bytes(before)?, bytes(after)?];
        match rows(Path::new(&self.path), before.as_deref(), after.as_deref()) {
            Ok(diff) => render::diff(&name, &diff, output),
            // Not a table as we know them: what git would have shown.
            Err(error) => {
                output.line(&format!(
                    "{name}: line by line, since it is no table ({})",
                    error.message()
                ))?;
                let text = |side: Option<Vec<u8>>| {
                    String::from_utf8_lossy(&side.unwrap_or_default()).into_owned()
                };
                render::unified(&text(before), &text(after), output)
            }
        }
    }
}

/// The content of a file; `None` where there is none on this side.
pub(super) fn bytes(path: &OsStr) -> Result<Option<Vec<u8>>> {
    if path == "/dev/null" {
        return Ok(None);
    }
    std::fs::read(path).map(Some).map_err(|source| Error::io("read", path, source))
}

/// The key that the schema beside a table names; none if there is no schema.
pub(super) fn key_beside(path: &Path) -> Vec<String> {
    let schema = path.with_file_name("schema.toml");
    let known = read(&schema).ok().flatten().map(|text| reedbase_kernel::schema::parse(&text));
    known.and_then(Result::ok).map_or(Vec::new(), |schema| {
        let key = schema.columns.into_iter().filter(|column| column.primary_key);
        key.map(|column| column.name).collect()
    })
}

/// The table that a file holds; the key is guessed if none is given.
pub(super) fn table(bytes: &[u8], key: &[String]) -> Result<NewTable> {
    let mut import = Import::default();
    import.key = key.to_vec();
    import.read(bytes.to_vec().into())
}

/// What changed in the rows. A key that both sides can have is guessed, or read from the schema beside a table.
fn rows(path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<Diff> {
    let known = key_beside(path);
    let (one, other) = match (before, after) {
        (Some(one), Some(other)) => (one, Some(other)),
        (Some(one), None) | (None, Some(one)) => (one, None),
        (None, None) => return Err(Error::usage("there is no file on either side")),
    };
    let whole = table(one, &known).or_else(|_| table(one, &[]))?;
    let Some(other) = other else {
        let empty = whole.emptied()?;
        return match after {
            Some(_) => empty.diff(&whole),
            None => whole.diff(&empty),
        };
    };
    match table(other, &key_of(&whole)) {
        Ok(after) => whole.diff(&after),
        // What was a key before is none now.
        Err(_) => {
            let after = table(other, &[])?;
            table(one, &key_of(&after))?.diff(&after)
        }
    }
}

pub(super) fn key_of(table: &NewTable) -> Vec<String> {
    let key = table.schema.columns.iter().filter(|column| column.primary_key);
    key.map(|column| column.name.clone()).collect()
}
