//! `rdb conflict:*`: what two sides changed, each in another way, and what becomes of it

use std::path::PathBuf;

use reedbase::{Database, Error, OpenConflict, PastConflict, Pick, Result, Snapshot, Transaction};
use serde_json::{Value, json};

use super::committed;
use crate::args::{Global, Message};
use crate::conflict_json::conflict_json;
use crate::locate;
use crate::output::{Output, Style, counted};
use crate::render;
use crate::resolver::{Item, Outcome, Session};
use crate::terminal;
use crate::time;

/// Print what two sides changed, each in another way
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Until somebody decides, the database holds what `ours` says. They stand in tables/reed_conflicts/current.csv, \
    too: write ours, theirs, base, both or value into the column pick, save, and rdb adopt.\n\n\
    Examples:\n  rdb conflict:list\n  rdb conflict:list pages\n  rdb conflict:list --all       those that were resolved, too"
)]
pub(crate) struct List {
    /// The table [default: all]
    table: Option<String>,
    /// Also conflicts that were resolved, and how
    #[arg(long)]
    all: bool,
}

/// Print one conflict with all its sides
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb conflict:show 3f9a")]
pub(crate) struct Show {
    /// The id, or its start
    id: String,
}

/// Decide conflicts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each decision is written, and its conflict removed, in one frame. The side that loses stays in the history.\n\n\
    Examples:\n  rdb conflict:resolve 3f9a --theirs\n  rdb conflict:resolve pages home title --value \"Hello there\"\n  \
    rdb conflict:resolve pages --ours          all of a table\n  rdb conflict:resolve --all --theirs\n  \
    rdb conflict:resolve --from picks.csv      a table with the columns id, pick, value\n  \
    rdb conflict:resolve -i                    one after the other, on the terminal"
)]
pub(crate) struct Resolve {
    /// The id, or its start; or the table
    what: Option<String>,
    /// The key of the row, if a table is named; parts with commas between
    #[arg(allow_hyphen_values = true)]
    key: Option<String>,
    /// The column
    column: Option<String>,
    #[command(flatten)]
    picked: Picked,
    /// All that are open
    #[arg(long, conflicts_with = "what")]
    all: bool,
    /// Also where the cell was changed since the conflict came up
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    message: Message,
}

/// What is picked.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Picked {
    /// What the database holds stays
    #[arg(long)]
    ours: bool,
    /// What was to be merged takes its place
    #[arg(long)]
    theirs: bool,
    /// What both sides began with
    #[arg(long)]
    base: bool,
    /// Both rows stay, under their key with -a and with -b behind it
    #[arg(long)]
    both: bool,
    /// This text; for a row, a JSON object
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    value: Option<String>,
    /// NULL; for a row, none
    #[arg(long)]
    null: bool,
    /// What a file says: a table with the columns id, pick and value
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// On the terminal, one after the other
    #[arg(short, long)]
    interactive: bool,
}

impl List {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let snapshot = locate::open(global, output)?.snapshot()?;
        let mut all = match self.all {
            true => snapshot.conflict_history()?,
            false => snapshot.conflicts()?.into_iter().map(PastConflict::open).collect(),
        };
        if let Some(table) = &self.table {
            snapshot.table(table)?;
            all.retain(|past| past.conflict.conflict.table.as_str().eq_ignore_ascii_case(table));
        }
        if output.is_json() {
            return all.iter().try_for_each(|past| output.json(&past_json(past)));
        }
        if all.is_empty() {
            return output.line(if self.all {
                "there never was a conflict"
            } else {
                "no conflicts"
            });
        }
        let mut rows =
            vec![["id", "about", "kind", "ours", "theirs", "since"].map(str::to_owned).to_vec()];
        if self.all {
            rows.iter_mut().for_each(|head| head.push("resolved".to_owned()));
        }
        for past in &all {
            let OpenConflict { id, frame, conflict, .. } = &past.conflict;
            let mut row = vec![
                id.clone(),
                render::place(conflict),
                conflict.kind.to_string(),
                cut(&render::said(conflict, conflict.ours.as_ref())),
                cut(&render::said(conflict, conflict.theirs.as_ref())),
                time::local(*frame),
            ];
            if self.all {
                row.push(past.resolved.map_or_else(|| "open".to_owned(), time::local));
            }
            rows.push(row);
        }
        output.table(&rows)
    }
}

