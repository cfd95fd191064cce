//! What is left of a table's history: of each version, what is known and from where.
//!
//! A version is known from its line in the log, from the directory of a pack, from its delta file, or only from the frame that made
//! it. What it changed is in a pack, in a file, or lost.

use std::collections::BTreeMap;

use reedbase_plugin_api::{
    Changeset, DeltaCodec, Lines, NodeId, Result, Shape, TableName, Timestamp,
};

use super::Repairing;
use crate::delta::{
    Codecs, DeltaFile, Pack, RowsCodec, VersionInfo, delta_timestamp, keyframe_timestamp,
    pack_range, without_repeated,
};
use crate::frame::{Action, ChangeBody};
use crate::log::VersionLog;
use crate::mark::table_path;
use crate::storage::Access;
use crate::table::split;

/// A version, as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) info: VersionInfo,
    /// Whether the version before is known.
    pub(super) has_base: bool,
    /// Whether the size and the rows of the table are known.
    pub(super) has_totals: bool,
    /// The link of the hash chain, where it is written down.
    pub(super) link: Option<[u8; 32]>,
    /// Whether a line of the log says all this.
    pub(super) has_line: bool,
    pub(super) place: Place,
}

/// Where it stands what a version changed.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In a pack that is whole.
    Pack(usize),
    /// In a file of its own.
    File,
    /// In a pack that is not whole, or in the journal: it needs a file.
    Memory(Changeset),
    /// Nowhere.
    Lost,
}

/// All that was found of a table.
pub(super) struct Found {
    pub(super) versions: BTreeMap<Timestamp, Version>,
    pub(super) packs: Vec<Pack>,
    /// The version that the history begins with, if it was shortened.
    pub(super) start: Option<Timestamp>,
    /// The names of files that cannot be used.
    pub(super) damaged: Vec<String>,
    /// Whether the log is as it should be, as far as that can be seen.
    pub(super) log_is_whole: bool,
}

impl Found {
    /// Reads all files of a table's history. `limit` is the newest version that does not stand in the journal.
    pub(super) fn read(repairing: &Repairing, table: &TableName, limit: Timestamp) -> Result<Self> {
        let (lines, log_is_whole) = VersionLog::salvage(&repairing.storage, table)?;
        let shortened = lines.iter().rev().find(|line| line.action == Action::COMPACT);
        let start = shortened.map(|line| line.timestamp);
        let (versions, packs, damaged) = Default::default();
        let mut found = Self { versions, packs, start, damaged, log_is_whole };
        let folder = table_path(table, "");
        let names = repairing.storage.list(folder.trim_end_matches('/'))?;
        found.read_packs(repairing, table, &names)?;
        for line in lines.into_iter().filter(|line| start.is_none_or(|at| line.timestamp >= at)) {
            let at = line.timestamp;
            let link = (line.hash != [0; 32]).then_some(line.hash);
            let known = found.versions.entry(at).or_insert_with(|| Version::known(line.info()));
            (known.has_line, known.link) = (true, link);
        }
        found.read_files(repairing, table, &names, limit)?;
        found.add_from_frames(repairing, table, limit);
        found.add_from_journal(repairing, table)?;
        Ok(found)
    }

    fn read_packs(
        &mut self,
        repairing: &Repairing,
        table: &TableName,
        names: &[String],
    ) -> Result<()> {
        let mut packs = Vec::new();
        for name in names.iter().filter(|name| pack_range(name).is_some()) {
            let file = repairing.storage.open(&table_path(table, name), Access::Read)?;
            match file.map(Pack::open) {
                Some(Ok(pack)) => packs.push((name.clone(), pack)),
                _ => self.damaged.push(name.clone()),
            }
        }
        without_repeated(&mut packs, |(name, _)| pack_range(name).unwrap_or_default());
        for (name, pack) in packs {
            self.read_pack(name, pack);
        }
        Ok(())
    }

    fn read_pack(&mut self, name: String, pack: Pack) {
        let numbers: Vec<usize> = (0..pack.versions().len()).collect();
        let is_whole = pack.read(&numbers, |_, _| Ok(())).is_ok();
        let last = numbers.len().saturating_sub(1);
        for (number, info) in pack.versions().iter().enumerate() {
            if Some(info.timestamp) <= self.start {
                continue;
            }
            let mut changeset = None;
            if !is_whole {
                let keep = |_: &VersionInfo, read| {
                    changeset = Some(read);
                    Ok(())
                };
                drop(pack.read(&[number], keep));
            }
            let place = match (is_whole, changeset) {
                (true, _) => Place::Pack(self.packs.len()),
                (false, Some(changeset)) => Place::Memory(changeset),
                (false, None) => Place::Lost,
            };
            let link = (number == last).then_some(*pack.hashes().1);
            let link = link.filter(|link| *link != [0; 32]);
            let version = Version { place, link, ..Version::known(info.clone()) };
            self.versions.insert(info.timestamp, version);
        }
        if is_whole {
            self.packs.push(pack);
        } else {
            self.damaged.push(name);
        }
    }

