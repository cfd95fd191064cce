//! A script is a list of commands and what they print.
//!
//! ```text
//! > import pages id id,title\nhome,Welcome\n
//! ok 1
//! ```
//!
//! A line that starts with `>` is a command; the lines below are its output. In a command `\n`, `\r`, `\t`
//! and `\_` (a space) are escapes. Commands outside `begin` … `commit` are committed one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase::clock::ManualClock;
use reedbase::storage::Storage;
use reedbase::{
    Action, Adopt, Checkpoints, Compact, CompactReport, Conflict, Conflicts, Database, Error,
    Frame, Import, Key, Limits, OnConflict, OpenOptions, OutsideEdit, Pick, Standing, Timestamp,
    Transaction,
};

/// What every table holds, by name.
pub(crate) type Content = BTreeMap<String, String>;

/// Runs the commands of a script on one storage.
pub(crate) struct Interpreter {
    storage: Arc<dyn Storage>,
    clock: Arc<ManualClock>,
    /// The handles: `one` unless a command says `@two`.
    handles: BTreeMap<String, Database>,
    /// The handle that the command is for.
    current: String,
    /// The open transaction of each handle.
    transactions: BTreeMap<String, Transaction>,
    /// The frame of a program.
    program: Option<Frame>,
    /// What has been acknowledged.
    pub(crate) acknowledged: Content,
    /// Every version that was ever acknowledged.
    pub(crate) past: BTreeMap<(String, i64), String>,
}

