//! A storage that fails when told to, and shows what a crash could leave on the disk.
//!
//! It works on memory, as a program works on the page cache, and records every operation that changes
//! something. An image of the disk after a crash is made by replaying the record:
//!
//! - data written to a file before its last sync is there; of the later writes any subset is, and the
//!   last of them may be torn;
//! - names changed in a folder before its last sync are so; of the later changes a prefix is;
//! - what was written before a sync that failed is as if it was never synced, whatever syncs come later.
//!
//! Which subset, prefix and tear is drawn from a seed, so that a failing image can be made again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reedbase_plugin_api::{Error, Result};

use super::{Access, File, LockFile, MemoryStorage, Stat, Storage};

/// A storage over memory that records, and fails on demand; clones are the same storage.
#[derive(Clone)]
pub struct FaultyStorage {
    view: MemoryStorage,
    record: Arc<Mutex<Record>>,
}

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The machine stops: this operation and all later ones fail.
    Crash,
    /// This operation fails once with "no space left".
    DiskFull,
    /// This operation fails once with an input/output error.
    Io,
}

#[derive(Default)]
struct Record {
    /// The files that were there at the start: path, inode, content.
    start: Vec<(String, u64, Vec<u8>)>,
    operations: Vec<Operation>,
    /// How many operations were asked for, failed ones included.
    asked: usize,
    fault: Option<(usize, Fault)>,
    crashed: bool,
}

#[derive(Clone)]
enum Operation {
    Create {
        path: String,
        inode: u64,
    },
    Write {
        inode: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        inode: u64,
        len: u64,
    },
    Sync {
        inode: u64,
    },
    Rename {
        from: String,
        to: String,
    },
    Exchange {
        one: String,
        other: String,
    },
    Remove {
        path: String,
    },
    SyncFolder {
        folder: String,
    },
    /// A sync that failed: the system may have dropped what was to be written, and think it clean.
    FailedSync {
        inode: u64,
    },
}

impl fmt::Debug for FaultyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStorage")
    }
}

impl FaultyStorage {
    /// A storage that starts with these files, all durable.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        let view = MemoryStorage::from_files(files);
        let start = view.inodes().into_iter().zip(view.files());
        let start = start.map(|(inode, (path, content))| (path, inode, content)).collect();
        let record = Record { start, ..Record::default() };
        Self { view, record: Arc::new(Mutex::new(record)) }
    }

    /// Lets the operation with this number fail, counted from 0.
    pub fn fail_at(&self, operation: usize, fault: Fault) {
        self.lock().fault = Some((operation, fault));
    }

    /// How many operations that change something were asked for so far.
    pub fn operations(&self) -> usize {
        self.lock().asked
    }

    /// Whether the crash happened.
    pub fn has_crashed(&self) -> bool {
        self.lock().crashed
    }

    /// The files as the programs saw them last.
    pub fn view(&self) -> BTreeMap<String, Vec<u8>> {
        self.view.files()
    }

    /// What the disk may hold if the machine stops now, one possibility per seed. Seed 0 loses all that
    /// may be lost, seed 1 nothing.
    pub fn image_after_crash(&self, seed: u64) -> BTreeMap<String, Vec<u8>> {
        let record = self.lock();
        let mut disk = Disk::new(&record.start);
        let mut choice = Choice(seed);
        let last_write =
            record.operations.iter().rposition(|op| matches!(op, Operation::Write { .. }));
        let fates = durable(&record.operations);
        for (at, (operation, durable)) in record.operations.iter().zip(fates).enumerate() {
            let fate = Fate { durable, last_write: Some(at) == last_write };
            disk.replay(operation, fate, &mut choice);
        }
        disk.image()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if a fault is due, else acts and records what was done. `torn` is what a crash in the middle
    /// of the operation may leave, `dropped` what its failure does.
    fn step<T>(
        &self,
        torn: Option<Operation>,
        dropped: Option<Operation>,
        act: impl FnOnce() -> Result<(T, Operation)>,
    ) -> Result<T> {
        let mut record = self.lock();
        let number = record.asked;
        record.asked += 1;
        let fault = match record.fault {
            _ if record.crashed => Fault::Crash,
            Some((at, fault)) if at == number => fault,
            _ => {
                let (value, operation) = act()?;
                record.operations.push(operation);
                return Ok(value);
            }
        };
        record.fault = None;
        record.operations.extend(dropped.filter(|_| fault != Fault::Crash));
        if fault == Fault::Crash && !record.crashed {
            record.crashed = true;
            record.operations.extend(torn);
        }
        let kind = match fault {
            Fault::DiskFull => std::io::ErrorKind::StorageFull,
            _ => std::io::ErrorKind::Other,
        };
        let source = std::io::Error::new(kind, format!("injected: {fault:?}"));
        Err(Error::io("use the disk", "memory:", source))
    }
}

