//! Reading everything, and holding it against everything else.
//!
//! What was written more than once must agree: a table's file with its mark and with what its history makes of nothing;
//! each link of the hash chain with the changeset it covers; packs with their directories; the versions of tables with
//! the frames that made them; snapshots with the logs. What is wrong is told with its place, and nothing is changed.
//!
//! The journal alone can be cut: what follows its first bad record is put aside, and the database opens again with the
//! last good frame ([`cut_journal`]).

mod report;
mod table;
mod frames;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{Error, Result, TableName, Timestamp};

use crate::database::Config;
use crate::frame::FrameInfo;
use crate::journal::Journal;
use crate::log::{UserDictionary, check_actions};
use crate::registry;
use crate::storage::{Access, LockGuard, LockMode, Storage};

pub use report::{Concern, Finding, Report};
use table::TableFacts;

/// Checks all that a database holds. Commits of others go on meanwhile, checkpoints wait.
///
/// # Errors
/// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if the folder is no database. What is wrong with its content is no
/// error but a finding.
pub fn verify(storage: &Arc<dyn Storage>) -> Result<Report> {
    let lock = storage.lock_file("checkpoint.lock")?;
    let _alone =
        lock.as_deref().map(|lock| LockGuard::new(lock, LockMode::Exclusive)).transpose()?;
    let mut report = Report::default();
    check_settings(&**storage, &mut report)?;
    let journal = check_journal(storage, &mut report)?;
    let tables = check_tables(storage, &mut report)?;
    frames::check(storage, journal.as_deref(), &tables, &mut report)?;
    Ok(report)
}

/// Settings and dictionaries.
fn check_settings(storage: &dyn Storage, report: &mut Report) -> Result<()> {
    match Config::read(storage) {
        Err(error) if error.is_not_found() => return Err(error),
        config => report.note(config.map(drop)),
    }
    report.note(UserDictionary::read(storage).map(drop));
    let actions = registry::read(storage, registry::ACTIONS_PATH);
    report.note(actions.and_then(|text| check_actions(storage, text)).map(drop));
    for edit in registry::edited(storage).unwrap_or_default() {
        let what = if edit.after.is_some() { "was edited outside" } else { "is gone" };
        let error =
            Error::new(reedbase_plugin_api::ErrorKind::OutsideEdit, format!("the file {what}"));
        report.add(Concern::Edited, error.at_path(storage.full_path(edit.path)).help(
            "what it said before counts: see the edit with rdb diff --outside, then rdb adopt or rdb discard",
        ));
    }
    for path in registry::PATHS.iter().chain([&registry::MARK_PATH]) {
        report.bytes += storage.len(path)?.unwrap_or(0);
    }
    Ok(())
}

/// The frames of the journal; `None` if it is damaged.
fn check_journal(
    storage: &Arc<dyn Storage>,
    report: &mut Report,
) -> Result<Option<Vec<Arc<FrameInfo>>>> {
    let names = storage.list("journal")?;
    for name in names.iter().filter(|name| name.ends_with(".wal")) {
        report.bytes += storage.len(&format!("journal/{name}"))?.unwrap_or(0);
    }
    if !names.iter().any(|name| name.ends_with(".wal")) {
        return Ok(Some(Vec::new()));
    }
    match Journal::open(Arc::clone(storage), Access::Read, false) {
        Ok((journal, scan)) => {
            if journal.is_torn() {
                let error =
                    Error::corrupt("the journal ends with something that is no whole record");
                report.add(Concern::Torn, error.at_path(storage.full_path("journal")).help(
                    "it was a commit that a crash tore, or it is damaged: the next command puts it aside",
                ));
            }
            Ok(Some(scan.frames.into_iter().map(|frame| frame.info).collect()))
        }
        Err(error) => {
            report.add(Concern::Damaged, error);
            Ok(None)
        }
    }
}

/// All tables, some at a time.
fn check_tables(
    storage: &Arc<dyn Storage>,
    report: &mut Report,
) -> Result<BTreeMap<TableName, TableFacts>> {
    let names = storage.list("tables")?;
    let names: Vec<TableName> = names.iter().filter_map(|name| TableName::new(name).ok()).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(names.len()) {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checked = table::check(storage, name);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((name, checked));
                }
            });
        }
    });
    let mut tables = BTreeMap::new();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(name, _)| *name);
    for (name, checked) in done {
        let (facts, found) = checked?;
        report.take(found);
        report.tables += u64::from(!facts.links.is_empty());
        report.versions += facts.links.len() as u64;
        tables.insert(name.clone(), facts);
    }
    Ok(tables)
}

/// What cutting the journal did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cut {
    /// The paths under which the cut part stays.
    pub kept: Vec<String>,
    /// The newest frame that is still whole in the journal, or in the index if none is.
    pub last_good: Timestamp,
    /// Tables whose files hold a version of a later frame: of these frames, other tables may lack their part.
    pub ahead: Vec<(TableName, Timestamp)>,
}

/// Cuts a damaged journal off before its first bad record, and puts the rest aside; `None` if it is not damaged.
///
/// # Errors
/// Those of the storage.
pub fn cut_journal(storage: &Arc<dyn Storage>) -> Result<Option<Cut>> {
    let locks = ["checkpoint.lock", "lock"].map(|path| storage.lock_file(path));
    let locks = locks.into_iter().collect::<Result<Vec<_>>>()?;
    let guards = locks.iter().flatten().map(|lock| LockGuard::new(&**lock, LockMode::Exclusive));
    let _guards = guards.collect::<Result<Vec<_>>>()?;
    let users = UserDictionary::read(&**storage)?;
    let indexed = crate::log::FrameIndex::read(storage, &users)?.newest();
    let mut versions = Vec::new();
    for name in storage.list("tables")? {
        let Ok(name) = TableName::new(&name) else { continue };
        if let Some(mark) = crate::mark::Mark::read(&**storage, &name, "mark")? {
            versions.push((name, mark.version));
        }
    }
    let Some((kept, last_good)) = Journal::cut_damage(storage, indexed)? else { return Ok(None) };
    let last_good = last_good.max(indexed);
    versions.retain(|(_, version)| *version > last_good);
    Ok(Some(Cut { kept, last_good, ahead: versions }))
}
