//! All frames with their standing, and which versions of all tables make the state after one.
//!
//! For every frame that was begun as one, and for every thousandth, a checkpoint writes that down for people:
//!
//! ```text
//! frames/<timestamp>.snapshot.csv
//! table|timestamp|hash|frame_id
//! pages|1795238120342946|9f86d081…|000660c2-7273-845a-8800-4c953d1d42e3
//! ```
//!
//! Nothing reads these files: they are made of the tables' logs, and the hash is the link of the table's chain (empty
//! where no log line holds it). They are removed when they are older than `frame.retention.days`.

use std::collections::BTreeSet;
use std::sync::Arc;

use reedbase_plugin_api::{FrameId, Result, TableName, Timestamp};

use super::frames::Frames;
use super::inner::Inner;
use super::snapshot::Snapshot;
use super::uncommitted::{OPENED, uncommitted};
use crate::frame::FrameInfo;
use crate::journal::Standing;
use crate::log::to_hex;

/// The detail of a frame that undid another.
pub(super) const REVERTS: &str = "reverts";

/// How a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameStatus {
    /// It is open.
    Active,
    /// It is part of the history.
    Committed,
    /// It was undone by a later frame, or given up before it was committed.
    RolledBack,
    /// The program that had begun it died.
    Crashed,
    /// It is part of the history, and older than `frame.retention.days`: its snapshot is not kept.
    Archived,
}

impl FrameStatus {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Committed => "committed",
            Self::RolledBack => "rolled_back",
            Self::Crashed => "crashed",
            Self::Archived => "archived",
        }
    }
}

/// A frame and how it stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FrameEntry {
    /// The frame.
    pub info: Arc<FrameInfo>,
    /// How it stands.
    pub status: FrameStatus,
    /// What was done in it so far, oldest first, if it is not committed.
    pub steps: Vec<Arc<FrameInfo>>,
}

/// A table as it was after some frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableAt {
    /// The table.
    pub table: TableName,
    /// Its version then.
    pub version: Timestamp,
    /// The frame that made that version.
    pub frame: FrameId,
    /// The link of its chain, where a line of the log holds it.
    pub hash: Option<[u8; 32]>,
}

/// All frames, oldest first.
pub(super) fn entries(inner: &Inner, snapshot: &Snapshot) -> Result<Vec<FrameEntry>> {
    let frames = Frames::of(inner, snapshot)?.all()?;
    let oldest_kept = oldest_kept(inner);
    let mut undone: BTreeSet<&str> = BTreeSet::new();
    let mut entries = Vec::new();
    for info in frames.iter().rev() {
        let id = info.id().to_string();
        let status = if undone.contains(id.as_str()) {
            FrameStatus::RolledBack
        } else {
            // What an undone frame undid counts again.
            undone.extend(info.details.get(REVERTS).map(String::as_str));
            match info.wall < oldest_kept {
                true => FrameStatus::Archived,
                false => FrameStatus::Committed,
            }
        };
        entries.push(FrameEntry { info: Arc::clone(info), status, steps: Vec::new() });
    }
    for frame in uncommitted(inner)? {
        let status = match frame.standing {
            Standing::Open => FrameStatus::Active,
            Standing::Crashed => FrameStatus::Crashed,
            Standing::Abandoned => FrameStatus::RolledBack,
        };
        entries.push(FrameEntry { info: frame.info, status, steps: frame.steps });
    }
    entries.sort_by_key(|entry| entry.info.timestamp);
    Ok(entries)
}

/// Since when snapshots are kept.
fn oldest_kept(inner: &Inner) -> Timestamp {
    const DAY: i64 = 24 * 3600 * 1_000_000;
    let days = inner.config.frame_retention_days;
    Timestamp::from_micros(inner.clock.now().as_micros().saturating_sub(days.saturating_mul(DAY)))
}

/// All tables as they were after a frame.
pub(super) fn tables_at(snapshot: &Snapshot, at: Timestamp, inner: &Inner) -> Result<Vec<TableAt>> {
    let then = snapshot.as_of(at)?;
    let mut tables = Vec::new();
    for table in then.state().tables() {
        let versions = table.versions(&inner.store)?;
        let version = table.version();
        let pending = table.pending().find(|pending| pending.info.timestamp == version);
        let node = match pending {
            Some(pending) => pending.info.node,
            None => versions.node_of(version).unwrap_or(inner.config.node),
        };
        tables.push(TableAt {
            table: table.name().clone(),
            version,
            frame: FrameId::new(version, node),
            hash: versions.link(version),
        });
    }
    Ok(tables)
}

/// Writes the snapshots of those of some frames that have one. Nothing depends on these files.
pub(super) fn write_snapshots(
    inner: &Inner,
    snapshot: &Snapshot,
    frames: &[Arc<FrameInfo>],
) -> Result<()> {
    let mut wanted = frames.iter().filter(|frame| has_snapshot(frame)).peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    for frame in wanted {
        let mut text = String::from("table|timestamp|hash|frame_id\n");
        for TableAt { table, version, frame, hash } in tables_at(snapshot, frame.timestamp, inner)?
        {
            let hash = hash.map_or_else(String::new, |hash| to_hex(&hash));
            text.push_str(&format!("{table}|{version}|{hash}|{frame}\n"));
        }
        inner.store.storage().replace(&path_of(frame.timestamp), text.as_bytes())?;
    }
    remove_old_snapshots(inner).map(drop)
}

/// Frames that were begun as such, and every thousandth.
fn has_snapshot(frame: &FrameInfo) -> bool {
    frame.details.contains_key(OPENED) || frame.sequence.is_multiple_of(1_000)
}

const SUFFIX: &str = ".snapshot.csv";

fn path_of(frame: Timestamp) -> String {
    format!("frames/{frame}{SUFFIX}")
}

/// Removes snapshots that are older than `frame.retention.days`, and counts them.
pub(super) fn remove_old_snapshots(inner: &Inner) -> Result<u64> {
    remove_snapshots_before(inner, oldest_kept(inner))
}

/// Removes snapshots of frames before an instant, and counts them.
pub(super) fn remove_snapshots_before(inner: &Inner, oldest: Timestamp) -> Result<u64> {
    let (storage, mut removed) = (inner.store.storage(), 0);
    for name in storage.list("frames")? {
        let timestamp = name.strip_suffix(SUFFIX).and_then(|number| number.parse().ok());
        if timestamp.is_some_and(|micros| Timestamp::from_micros(micros) < oldest) {
            storage.remove(&format!("frames/{name}"))?;
            removed += 1;
        }
    }
    Ok(removed)
}
