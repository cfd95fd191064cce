//! Shortening a history: what was before a version is removed, and the history begins with that version.
//!
//! ```text
//! <start>.keyframe           the whole table at that version; synced
//! <next>-<last>.pack         if one pack holds that version and later ones: the later ones alone; synced
//! version.log                the line of that version, with the action `compact` and its link of the chain; then the
//!                            lines of later versions. From here on the history is short
//! older packs, deltas, keyframes   removed
//! ```
//!
//! A crash before the log is replaced leaves the history as it was, with a whole copy more; one after it leaves files
//! that nobody reads, and that the next folding removes. Later links of the chain stay as they are: it goes on
//! from the link of the version that the history begins with. Memory: the table, and one chunk of a pack.

use reedbase_plugin_api::{Changeset, DeltaCodec, Error, NodeId, Result, Timestamp};
use sha2::{Digest, Sha256};

use super::rebuild::rebuild;
use super::versions::{History, Versions};
use crate::delta::{Pack, PackWriter, RowsCodec, VersionInfo, pack_name};
use crate::frame::Action;
use crate::log::{Version, chain_hash};
use crate::table::Table;

/// What shortening a history did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortened {
    /// How many versions it has less.
    pub versions: u64,
    /// How many bytes less its files have; below zero if the whole copy takes more than what was removed.
    pub bytes: i64,
    /// The node that made the version which it begins with.
    pub node: NodeId,
}

/// Makes a history begin with a version; `None` if there is nothing before it. `current` is a whole copy at hand.
///
/// # Errors
/// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if there is no such version, damage of what stays, or those of the
/// storage.
pub fn shorten(history: &History, start: Timestamp, current: &Table) -> Result<Option<Shortened>> {
    let mut versions = history.versions()?;
    versions.remove_leftovers()?;
    let at = versions.list().iter().position(|version| version.timestamp == start);
    let at = at.ok_or_else(|| Error::not_found("the table has no such version").at_frame(start))?;
    let first = versions.list().get(at).cloned().filter(|_| at > 0);
    let Some(first) = first else { return Ok(None) };
    let size_before = history.size()?;
    if !versions.has_whole(&first) {
        history.write_keyframe(&rebuild(&versions, start, Some(current))?)?;
    }
    let hash = versions.write_rest_of_pack(start)?;
    history.sync_folder()?;
    versions.check_link(start, &hash)?;
    let line = Version { hash, action: Action::COMPACT, ..Version::of(&first) };
    let later = versions.log.versions().iter().filter(|version| version.timestamp > start);
    let lines = std::iter::once(line).chain(later.cloned()).collect();
    versions.log.replace(lines)?;
    history.versions()?.remove_leftovers()?;
    let bytes = size_before.cast_signed() - history.size()?.cast_signed();
    Ok(Some(Shortened { versions: at as u64, bytes, node: first.node }))
}

/// The link of the hash chain of a version that follows the one with this link.
///
/// # Errors
/// None that a changeset which was read could cause.
pub fn link_of(
    before: &[u8; 32],
    version: &VersionInfo,
    changeset: &Changeset,
) -> Result<[u8; 32]> {
    let mut bytes = Vec::new();
    RowsCodec.encode(std::slice::from_ref(changeset), &mut bytes)?;
    Ok(chain_hash(before, &Version::of(version), &Sha256::digest(&bytes).into()))
}

/// That a history begins too late for what is asked.
pub fn begins_later(start: Timestamp) -> Error {
    Error::not_found("the history of the table begins later: what was before was removed")
        .at_frame(start)
        .help("rdb version:list TABLE shows what is kept; a backup may have the rest")
}

impl Versions {
    /// Whether there is a whole copy of a version that can be read.
    fn has_whole(&self, version: &VersionInfo) -> bool {
        let copy = self.keyframe_at(version.timestamp).and_then(Result::ok);
        copy.is_some_and(|table| (table.file_len(), table.rows()) == (version.size, version.rows))
    }

    /// Writes what a pack holds beyond a version as a pack of its own; gives the link of the version.
    fn write_rest_of_pack(&self, start: Timestamp) -> Result<[u8; 32]> {
        let holds = |pack: &Pack| pack.versions().iter().any(|v| v.timestamp == start);
        let Some((_, pack)) = self.packs.iter().find(|(_, pack)| holds(pack)) else {
            return self.hash_of(start);
        };
        let mut later = pack.versions().iter().filter(|version| version.timestamp > start);
        let (Some(first), Some(last)) = (later.next(), pack.versions().last()) else {
            return Ok(*pack.hashes().1);
        };
        let history = &self.history;
        let path = history.path(&pack_name(first.timestamp, last.timestamp));
        let (mut hash, mut writer) = (*pack.hashes().0, None);
        let all: Vec<usize> = (0..pack.versions().len()).collect();
        pack.read(&all, |version, changeset| {
            if version.timestamp <= start {
                hash = link_of(&hash, version, &changeset)?;
                return Ok(());
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(PackWriter::create(
                    &*history.storage,
                    &path,
                    pack.compression(),
                    &hash,
                )?),
            };
            writer.push(version.clone(), changeset, &|_| ())
        })?;
        if let Some(writer) = writer {
            writer.finish(&*history.storage, pack.hashes().1, &|_| ())?;
        }
        Ok(hash)
    }

    /// Nothing is removed on the word of a history that is damaged.
    fn check_link(&self, version: Timestamp, link: &[u8; 32]) -> Result<()> {
        match self.hash_of(version) {
            Ok(stored) if stored != *link => {
                Err(Error::corrupt("the hash chain is broken: the version is not what was written")
                    .at_frame(version)
                    .help("see what is damaged: rdb verify"))
            }
            _ => Ok(()),
        }
    }

    /// Removes the files that a crash left. Needs the checkpoint's lock.
    pub(super) fn remove_leftovers(&mut self) -> Result<()> {
        for name in std::mem::take(&mut self.leftovers) {
            self.history.storage.remove(&self.history.path(&name))?;
        }
        Ok(())
    }
}

impl History {
    pub(super) fn sync_folder(&self) -> Result<()> {
        self.storage.sync_folder(self.path("").trim_end_matches('/'))
    }

    /// The bytes that its files have.
    fn size(&self) -> Result<u64> {
        let mut size = 0;
        for name in self.storage.list(self.path("").trim_end_matches('/'))? {
            let is_history = [".bsdiff", ".pack", ".keyframe", ".log"];
            if is_history.iter().any(|end| name.ends_with(end)) {
                size += self.storage.len(&self.path(&name))?.unwrap_or_default();
            }
        }
        Ok(size)
    }
}
