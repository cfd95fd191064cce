//! The part of a checkpoint that writes down what each version of a table changed: deltas or a pack, and lines
//! of the log.

use reedbase_plugin_api::{Changeset, Result};
use sha2::{Digest, Sha256};

use super::inner::Inner;
use crate::delta::{DeltaFile, VersionInfo, delta_name};
use crate::frame::ChangeBody;
use crate::log::{UserDictionary, Version, VersionLog, chain_hash};
use crate::mark::table_path;
use crate::state::{Pending, TableState, read_change};
use crate::storage::Storage;

/// Writes the deltas and log lines of all versions of a table that lack them. They are durable when
/// this returns.
pub(super) fn write_versions(
    inner: &Inner,
    table: &TableState,
    users: &mut UserDictionary,
) -> Result<()> {
    let mut log = VersionLog::read(inner.store.storage(), table.name())?;
    let newest = log.newest();
    let pending: Vec<_> = table.pending().filter(|p| p.info.timestamp > newest).collect();
    let to_pack = pending.len() > inner.store.limits().pack_min;
    let hash = log.newest_hash();
    let group = Group { before: hash, versions: Vec::new() };
    let mut writer = VersionWriter { inner, table, hash, group, versions: Vec::new() };
    for pending in pending {
        let user = users.code(&pending.info.user, pending.info.timestamp);
        writer.push(pending, user, to_pack)?;
    }
    writer.finish(&mut log)
}

/// Consecutive versions that go into one pack.
#[derive(Default)]
struct Group {
    /// The hash of the version before.
    before: [u8; 32],
    versions: Vec<(VersionInfo, Changeset)>,
}

struct VersionWriter<'a> {
    inner: &'a Inner,
    table: &'a TableState,
    /// The newest link of the chain.
    hash: [u8; 32],
    group: Group,
    /// The new lines of the log, and whether a pack repeats each.
    versions: Vec<(Version, bool)>,
}

impl VersionWriter<'_> {
    fn push(&mut self, pending: &Pending, user: u32, to_pack: bool) -> Result<()> {
        let (info, change) = (&pending.info, &pending.change);
        let mut version = Version {
            timestamp: info.timestamp,
            action: change.action,
            user,
            base: change.base,
            size: change.size,
            rows: change.rows,
            hash: [0; 32],
            node: info.node,
        };
        let before = self.hash;
        let mut packed = false;
        match &change.body {
            // Its delta file was written by the commit.
            ChangeBody::File { content, .. } => {
                version.hash = chain_hash(&before, &version, content);
                self.write_group(version.hash)?;
            }
            ChangeBody::Inline(bytes) => {
                version.hash = chain_hash(&before, &version, &Sha256::digest(bytes).into());
                let changeset = read_change(change, info.timestamp, &self.inner.store)?;
                packed = to_pack;
                if to_pack {
                    self.group.versions.push((version.info(), changeset));
                } else {
                    self.write_loose(&version, changeset)?;
                }
            }
        }
        self.hash = version.hash;
        self.versions.push((version, packed));
        Ok(())
    }

    fn write_loose(&self, version: &Version, changeset: Changeset) -> Result<()> {
        let path = self.path(&delta_name(version.timestamp));
        let large = self.inner.store.limits().large_changeset;
        let delta = DeltaFile::new(version.timestamp, version.base, changeset);
        delta.write(self.storage(), &path, large).map(drop)
    }

    /// Writes the versions gathered so far as a pack; the next ones follow the version with this hash.
    fn write_group(&mut self, next_before: [u8; 32]) -> Result<()> {
        let next = Group { before: next_before, versions: Vec::new() };
        let group = std::mem::replace(&mut self.group, next);
        let history = self.inner.store.history(self.table.name());
        history.write_pack(&group.before, group.versions, &self.hash)
    }

    fn finish(mut self, log: &mut VersionLog) -> Result<()> {
        self.write_group(self.hash)?;
        self.storage().sync_folder(self.path("").trim_end_matches('/'))?;
        log.append(self.lines_to_keep())
    }

    /// Of the lines to be logged, those that would not be dropped at once since a pack repeats them.
    fn lines_to_keep(&mut self) -> Vec<Version> {
        let mut versions = std::mem::take(&mut self.versions);
        let old = versions.len().saturating_sub(self.inner.store.limits().log_lines);
        let mut number = 0;
        versions.retain(|(_, packed)| {
            number += 1;
            number > old || !packed
        });
        versions.into_iter().map(|(version, _)| version).collect()
    }

    fn storage(&self) -> &dyn Storage {
        &**self.inner.store.storage()
    }

    fn path(&self, name: &str) -> String {
        table_path(self.table.name(), name)
    }
}
