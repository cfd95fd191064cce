//! The index of frames, made whole again: what is left of it, what the journal says, and what the versions of the tables say of
//! the frames that made them. The name of a frame and what else was noted of it stand nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{NodeId, Result, TableName, Timestamp};

use super::Repairing;
use super::report::{Repair, counted};
use crate::delta::VersionInfo;
use crate::frame::{Action, FrameInfo};
use crate::log::{FrameIndex, FrameLog};

type Frames = BTreeMap<Timestamp, Arc<FrameInfo>>;

/// Mends the index, if it is damaged or lacks a frame that made a version.
pub(super) fn mend(repairing: &Repairing, tables: &[TableName], report: &mut Repair) -> Result<()> {
    let made = made_by_versions(repairing, tables)?;
    let newest = repairing.indexed.keys().next_back().copied().unwrap_or_default();
    let lacking: Frames = made
        .iter()
        .filter(|(at, _)| !repairing.frames.contains_key(at))
        .map(|(at, frame)| (*at, Arc::clone(frame)))
        .collect();
    // Frames that are younger than the index are not lost: the next checkpoint writes their lines.
    let mut frames = repairing.indexed.clone();
    let until = lacking.keys().next_back().copied().unwrap_or_default().max(newest);
    for (at, frame) in repairing.frames.iter().filter(|(at, _)| **at <= until) {
        frames.entry(*at).or_insert_with(|| Arc::clone(frame));
    }
    let is_whole = repairing.damaged_index.is_empty() && frames.len() == repairing.indexed.len();
    if is_whole && lacking.is_empty() {
        return Ok(());
    }
    for frame in lacking.values() {
        report.lost(format!("the name, the time and the details of frame {}", frame.timestamp));
    }
    frames.extend(lacking);
    let count = frames.len();
    for path in &repairing.damaged_index {
        report.kept.extend(repairing.put_aside(path)?);
    }
    let kept = repairing.limits.log_lines;
    let frames: Vec<Arc<FrameInfo>> = frames.into_values().collect();
    // All of them have codes already.
    let mut users = repairing.users.clone();
    FrameIndex::rewrite(&repairing.storage, frames, &mut users, kept)?;
    report.made(format!("the index of {}", counted(count, "frame")));
    Ok(())
}

/// Mends the log of what befell frames: lines that are damaged leave it.
pub(super) fn mend_log(repairing: &Repairing, report: &mut Repair) -> Result<()> {
    let storage = &repairing.storage;
    let damaged = FrameLog::open(storage).and_then(|log| log.is_torn());
    if matches!(damaged, Ok(false)) {
        return Ok(());
    }
    let (events, bad) = FrameLog::salvage(storage)?;
    report.kept.extend(repairing.put_aside("frames/frame.log")?);
    let mut log = FrameLog::open(storage)?;
    events.iter().try_for_each(|event| log.add(event))?;
    report.lost(format!("{} of frames/frame.log", counted(bad as usize, "line")));
    Ok(())
}

/// What the versions of all tables say of the frames that made them.
fn made_by_versions(repairing: &Repairing, tables: &[TableName]) -> Result<Frames> {
    let mut parts: BTreeMap<Timestamp, Vec<(TableName, VersionInfo)>> = BTreeMap::new();
    for table in tables {
        let versions = repairing.history(table).versions()?;
        for version in versions.list() {
            parts.entry(version.timestamp).or_default().push((table.clone(), version.clone()));
        }
    }
    let frame = |(at, parts): (Timestamp, Vec<(TableName, VersionInfo)>)| {
        let first = parts.first().map(|(_, version)| version);
        let user = first.and_then(|version| repairing.users.name(version.user)).unwrap_or("system");
        let action = |version: &VersionInfo| match version.action.stands_in() {
            true => Action::UPDATE,
            false => version.action,
        };
        let info = FrameInfo {
            timestamp: at,
            node: first.map_or(NodeId::from_bits(0), |version| version.node),
            wall: at,
            parent: Timestamp::ZERO,
            sequence: 0,
            user: user.to_owned(),
            name: None,
            details: BTreeMap::new(),
            tables: parts.iter().map(|(name, version)| (name.clone(), action(version))).collect(),
        };
        (at, Arc::new(info))
    };
    Ok(parts.into_iter().map(frame).collect())
}
