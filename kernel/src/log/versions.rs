//! `version.log`: one line for each version of a table.
//!
//! ```text
//! timestamp|action|user|base|size|rows|hash|crc32|frame
//! 1763700000000000|2|1|1763699000000000|1289359|30170|9f86d081…|1F2E3D4C|1a2b3c4d5e6f
//! ```
//!
//! All are numbers but the hash and the frame. `action` and `user` are codes of the dictionaries, `base` is
//! the version before, `size` and `rows` are those of the whole table at this version, and `frame` is the
//! node that made the frame: with the timestamp it gives the frame's id. The hashes form a chain (see
//! `chain_hash`), so that no version can be changed or left out unnoticed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{NodeId, Result, TableName, Timestamp};
use sha2::{Digest, Sha256};

use super::LogFile;
use crate::delta::VersionInfo;
use crate::frame::Action;
use crate::storage::Storage;

const HEADER: &str = "timestamp|action|user|base|size|rows|hash|crc32|frame";
const CHECKSUM_CELL: usize = 7;

/// One version of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// The frame that made it.
    pub timestamp: Timestamp,
    /// What it did.
    pub action: Action,
    /// Who made it: a code of the dictionary of users.
    pub user: u32,
    /// The version before; zero for the first.
    pub base: Timestamp,
    /// The bytes of the table's file.
    pub size: u64,
    /// The rows of the table.
    pub rows: u64,
    /// The link of the chain.
    pub hash: [u8; 32],
    /// The node that made the frame.
    pub node: NodeId,
}

impl Version {
    /// A version without its link of the chain.
    pub fn of(info: &VersionInfo) -> Self {
        let VersionInfo { timestamp, base, action, user, node, size, rows } = info.clone();
        Self { timestamp, action, user, base, size, rows, hash: [0; 32], node }
    }

    /// The same without its link of the chain, as a pack holds it.
    pub fn info(&self) -> VersionInfo {
        let info = VersionInfo::new(self.timestamp, self.base, self.action, self.user, self.node);
        info.totals(self.size, self.rows)
    }
}

/// A link of the chain: SHA-256(hash of the version before ‖ header ‖ `content`). The header is timestamp,
/// base, size, rows (8 bytes each, little-endian), action (2), node (8); `content` is the SHA-256 of the
/// salted changeset in the codec `rows`.
pub fn chain_hash(previous: &[u8; 32], version: &Version, content: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    for number in [version.timestamp.as_micros(), version.base.as_micros()] {
        hash.update(number.to_le_bytes());
    }
    for number in [version.size, version.rows] {
        hash.update(number.to_le_bytes());
    }
    hash.update(version.action.code().to_le_bytes());
    hash.update(version.node.as_bits().to_le_bytes());
    hash.update(content);
    hash.finalize().into()
}

/// The log of one table.
#[derive(Debug)]
pub struct VersionLog {
    file: LogFile,
    versions: Vec<Version>,
    end: u64,
}

impl VersionLog {
    /// Reads the log of a table.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the line.
    pub fn read(storage: &Arc<dyn Storage>, table: &TableName) -> Result<Self> {
        let file = file_of(storage, table);
        let mut newest = None;
        let (versions, end) = file.read(|cells| {
            let version = parse(cells).filter(|version| newest < Some(version.timestamp))?;
            newest = Some(version.timestamp);
            Some(version)
        })?;
        Ok(Self { file, versions, end })
    }

