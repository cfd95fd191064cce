//! `rdb merge`

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use reedbase::{Error, ErrorKind, Preview, Result, TableCopy, Timestamp};

use super::committed;
use super::restore::{Plan, preview};
use crate::args::{Global, Merging, Message};
use crate::locate;
use crate::output::{Output, counted};

/// Merge somebody's changed copy of a table
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What was changed in the copy since it was made is done to the table, row by row and cell by cell; what was changed in the \
    table since stays. Delimiter, quotes and order of the copy need not be those of the table.\n\n\
    Examples:\n  rdb merge ann.csv --table pages --base \"2 days ago\" --plan     see it first\n  \
    rdb merge ann.csv --table pages --base HEAD~3 -m \"ann's corrections\"\n  \
    rdb merge ann.csv --table pages --base yesterday --on-conflict theirs"
)]
pub(crate) struct Merge {
    /// The copy
    file: PathBuf,
    /// The table [default: the name of the file]
    #[arg(long)]
    table: Option<String>,
    /// What the copy was made of: a frame, a date, a time
    #[arg(long, value_name = "FRAME")]
    base: String,
    /// Also a copy that lacks more than half of the rows
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    merging: Merging,
    #[command(flatten)]
    message: Message,
}

impl Merge {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("merging", global, output)?;
        let table = self.table()?;
        let base = database.frame_at(&self.base)?.timestamp;
        let copy = read(&self.file)?;
        let transaction = self.message.name(database.merge_copy(&table, base, &copy)?);
        let transaction = transaction.on_conflict(self.merging.how());
        if self.plan.plan {
            return preview(&transaction.preview()?, output);
        }
        if !self.force {
            let rows = database.snapshot()?.table(&table)?.rows();
            check_removed(&transaction.preview()?, rows)?;
        }
        let what = format!("merged {} into {table}", self.file.display());
        committed(&transaction.commit()?, &what, output)
    }

    fn table(&self) -> Result<String> {
        let stem = self.file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        let table = self.table.clone().or(stem);
        table.ok_or_else(|| Error::usage("which table?").help("add --table NAME"))
    }
}

fn read(path: &Path) -> Result<TableCopy> {
    let failed = |source| Error::io("read", path, source);
    let text = std::fs::read(path).map_err(failed)?;
    let saved = std::fs::metadata(path).and_then(|file| file.modified()).map_err(failed)?;
    let saved =
        saved.duration_since(UNIX_EPOCH).ok().and_then(|age| i64::try_from(age.as_micros()).ok());
    Ok(TableCopy {
        text: text.into(),
        path: path.to_owned(),
        saved: saved.map(Timestamp::from_micros),
    })
}

/// A copy that was cut is no copy with rows removed.
fn check_removed(preview: &Preview, rows: u64) -> Result<()> {
    let changed = preview.changes.iter().flat_map(|(_, diff)| &diff.rows);
    let removed = changed.filter(|row| row.after.is_none()).count() as u64;
    if removed * 2 <= rows {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::OutsideEdit,
        format!("the copy lacks {} of {}", counted(removed, "row"), rows),
    )
    .help("if they were removed on purpose, say --force; else look whether the file is whole"))
}
