//! Which versions there are, and what each changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reedbase_plugin_api::{Changeset, Error, NodeId, Result, TableName, Timestamp};

use crate::delta::{
    Codecs, Compression, DeltaFile, Pack, VersionInfo, delta_name, delta_timestamp, keyframe_name,
    keyframe_timestamp, pack_range, without_repeated,
};
use crate::log::{Version, VersionLog};
use crate::mark::table_path;
use crate::progress::Progress;
use crate::storage::{Access, Stat, Storage, read_range};
use crate::table::Key;

/// Where the versions of one table are.
#[derive(Clone)]
pub struct History {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) codecs: Codecs,
    pub(super) table: TableName,
    pub(super) progress: Arc<dyn Progress>,
}

/// The versions of one table, as they were listed.
pub struct Versions {
    pub(super) history: History,
    pub(super) log: VersionLog,
    pub(super) packs: Vec<(String, Pack)>,
    /// Versions with a file of their own, with its name.
    pub(super) loose: BTreeMap<Timestamp, String>,
    /// Versions of which there is a whole copy.
    pub(super) keyframes: Vec<Timestamp>,
    /// The version that a shortened history begins with.
    start: Option<Timestamp>,
    /// Files that hold what was removed from it, and packs that a larger one repeats: a crash left them.
    pub(super) leftovers: Vec<String>,
    bulk: OnceLock<Vec<Timestamp>>,
    list: Vec<VersionInfo>,
    /// Those of the list that lie in no pack.
    unpacked: Vec<VersionInfo>,
    /// Small changesets that were read from files of their own.
    kept: Mutex<HashMap<Timestamp, Changeset>>,
}

/// A changeset that touches more bytes than this is not kept.
const KEPT_MAX: usize = 1 << 14;

/// What the folder of a table holds: the names of its files, and how its log looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    names: Vec<String>,
    log: Option<Stat>,
}

impl History {
    /// The history of a table.
    pub fn new(
        storage: Arc<dyn Storage>,
        codecs: Codecs,
        table: TableName,
        progress: Arc<dyn Progress>,
    ) -> Self {
        Self { storage, codecs, table, progress }
    }

    /// The path of a file of the table.
    pub(super) fn path(&self, name: &str) -> String {
        table_path(&self.table, name)
    }

    /// What the folder holds, to see whether it is still what it was.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn listing(&self) -> Result<Listing> {
        let names = self.storage.list(self.path("").trim_end_matches('/'))?;
        let log = self.storage.open(&self.path("version.log"), Access::Read)?;
        Ok(Listing { names, log: log.map(|file| file.stat()).transpose()? })
    }

    /// Lists the versions.
    ///
    /// # Errors
    /// Damage of the log or of a pack.
    pub fn versions(&self) -> Result<Versions> {
        let log = VersionLog::read(&self.storage, &self.table)?;
        let start = log.start();
        let (mut packs, mut loose, mut keyframes) = (Vec::new(), BTreeMap::new(), Vec::new());
        let names = self.storage.list(self.path("").trim_end_matches('/'))?;
        let (mut leftovers, names) = sort_out(names, start);
        for name in names {
            if pack_range(&name).is_some() {
                packs.push((name.clone(), self.open_pack(&name)?));
            } else if let Some(timestamp) = delta_timestamp(&name) {
                loose.insert(timestamp, name);
            } else {
                keyframes.extend(keyframe_timestamp(&name));
            }
        }
        let all: Vec<String> = packs.iter().map(|(name, _): &(String, _)| name.clone()).collect();
        without_repeated(&mut packs, |(name, _)| pack_range(name).unwrap_or_default());
        let repeated = |name: &String| packs.iter().all(|(kept, _)| kept != name);
        leftovers.extend(all.into_iter().filter(repeated));
        let (list, unpacked) = merge(&packs, log.versions(), start);
        let bulk = OnceLock::new();
        Ok(Versions {
            history: self.clone(),
            log,
            packs,
            loose,
            keyframes,
            start,
            leftovers,
            bulk,
            list,
            unpacked,
            kept: Mutex::default(),
        })
    }

    /// Whether a delta was too large for the journal. Its compression tells: such deltas are written
    /// quickly, by Zstandard.
    fn is_large(&self, name: &str) -> Result<bool> {
        let Some(file) = self.storage.open(&self.path(name), Access::Read)? else {
            return Ok(false);
        };
        let head = read_range(&*file, 0, 12)?;
        Ok(head.get(11) == Some(&Compression::Zstd.code()))
    }

    fn open_pack(&self, name: &str) -> Result<Pack> {
        let path = self.path(name);
        let full = self.storage.full_path(&path);
        let file = self.storage.open(&path, Access::Read)?;
        let file = file.ok_or_else(|| Error::corrupt("the pack was removed").at_path(&full))?;
        Pack::open(file).map_err(|error| {
            error
                .at_path(full)
                .help("make it anew of what is left: rdb repair; or restore the file from a backup")
        })
    }

    /// Reads a loose delta.
    pub(super) fn loose_delta(&self, version: Timestamp, name: &str) -> Result<DeltaFile> {
        let path = self.path(name);
        let full = self.storage.full_path(&path);
        let bytes = self.storage.read(&path)?.ok_or_else(|| {
            Error::corrupt("the version is in the log, but its delta is missing")
                .at_path(&full)
                .help("make it anew of what is left: rdb repair; or restore the file from a backup")
        })?;
        let delta = DeltaFile::decode(&bytes, &self.codecs).map_err(|error| {
            error
                .at_path(&full)
                .help("make it anew of what is left: rdb repair; or restore the file from a backup")
        })?;
        if delta.timestamp != version {
            return Err(Error::corrupt("the delta is that of another version").at_path(full));
        }
        Ok(delta)
    }
}