impl Interpreter {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
        let (handles, acknowledged, past) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (current, transactions, program) = (String::new(), BTreeMap::new(), None);
        Self { storage, clock, handles, current, transactions, program, acknowledged, past }
    }

    /// Does one command; gives what it prints.
    pub(crate) fn run(&mut self, command: &str) -> Result<String, Error> {
        self.clock.advance(1_000_000);
        let (handle, command) = match command.strip_prefix('@') {
            Some(rest) => rest.split_once(' ').expect("a handle and a command"),
            None => ("one", command),
        };
        let words: Vec<String> = command.split_whitespace().map(unescape).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words[0] == "close" {
            self.handles.remove(handle);
            return Ok("ok".to_owned());
        }
        let database = self.handle(handle)?;
        handle.clone_into(&mut self.current);
        let output = self.command(&database, &words)?;
        self.acknowledge(&database);
        Ok(output)
    }

    fn handle(&mut self, name: &str) -> Result<Database, Error> {
        if let Some(database) = self.handles.get(name) {
            return Ok(database.clone());
        }
        let options = OpenOptions::new()
            .storage(Arc::clone(&self.storage))
            .create(true)
            .limits(Limits::tiny());
        let options = options.checkpoints(Checkpoints::Inline);
        let database = options.clock(self.clock.clone()).user("tester").open("")?;
        self.handles.insert(name.to_owned(), database.clone());
        Ok(database)
    }

    fn command(&mut self, database: &Database, words: &[&str]) -> Result<String, Error> {
        match words {
            ["open"] => Ok("ok".to_owned()),
            ["begin"] => {
                self.transactions.insert(self.current.clone(), database.begin()?);
                Ok("ok".to_owned())
            }
            ["commit", name @ ..] => {
                let mut transaction = self.begun()?;
                if !name.is_empty() {
                    transaction = transaction.named(name.join(" "));
                }
                committed(transaction)
            }
            ["park"] => Ok(commit_text(&self.begun()?.commit_parking()?)),
            ["commit:ours"] => committed(self.begun()?.on_conflict(OnConflict::Ours)),
            ["commit:theirs"] => committed(self.begun()?.on_conflict(OnConflict::Theirs)),
            ["commit:both"] => committed(self.begun()?.on_conflict(OnConflict::Both)),
            ["conflicts"] => {
                let open = database.snapshot()?.conflicts()?;
                Ok(lines(open.iter().map(|open| conflict_text(&open.conflict))))
            }
            ["conflicts:all"] => {
                let all = database.snapshot()?.conflict_history()?;
                Ok(lines(all.iter().map(|past| {
                    let resolved = past.resolved.map_or("open".to_owned(), |at| at.to_string());
                    let text = conflict_text(&past.conflict.conflict);
                    format!("{} {resolved} {text}", past.conflict.frame)
                })))
            }
            ["resolve", at, pick @ ..] => {
                let open = database.snapshot()?.conflicts()?;
                let at: usize = at.parse().unwrap();
                let id = &open.get(at).ok_or_else(|| Error::not_found("no such conflict"))?.id;
                let mut transaction = database.begin()?;
                transaction.resolve(id, &parse_pick(pick))?;
                committed(transaction)
            }
            ["adopt:park", tables @ ..] => adopt(database, tables, OnConflict::Park),
            ["undo", frame] => {
                let frame = database.frame_at(frame)?;
                let mut transaction = database.begin()?;
                transaction.revert(&frame)?;
                Ok(commit_text(&transaction.commit_parking()?))
            }
            ["checkpoint", tables @ ..] => {
                let report = database.checkpoint(tables)?;
                let names: Vec<_> = report.written.iter().map(ToString::to_string).collect();
                let kept = report.edited_outside.iter().map(|name| format!(" (kept {name})"));
                Ok(format!("wrote [{}]{}", names.join(" "), kept.collect::<String>()))
            }
            ["cat", table] => {
                let bytes = database.snapshot()?.table(table)?.to_bytes()?;
                Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
            }
            ["get", table, key] => Ok(match database.snapshot()?.get(table, parse_key(key))? {
                Some(row) => format!("{row:?}"),
                None => "none".to_owned(),
            }),
            ["at", table, at] => {
                let at = database.frame_at(at)?.timestamp;
                let bytes = database.snapshot()?.table_at(table, at)?.to_bytes()?;
                Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
            }
            ["diff", table, from, to] => diff(database, table, from, to),
            ["history", table, key] => history(database, table, key),
            ["versions", table] => versions(database, table),
            ["pack", table] => {
                let folded = database.pack(table)?;
                Ok(format!("packed {} versions into {}", folded.versions, folded.packs))
            }
            ["compact", keep, tables @ ..] => {
                let how = Compact::keep(keep.parse()?).young(true);
                compacted(&database.compact(tables, &how)?)
            }
            ["compact:old", keep, tables @ ..] => {
                compacted(&database.compact(tables, &Compact::keep(keep.parse()?))?)
            }
            ["wait", seconds] => {
                self.clock.advance(seconds.parse::<i64>().unwrap() * 1_000_000);
                Ok("ok".to_owned())
            }
            ["setting", key, value] => database.set_setting(key, value).map(|()| "ok".to_owned()),
            ["outside", table] => outside(database, table),
            ["adopt", tables @ ..] => adopt(database, tables, OnConflict::Refuse),
            ["adopt!", tables @ ..] => Ok(commit_text(
                &database.adopt(edits(database, tables)?, &Adopt::new().force(true))?,
            )),
            ["discard", tables @ ..] => Ok(database.discard(tables)?.kept.join("\n")),
            ["file", path] => {
                let storage: &dyn Storage = &*self.storage;
                let bytes = storage.read(path)?.ok_or_else(|| Error::not_found("no such file"))?;
                Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
            }
            ["remove", path] => self.storage.remove(path).map(|()| "ok".to_owned()),
            ["files", folder] => Ok(self.storage.list(folder)?.join("\n")),
            ["log"] => Ok(log(database)?),
            ["in", frame, words @ ..] => self.command(&database.in_frame(frame)?, words),
            ["frames"] => frames(database),
            [frame, words @ ..] if frame.starts_with("frame:") => {
                self.frame(database, frame, words)
            }
            ["status"] => Ok(status(database)?),
            ["edit", path, text] => {
                let file = self.storage.create(path)?;
                file.write_at(text.as_bytes(), 0)?;
                Ok("ok".to_owned())
            }
            _ => self.write(database, words),
        }
    }

    /// Frames begun in the shell, and by a program.
    fn frame(
        &mut self,
        database: &Database,
        command: &str,
        words: &[&str],
    ) -> Result<String, Error> {
        match (command, words) {
            ("frame:begin", [name]) => {
                Ok(format!("open {}", database.begin_frame(Some(name))?.timestamp))
            }
            ("frame:commit", [name]) => Ok(commit_text(&database.in_frame(name)?.commit_frame()?)),
            ("frame:park", [name]) => {
                let frame = database.in_frame(name)?;
                Ok(commit_text(&frame.commit_frame_with(OnConflict::Park)?))
            }
            ("frame:abandon", [name]) => {
                database.abandon_frame(name).map(|frame| format!("{:?}", frame.standing))
            }
            ("frame:cleanup", []) => {
                let frames = database.clean_up_frames()?.frames;
                Ok(format!("removed {}", frames.len()))
            }
            ("frame:program", [name]) => {
                self.program = Some(Frame::begin(database, name)?);
                Ok("ok".to_owned())
            }
            ("frame:program:log", [what, table]) => {
                self.running()?.log_operation(what, Some(table)).map(|()| "ok".to_owned())
            }
            ("frame:program:commit", []) => {
                let frame = self.program.take().ok_or_else(|| Error::usage("no program"))?;
                let report = frame.commit()?;
                Ok(format!("{} [{}]", commit_text(&report.commit), report.operations.join(", ")))
            }
            ("frame:program:ends", []) => {
                self.program = None;
                Ok("ok".to_owned())
            }
            ("frame:program:does", words) => {
                change(self.running()?, words)?;
                Ok("ok".to_owned())
            }
            _ => Err(Error::usage("no such command")),
        }
    }

    fn running(&mut self) -> Result<&mut Frame, Error> {
        self.program.as_mut().ok_or_else(|| Error::usage("no program"))
    }

    /// Commands that change something, in the open transaction or in one of their own.
    fn write(&mut self, database: &Database, words: &[&str]) -> Result<String, Error> {
        if let Some(transaction) = self.transactions.get_mut(&self.current) {
            change(transaction, words)?;
            return Ok("ok".to_owned());
        }
        let mut transaction = database.begin()?;
        change(&mut transaction, words)?;
        committed(transaction)
    }

    fn begun(&mut self) -> Result<Transaction, Error> {
        self.transactions.remove(&self.current).ok_or_else(|| Error::usage("begin failed"))
    }

    fn acknowledge(&mut self, database: &Database) {
        if let Ok(content) = content(database) {
            let newest =
                database.frames().ok().and_then(|frames| frames.last().map(|f| f.timestamp));
            // What was removed on purpose is nobody's any more.
            self.past.retain(|(table, at), _| !is_removed(database, table, *at));
            for (table, text) in content.iter().filter(|(table, _)| !table.contains('/')) {
                let newest = newest.map_or(0, Timestamp::as_micros);
                self.past.insert((table.clone(), newest), text.clone());
            }
            self.acknowledged = content;
        }
    }
}