    /// The lines that are whole, whatever else the file holds; and whether it holds nothing else.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn salvage(storage: &Arc<dyn Storage>, table: &TableName) -> Result<(Vec<Version>, bool)> {
        let file = file_of(storage, table);
        let (versions, bad) = file.salvage(parse)?;
        let by_time: BTreeMap<_, _> = versions.iter().map(|v| (v.timestamp, v.clone())).collect();
        let is_whole =
            bad == 0 && versions.is_sorted_by(|one, other| one.timestamp < other.timestamp);
        Ok((by_time.into_values().collect(), is_whole))
    }

    /// Writes a log anew.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn rewrite(
        storage: &Arc<dyn Storage>,
        table: &TableName,
        versions: Vec<Version>,
    ) -> Result<()> {
        let file = file_of(storage, table);
        Self { file, versions: Vec::new(), end: 0 }.replace(versions)
    }

    /// Whether something follows the last good line.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn is_torn(&self) -> Result<bool> {
        self.file.is_torn(self.end)
    }

    /// The versions, oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The newest version that is logged; zero if none is.
    pub fn newest(&self) -> Timestamp {
        self.versions.last().map_or(Timestamp::ZERO, |version| version.timestamp)
    }

    /// The version that the history begins with, if it was shortened.
    pub fn start(&self) -> Option<Timestamp> {
        let mut shortened = self.versions.iter().filter(|v| v.action == Action::COMPACT);
        shortened.next_back().map(|version| version.timestamp)
    }

    /// The hash of the newest version.
    pub fn newest_hash(&self) -> [u8; 32] {
        self.versions.last().map_or([0; 32], |version| version.hash)
    }

    /// Keeps only some lines; the others stand elsewhere.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn retain(&mut self, keep: impl Fn(&Version) -> bool) -> Result<()> {
        let versions = self.versions.iter().filter(|version| keep(version));
        self.replace(versions.cloned().collect())
    }

    /// Replaces all lines at once.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn replace(&mut self, versions: Vec<Version>) -> Result<()> {
        let lines: Vec<_> = versions.iter().map(to_cells).collect();
        self.end = self.file.replace(&lines)?;
        self.versions = versions;
        Ok(())
    }

    /// Appends versions and syncs.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn append(&mut self, versions: Vec<Version>) -> Result<()> {
        if versions.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = versions.iter().map(to_cells).collect();
        self.end = self.file.append(self.end, &lines)?;
        self.versions.extend(versions);
        Ok(())
    }
}

fn file_of(storage: &Arc<dyn Storage>, table: &TableName) -> LogFile {
    let path = format!("tables/{table}/version.log");
    LogFile::new(Arc::clone(storage), path, HEADER, CHECKSUM_CELL)
}

fn to_cells(version: &Version) -> Vec<String> {
    vec![
        version.timestamp.to_string(),
        version.action.code().to_string(),
        version.user.to_string(),
        version.base.to_string(),
        version.size.to_string(),
        version.rows.to_string(),
        to_hex(&version.hash),
        version.node.to_string(),
    ]
}

fn parse(cells: &[Cow<'_, str>]) -> Option<Version> {
    let [timestamp, action, user, base, size, rows, hash, _crc32, frame] = cells else {
        return None;
    };
    Some(Version {
        timestamp: Timestamp::from_micros(timestamp.parse().ok()?),
        action: Action::from_code(action.parse().ok()?),
        user: user.parse().ok()?,
        base: Timestamp::from_micros(base.parse().ok()?),
        size: size.parse().ok()?,
        rows: rows.parse().ok()?,
        hash: from_hex(hash)?,
        node: frame.parse().ok()?,
    })
}

/// Bytes as lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// The 32 bytes that 64 hexadecimal digits stand for.
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn versions_come_back() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let table = TableName::new("t").unwrap();
        let version = |n: i64| Version {
            timestamp: Timestamp::from_micros(n),
            action: Action::UPDATE,
            user: 1,
            base: Timestamp::from_micros(n - 1),
            size: 100,
            rows: 5,
            hash: [n as u8; 32],
            node: NodeId::from_bits(77),
        };
        let mut log = VersionLog::read(&storage, &table).unwrap();
        log.append(vec![version(1), version(2)]).unwrap();
        log.append(vec![version(3)]).unwrap();
        let again = VersionLog::read(&storage, &table).unwrap();
        assert_eq!(again.versions(), [version(1), version(2), version(3)]);
        assert_eq!(again.newest_hash(), [3; 32]);
        // A line in the wrong order is damage, even with a good checksum.
        log.append(vec![version(2)]).unwrap();
        assert!(VersionLog::read(&storage, &table).unwrap_err().is_corrupt());
    }
}
