//! Folding: loose deltas into packs, small packs into larger ones, old lines of the log away.
//!
//! A pack is written and synced before anything that it repeats is removed, so that a crash in between
//! leaves both, and either may be read. Packs are merged when the newer of two has grown to half the
//! older one: so there are O(log n) of them, and each version is packed O(log n) times.

use std::collections::HashSet;

use reedbase_plugin_api::{Changeset, Error, Result, Timestamp};

use super::versions::{History, Versions};
use crate::delta::{Compression, Pack, PackWriter, VersionInfo, merge_from, pack_name};
use crate::limits::Limits;
use crate::progress::Work;

/// What folding did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Folded {
    /// How many versions were put into packs.
    pub versions: u64,
    /// How many packs were written.
    pub packs: u64,
}

/// Folds what there is too much of, and lists what there is then. Large deltas stay as they are: packing
/// them again would cost more than the commit did.
///
/// # Errors
/// Those of the storage, or damage.
pub fn fold(history: &History, limits: &Limits) -> Result<Versions> {
    let mut folded = Folded::default();
    let mut versions = history.versions()?;
    versions.remove_leftovers()?;
    if versions.loose.len() > limits.loose_max {
        let runs = versions.small_runs(limits)?;
        if runs.iter().map(Vec::len).sum::<usize>() > limits.loose_max {
            for run in runs.iter().filter(|run| run.len() > 1) {
                versions.pack(run, Compression::Zstd, &mut folded)?;
            }
            versions = history.versions()?;
        }
    }
    while let Some(run) = versions.mergeable() {
        versions.pack(&run, Compression::Zstd, &mut folded)?;
        versions = history.versions()?;
    }
    fold_log(&mut versions, limits.log_lines)?;
    Ok(versions)
}

/// Puts every version into one pack, large deltas included. Costs about a second for every 3 MB.
///
/// # Errors
/// Those of the storage, or damage.
pub fn pack_everything(history: &History) -> Result<Folded> {
    let mut folded = Folded::default();
    let mut versions = history.versions()?;
    let tight = |(_, pack): &(String, Pack)| pack.compression() == Compression::Xz;
    let list = versions.list();
    let runs = list
        .split(|version| version.action.stands_in())
        .filter(|run| !run.is_empty())
        .map(<[_]>::to_vec);
    let runs: Vec<Vec<VersionInfo>> = runs.collect();
    let has_file = |version: &VersionInfo| versions.loose.contains_key(&version.timestamp);
    if versions.packs.len() != runs.len()
        || !versions.packs.iter().all(tight)
        || versions.packable().any(has_file)
    {
        for run in &runs {
            versions.pack(run, Compression::Xz, &mut folded)?;
        }
        versions = history.versions()?;
    }
    fold_log(&mut versions, 1)?;
    Ok(folded)
}

/// Drops lines of the log that a pack repeats, but for the newest `kept`.
fn fold_log(versions: &mut Versions, kept: usize) -> Result<()> {
    let packed = versions.packable().map(|version| version.timestamp);
    let packed: HashSet<Timestamp> = packed.filter(|at| versions.is_packed(*at)).collect();
    let lines = versions.log.versions();
    let old = lines.len().saturating_sub(kept.max(1));
    let drop: HashSet<Timestamp> = lines
        .iter()
        .take(old)
        .map(|line| line.timestamp)
        .filter(|at| packed.contains(at))
        .collect();
    // Some slack, so that the log is not written anew for every line.
    if drop.is_empty() || drop.len() < kept / 4 {
        return Ok(());
    }
    versions.log.retain(|version| !drop.contains(&version.timestamp))
}

impl Versions {
    /// The versions that may be packed: not the one that a shortened history begins with, nor those that stand in the place of
    /// lost ones. Their lines in the log hold the links from which the chain goes on.
    fn packable(&self) -> impl Iterator<Item = &VersionInfo> {
        self.list().iter().filter(|version| !version.action.stands_in())
    }

