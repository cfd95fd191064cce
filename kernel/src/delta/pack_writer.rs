//! Writing a pack.

use reedbase_plugin_api::{Changeset, DeltaCodec, Result};

use super::RowsCodec;
use super::compress::{Compression, Counted};
use super::directory::{Chunk, Directory, VersionInfo, pack_hash};
use super::pack::{END, FORMAT, MAGIC};
use crate::storage::{FileWriter, Storage};
use crate::table::{key_of, split};

/// A chunk is closed when its changesets touch this many bytes: the larger, the smaller the pack and the
/// slower the history of a row.
const CHUNK_XZ: usize = 1 << 17;
const CHUNK: usize = 1 << 15;

/// A version that touches more keys than this is not found by key.
const KEYS_MAX: usize = if cfg!(test) { 3 } else { 1000 };

/// Writes a pack, one version after the other.
pub struct PackWriter {
    file: FileWriter,
    compression: Compression,
    directory: Directory,
    /// (hash of a key, version), in no order.
    keys: Vec<(u32, u32)>,
    open: Vec<Changeset>,
    open_bytes: usize,
    /// How many bytes were compressed so far.
    compressed: u64,
    head: Vec<u8>,
}

impl PackWriter {
    /// Begins a pack after the version with this hash.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn create(
        storage: &dyn Storage,
        path: &str,
        compression: Compression,
        hash_before: &[u8; 32],
    ) -> Result<Self> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&FORMAT.to_le_bytes());
        head.extend_from_slice(&[0, compression.code()]);
        head.extend_from_slice(hash_before);
        let mut file = FileWriter::create(storage, path)?;
        file.put(&head)?;
        let (directory, keys, open) = (Directory::default(), Vec::new(), Vec::new());
        Ok(Self { file, compression, directory, keys, open, open_bytes: 0, compressed: 0, head })
    }

    /// Appends a version. `tell` is told how many bytes were compressed so far.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn push(
        &mut self,
        version: VersionInfo,
        changeset: Changeset,
        tell: &dyn Fn(u64),
    ) -> Result<()> {
        let directory = &mut self.directory;
        let number = u32::try_from(directory.versions.len()).unwrap_or(u32::MAX);
        let keys = touched_keys(&changeset)?;
        if keys.len() > KEYS_MAX {
            directory.bulk.push(number);
        } else {
            self.keys.extend(keys.into_iter().map(|key| (key, number)));
        }
        directory.versions.push(version);
        self.open_bytes += changeset.touched_bytes() + 64;
        self.open.push(changeset);
        let enough = if self.compression == Compression::Xz { CHUNK_XZ } else { CHUNK };
        if self.open_bytes >= enough { self.close_chunk(tell) } else { Ok(()) }
    }

    fn close_chunk(&mut self, tell: &dyn Fn(u64)) -> Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let changesets = std::mem::take(&mut self.open);
        let first = self.directory.versions.len() - changesets.len();
        let offset = self.file.written();
        let mut stored = Counted::new(&mut self.file);
        let mut unpacked = 0;
        let before = self.compressed;
        self.compression.pack(self.open_bytes, &mut stored, &mut |sink| {
            let tell = |len| tell(before + len);
            let mut counted = Counted::telling(sink, &tell);
            RowsCodec.encode(&changesets, &mut counted)?;
            unpacked = counted.len;
            Ok(())
        })?;
        let (len, crc) = (stored.len, stored.crc());
        self.compressed += unpacked;
        let versions = changesets.len();
        self.directory.chunks.push(Chunk { first, versions, offset, len, unpacked, crc });
        self.open_bytes = 0;
        Ok(())
    }

    /// Writes the directory and syncs the file. `hash_after` is the hash of the last version.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn finish(
        mut self,
        storage: &dyn Storage,
        hash_after: &[u8; 32],
        tell: &dyn Fn(u64),
    ) -> Result<()> {
        self.close_chunk(tell)?;
        self.directory.set_keys(std::mem::take(&mut self.keys));
        let directory = self.directory.to_bytes();
        let packed = self.compression.pack_bytes(&directory)?;
        let offset = self.file.written();
        let mut end = packed;
        let (len, unpacked) = (end.len(), directory.len());
        end.extend_from_slice(hash_after);
        end.extend_from_slice(&offset.to_le_bytes());
        end.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        end.extend_from_slice(&u32::try_from(unpacked).unwrap_or(u32::MAX).to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.head);
        crc.update(&end);
        end.extend_from_slice(&crc.finalize().to_le_bytes());
        end.extend_from_slice(END);
        self.file.put(&end)?;
        self.file.finish(storage)
    }
}