fn diff(database: &Database, table: &str, from: &str, to: &str) -> Result<String, Error> {
    let at = |text: &str| match text {
        "0" => Ok(Timestamp::ZERO),
        _ => database.frame_at(text).map(|frame| frame.timestamp),
    };
    Ok(changes(&database.snapshot()?.diff(table, at(from)?, at(to)?)?))
}

fn text(row: &Option<reedbase::Row>) -> String {
    match row {
        Some(row) => String::from_utf8_lossy(row.bytes()).trim_end().to_owned(),
        None => "none".to_owned(),
    }
}

fn changes(diff: &reedbase::Diff) -> String {
    let mut lines: Vec<_> = diff
        .rows
        .iter()
        .map(|row| format!("{} => {}", text(&row.before), text(&row.after)))
        .collect();
    let respelled = match diff.respelled {
        0 => String::new(),
        rows => format!(", {rows} respelled"),
    };
    lines.push(format!("{} rows, {} moved{respelled}", diff.rows.len(), diff.moved));
    lines.join("\n")
}

/// What was edited outside, as `diff` prints it, with what is odd about it.
fn outside(database: &Database, table: &str) -> Result<String, Error> {
    let Some(edit) = database.outside_edit(table)? else { return Ok("none".to_owned()) };
    let mut lines = vec![format!("from {}", edit.base)];
    lines.push(changes(&edit.diff));
    if let Some((before, after)) = &edit.diff.columns {
        lines.push(format!("columns {} => {}", before.join(" "), after.join(" ")));
    }
    if edit.diff.schema.is_some() {
        lines.push("schema.toml differs".to_owned());
    }
    lines.extend(edit.conflicts.iter().map(conflict_text));
    if let Some(older) = edit.older {
        lines.push(format!("{} as of {:?}", older.rows, older.version.map(Timestamp::as_micros)));
    }
    Ok(lines.join("\n"))
}

/// What went wrong, with the conflicts it carries.
pub(crate) fn error_text(error: &Error) -> String {
    let conflicts =
        Conflicts::of(error).iter().map(|conflict| format!("\n{}", conflict_text(conflict)));
    format!("error: {error}{}", conflicts.collect::<String>())
}

/// What a conflict is about, and what each side says.
fn conflict_text(conflict: &Conflict) -> String {
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let (key, column) = (conflict.key_text(), conflict.column.as_deref().unwrap_or("-"));
    let sides = [&conflict.base, &conflict.ours, &conflict.theirs].map(said).join(" / ");
    format!("conflict ({}) {} {key} {column}: {sides}", conflict.kind, conflict.table)
}

fn adopt(database: &Database, tables: &[&str], how: OnConflict) -> Result<String, Error> {
    let how = Adopt::new().on_conflict(how);
    Ok(commit_text(&database.adopt(edits(database, tables)?, &how)?))
}

