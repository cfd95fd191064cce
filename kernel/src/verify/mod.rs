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
mod journal;
mod frames;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{Error, Result, TableName, Timestamp};

use crate::database::Config;
use crate::frame::{FrameInfo, FrameRecord};
use crate::journal::Journal;
use crate::log::{FrameIndex, UserDictionary, VersionLog, check_actions};
use crate::registry;
use crate::storage::{Access, LockGuard, LockMode, Storage};

pub use report::{Concern, Finding, Report};
use table::TableFacts;

/// Checks all that a database holds. Commits of others wait while the journal is read, checkpoints until the end.
///
/// # Errors
/// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if the folder is no database. What is wrong with its content is no
/// error but a finding.
pub fn verify(storage: &Arc<dyn Storage>) -> Result<Report> {
    check_database(&**storage)?;
    let lock = storage.lock_file("checkpoint.lock")?;
    let _alone =
        lock.as_deref().map(|lock| LockGuard::new(lock, LockMode::Exclusive)).transpose()?;
    let mut report = Report::default();
    check_settings(&**storage, &mut report)?;
    let records = check_journal(storage, &mut report)?;
    let tables = check_tables(storage, &mut report)?;
    journal::check(storage, records.as_deref().unwrap_or_default(), &tables, &mut report)?;
    let infos: Option<Vec<Arc<FrameInfo>>> =
        records.map(|records| records.into_iter().map(|record| record.info).collect());
    frames::check(storage, infos.as_deref(), &tables, &mut report)?;
    Ok(report)
}

/// That there is a database, damaged or not: nothing is made where there is none.
fn check_database(storage: &dyn Storage) -> Result<()> {
    match Config::read(storage) {
        Err(error) if error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// Settings and dictionaries.
fn check_settings(storage: &dyn Storage, report: &mut Report) -> Result<()> {
    report.note(Config::read(storage).map(drop));
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

/// The frames of the journal; `None` if it is damaged. Nobody commits meanwhile.
fn check_journal(
    storage: &Arc<dyn Storage>,
    report: &mut Report,
) -> Result<Option<Vec<FrameRecord>>> {
    let names = storage.list("journal")?;
    for name in names.iter().filter(|name| name.ends_with(".wal")) {
        report.bytes += storage.len(&format!("journal/{name}"))?.unwrap_or(0);
    }
    if !names.iter().any(|name| name.ends_with(".wal")) {
        return Ok(Some(Vec::new()));
    }
    let lock = storage.lock_file("lock")?;
    let _still = lock.as_deref().map(|lock| LockGuard::new(lock, LockMode::Shared)).transpose()?;
    match Journal::open(Arc::clone(storage), Access::Read, false) {
        Ok((journal, scan)) => {
            if journal.is_torn() {
                let error =
                    Error::corrupt("the journal ends with something that is no whole record");
                report.add(Concern::Torn, error.at_path(storage.full_path("journal")).help(
                    "it was a commit that a crash tore, or it is damaged: the next command puts it aside",
                ));
            }
            Ok(Some(scan.frames))
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
    /// The newest frame before the damage.
    pub last_good: Timestamp,
    /// Parts of frames that the index knows and that were in the cut part alone: other tables may have their part of
    /// these frames.
    pub lost: Vec<(Timestamp, TableName)>,
}

/// Cuts a damaged journal off before its first bad record, and puts the rest aside; `None` if it is not damaged. Processes
/// that have the database open go on with what is left.
///
/// # Errors
/// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if the folder is no database; damage of the index, or those of the
/// storage.
pub fn cut_journal(storage: &Arc<dyn Storage>) -> Result<Option<Cut>> {
    check_database(&**storage)?;
    let locks = ["checkpoint.lock", "lock"].map(|path| storage.lock_file(path));
    let locks = locks.into_iter().collect::<Result<Vec<_>>>()?;
    let guards = locks.iter().flatten().map(|lock| LockGuard::new(&**lock, LockMode::Exclusive));
    let _guards = guards.collect::<Result<Vec<_>>>()?;
    let users = UserDictionary::read(&**storage)?;
    let index = FrameIndex::read(storage, &users)?;
    let cut = Journal::cut_damage(storage, index.newest())?;
    let Some((kept, last_good)) = cut else { return Ok(None) };
    let frames = index.frames(&users)?;
    let later = frames.iter().filter(|frame| frame.timestamp > last_good);
    let parts = later
        .flat_map(|frame| frame.tables.iter().map(|(table, _)| (frame.timestamp, table.clone())));
    let (mut lost, mut logs) = (Vec::new(), BTreeMap::new());
    for (frame, table) in parts {
        if !logs.contains_key(&table) {
            logs.insert(table.clone(), VersionLog::read(storage, &table)?);
        }
        let log = logs.get(&table);
        if !log.is_some_and(|log| log.versions().iter().any(|v| v.timestamp == frame)) {
            lost.push((frame, table));
        }
    }
    Ok(Some(Cut { kept, last_good, lost }))
}