    /// The files of single versions: of those that have a line, and of those that a frame made and that lost it.
    fn read_files(
        &mut self,
        repairing: &Repairing,
        table: &TableName,
        names: &[String],
        limit: Timestamp,
    ) -> Result<()> {
        for name in names {
            let keyframe = keyframe_timestamp(name);
            let Some(at) = delta_timestamp(name).or(keyframe) else { continue };
            let is_start = self.start == Some(at);
            if Some(at) < self.start || is_start != keyframe.is_some() {
                // A whole copy that cannot be read is worth nothing.
                if keyframe.is_some() && read_delta(repairing, table, name, at)?.is_none() {
                    self.damaged.push(name.clone());
                }
                continue;
            }
            let known = self.versions.get(&at);
            let made = repairing.frame_of(table, at);
            let wanted = match (known, made) {
                (Some(known), _) => !matches!(known.place, Place::Pack(_)),
                // Without a frame it is what a crash left of a commit, unless the frames are not all known either.
                (None, made) => at <= limit && (made.is_some() || !repairing.frames_are_whole),
            };
            if !wanted {
                continue;
            }
            match read_delta(repairing, table, name, at)? {
                Some(delta) => {
                    let version = self.versions.entry(at).or_insert_with(|| {
                        Version::of_delta(at, delta.base, &delta.changeset, made, repairing.node)
                    });
                    version.place = Place::File;
                }
                None => self.damaged.push(name.clone()),
            }
        }
        Ok(())
    }

    /// Versions of which nothing is left but that a frame made them.
    fn add_from_frames(&mut self, repairing: &Repairing, table: &TableName, limit: Timestamp) {
        for (at, frame) in &repairing.frames {
            if *at > limit || self.start.is_some_and(|start| *at < start) {
                continue;
            }
            for (_, action) in frame.tables.iter().filter(|(name, _)| name == table) {
                self.versions.entry(*at).or_insert_with(|| {
                    let user = repairing.code_of(&frame.user);
                    let info = VersionInfo::new(*at, Timestamp::ZERO, *action, user, frame.node);
                    Version { has_base: false, has_totals: false, ..Version::known(info) }
                });
            }
        }
    }

    /// The journal may still hold what the files lost.
    fn add_from_journal(&mut self, repairing: &Repairing, table: &TableName) -> Result<()> {
        for record in &repairing.records {
            let Some(version) = self.versions.get_mut(&record.info.timestamp) else { continue };
            for change in record.changes.iter().filter(|change| change.table == *table) {
                let is_lost = matches!(version.place, Place::Lost);
                if let (true, ChangeBody::Inline(bytes)) = (is_lost, &change.body) {
                    let decoded = RowsCodec.decode(bytes)?.into_iter().next();
                    version.place = decoded.map_or(Place::Lost, Place::Memory);
                }
                let info = version.info.clone();
                version.info =
                    VersionInfo { base: change.base, ..info }.totals(change.size, change.rows);
                (version.has_base, version.has_totals) = (true, true);
            }
        }
        Ok(())
    }
}

impl Version {
    fn known(info: VersionInfo) -> Self {
        let (has_base, has_totals, place) = (true, true, Place::Lost);
        Self { info, has_base, has_totals, link: None, has_line: false, place }
    }

    /// One that is only known from its file, and from its frame if that is known.
    fn of_delta(
        at: Timestamp,
        base: Timestamp,
        changeset: &Changeset,
        made: Option<(Action, u32, NodeId)>,
        node: NodeId,
    ) -> Self {
        let guess = if changeset.before.is_none() { Action::INIT } else { Action::UPDATE };
        let (action, user, node) = made.unwrap_or((guess, 0, node));
        let info = VersionInfo::new(at, base, action, user, node);
        Self { has_totals: false, ..Self::known(info) }
    }
}

/// What a version changed, if its file says so.
pub(super) fn read_delta(
    repairing: &Repairing,
    table: &TableName,
    name: &str,
    version: Timestamp,
) -> Result<Option<DeltaFile>> {
    let Some(bytes) = repairing.storage.read(&table_path(table, name))? else { return Ok(None) };
    let delta = DeltaFile::decode(&bytes, &Codecs::built_in()).ok();
    Ok(delta.filter(|delta| delta.timestamp == version))
}

/// The bytes and the rows of a table after a changeset, from those before it. Cost: O(what it changed).
pub(super) fn totals_after(before: (u64, u64), changeset: &Changeset) -> Result<(u64, u64)> {
    let header = |shape: &Shape| shape.header().len() as u64;
    let old = changeset.before.as_ref();
    let (removed, gone) = lines_of(&changeset.removed, old.unwrap_or(&changeset.after))?;
    let (added, come) = lines_of(&changeset.added, &changeset.after)?;
    let bytes = before.0 + header(&changeset.after) + added;
    let bytes = bytes.saturating_sub(old.map_or(0, header) + removed);
    Ok((bytes, (before.1 + come).saturating_sub(gone)))
}

/// The bytes and the rows of some lines.
fn lines_of(runs: &[Lines], shape: &Shape) -> Result<(u64, u64)> {
    let (mut bytes, mut rows) = (0, 0);
    for run in runs {
        bytes += run.bytes.len() as u64;
        let lines = split(run, shape.delimiter())?;
        rows += lines.into_iter().filter(|(_, line)| !shape.is_blank(line)).count() as u64;
    }
    Ok((bytes, rows))
}

impl Repairing {
    /// What a frame says of a table: what it did, and who, where.
    fn frame_of(&self, table: &TableName, at: Timestamp) -> Option<(Action, u32, NodeId)> {
        let frame = self.frames.get(&at)?;
        let mut tables = frame.tables.iter().filter(|(name, _)| name == table);
        tables.next().map(|(_, action)| (*action, self.code_of(&frame.user), frame.node))
    }
}
