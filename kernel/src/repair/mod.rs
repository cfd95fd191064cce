//! Making anew what was damaged or lost, of what is left.
//!
//! Most of a database is written down more than once. The log of a table's versions follows from its deltas and packs, its mark
//! and its file from its history, the index of frames from the versions and the journal, caches from the tables. What is
//! damaged stays beside what takes its place, as `<name>.damaged-<time>`. What cannot be made anew is said: what single
//! versions changed, the names of frames.
//!
//! ```text
//! registry → frames, as far as they are known → each table: history → mark → index of frames → files of tables
//! ```
//!
//! A damaged journal is not cut here: frames behind the damage may be whole, so somebody has to say so
//! (`verify::cut_journal`).

mod report;
mod found;
mod history;
mod files;
mod frames;

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Error, NodeId, Result, TableName, Timestamp};

use crate::clock::{Clock, SystemClock};
use crate::database::{Config, OpenOptions};
use crate::delta::Codecs;
use crate::frame::{FrameInfo, FrameRecord, TableChange};
use crate::history::History;
use crate::journal::Journal;
use crate::limits::Limits;
use crate::log::{FrameIndex, Salvaged, UserDictionary, actions_text, check_actions};
use crate::mark::Mark;
use crate::progress::Silent;
use crate::registry;
use crate::storage::{Access, LockGuard, LockMode, Storage};

pub use report::Repair;

/// What is known of a database that is being repaired.
struct Repairing {
    storage: Arc<dyn Storage>,
    now: Timestamp,
    limits: Limits,
    node: NodeId,
    users: UserDictionary,
    /// The frames that only the journal holds, and others that it still holds.
    records: Vec<FrameRecord>,
    /// The frames that can be read in the index.
    indexed: BTreeMap<Timestamp, Arc<FrameInfo>>,
    /// These, and those of the journal.
    frames: BTreeMap<Timestamp, Arc<FrameInfo>>,
    /// The files of the index that are damaged.
    damaged_index: Vec<String>,
    /// Whether there is no other frame.
    frames_are_whole: bool,
}

/// Repairs a database. Nobody else may commit meanwhile: others wait.
///
/// # Errors
/// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if the folder is no database;
/// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if the journal or the settings are damaged, or a table is lost for good:
/// then what was repaired before stays so. Or those of the storage.
pub fn repair(storage: &Arc<dyn Storage>, limits: Limits) -> Result<Repair> {
    let mut report = Repair::default();
    if let Err(error) = Config::read(&**storage)
        && error.is_not_found()
    {
        return Err(error);
    }
    let lost = {
        let locks = ["checkpoint.lock", "lock"].map(|path| storage.lock_file(path));
        let locks = locks.into_iter().collect::<Result<Vec<_>>>()?;
        let guards =
            locks.iter().flatten().map(|lock| LockGuard::new(&**lock, LockMode::Exclusive));
        let _guards = guards.collect::<Result<Vec<_>>>()?;
        let now = SystemClock.now();
        mend_registry(&**storage, now, &mut report)?;
        mend_all(&Repairing::new(storage, now, limits)?, &mut report)?
    };
    write_lost(storage, limits, &lost, &mut report)?;
    Ok(report)
}

/// Mends everything but the files of tables; tells of which these are lost.
fn mend_all(repairing: &Repairing, report: &mut Repair) -> Result<Vec<TableName>> {
    let names = repairing.storage.list("tables")?;
    let tables: Vec<TableName> =
        names.iter().filter_map(|name| TableName::new(name).ok()).collect();
    let mut lost = Vec::new();
    for table in &tables {
        history::mend(repairing, table, report)?;
        files::mend_mark(repairing, table, report)?;
        lost.extend(files::is_lost(repairing, table, report)?.then(|| table.clone()));
        files::drop_cache(repairing, table, report)?;
    }
    frames::mend(repairing, &tables, report)?;
    frames::mend_log(repairing, report)?;
    Ok(lost)
}