/// The start of a text, for a list.
fn cut(text: &str) -> String {
    const LONGEST: usize = 32;
    match text.chars().count() > LONGEST {
        true => text.chars().take(LONGEST).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn past_json(past: &PastConflict) -> Value {
    let mut value = conflict_json(&past.conflict.conflict);
    if let Some(object) = value.as_object_mut() {
        object.insert("frame".to_owned(), json!(past.conflict.frame.as_micros()));
        object.insert("resolved".to_owned(), json!(past.resolved.map(|frame| frame.as_micros())));
    }
    value
}

impl Show {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let snapshot = database.snapshot()?;
        let open = snapshot.conflict(&self.id)?;
        let held = snapshot.held(&open.conflict)?;
        if output.is_json() {
            let mut value = past_json(&PastConflict::open(open));
            if let Some(object) = value.as_object_mut() {
                object.insert("now".to_owned(), json!(held));
            }
            return output.json(&value);
        }
        let conflict = &open.conflict;
        let head = output.styled(Style::Bold, &format!("{}  {}", open.id, render::place(conflict)));
        output.line(&head)?;
        output.line(conflict.summary())?;
        for (name, text) in render::sides(conflict) {
            let name = output.styled(Style::Dim, &format!("{name:<6}"));
            output.line(&format!("  {name}  {}", full(conflict, text)))?;
        }
        if held != conflict.ours {
            let name = output.styled(Style::Changed, "now   ");
            output.line(&format!("  {name}  {}", full(conflict, held.as_ref())))?;
        }
        let frame = database.frame_at(&open.frame.to_string())?;
        output.line(&format!(
            "parked by {} at {} (frame {})",
            frame.user,
            time::local(frame.wall),
            open.frame
        ))
    }
}

/// What a side says, all of it.
fn full(conflict: &reedbase::Conflict, text: Option<&String>) -> String {
    match text {
        Some(text) => text.replace('\n', "\n          "),
        None => render::said(conflict, None),
    }
}

impl Resolve {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open(global, output)?;
        let mut transaction = self.message.name(database.begin()?);
        if let Some(file) = &self.picked.from {
            return resolve_from(&database, transaction, file, output);
        }
        let snapshot = database.snapshot()?;
        if self.picked.interactive {
            return self.interactive(&database, &snapshot, output);
        }
        let mut chosen = self.chosen(&snapshot)?;
        // What is about a table as a whole comes last: it writes the table anew.
        chosen.sort_by_key(|open| open.conflict.is_about_table());
        let pick = self.picked.pick();
        let mut done = Vec::new();
        for open in &chosen {
            if done.contains(&open.id) {
                continue;
            }
            resolve(&mut transaction, open, &pick, self.force)?;
            // Keeping both rows decides all that is disputed about them.
            let row = (&open.conflict.table, &open.conflict.key);
            let same_row = |other: &&OpenConflict| {
                pick == Pick::Both && (&other.conflict.table, &other.conflict.key) == row
            };
            done.extend(chosen.iter().filter(same_row).map(|other| other.id.clone()));
        }
        let what = match chosen.as_slice() {
            [open] => format!("resolved {}: {}", render::place(&open.conflict), pick.name()),
            all => format!("resolved {}: {}", counted(all.len() as u64, "conflict"), pick.name()),
        };
        committed(&transaction.commit()?, &what, output)
    }

    /// Lets somebody decide on the terminal. What is decided is written in one frame; what is not stays open, and what was
    /// picked is noted for later.
    fn interactive(
        &self,
        database: &Database,
        snapshot: &Snapshot,
        output: &mut Output,
    ) -> Result<()> {
        let chosen = match (&self.what, snapshot.conflicts()?) {
            (_, open) if open.is_empty() => return output.line("no conflicts"),
            (None, open) => open,
            _ => self.chosen(snapshot)?,
        };
        let items = chosen.into_iter().map(|open| {
            let now = snapshot.held(&open.conflict)?;
            let pick = open.pick.clone();
            Ok(Item { open, now, pick })
        });
        let mut session = Session::new(items.collect::<Result<Vec<_>>>()?);
        let outcome = terminal::resolve(&mut session, output)?;
        let transaction = self.message.name(database.begin()?);
        match outcome {
            Outcome::Leave => note(transaction, &session.items, output),
            _ => write(database, transaction, session.items, output),
        }
    }

    /// The conflicts that were named.
    fn chosen(&self, snapshot: &Snapshot) -> Result<Vec<OpenConflict>> {
        let mut open = snapshot.conflicts()?;
        let Some(what) = &self.what else {
            return match (self.all, open.len()) {
                (_, 0) => Err(Error::not_found("there is no conflict to resolve")),
                (true, _) | (_, 1) => Ok(open),
                _ => Err(Error::usage("which one?")
                    .help("name it by its id or by table, key and column, or say --all: rdb conflict:list")),
            };
        };
        if snapshot.table(what).is_err() && self.key.is_none() {
            return Ok(vec![snapshot.conflict(what)?]);
        }
        snapshot.table(what)?;
        let key = self.key.as_ref().map(|key| super::key(snapshot, what, key)).transpose()?;
        let columns = snapshot.key_columns(what)?.len();
        let key = key.map(|key| key.parts(columns));
        open.retain(|open| {
            let conflict = &open.conflict;
            let column = self.column.as_ref().zip(conflict.column.as_ref());
            conflict.table.as_str().eq_ignore_ascii_case(what)
                && key.as_ref().is_none_or(|key| conflict.key == *key)
                && (self.column.is_none()
                    || column.is_some_and(|(one, other)| one.eq_ignore_ascii_case(other)))
        });
        match open.is_empty() {
            true => Err(Error::not_found("there is no conflict about that")
                .at_table(what.as_str())
                .help("rdb conflict:list names those there are")),
            false => Ok(open),
        }
    }
}

