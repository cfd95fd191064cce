//! The index of frames against the versions of tables, and what lies beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, FrameId, Result, TableName, Timestamp};

use super::report::{Concern, Report};
use super::table::TableFacts;
use crate::frame::FrameInfo;
use crate::journal::{OpenFile, path_of};
use crate::log::{FrameIndex, FrameLog, UserDictionary, to_hex};
use crate::storage::Storage;

type Tables = BTreeMap<TableName, TableFacts>;

/// Checks the index, the log, open frames and snapshots. `journal` is `None` if it is damaged.
pub(super) fn check(
    storage: &Arc<dyn Storage>,
    journal: Option<&[Arc<FrameInfo>]>,
    tables: &Tables,
    report: &mut Report,
) -> Result<()> {
    for name in storage.list("frames")? {
        report.bytes += storage.len(&format!("frames/{name}"))?.unwrap_or(0);
    }
    let torn = FrameLog::open(storage).and_then(|log| log.is_torn());
    report.note_torn(storage.full_path("frames/frame.log"), torn);
    for (id, standing) in OpenFile::list(&**storage)? {
        match OpenFile::read(storage, id, standing) {
            Ok(Some(file)) if !file.is_torn()? => {}
            // It was committed or renamed meanwhile.
            Ok(None) if storage.len(&path_of(id, standing))?.is_none() => {}
            Ok(_) => {
                let path = storage.full_path(&path_of(id, standing));
                let error =
                    Error::corrupt("the open frame ends with something that is no whole step");
                report.add(Concern::Torn, error.at_path(path).help(
                    "it was a step that a crash tore, or it is damaged: the next step takes its place",
                ));
            }
            Err(error) => report.add(Concern::Damaged, error),
        }
    }
    check_snapshots(storage, tables, report)?;
    let read = UserDictionary::read(&**storage).and_then(|users| {
        let index = FrameIndex::read(storage, &users)?;
        Ok((index.is_torn()?, index.frames(&users)?))
    });
    let indexed = match read {
        Ok((torn, indexed)) => {
            report.note_torn(storage.full_path("frames/index.csv"), Ok(torn));
            indexed
        }
        Err(error) => {
            report.add(Concern::Damaged, error);
            return Ok(());
        }
    };
    let newest = indexed.last().map_or(Timestamp::ZERO, |frame| frame.timestamp);
    let young = journal.unwrap_or_default().iter().filter(|frame| frame.timestamp > newest);
    report.frames = indexed.len() as u64 + young.clone().count() as u64;
    let frames: BTreeMap<Timestamp, &Arc<FrameInfo>> =
        indexed.iter().chain(young).map(|frame| (frame.timestamp, frame)).collect();
    let in_journal: BTreeSet<Timestamp> =
        journal.unwrap_or_default().iter().map(|frame| frame.timestamp).collect();
    check_versions(tables, &frames, journal.is_some(), newest, report);
    check_frames(tables, &frames, &in_journal, report);
    Ok(())
}

/// Each version was made by a frame.
fn check_versions(
    tables: &Tables,
    frames: &BTreeMap<Timestamp, &Arc<FrameInfo>>,
    journal_is_whole: bool,
    newest: Timestamp,
    report: &mut Report,
) {
    for (name, facts) in tables {
        for (version, link) in &facts.links {
            let action = frames.get(version).and_then(|frame| {
                let mut tables = frame.tables.iter().filter(|(table, _)| table == name);
                tables.next().map(|(_, action)| *action)
            });
            let unknown = action.is_none() && (journal_is_whole || *version <= newest);
            let other = action.is_some_and(|action| action != link.action);
            let other = other && !link.action.stands_in();
            if unknown || other {
                let error = match unknown {
                    true => Error::corrupt("no frame made this version"),
                    false => Error::corrupt("the frame says that it did something else"),
                };
                let error = error.at_table(name.as_str()).at_frame(*version);
                report.add(Concern::Damaged, error);
            }
        }
    }
}

/// Each frame's part of each table is there, in the journal at least.
fn check_frames(
    tables: &Tables,
    frames: &BTreeMap<Timestamp, &Arc<FrameInfo>>,
    in_journal: &BTreeSet<Timestamp>,
    report: &mut Report,
) {
    for (timestamp, frame) in frames {
        for (table, _) in &frame.tables {
            let facts = tables.get(table);
            let known = facts.is_some_and(|facts| {
                !facts.whole
                    || facts.start.is_some_and(|start| *timestamp < start)
                    || facts.gaps.iter().any(|(from, to)| from < timestamp && timestamp < to)
                    || facts.links.contains_key(timestamp)
            });
            if !known && !in_journal.contains(timestamp) {
                let error = Error::corrupt("the version that the frame made is missing");
                let error = error.at_table(table.as_str()).at_frame(*timestamp);
                report.add(Concern::Damaged, error.help(
                    "restore the folder from a backup; else the table goes on without this part of the frame (rdb repair)",
                ));
            }
        }
    }
}

/// Snapshots say what the logs say.
fn check_snapshots(storage: &Arc<dyn Storage>, tables: &Tables, report: &mut Report) -> Result<()> {
    for name in storage.list("frames")? {
        let Some(frame) = name.strip_suffix(".snapshot.csv") else { continue };
        let path = format!("frames/{name}");
        let text = storage.read(&path)?.unwrap_or_default();
        let frame = frame.parse().map(Timestamp::from_micros);
        if !frame.is_ok_and(|frame| fits(&text, frame, tables)) {
            let kind = ErrorKind::FrameSnapshotCorrupted;
            let error = Error::new(kind, "the snapshot is not what the logs say")
                .at_path(storage.full_path(&path))
                .help("delete it: nothing needs it, and rdb frame:status tells what it should say");
            report.add(Concern::Derived, error);
        }
    }
    Ok(())
}

/// Whether a snapshot names these versions. Where the chain is damaged its links are not compared.
fn fits(text: &[u8], frame: Timestamp, tables: &Tables) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    if lines.next() != Some("table|timestamp|hash|frame_id") || !text.ends_with('\n') {
        return false;
    }
    let known = tables.iter().filter_map(|(name, facts)| {
        let (version, link) = facts.links.range(..=frame).next_back()?;
        Some((name, version, link))
    });
    let fits =
        |((name, version, link), line): ((&TableName, &Timestamp, &super::table::Link), &str)| {
            let cells: Vec<&str> = line.split('|').collect();
            let [table, timestamp, hash, id] = cells.as_slice() else { return false };
            let same_hash = match link.hash {
                Some(link) => hash.is_empty() || *hash == to_hex(&link),
                None => true,
            };
            *table == name.as_str()
                && *timestamp == version.to_string()
                && same_hash
                && *id == FrameId::new(*version, link.node).to_string()
        };
    let (known, lines): (Vec<_>, Vec<&str>) = (known.collect(), lines.collect());
    known.len() == lines.len() && known.into_iter().zip(lines).all(fits)
}