/// Puts the newest versions in the place of files that are lost.
fn write_lost(
    storage: &Arc<dyn Storage>,
    limits: Limits,
    lost: &[TableName],
    report: &mut Repair,
) -> Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let options = OpenOptions::new().storage(Arc::clone(storage)).limits(limits);
    let names: Vec<&str> = lost.iter().map(TableName::as_str).collect();
    let written = options.open(storage.root())?.discard(&names)?;
    report.kept.extend(written.kept);
    for table in lost {
        report.made(format!("{table}: its file, from its history"));
    }
    Ok(())
}

/// Settings and dictionaries count as their files say where their mark is damaged.
fn mend_registry(storage: &dyn Storage, now: Timestamp, report: &mut Repair) -> Result<()> {
    let is_damaged = matches!(registry::edited(storage), Err(error) if error.is_corrupt());
    if is_damaged {
        // Only if the files make sense: else nothing would.
        let text = |path: &str| Ok::<_, Error>(storage.read(path)?.unwrap_or_default());
        Config::parse(&String::from_utf8_lossy(&text(registry::CONFIG_PATH)?))?;
        UserDictionary::parse(&text(registry::USERS_PATH)?, storage)?;
        report.kept.extend(put_aside(storage, registry::MARK_PATH, now)?);
        registry::complete(storage)?;
        report.made("the mark of settings and dictionaries");
    }
    let actions = registry::read(storage, registry::ACTIONS_PATH)?;
    if check_actions(storage, actions).is_err() {
        registry::write(storage, registry::ACTIONS_PATH, actions_text().as_bytes())?;
        report.made("the dictionary of actions");
    }
    Ok(())
}

impl Repairing {
    fn new(storage: &Arc<dyn Storage>, now: Timestamp, limits: Limits) -> Result<Self> {
        let node = Config::read(&**storage)?.node;
        let mut users = UserDictionary::read(&**storage)?;
        let (_, scan) = Journal::open(Arc::clone(storage), Access::Read, false)?;
        let Salvaged { frames: indexed, damaged, .. } = FrameIndex::salvage(storage, &users)?;
        let mut frames = indexed.clone();
        frames.extend(
            scan.frames.iter().map(|record| (record.info.timestamp, Arc::clone(&record.info))),
        );
        let known = users.count();
        for frame in frames.values() {
            users.code(&frame.user, frame.timestamp);
        }
        if users.count() > known {
            users.write(storage)?;
        }
        let frames_are_whole = damaged.is_empty() && storage.len("frames/index.csv")?.is_some();
        Ok(Self {
            storage: Arc::clone(storage),
            now,
            limits,
            node,
            users,
            records: scan.frames,
            indexed,
            frames,
            damaged_index: damaged,
            frames_are_whole,
        })
    }

    fn history(&self, table: &TableName) -> History {
        let (storage, silent) = (Arc::clone(&self.storage), Arc::new(Silent));
        History::new(storage, Codecs::built_in(), table.clone(), silent)
    }

    /// What the journal says of a table, oldest first.
    fn changes_of(&self, table: &TableName) -> impl Iterator<Item = &TableChange> {
        let changes = self.records.iter().flat_map(|record| &record.changes);
        changes.filter(move |change| change.table == *table)
    }

    /// The newest version that must be in the files of a table, since the journal does not go on from one before.
    fn newest_in_files(&self, table: &TableName) -> Timestamp {
        match Mark::read(&*self.storage, table, "mark") {
            Ok(Some(mark)) => mark.version,
            _ => self.changes_of(table).next().map_or(Timestamp::MAX, |change| change.base),
        }
    }

    fn code_of(&self, user: &str) -> u32 {
        let at = self.users.users().position(|(name, _)| name == user);
        at.and_then(|at| u32::try_from(at).ok()).unwrap_or_default()
    }

    /// Puts a file aside.
    fn put_aside(&self, path: &str) -> Result<Option<String>> {
        put_aside(&*self.storage, path, self.now)
    }
}

/// Gives a file a name under which it is out of the way; nothing if there is none.
fn put_aside(storage: &dyn Storage, path: &str, now: Timestamp) -> Result<Option<String>> {
    if storage.len(path)?.is_none() {
        return Ok(None);
    }
    let aside = storage.free_name(format!("{path}.damaged-{now}"))?;
    storage.rename(path, &aside)?;
    Ok(Some(aside))
}
