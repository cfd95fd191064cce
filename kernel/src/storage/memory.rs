//! Files in memory: for tests, and for databases that need no disk. Several databases may open one
//! memory storage, as several processes open one folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use reedbase_plugin_api::{Error, Result};

use super::{Access, File, LockFile, LockMode, Stat, Storage};

/// A folder in memory; clones are the same folder.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    names: Mutex<Names>,
    /// Counts changes, instead of a clock.
    ticks: AtomicI64,
}

#[derive(Default)]
struct Names {
    files: BTreeMap<String, Arc<MemoryFile>>,
    folders: BTreeSet<String>,
    locks: BTreeMap<String, Arc<LockState>>,
    inodes: u64,
}

impl MemoryStorage {
    /// An empty folder.
    pub fn new() -> Self {
        Self::default()
    }

    /// A folder that holds these files.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        let storage = Self::new();
        for (path, content) in files {
            let file = storage.insert(&path);
            *file.content.write().unwrap_or_else(PoisonError::into_inner) = content;
        }
        storage
    }

    /// What every file holds.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let names = self.names();
        let content =
            |file: &MemoryFile| file.content.read().unwrap_or_else(PoisonError::into_inner).clone();
        names.files.iter().map(|(path, file)| (path.clone(), content(file))).collect()
    }

    /// The inode of every file, in the order of [`files`](Self::files).
    pub(super) fn inodes(&self) -> Vec<u64> {
        self.names().files.values().map(|file| file.inode).collect()
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        // A panic elsewhere cannot leave the map half changed: each change is one call.
        self.shared.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, path: &str) -> Arc<MemoryFile> {
        let mut names = self.names();
        names.inodes += 1;
        let file = Arc::new(MemoryFile {
            content: RwLock::default(),
            modified: AtomicI64::new(self.shared.tick()),
            inode: names.inodes,
            shared: Arc::clone(&self.shared),
        });
        names.files.insert(path.to_owned(), Arc::clone(&file));
        file
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStorage")
    }
}

impl Shared {
    fn tick(&self) -> i64 {
        self.ticks.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn missing(path: &str) -> Error {
    Error::io("find the file", path, std::io::ErrorKind::NotFound.into())
}

impl Storage for MemoryStorage {
    fn root(&self) -> &Path {
        Path::new("memory:")
    }

    fn create(&self, path: &str) -> Result<Arc<dyn File>> {
        Ok(self.insert(path))
    }

    fn open(&self, path: &str, _access: Access) -> Result<Option<Arc<dyn File>>> {
        Ok(self.names().files.get(path).map(|file| Arc::clone(file) as Arc<dyn File>))
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>> {
        self.open(path, Access::Read)?.map(|file| file.stat()).transpose()
    }

    fn create_folder(&self, path: &str) -> Result<()> {
        self.names().folders.insert(path.to_owned());
        Ok(())
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let names = self.names();
        let paths = names.files.keys().chain(&names.folders);
        let below = paths.filter_map(|path| path.strip_prefix(&prefix));
        let first = below.filter_map(|path| path.split('/').next()).filter(|name| !name.is_empty());
        Ok(first.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut names = self.names();
        let file = names.files.remove(from).ok_or_else(|| missing(from))?;
        names.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn exchange(&self, one: &str, other: &str) -> Result<()> {
        let mut names = self.names();
        let first = names.files.remove(one).ok_or_else(|| missing(one))?;
        let Some(second) = names.files.insert(other.to_owned(), Arc::clone(&first)) else {
            names.files.remove(other);
            names.files.insert(one.to_owned(), first);
            return Err(missing(other));
        };
        names.files.insert(one.to_owned(), second);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.names().files.remove(path);
        Ok(())
    }

    fn sync_folder(&self, _folder: &str) -> Result<()> {
        Ok(())
    }

    fn lock_file(&self, path: &str) -> Result<Option<Box<dyn LockFile>>> {
        let state = Arc::clone(self.names().locks.entry(path.to_owned()).or_default());
        Ok(Some(Box::new(MemoryLock { state, held: Mutex::new(None) })))
    }
}

struct MemoryFile {
    content: RwLock<Vec<u8>>,
    modified: AtomicI64,
    inode: u64,
    shared: Arc<Shared>,
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryFile({})", self.inode)
    }
}

impl MemoryFile {
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.content.write().unwrap_or_else(PoisonError::into_inner));
        self.modified.store(self.shared.tick(), Ordering::Relaxed);
    }
}

fn index(offset: u64) -> Result<usize> {
    usize::try_from(offset).map_err(|_| Error::internal("an offset that exceeds memory"))
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let rest = content.get(index(offset)?..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let start = index(offset)?;
        let end = start + bytes.len();
        self.change(|content| {
            if content.len() < end {
                content.resize(end, 0);
            }
            if let Some(place) = content.get_mut(start..end) {
                place.copy_from_slice(bytes);
            }
        });
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let len = index(len)?;
        self.change(|content| content.resize(len, 0));
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn stat(&self) -> Result<Stat> {
        let len = self.content.read().unwrap_or_else(PoisonError::into_inner).len() as u64;
        let modified = self.modified.load(Ordering::Relaxed);
        Ok(Stat { len, modified, inode: self.inode, allocated: len.next_multiple_of(4096) })
    }

    fn set_modified(&self, modified: i64) -> Result<()> {
        self.modified.store(modified, Ordering::Relaxed);
        Ok(())
    }
}

/// How many hold a lock: -1 is one exclusive holder.
#[derive(Debug, Default)]
struct LockState {
    holders: Mutex<i32>,
    changed: Condvar,
}

#[derive(Debug)]
struct MemoryLock {
    state: Arc<LockState>,
    held: Mutex<Option<LockMode>>,
}

/// Whether a lock that so many hold (-1: one alone) can be had.
fn is_free(holders: i32, mode: LockMode) -> bool {
    match mode {
        LockMode::Shared => holders >= 0,
        LockMode::Exclusive => holders == 0,
    }
}

impl MemoryLock {
    fn take(&self, mut holders: MutexGuard<'_, i32>, mode: LockMode) {
        *holders = if mode == LockMode::Exclusive { -1 } else { *holders + 1 };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(mode);
    }
}

impl Drop for MemoryLock {
    /// As a file system does when the descriptor is closed.
    fn drop(&mut self) {
        drop(self.unlock());
    }
}

impl LockFile for MemoryLock {
    fn lock(&self, mode: LockMode) -> Result<()> {
        let mut holders = self.state.holders.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_free(*holders, mode) {
            holders = self.state.changed.wait(holders).unwrap_or_else(PoisonError::into_inner);
        }
        self.take(holders, mode);
        Ok(())
    }

    fn try_lock(&self, mode: LockMode) -> Result<bool> {
        let holders = self.state.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_free(*holders, mode) {
            return Ok(false);
        }
        self.take(holders, mode);
        Ok(true)
    }

    fn unlock(&self) -> Result<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut holders = self.state.holders.lock().unwrap_or_else(PoisonError::into_inner);
        match held {
            Some(LockMode::Exclusive) => *holders = 0,
            Some(LockMode::Shared) => *holders -= 1,
            None => {}
        }
        self.state.changed.notify_all();
        Ok(())
    }
}
