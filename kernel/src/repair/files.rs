//! The files of a table beside its history: its mark, and `current.csv`.

use reedbase_plugin_api::{Bytes, Error, Result, TableName, Timestamp};

use super::Repairing;
use super::report::Repair;
use crate::cache;
use crate::mark::{Mark, table_path};
use crate::storage::{Access, read_all};
use crate::table::Table;

/// Makes the mark of a table anew if it is damaged or gone.
pub(super) fn mend_mark(
    repairing: &Repairing,
    table: &TableName,
    report: &mut Repair,
) -> Result<()> {
    let storage = &repairing.storage;
    let path = table_path(table, "mark");
    if Mark::read(&**storage, table, "mark.old").is_err() {
        // It describes the file that was displaced last: without it that file counts as an edit, and is kept.
        report.kept.extend(repairing.put_aside(&table_path(table, "mark.old"))?);
        report.made(format!("{table}: nothing says any more what its file of before was"));
    }
    match Mark::read(&**storage, table, "mark") {
        Ok(Some(_)) => return Ok(()),
        Err(error) if !error.is_corrupt() => return Err(error),
        _ => {}
    }
    let history = repairing.history(table);
    let newest = history.versions()?.newest();
    if newest == Timestamp::ZERO {
        // All that there is of it is in the journal, and the next checkpoint writes it.
        report.kept.extend(repairing.put_aside(&table_path(table, "current.csv"))?);
        return Ok(());
    }
    report.kept.extend(repairing.put_aside(&path)?);
    // What was intended is what is there, if the exchange came that far.
    if let Ok(Some(next)) = Mark::read(&**storage, table, "mark.next")
        && is_file(repairing, table, &next)?
    {
        storage.rename(&table_path(table, "mark.next"), &path)?;
    } else {
        storage.remove(&table_path(table, "mark.next"))?;
        write_mark(repairing, table, &history.rebuild(newest)?, report)?;
    }
    storage.sync_folder(table_path(table, "").trim_end_matches('/'))?;
    report.made(format!("{table}: its mark"));
    Ok(())
}

fn is_file(repairing: &Repairing, table: &TableName, mark: &Mark) -> Result<bool> {
    let file = repairing.storage.open(&table_path(table, "current.csv"), Access::Read)?;
    file.map_or(Ok(false), |file| Ok(mark.matches(&read_all(&*file)?)))
}

/// The mark of the newest version, and its file if that is not what is there: then somebody edited it, and it is kept.
fn write_mark(
    repairing: &Repairing,
    table: &TableName,
    newest: &Table,
    report: &mut Repair,
) -> Result<()> {
    let storage = &repairing.storage;
    let path = table_path(table, "current.csv");
    let text: Bytes = newest.to_bytes()?;
    if storage.read(&path)?.as_ref() != Some(&text) {
        if storage.len(&path)?.is_some() {
            let kept = format!("{path}.edited-{}", newest.version());
            storage.rename(&path, &kept)?;
            report.kept.push(kept);
        }
        storage.replace(&path, &text)?;
        report.made(format!("{table}: its file, from its history"));
    }
    let gone = || Error::internal("a file that was just written is gone");
    let file = storage.open(&path, Access::Read)?.ok_or_else(gone)?;
    let mut builder = Mark::builder();
    builder.update(&text);
    let mark = builder.finish(newest, &*file)?;
    storage.replace(&table_path(table, "mark"), mark.to_text().as_bytes())
}

/// Whether the file of a table is gone, or is not what was written though nobody wrote to it: then it is put aside.
pub(super) fn is_lost(
    repairing: &Repairing,
    table: &TableName,
    report: &mut Repair,
) -> Result<bool> {
    let storage = &repairing.storage;
    let (path, schema) = (table_path(table, "current.csv"), table_path(table, "schema.toml"));
    let marks = marks(repairing, table);
    if marks.is_empty() {
        return Ok(false);
    }
    let Some(file) = storage.open(&path, Access::Read)? else { return Ok(true) };
    let (bytes, stat) = (read_all(&*file)?, file.stat()?);
    let is_ours = marks.iter().any(|mark| mark.matches(&bytes));
    let untouched = marks.iter().any(|mark| mark.has_stamp(&stat));
    if !is_ours && untouched {
        report.kept.extend(repairing.put_aside(&path)?);
        return Ok(true);
    }
    let says_schema = marks.iter().any(|mark| mark.schema.is_some());
    Ok(is_ours && says_schema && storage.len(&schema)?.is_none())
}

fn marks(repairing: &Repairing, table: &TableName) -> Vec<Mark> {
    let read = |name: &&str| Mark::read(&*repairing.storage, table, name).ok().flatten();
    ["mark", "mark.next"].iter().filter_map(read).collect()
}

/// Removes a cache that is of no use: it comes back by itself.
pub(super) fn drop_cache(
    repairing: &Repairing,
    table: &TableName,
    report: &mut Repair,
) -> Result<()> {
    let (storage, path) = (&repairing.storage, cache::layout_path(table));
    let is_of = |mark: &Mark| cache::read_layout(&**storage, table, &mark.sha256).is_some();
    if storage.len(&path)?.is_some() && !marks(repairing, table).iter().any(is_of) {
        storage.remove(&path)?;
        report.made(format!("{table}: its cache, as soon as it is needed"));
    }
    Ok(())
}