/// The hashes of the keys that a changeset touched.
fn touched_keys(changeset: &Changeset) -> Result<Vec<u32>> {
    let before = changeset.before.as_ref().unwrap_or(&changeset.after);
    let sides = [(before, &changeset.removed), (&changeset.after, &changeset.added)];
    let mut keys = Vec::new();
    for (shape, runs) in sides {
        for run in runs {
            for (_, line) in split(run, shape.delimiter())? {
                keys.extend(key_of(&line, shape).map(|key| pack_hash(&key)));
            }
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::super::pack::Pack;
    use super::*;
    use crate::frame::Action;
    use crate::storage::{Access, MemoryStorage};
    use crate::table::Key;
    use reedbase_plugin_api::{Bytes, Lines, NodeId, Shape, Timestamp};

    fn changeset(key: u64, n: u64) -> Changeset {
        let shape = Shape::new(b',', Bytes::from("id,x\n"), vec![0]).unwrap();
        let line = |value: u64| {
            vec![Lines { start: key, count: 1, bytes: Bytes::from(format!("{key},{value}\n")) }]
        };
        Changeset {
            before: Some(shape.clone()),
            after: shape,
            schema: None,
            removed: line(n),
            added: line(n + 1),
            moves: Vec::new(),
            salt: [n as u8; 16],
        }
    }

    fn version(n: i64) -> VersionInfo {
        let at = Timestamp::from_micros;
        let node = NodeId::from_bits(if n < 50 { 7 } else { 8 });
        VersionInfo::new(at(1000 + n), at(999 + n), Action::UPDATE, 3, node)
            .totals(100 + n as u64, 9)
    }

    fn write(storage: &MemoryStorage, compression: Compression) {
        let mut writer = PackWriter::create(storage, "p", compression, &[1; 32]).unwrap();
        for n in 0..100 {
            // Long rows, so that there are several chunks.
            let mut changeset = changeset(n % 10, n);
            if n % 3 == 0 {
                let long = format!("{},{}\n", n % 10, "x".repeat(5000));
                changeset.added[0].bytes = Bytes::from(long);
            }
            writer.push(version(n as i64), changeset, &|_| ()).unwrap();
        }
        writer.finish(storage, &[2; 32], &|_| ()).unwrap();
    }

    fn open(storage: &MemoryStorage) -> Result<Pack> {
        Pack::open(storage.open("p", Access::Read)?.unwrap())
    }

    #[test]
    fn versions_come_back_by_number_and_by_key() {
        for compression in [Compression::Xz, Compression::Zstd] {
            let storage = MemoryStorage::new();
            write(&storage, compression);
            let pack = open(&storage).unwrap();
            assert_eq!(pack.compression(), compression);
            assert!(pack.chunks() > 1);
            assert_eq!(pack.hashes(), (&[1; 32], &[2; 32]));
            let expected: Vec<_> = (0..100).map(version).collect();
            assert_eq!(pack.versions(), expected);
            assert!(pack.touching(&Key::from("4")).eq((4..100).step_by(10)));
            assert_eq!(pack.touching(&Key::from("11")).count(), 0);
            let mut seen = Vec::new();
            pack.read(&[0, 1, 50, 99], |version, changeset| {
                seen.push((version.timestamp.as_micros() - 1000, changeset.salt[0]));
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, [(0, 0), (1, 1), (50, 50), (99, 99)]);
        }
    }

    #[test]
    fn damage_is_found() {
        let storage = MemoryStorage::new();
        write(&storage, Compression::Zstd);
        let whole = storage.files()["p"].clone();
        let all: Vec<usize> = (0..100).collect();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let storage = MemoryStorage::from_files([("p".into(), damaged)].into());
            let read = open(&storage).and_then(|pack| pack.read(&all, |_, _| Ok(())));
            assert!(read.is_err(), "byte {at}");
        }
    }
}
