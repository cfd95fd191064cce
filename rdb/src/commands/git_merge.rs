//! `rdb git:merge` and `rdb git:checkpoint`: what git asks for when it merges, and before it commits

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use reedbase::{Checkpoints, Error, ErrorKind, MergedText, NewTable, OpenOptions, Result};
use serde_json::json;

use super::git::{bytes, git, is_database, key_beside, key_of, table, write};
use crate::conflict_json::conflict_json;
use crate::output::{Output, counted};
use crate::render;

/// Merge two sides of a file, as git asks for it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "git calls this itself after rdb git:install. The result is written into OURS; the exit code is 1 if something is \
    disputed, and its cells hold both sides: <<<<<<< ours ||||||| base ======= theirs >>>>>>>.\n\n\
    Example:\n  rdb git:merge base.csv ours.csv theirs.csv pages.csv"
)]
pub(crate) struct GitMerge {
    /// What both sides began with
    base: PathBuf,
    /// The one side; the result is written there
    ours: PathBuf,
    /// The other side
    theirs: PathBuf,
    /// The path in the repository
    path: Option<OsString>,
}

/// Write databases before a git commit, as git asks for it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "git calls this itself after rdb git:install. The databases of this repository whose config.toml is in git are \
    written, journal and all, and staged.\n\nExample:\n  rdb git:checkpoint"
)]
pub(crate) struct GitCheckpoint {}

impl GitMerge {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let path = self.path.as_ref().map_or(self.ours.as_path(), |path| Path::new(path));
        if is_in_database(path) {
            // Ours stays as it is, in conflict.
            return Err(Error::new(
                ErrorKind::Io,
                format!("{} belongs to a database that both sides changed", path.display()),
            )
            .help("merge the database frame by frame: rdb git:resolve"));
        }
        let merged = match self.merge(path) {
            Ok(merged) => merged,
            // Not tables as we know them: what git would have done.
            Err(error) if error.kind() != ErrorKind::Io => {
                return self.by_lines(path, &error, output);
            }
            Err(error) => return Err(error),
        };
        write(&self.ours, &merged.text)?;
        if output.is_json() {
            let conflicts: Vec<_> = merged.conflicts.iter().map(conflict_json).collect();
            output.json(&json!({"merged": merged.merged, "conflicts": conflicts}))?;
        } else if !merged.conflicts.is_empty() {
            render::conflicts(&merged.conflicts, output)?;
        }
        match merged.conflicts.len() {
            0 => Ok(()),
            disputed => Err(Error::new(
                ErrorKind::Io,
                format!("{} in {}", counted(disputed as u64, "conflict"), path.display()),
            )
            .help("write what is right into the cells that hold <<<<<<<, then git add the file")),
        }
    }

    fn merge(&self, path: &Path) -> Result<MergedText> {
        let read = |file: &Path| Ok::<_, Error>(bytes(file.as_os_str())?.unwrap_or_default());
        let [base, ours, theirs] = [read(&self.base)?, read(&self.ours)?, read(&self.theirs)?];
        let ours = table(&ours, &key_beside(path)).or_else(|_| table(&ours, &[]))?;
        let key = key_of(&ours);
        let theirs = table(&theirs, &key)?;
        let base: NewTable = match base.is_empty() {
            // Both sides made the file.
            true => ours.emptied()?,
            false => table(&base, &key)?,
        };
        base.merge("table", &ours, &theirs)
    }

    fn by_lines(&self, path: &Path, why: &Error, output: &mut Output) -> Result<()> {
        output.notice(&format!("{}: merged line by line ({})", path.display(), why.message()));
        let done = Command::new("git")
            .args(["merge-file", "-q"])
            .args([&self.ours, &self.base, &self.theirs])
            .status()
            .map_err(|source| Error::io("run git", "git", source))?;
        match done.success() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Io, format!("conflicts in {}", path.display()))
                .help("edit the lines between <<<<<<< and >>>>>>>, then git add the file")),
        }
    }
}

impl GitCheckpoint {
    pub(crate) fn run(&self, global: &crate::args::Global, output: &mut Output) -> Result<()> {
        let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
        let top_text = top.display().to_string();
        // With zeros between: else git quotes names that are not ASCII.
        let listed = git(&["-C", &top_text, "ls-files", "-z", "--", "*config.toml"])?;
        for config in listed.split('\0').filter(|config| !config.is_empty()) {
            let folder = top.join(config);
            let folder = folder.parent().unwrap_or(&top);
            if !is_database(folder) {
                continue;
            }
            let options = OpenOptions::new().user(crate::locate::user(global));
            let report = options.checkpoints(Checkpoints::Inline).open(folder)?.checkpoint(&[])?;
            git(&["add", "--", &folder.display().to_string()])?;
            if output.is_json() {
                let tables: Vec<String> = report.written.iter().map(ToString::to_string).collect();
                output.json(&json!({"database": folder, "written": tables}))?;
            }
            for table in &report.edited_outside {
                output.notice(&format!(
                    "{table} of {} was edited outside: its last versions are not in the commit (rdb adopt or rdb discard)",
                    folder.display()
                ));
            }
        }
        Ok(())
    }
}

/// Whether a file is one of a database. git names it from the top of the working tree, where it runs this.
fn is_in_database(path: &Path) -> bool {
    path.ancestors().skip(1).any(is_database)
}