/// The files that hold nothing but what a shortened history lacks, or that were written anew without it; and the others.
/// The version it begins with is in its keyframe.
fn sort_out(names: Vec<String>, start: Option<Timestamp>) -> (Vec<String>, Vec<String>) {
    let Some(start) = start else { return (Vec::new(), names) };
    let ranges: Vec<_> = names.iter().filter_map(|name| pack_range(name)).collect();
    let is_leftover = |name: &String| match pack_range(name) {
        Some((first, last)) => {
            let anew = ranges.iter().any(|(other, end)| *other > start && *end == last);
            last <= start || (first <= start && anew)
        }
        None => {
            delta_timestamp(name).is_some_and(|version| version <= start)
                || keyframe_timestamp(name).is_some_and(|version| version < start)
        }
    };
    names.into_iter().partition(is_leftover)
}

/// The versions in packs and those in the log, each once, oldest first; and those of the log alone.
fn merge(
    packs: &[(String, Pack)],
    log: &[Version],
    start: Option<Timestamp>,
) -> (Vec<VersionInfo>, Vec<VersionInfo>) {
    let packed = packs.iter().flat_map(|(_, pack)| pack.versions());
    let packed = packed.filter(|version| Some(version.timestamp) > start);
    let mut list: BTreeMap<_, _> =
        packed.map(|version| (version.timestamp, version.clone())).collect();
    let unpacked = log.iter().filter(|version| !list.contains_key(&version.timestamp));
    let unpacked: Vec<_> = unpacked.map(Version::info).collect();
    list.extend(unpacked.iter().map(|version| (version.timestamp, version.clone())));
    (list.into_values().collect(), unpacked)
}

impl Versions {
    /// The versions, oldest first.
    pub fn list(&self) -> &[VersionInfo] {
        &self.list
    }

    /// Whether a version lies in a pack.
    pub fn is_packed(&self, version: Timestamp) -> bool {
        self.unpacked.binary_search_by_key(&version, |unpacked| unpacked.timestamp).is_err()
    }

    /// The version that the history begins with, if it was shortened: what was before is not known any more.
    pub fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// The newest version on disk; zero if there is none.
    pub fn newest(&self) -> Timestamp {
        self.list.last().map_or(Timestamp::ZERO, |version| version.timestamp)
    }

    /// The node that made a version.
    pub fn node_of(&self, version: Timestamp) -> Option<NodeId> {
        let at = self.list.binary_search_by_key(&version, |known| known.timestamp).ok()?;
        self.list.get(at).map(|version| version.node)
    }

    /// Whether there is a whole copy of a version.
    pub fn has_keyframe(&self, version: Timestamp) -> bool {
        self.keyframes.contains(&version)
    }

    /// Which versions lie after one and not after another.
    pub(super) fn between(&self, after: Timestamp, until: Timestamp) -> &[VersionInfo] {
        let start = self.list.partition_point(|version| version.timestamp <= after);
        let end = self.list.partition_point(|version| version.timestamp <= until);
        self.list.get(start..end.max(start)).unwrap_or_default()
    }