    /// Runs of consecutive versions that have small files of their own.
    fn small_runs(&self, limits: &Limits) -> Result<Vec<Vec<VersionInfo>>> {
        let mut runs: Vec<Vec<VersionInfo>> = vec![Vec::new()];
        for version in self.list() {
            let small =
                !self.is_packed(version.timestamp) && self.is_small(version.timestamp, limits)?;
            match runs.last_mut() {
                Some(run) if small => run.push(version.clone()),
                _ => runs.push(Vec::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        Ok(runs)
    }

    fn is_small(&self, version: Timestamp, limits: &Limits) -> Result<bool> {
        let Some(name) = self.loose.get(&version) else { return Ok(false) };
        let at = self.list().binary_search_by_key(&version, |known| known.timestamp);
        let known = at.ok().and_then(|at| self.list().get(at));
        if known.is_some_and(|known| known.action.stands_in())
            || self.bulk()?.binary_search(&version).is_ok()
        {
            return Ok(false);
        }
        let len = self.history.storage.len(&self.history.path(name))?;
        Ok(len.is_some_and(|len| len <= limits.large_changeset as u64))
    }

    /// The versions of the newest packs that should be one.
    fn mergeable(&self) -> Option<Vec<VersionInfo>> {
        let sizes = self.packs.iter().map(|(_, pack)| pack.versions().len() as u64);
        let start = merge_from(&sizes.collect::<Vec<_>>(), |pack| self.adjacent(pack))?;
        let packs = self.packs.get(start..)?;
        let first = packs.first()?.1.versions().first()?.timestamp;
        let last = packs.last()?.1.versions().last()?.timestamp;
        let list = self.packable();
        Some(list.filter(|v| (first..=last).contains(&v.timestamp)).cloned().collect())
    }

    /// Whether no loose version lies between a pack and the one before.
    fn adjacent(&self, pack: usize) -> bool {
        let both =
            pack.checked_sub(1).and_then(|before| self.packs.get(before)).zip(self.packs.get(pack));
        let ends =
            both.map(|((_, one), (_, other))| (one.versions().last(), other.versions().first()));
        matches!(ends, Some((Some(last), Some(first))) if first.base == last.timestamp)
    }

    /// Writes consecutive versions as one pack, and removes what it repeats.
    fn pack(
        &self,
        run: &[VersionInfo],
        compression: Compression,
        folded: &mut Folded,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let history = &self.history;
        let name = pack_name(first.timestamp, last.timestamp);
        let before = self.hash_of(first.base)?;
        let mut writer =
            PackWriter::create(&*history.storage, &history.path(&name), compression, &before)?;
        let changes = self.changes(first.base, last.timestamp)?;
        let count = changes.len();
        let all: usize = changes.iter().map(|(_, changeset)| changeset.touched_bytes()).sum();
        let tell = |done: u64| history.progress.at(Work::Pack, done, all as u64);
        for (version, changeset) in changes {
            writer.push(version, changeset, &tell)?;
        }
        if count != run.len() {
            return Err(Error::internal("versions to be packed are not consecutive"));
        }
        writer.finish(&*history.storage, &self.hash_of(last.timestamp)?, &tell)?;
        let folder = history.path("");
        let folder = folder.trim_end_matches('/');
        history.storage.sync_folder(folder)?;
        let inside = |timestamp: Timestamp| (first.timestamp..=last.timestamp).contains(&timestamp);
        for (timestamp, loose) in &self.loose {
            if inside(*timestamp) {
                history.storage.remove(&history.path(loose))?;
            }
        }
        for (old, pack) in &self.packs {
            let start = pack.versions().first().map(|version| version.timestamp);
            if *old != name && start.is_some_and(inside) {
                history.storage.remove(&history.path(old))?;
            }
        }
        history.storage.sync_folder(folder)?;
        folded.versions += count as u64;
        folded.packs += 1;
        Ok(())
    }

    /// The link of the hash chain at a version, if it is written down and was not lost.
    pub fn link(&self, version: Timestamp) -> Option<[u8; 32]> {
        let link = self.hash_of(version).ok();
        link.filter(|link| version == Timestamp::ZERO || *link != [0; 32])
    }

    /// The link of the hash chain at a version, zeros if it was lost. Inside packs links are not stored.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) where it is not stored.
    pub fn hash_of(&self, version: Timestamp) -> Result<[u8; 32]> {
        if version == Timestamp::ZERO {
            return Ok([0; 32]);
        }
        if let Some(line) = self.log.versions().iter().find(|line| line.timestamp == version) {
            return Ok(line.hash);
        }
        for (_, pack) in &self.packs {
            if pack.versions().last().is_some_and(|last| last.timestamp == version) {
                return Ok(*pack.hashes().1);
            }
            if pack.versions().first().is_some_and(|first| first.base == version) {
                return Ok(*pack.hashes().0);
            }
        }
        Err(Error::corrupt("the hash of a version is missing").at_frame(version))
    }
}

impl History {
    /// Writes new versions, which follow `before`, as a pack.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn write_pack(
        &self,
        before: &[u8; 32],
        versions: Vec<(VersionInfo, Changeset)>,
        after: &[u8; 32],
    ) -> Result<()> {
        let (Some((first, _)), Some((last, _))) = (versions.first(), versions.last()) else {
            return Ok(());
        };
        let path = self.path(&pack_name(first.timestamp, last.timestamp));
        let mut writer = PackWriter::create(&*self.storage, &path, Compression::Zstd, before)?;
        for (version, changeset) in versions {
            writer.push(version, changeset, &|_| ())?;
        }
        writer.finish(&*self.storage, after, &|_| ())
    }
}