fn edits(database: &Database, tables: &[&str]) -> Result<Vec<OutsideEdit>, Error> {
    let edits = tables.iter().map(|table| database.outside_edit(table));
    edits.filter_map(Result::transpose).collect()
}

fn compacted(report: &CompactReport) -> Result<String, Error> {
    let tables = report.tables.iter();
    let mut told: Vec<String> = tables
        .map(|table| format!("{} without {}, from {}", table.table, table.versions, table.start))
        .collect();
    told.push(format!("{} frames less", report.frames));
    Ok(told.join("\n"))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn parse_pick(words: &[&str]) -> Pick {
    match words {
        ["ours"] => Pick::Ours,
        ["theirs"] => Pick::Theirs,
        ["base"] => Pick::Base,
        ["both"] => Pick::Both,
        [value] => Pick::Value(Some((*value).to_owned())),
        _ => Pick::Value(None),
    }
}

fn history(database: &Database, table: &str, key: &str) -> Result<String, Error> {
    let life = database.snapshot()?.history(table, parse_key(key))?;
    let lines = life.iter().map(|moment| match &moment.row {
        Some(row) => {
            format!("{} {}", moment.timestamp, String::from_utf8_lossy(row.bytes()).trim_end())
        }
        None => format!("{} removed", moment.timestamp),
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn versions(database: &Database, table: &str) -> Result<String, Error> {
    let versions = database.snapshot()?.versions(table)?;
    let lines = versions.iter().map(|version| {
        let totals = version.totals.map(|(size, rows)| format!(" {size} bytes {rows} rows"));
        let totals = totals.unwrap_or_default();
        format!("{} {} {:?}{totals}", version.timestamp, version.action.name(), version.place)
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Whether a version was removed from the history of its table, which begins later.
pub(crate) fn is_removed(database: &Database, table: &str, at: i64) -> bool {
    let versions = database.snapshot().and_then(|snapshot| snapshot.versions(table));
    let first = versions.ok().and_then(|versions| versions.into_iter().next());
    first.is_some_and(|first| first.action == Action::COMPACT && at < first.timestamp.as_micros())
}

/// Every version of every table, by table and timestamp.
pub(crate) fn past(database: &Database) -> Result<BTreeMap<(String, i64), String>, Error> {
    let snapshot = database.snapshot()?;
    let mut past = BTreeMap::new();
    for name in snapshot.tables() {
        for version in snapshot.versions(name.as_str())? {
            let bytes = snapshot.table_at(name.as_str(), version.timestamp)?.to_bytes()?;
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            past.insert((name.to_string(), version.timestamp.as_micros()), text);
        }
    }
    Ok(past)
}

fn change(transaction: &mut Transaction, words: &[&str]) -> Result<(), Error> {
    let cells = |words: &[&str]| -> Vec<(String, Option<String>)> {
        let cell = |word: &&str| match word.split_once('=') {
            Some((column, value)) => (column.to_owned(), Some(value.to_owned())),
            None => ((*word).to_owned(), None),
        };
        words.iter().map(cell).collect()
    };
    fn pairs(cells: &[(String, Option<String>)]) -> Vec<(&str, Option<&str>)> {
        cells.iter().map(|(column, value)| (column.as_str(), value.as_deref())).collect()
    }
    match words {
        [verb @ ("import" | "replace"), table, key, text] => {
            let mut import = Import::default();
            import.key = key.split(',').map(str::to_owned).collect();
            let new = import.read(text.to_string().into())?;
            match *verb {
                "import" => transaction.create_table(table, &new),
                _ => transaction.replace_table(table, &new),
            }
        }
        ["insert", table, rest @ ..] => transaction.insert(table, pairs(&cells(rest))),
        ["update", table, key, rest @ ..] => {
            transaction.update(table, parse_key(key), pairs(&cells(rest)))
        }
        ["restore", table, at] => {
            let at = Timestamp::from_micros(at.parse().unwrap());
            transaction.restore_table(table, at, Action::RESTORE)
        }
        ["delete", table, key] => transaction.delete(table, parse_key(key)),
        ["add", table, key, column, by] => {
            transaction.increment(table, parse_key(key), column, *by)
        }
        _ => panic!("unknown command: {words:?}"),
    }
}

/// A key of one column, or of several with commas between.
fn parse_key(text: &str) -> Key<'static> {
    Key::from_parts(&text.split(',').collect::<Vec<_>>())
}

fn committed(transaction: Transaction) -> Result<String, Error> {
    Ok(commit_text(&transaction.commit()?))
}

fn commit_text(commit: &reedbase::Commit) -> String {
    let mut told = String::new();
    if !commit.merged.is_empty() {
        told.push_str(&format!(", {} merged", commit.merged.len()));
    }
    if !commit.parked.is_empty() {
        told.push_str(&format!(", {} parked", commit.parked.len()));
    }
    told.extend(commit.stale_picks.iter().map(|_| ", a stale pick"));
    match (&commit.frame, &commit.open_frame) {
        (Some(frame), _) => format!("frame {}{told}", frame.timestamp),
        (None, Some(frame)) => format!("step of {}", frame.timestamp),
        (None, None) => "nothing changed".to_owned(),
    }
}

fn log(database: &Database) -> Result<String, Error> {
    let lines = database.frames()?.into_iter().map(|frame| {
        let tables = frame.tables.iter().map(|(name, action)| format!(" {} {name}", action.name()));
        let name = frame.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
        format!("{} {}{}{name}", frame.timestamp, frame.user, tables.collect::<String>())
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// All frames with their standing.
fn frames(database: &Database) -> Result<String, Error> {
    let lines = database.frame_entries()?.into_iter().map(|entry| {
        let name = entry.info.name.as_deref().unwrap_or("-");
        format!("{} {} {name} {}", entry.info.timestamp, entry.status.as_str(), entry.steps.len())
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn status(database: &Database) -> Result<String, Error> {
    let lines = database.status()?.tables.into_iter().map(|table| {
        let edited = if table.edited_outside { " edited outside" } else { "" };
        format!(
            "{} rows {} bytes {} behind {}{edited}{}",
            table.name,
            table.rows,
            table.size,
            table.behind,
            table.kept.iter().map(|name| format!(" kept {name}")).collect::<String>()
        )
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// What every table of a database holds, and what open frames show.
pub(crate) fn content(database: &Database) -> Result<Content, Error> {
    let snapshot = database.snapshot()?;
    let mut content = Content::new();
    for name in snapshot.tables() {
        let bytes = snapshot.table(name.as_str())?.to_bytes()?;
        content.insert(name.to_string(), String::from_utf8(bytes.to_vec()).unwrap());
    }
    for frame in database.uncommitted_frames()? {
        if database.open_frame().is_some() || frame.in_memory || frame.standing != Standing::Open {
            continue;
        }
        let name = frame.info.timestamp.to_string();
        match database.in_frame(&name) {
            Ok(framed) => content.extend(
                self::content(&framed)?
                    .into_iter()
                    .map(|(table, text)| (format!("{name}/{table}"), text)),
            ),
            // It was committed, and a crash kept its file.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(content)
}

fn unescape(word: &str) -> String {
    word.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t").replace("\\_", " ")
}

/// The scripts in a folder of this test binary: name, text, path.
pub(crate) fn scripts(folder: &str) -> Vec<(String, String, std::path::PathBuf)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it").join(folder);
    let mut scripts: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "script"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap(), path)
        })
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    scripts
}

/// The commands of a script.
pub(crate) fn commands(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("> ")).collect()
}

/// Runs a script and compares, or writes the output anew if `UPDATE_GOLDEN` is set.
pub(crate) fn check(
    name: &str,
    text: &str,
    path: &std::path::Path,
    mut run: impl FnMut(&str) -> String,
) {
    let mut fresh = String::new();
    for line in text.lines() {
        if line.starts_with('#') {
            fresh.push_str(line);
            fresh.push('\n');
        } else if let Some(command) = line.strip_prefix("> ") {
            let output = run(command);
            fresh.push_str(line);
            fresh.push('\n');
            for line in output.lines() {
                // A line of output must not look like a command or a comment.
                let mark = if line.starts_with(['>', '#']) || line.is_empty() { "\\" } else { "" };
                fresh.push_str(&format!("{mark}{line}\n"));
            }
        } else if line.is_empty() {
            fresh.push('\n');
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        #[expect(clippy::disallowed_methods, reason = "a file of the repository")]
        std::fs::write(path, fresh).unwrap();
        return;
    }
    let differs = text.lines().zip(fresh.lines()).position(|(expected, got)| expected != got);
    let differs = differs.or_else(|| {
        (text.lines().count() != fresh.lines().count())
            .then(|| text.lines().count().min(fresh.lines().count()))
    });
    if let Some(line) = differs {
        let at = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
        panic!(
            "{name}, line {}:\n  expected: {}\n  got:      {}\nUPDATE_GOLDEN=1 writes it anew",
            line + 1,
            at(text),
            at(&fresh)
        );
    }
}