/// Notes what was picked, for later.
fn note(mut transaction: Transaction, items: &[Item], output: &mut Output) -> Result<()> {
    let mut noted = 0;
    for item in items.iter().filter(|item| item.pick != item.open.pick) {
        match transaction.note_pick(&item.open.id, item.pick.as_ref()) {
            // Somebody else resolved it meanwhile.
            Err(error) if error.is_not_found() => {}
            done => {
                done?;
                noted += 1;
            }
        }
    }
    transaction.commit()?;
    let picks = counted(noted, "pick");
    output.line(&format!("{picks} noted, nothing is written: rdb conflict:resolve -i goes on"))
}

/// Writes what was decided. What cannot be decided so, or was changed while somebody looked at it, stays open.
fn write(
    database: &Database,
    mut transaction: Transaction,
    mut items: Vec<Item>,
    output: &mut Output,
) -> Result<()> {
    let all = items.len();
    items.sort_by_key(|item| item.open.conflict.is_about_table());
    let snapshot = database.snapshot()?;
    let mut done: Vec<&str> = Vec::new();
    for Item { open, pick, now } in &items {
        let Some(pick) = pick.as_ref().filter(|_| !done.contains(&open.id.as_str())) else {
            continue;
        };
        let place = render::place(&open.conflict);
        if snapshot.held(&open.conflict)? != *now {
            output.notice(&format!("{place} was changed while you decided: it stays open"));
            continue;
        }
        match transaction.resolve_anyway(&open.id, pick) {
            Ok(_) => done.push(&open.id),
            Err(error) => {
                output.notice(&format!("{place} stays open: {}", error.message()));
                continue;
            }
        }
        let row = (&open.conflict.table, &open.conflict.key);
        let same = items.iter().map(|item| &item.open).filter(|other| {
            *pick == Pick::Both
                && other.id != open.id
                && (&other.conflict.table, &other.conflict.key) == row
        });
        done.extend(same.map(|other| other.id.as_str()));
    }
    let resolved = done.len();
    let what = format!("resolved {}", counted(resolved as u64, "conflict"));
    committed(&transaction.commit()?, &what, output)?;
    match all - resolved {
        0 => Ok(()),
        left => output.line(&format!("{} left open", counted(left as u64, "conflict"))),
    }
}

fn resolve(
    transaction: &mut Transaction,
    open: &OpenConflict,
    pick: &Pick,
    force: bool,
) -> Result<()> {
    match force {
        true => transaction.resolve_anyway(&open.id, pick).map(drop),
        false => transaction.resolve(&open.id, pick).map(drop),
    }
}

/// Takes the picks of a file.
fn resolve_from(
    database: &Database,
    mut transaction: Transaction,
    file: &std::path::Path,
    output: &mut Output,
) -> Result<()> {
    let before = database.snapshot()?.conflicts()?.len();
    let bytes = std::fs::read(file).map_err(|source| Error::io("read", file, source))?;
    let mut import = reedbase::Import::default();
    import.key = vec!["id".to_owned()];
    let table = import.read(bytes.into()).map_err(|error| error.at_path(file))?;
    let stale = transaction.resolve_from(&table).map_err(|error| error.at_path(file))?;
    let mut commit = transaction.commit()?;
    commit.stale_picks = stale;
    let resolved = before.saturating_sub(database.snapshot()?.conflicts()?.len());
    committed(&commit, &format!("resolved {}", counted(resolved as u64, "conflict")), output)
}

impl Picked {
    fn pick(&self) -> Pick {
        match (self.ours, self.theirs, self.base, self.both) {
            (true, ..) => Pick::Ours,
            (_, true, ..) => Pick::Theirs,
            (_, _, true, _) => Pick::Base,
            (.., true) => Pick::Both,
            _ => Pick::Value(self.value.clone()),
        }
    }
}