impl Storage for FaultyStorage {
    fn root(&self) -> &Path {
        self.view.root()
    }

    fn create(&self, path: &str) -> Result<Arc<dyn File>> {
        let (file, inode) = self.step(None, None, || {
            let file = self.view.create(path)?;
            let inode = file.stat()?.inode;
            Ok(((file, inode), Operation::Create { path: path.to_owned(), inode }))
        })?;
        Ok(Arc::new(FaultyFile { file, inode, storage: self.clone() }))
    }

    fn open(&self, path: &str, access: Access) -> Result<Option<Arc<dyn File>>> {
        let Some(file) = self.view.open(path, access)? else { return Ok(None) };
        let inode = file.stat()?.inode;
        Ok(Some(Arc::new(FaultyFile { file, inode, storage: self.clone() })))
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>> {
        self.open(path, Access::Read)?.map(|file| file.stat()).transpose()
    }

    fn create_folder(&self, path: &str) -> Result<()> {
        self.view.create_folder(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.view.list(folder)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let operation = Operation::Rename { from: from.to_owned(), to: to.to_owned() };
        self.step(None, None, || Ok((self.view.rename(from, to)?, operation)))
    }

    fn exchange(&self, one: &str, other: &str) -> Result<()> {
        let operation = Operation::Exchange { one: one.to_owned(), other: other.to_owned() };
        self.step(None, None, || Ok((self.view.exchange(one, other)?, operation)))
    }

    fn remove(&self, path: &str) -> Result<()> {
        let operation = Operation::Remove { path: path.to_owned() };
        self.step(None, None, || Ok((self.view.remove(path)?, operation)))
    }

    fn sync_folder(&self, folder: &str) -> Result<()> {
        let operation = Operation::SyncFolder { folder: folder.to_owned() };
        self.step(None, None, || Ok(((), operation)))
    }

    fn lock_file(&self, path: &str) -> Result<Option<Box<dyn LockFile>>> {
        self.view.lock_file(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn File>,
    inode: u64,
    storage: FaultyStorage,
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let operation = Operation::Write { inode: self.inode, offset, bytes: bytes.to_vec() };
        self.storage.step(Some(operation.clone()), None, || {
            Ok((self.file.write_at(bytes, offset)?, operation))
        })
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let operation = Operation::SetLen { inode: self.inode, len };
        self.storage.step(None, None, || Ok((self.file.set_len(len)?, operation)))
    }

    fn sync(&self) -> Result<()> {
        let operation = Operation::Sync { inode: self.inode };
        let dropped = Operation::FailedSync { inode: self.inode };
        self.storage.step(None, Some(dropped), || Ok(((), operation)))
    }

    fn stat(&self) -> Result<Stat> {
        self.file.stat()
    }

    fn set_modified(&self, modified: i64) -> Result<()> {
        self.file.set_modified(modified)
    }
}

/// What is known of an operation when the machine stops.
#[derive(Clone, Copy)]
struct Fate {
    /// A sync came after it.
    durable: bool,
    /// It was the last write: it may be torn.
    last_write: bool,
}

/// Which operations a later sync made durable.
fn durable(operations: &[Operation]) -> Vec<bool> {
    let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
    let mut fates: Vec<bool> = operations
        .iter()
        .rev()
        .map(|operation| match operation {
            Operation::Sync { inode } => files.insert(*inode),
            Operation::FailedSync { inode } => files.remove(inode),
            Operation::SyncFolder { folder } => folders.insert(folder.as_str()),
            Operation::Write { inode, .. } | Operation::SetLen { inode, .. } => {
                files.contains(inode)
            }
            names => names.folder().is_some_and(|folder| folders.contains(folder)),
        })
        .collect();
    fates.reverse();
    fates
}

impl Operation {
    /// The folder in which it changes a name.
    fn folder(&self) -> Option<&str> {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => Some(folder_of(path)),
            Self::Rename { to, .. } => Some(folder_of(to)),
            Self::Exchange { one, .. } => Some(folder_of(one)),
            _ => None,
        }
    }
}

/// The disk that a replay builds.
struct Disk {
    names: BTreeMap<String, u64>,
    contents: BTreeMap<u64, Vec<u8>>,
    /// Folders in which a change of names was lost: later ones before the next sync are lost too.
    stopped: BTreeSet<String>,
}

impl Disk {
    fn new(start: &[(String, u64, Vec<u8>)]) -> Self {
        let names = start.iter().map(|(path, inode, _)| (path.clone(), *inode)).collect();
        let contents = start.iter().map(|(_, inode, bytes)| (*inode, bytes.clone())).collect();
        Self { names, contents, stopped: BTreeSet::new() }
    }

    /// Applies an operation, unless the crash lost it.
    fn replay(&mut self, operation: &Operation, fate: Fate, choice: &mut Choice) {
        match operation {
            Operation::Write { inode, offset, bytes } => {
                let kept = match (fate.durable, fate.last_write) {
                    (true, _) => bytes.len(),
                    (false, true) => choice.below(bytes.len() + 1),
                    (false, false) => bytes.len() * choice.below(2),
                };
                self.write(*inode, *offset, bytes.get(..kept).unwrap_or_default());
            }
            Operation::SetLen { inode, len } => {
                if fate.durable || choice.below(2) == 1 {
                    let content = self.contents.entry(*inode).or_default();
                    content.resize(usize::try_from(*len).unwrap_or(usize::MAX), 0);
                }
            }
            Operation::Sync { .. }
            | Operation::SyncFolder { .. }
            | Operation::FailedSync { .. } => {}
            names => self.replay_name(names, fate, choice),
        }
    }

    fn replay_name(&mut self, operation: &Operation, fate: Fate, choice: &mut Choice) {
        let Some(folder) = operation.folder() else { return };
        if !fate.durable && (self.stopped.contains(folder) || choice.below(4) == 0) {
            self.stopped.insert(folder.to_owned());
            return;
        }
        match operation {
            Operation::Create { path, inode } => {
                self.names.insert(path.clone(), *inode);
            }
            Operation::Remove { path } => {
                self.names.remove(path);
            }
            Operation::Rename { from, to } => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
                }
            }
            Operation::Exchange { one, other } => {
                let (first, second) = (self.names.remove(one), self.names.remove(other));
                self.names.extend(first.map(|inode| (other.clone(), inode)));
                self.names.extend(second.map(|inode| (one.clone(), inode)));
            }
            _ => {}
        }
    }

    fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) {
        let content = self.contents.entry(inode).or_default();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes.len());
        if content.len() < end && !bytes.is_empty() {
            content.resize(end, 0);
        }
        if let Some(place) = content.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
    }

    fn image(&self) -> BTreeMap<String, Vec<u8>> {
        let content = |inode: &u64| self.contents.get(inode).cloned().unwrap_or_default();
        self.names.iter().map(|(path, inode)| (path.clone(), content(inode))).collect()
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Draws from a seed (the generator splitmix64 by Sebastiano Vigna). Seed 0 always draws the smallest
/// number, seed 1 the largest.
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: usize) -> usize {
        match self.0 {
            0 => 0,
            1 => bound.saturating_sub(1),
            _ => {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut bits = self.0;
                bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                bits ^= bits >> 31;
                usize::try_from(bits % bound.max(1) as u64).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(storage: &dyn Storage) -> Result<()> {
        let file = storage.create("a")?;
        file.write_at(b"one", 0)?;
        file.sync()?;
        storage.sync_folder("")?;
        file.write_at(b"two", 3)?;
        file.write_at(b"six", 6)
    }

    #[test]
    fn synced_data_survives_and_the_rest_may() {
        let storage = FaultyStorage::new(BTreeMap::new());
        run(&storage).unwrap();
        assert_eq!(storage.image_after_crash(0)["a"], b"one");
        assert_eq!(storage.image_after_crash(1)["a"], b"onetwosix");
        let images: std::collections::BTreeSet<_> =
            (2..200).map(|seed| storage.image_after_crash(seed)["a"].clone()).collect();
        assert!(images.contains(b"one\0\0\0six".as_slice()), "the earlier write may be lost");
        assert!(images.contains(b"onetwos".as_slice()), "the last write may be torn");
        assert!(images.iter().all(|image| image.starts_with(b"one")));
    }

    #[test]
    fn a_crash_stops_everything_after_it() {
        for at in 0..6 {
            let storage = FaultyStorage::new(BTreeMap::new());
            storage.fail_at(at, Fault::Crash);
            assert!(run(&storage).is_err());
            assert!(storage.create("b").is_err());
            let image = storage.image_after_crash(0);
            assert_eq!(image.get("a").map(Vec::as_slice), (at >= 4).then_some(b"one".as_slice()));
        }
    }

    #[test]
    fn a_full_disk_fails_once() {
        let storage = FaultyStorage::new(BTreeMap::new());
        storage.fail_at(1, Fault::DiskFull);
        let error = run(&storage).unwrap_err();
        assert_eq!(error.kind(), reedbase_plugin_api::ErrorKind::DiskFull);
        run(&storage).unwrap();
    }
}
