//! `rdb git:resolve`

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use reedbase::storage::MemoryStorage;
use reedbase::{Checkpoints, Error, ErrorKind, OpenOptions, Result, TakenIn};
use serde_json::json;

use super::git::{git, is_database};
use super::told_parked;
use crate::args::Global;
use crate::conflict_json::conflict_json;
use crate::locate;
use crate::output::{Output, counted};

/// Merge the frames of databases on which git merge stopped
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Where both branches changed a database, git merge stops: no merge of single files makes a database. This takes the \
    frames of the other branch in, one by one, by the same users and under the same names, merged cell by cell with yours; \
    what both changed in another way waits in conflict:list. Then it stages the database, for git commit.\n\n\
    Example:\n  git merge ann || (rdb git:resolve && git commit)"
)]
pub(crate) struct GitResolve {}

impl GitResolve {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
        let in_top = InTop(&top);
        if in_top.git(&["rev-parse", "-q", "--verify", "MERGE_HEAD"]).is_err() {
            return Err(Error::usage("no merge is under way").help("git merge BRANCH begins one"));
        }
        let folders = in_top.databases()?;
        if folders.is_empty() {
            return output.line("no database is in conflict");
        }
        for folder in folders {
            let taken = in_top.resolve(&folder, global)?;
            tell(&folder, &taken, output)?;
        }
        Ok(())
    }
}

fn tell(folder: &str, taken: &TakenIn, output: &mut Output) -> Result<()> {
    if output.is_json() {
        output.json(&json!({
            "database": folder,
            "frames": taken.frames.len(),
            "merged": taken.merged,
            "parked": taken.parked.iter().map(conflict_json).collect::<Vec<_>>(),
        }))?;
    } else {
        let frames = counted(taken.frames.len() as u64, "frame");
        let merged = counted(taken.merged, "row");
        output.line(&format!(
            "{folder}: {frames} of the other branch taken in, {merged} changed by both and merged; next: git commit"
        ))?;
    }
    told_parked(&taken.parked, output)
}

/// git, run in the top folder of the working tree.
struct InTop<'a>(&'a Path);

impl InTop<'_> {
    fn git(&self, args: &[&str]) -> Result<String> {
        let top = self.0.display().to_string();
        git(&[&["-C", top.as_str()], args].concat())
    }

    /// The folders of databases of which a file is in conflict, as git names them.
    fn databases(&self) -> Result<BTreeSet<String>> {
        let paths = self.git(&["diff", "--name-only", "-z", "--diff-filter=U"])?;
        let mut found = BTreeSet::new();
        for path in paths.split('\0').filter(|path| !path.is_empty()) {
            let folders = Path::new(path).ancestors().skip(1);
            let mut folders = folders.map(|folder| folder.display().to_string());
            found.extend(folders.find(|folder| is_database(&self.0.join(folder))));
        }
        Ok(found)
    }

    fn resolve(&self, folder: &str, global: &Global) -> Result<TakenIn> {
        let theirs = OpenOptions::new().storage(Arc::new(self.theirs(folder)?)).open("")?;
        self.put_ours_back(folder)?;
        let options = OpenOptions::new().user(locate::user(global));
        let ours = options.checkpoints(Checkpoints::Inline).open(self.0.join(folder))?;
        let taken = ours.take_in(&theirs)?;
        ours.checkpoint(&[])?;
        drop(ours);
        self.git(&["add", "-A", "--", spec(folder)])?;
        Ok(taken)
    }

    /// The database of the other branch, in memory.
    fn theirs(&self, folder: &str) -> Result<MemoryStorage> {
        let failed = |source| Error::io("read what git archived", self.0, source);
        let done = Command::new("git")
            .arg("-C")
            .arg(self.0)
            .args(["-c", "core.autocrlf=false", "archive", "--format=tar", "MERGE_HEAD", "--"])
            .arg(spec(folder))
            .output()
            .map_err(|source| Error::io("run git", "git", source))?;
        if !done.status.success() {
            let text = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            return Err(Error::new(ErrorKind::Io, format!("git says: {text}")));
        }
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(done.stdout.as_slice());
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let path = entry.path().map_err(failed)?.into_owned();
            let inside =
                path.strip_prefix(folder).ok().filter(|_| entry.header().entry_type().is_file());
            if let Some(inside) = inside {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(failed)?;
                files.insert(inside.display().to_string(), bytes);
            }
        }
        Ok(MemoryStorage::from_files(files))
    }

    /// Undoes what git merged into the folder: the database is as it was before. Only files that theirs changed are touched,
    /// which git would not have merged had they been edited: what somebody edits in others waits as before.
    fn put_ours_back(&self, folder: &str) -> Result<()> {
        let changed = ["diff", "--name-only", "-z", "--no-renames", "HEAD...MERGE_HEAD", "--"];
        let changed = self.git(&[&changed[..], &[spec(folder)]].concat())?;
        let ours = self.git(&["ls-tree", "-r", "--name-only", "-z", "HEAD", "--", spec(folder)])?;
        let ours: BTreeSet<&str> = ours.split('\0').collect();
        let changed = changed.split('\0').filter(|path| !path.is_empty());
        let (kept, added): (Vec<&str>, Vec<&str>) = changed.partition(|path| ours.contains(path));
        if !kept.is_empty() {
            self.git(&[&["checkout", "-q", "HEAD", "--"], &kept[..]].concat())?;
        }
        for path in added {
            let path = self.0.join(path);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A folder as git takes it.
fn spec(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}