    /// What the versions after one and not after another changed, oldest first. Cost: O(what they
    /// changed), whatever the size of the table. What the version did that a shortened history begins with counts as making
    /// the whole table.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the damaged file.
    pub fn changes(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(VersionInfo, Changeset)>> {
        let wanted = self.between(after, until);
        self.read(wanted)
    }

    /// What the versions changed that touched a key, oldest first, among those not after `until`; bulk
    /// versions left out. Versions that have a file of their own are all read; of packs only the chunks
    /// that hold the key.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the damaged file.
    pub fn changes_of_key(
        &self,
        key: &Key<'_>,
        until: Timestamp,
    ) -> Result<Vec<(VersionInfo, Changeset)>> {
        let mut wanted = self.unpacked.clone();
        for (_, pack) in &self.packs {
            let versions = pack.touching(key).filter_map(|number| pack.versions().get(number));
            wanted.extend(versions.cloned());
        }
        let bulk = self.bulk()?;
        let is_bulk = |version: &VersionInfo| bulk.binary_search(&version.timestamp).is_ok();
        wanted.retain(|version| {
            version.timestamp <= until && Some(version.timestamp) > self.start && !is_bulk(version)
        });
        wanted.sort_unstable_by_key(|version| version.timestamp);
        self.read(&wanted)
    }

    /// The versions that touched too many keys to be found by one, oldest first.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn bulk(&self) -> Result<&[Timestamp]> {
        if let Some(bulk) = self.bulk.get() {
            return Ok(bulk);
        }
        let mut bulk: Vec<_> = self.packs.iter().flat_map(|(_, pack)| pack.bulk()).collect();
        for (timestamp, name) in &self.loose {
            bulk.extend(self.history.is_large(name)?.then_some(*timestamp));
        }
        bulk.retain(|version| Some(*version) > self.start);
        bulk.extend(self.start);
        bulk.sort_unstable();
        bulk.dedup();
        Ok(self.bulk.get_or_init(|| bulk))
    }

    /// Reads the changesets of some versions, given oldest first.
    fn read(&self, wanted: &[VersionInfo]) -> Result<Vec<(VersionInfo, Changeset)>> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut rest = wanted;
        for (name, pack) in &self.packs {
            let (Some(first), Some(last)) = (pack.versions().first(), pack.versions().last())
            else {
                continue;
            };
            let before = rest.partition_point(|version| version.timestamp < first.timestamp);
            let (loose, later) = rest.split_at(before);
            let inside = later.partition_point(|version| version.timestamp <= last.timestamp);
            let (packed, later) = later.split_at(inside);
            self.read_loose(loose, &mut found)?;
            self.read_packed(name, pack, packed, &mut found)?;
            rest = later;
        }
        self.read_loose(rest, &mut found)?;
        Ok(found)
    }

    fn read_loose(
        &self,
        wanted: &[VersionInfo],
        found: &mut Vec<(VersionInfo, Changeset)>,
    ) -> Result<()> {
        for version in wanted {
            found.push((version.clone(), self.loose_changeset(version.timestamp)?));
        }
        Ok(())
    }

    /// Takes over what an earlier listing kept of the files that are still there.
    pub fn take_over(&self, before: &Self) {
        let before = before.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let still = before.iter().filter(|(version, _)| self.loose.contains_key(version));
        let still = still.map(|(version, changeset)| (*version, changeset.clone()));
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend(still);
    }

    /// What a version with a file of its own changed. Young deltas are few, small and costly to decode: what
    /// was read of them is kept.
    fn loose_changeset(&self, version: Timestamp) -> Result<Changeset> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(changeset) = kept().get(&version) {
            return Ok(changeset.clone());
        }
        let name = match self.start == Some(version) {
            true => keyframe_name(version),
            false => delta_name(version),
        };
        let changeset = self.history.loose_delta(version, &name)?.changeset;
        if changeset.touched_bytes() <= KEPT_MAX {
            kept().insert(version, changeset.clone());
        }
        Ok(changeset)
    }

    fn read_packed(
        &self,
        name: &str,
        pack: &Pack,
        wanted: &[VersionInfo],
        found: &mut Vec<(VersionInfo, Changeset)>,
    ) -> Result<()> {
        let number = |version: &VersionInfo| {
            pack.versions().partition_point(|packed| packed.timestamp < version.timestamp)
        };
        let numbers: Vec<usize> = wanted.iter().map(number).collect();
        let mut wanted = wanted.iter();
        let read = pack.read(&numbers, |packed, changeset| {
            let version = wanted.find(|version| version.timestamp == packed.timestamp);
            found.extend(version.map(|version| (version.clone(), changeset)));
            Ok(())
        });
        read.map_err(|error| {
            let path = self.history.storage.full_path(&self.history.path(name));
            error
                .at_path(path)
                .help("make it anew of what is left: rdb repair; or restore the file from a backup")
        })
    }
}
