//! `rdb watch`

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{RecursiveMode, Watcher};
use reedbase::{Database, Error, ErrorKind, OnConflict, OutsideEdit, Result};

use super::committed;
use super::outside::{Source, adopt_as, edits, summary, warn};
use crate::args::{Global, Message};
use crate::locate;
use crate::output::{Output, counted};
use crate::render;

/// Tell when tables are edited outside, and adopt the edits if asked to
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs until it is stopped (Ctrl-C). An edit is looked at when its file has held still for a second; edits that are \
    saved together become one frame. One that cannot be adopted waits, and is told about once.\n\n\
    Examples:\n  rdb watch\n  rdb watch --adopt\n  rdb watch --adopt pages -m \"from the editor\""
)]
pub(crate) struct Watch {
    /// The tables [default: all]
    tables: Vec<String>,
    /// Make a frame of every edit
    #[arg(long)]
    adopt: bool,
    #[command(flatten)]
    message: Message,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// How long files must hold still before they are looked at.
const STILL: Duration = Duration::from_millis(1100);

/// How often tables are looked at though nothing was heard: a file system may keep silent.
const RESCAN: Duration = Duration::from_secs(60);

impl Watch {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let (sender, events) = channel();
        let folder = database.path().join("tables");
        let failed = |source| not_watched(&folder, source);
        let mut watcher = notify::recommended_watcher(sender).map_err(failed)?;
        // What happens between a look and the next is heard: the watch begins before the first look.
        watcher.watch(&folder, RecursiveMode::Recursive).map_err(failed)?;
        let end = self.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        if !output.is_json() {
            output.line(&format!("watching {}", folder.display()))?;
        }
        let mut told: Vec<String> = Vec::new();
        loop {
            let seen = self.look(&database, output)?;
            for news in seen.told.iter().filter(|news| !told.contains(news)) {
                output.notice(news);
            }
            told = seen.told;
            output.flush()?;
            if !wait(&events, if seen.again { STILL } else { RESCAN }, end) {
                return Ok(());
            }
        }
    }

    /// Looks at the tables; gives what there is to tell.
    fn look(&self, database: &Database, output: &mut Output) -> Result<Seen> {
        let edited = database.edited_outside()?;
        let edited = edited.iter().map(ToString::to_string);
        let wanted = |name: &String| self.tables.is_empty() || self.tables.contains(name);
        let (mut found, mut seen) = (Vec::new(), Seen::default());
        for table in edited.filter(wanted) {
            match edits(database, &[table], &Source::default()) {
                Ok(edits) => found.extend(edits),
                Err(error) => seen.note(&error),
            }
        }
        if self.adopt {
            self.adopt(database, found, &mut seen, output)?;
        } else {
            seen.told.extend(found.iter().map(sketch));
        }
        Ok(seen)
    }

    /// Makes one frame of all that can be adopted.
    fn adopt(
        &self,
        database: &Database,
        edits: Vec<OutsideEdit>,
        seen: &mut Seen,
        output: &mut Output,
    ) -> Result<()> {
        let (good, bad): (Vec<_>, Vec<_>) = edits.into_iter().partition(|edit| !edit.removes_most);
        seen.told.extend(bad.iter().map(|edit| {
            format!("{}: it cannot be adopted as it is, see rdb adopt {}", sketch(edit), edit.table)
        }));
        if good.is_empty() {
            return Ok(());
        }
        for edit in &good {
            warn(edit, output);
        }
        let done = good.iter().map(summary).collect::<Vec<_>>().join(", ");
        let diffs: Vec<_> =
            good.iter().map(|edit| (edit.table.clone(), edit.diff.clone())).collect();
        let how = adopt_as(&self.message).on_conflict(OnConflict::Park);
        match database.adopt(good, &how) {
            Ok(commit) if commit.frame.is_none() => {}
            Ok(commit) => {
                committed(&commit, &format!("adopted {done}"), output)?;
                for (table, diff) in diffs {
                    render::diff(table.as_str(), &diff, output)?;
                }
            }
            Err(error) => seen.note(&error),
        }
        Ok(())
    }
}

/// What a look at the tables found.
#[derive(Debug, Default)]
struct Seen {
    /// What a person should know.
    told: Vec<String>,
    /// Whether a file was not still yet, or a frame came between.
    again: bool,
}

impl Seen {
    fn note(&mut self, error: &Error) {
        match error.kind() {
            ErrorKind::Busy | ErrorKind::Conflict => self.again = true,
            _ => self.told.push(error.to_string()),
        }
    }
}

/// An edit in one line.
fn sketch(edit: &OutsideEdit) -> String {
    let rows = counted(edit.diff.rows.len() as u64, "row");
    format!("{} was edited outside: {rows} changed", edit.table)
}

/// Waits until something happened and has been still for a while, but not longer than `most`; `false` at the
/// end.
fn wait(
    events: &Receiver<notify::Result<notify::Event>>,
    most: Duration,
    end: Option<Instant>,
) -> bool {
    let left = |most: Duration| match end {
        Some(end) => end.saturating_duration_since(Instant::now()).min(most),
        None => most,
    };
    match events.recv_timeout(left(most)) {
        Ok(_) => while events.recv_timeout(left(STILL)).is_ok() {},
        Err(RecvTimeoutError::Timeout) => {}
        Err(RecvTimeoutError::Disconnected) => return false,
    }
    end.is_none_or(|end| Instant::now() < end)
}

fn not_watched(folder: &Path, source: notify::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the folder cannot be watched: {source}"))
        .at_path(folder)
        .help("raise the limit with sysctl fs.inotify.max_user_watches, or run rdb adopt by hand")
}
