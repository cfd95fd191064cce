//! Where the files are: the one door between the kernel and a disk.
//!
//! Paths are relative to the folder of the database and use `/`. Three storages exist: the file system,
//! memory (tests, and databases that need no disk), and a recorder that stops at any operation and shows
//! every image of the disk that a crash there could leave.
//!
//! What the kernel relies on, and nothing more:
//!
//! - what was written to a file is there after `sync` of that file returned;
//! - a name that was made, renamed or removed is so after `sync_folder` of its folder returned, and names
//!   in one folder change in the order they were changed;
//! - before that, any subset of the writes may be there after a crash, the last one torn at any byte;
//! - after a failed `sync`, nothing is known about the writes since the one before.

mod file_system;
mod memory;
mod faults;
mod writer;

pub use faults::{Fault, FaultyStorage};
pub use file_system::FileSystem;
pub use memory::MemoryStorage;
pub use writer::{FileWriter, write_error};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, Result};

/// A folder of files.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The folder itself, for messages.
    fn root(&self) -> &Path;

    /// Makes an empty file, replacing one of that name.
    fn create(&self, path: &str) -> Result<Arc<dyn File>>;

    /// Opens a file for reading, and for writing if asked; `None` if there is none.
    fn open(&self, path: &str, access: Access) -> Result<Option<Arc<dyn File>>>;

    /// What the file system knows of a file; `None` if there is none.
    fn stat(&self, path: &str) -> Result<Option<Stat>>;

    /// Makes a folder and those above it.
    fn create_folder(&self, path: &str) -> Result<()>;

    /// The names in a folder, sorted; none if it does not exist.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// Gives a file another name, replacing one of that name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Exchanges two names of one folder, atomically where the system can.
    fn exchange(&self, one: &str, other: &str) -> Result<()>;

    /// Removes a file; it need not exist.
    fn remove(&self, path: &str) -> Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &str) -> Result<()>;

    /// Opens a file to lock it, making it if need be; `None` if the folder cannot be written.
    fn lock_file(&self, path: &str) -> Result<Option<Box<dyn LockFile>>>;
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a file is read, or read and written")]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// An open file. Positions are explicit, so that threads need not agree on one.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads up to the length of the buffer; fewer bytes only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes all bytes, growing the file if need be.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;

    /// Cuts the file, or grows it with zeros.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Makes what was written durable (`fdatasync`).
    fn sync(&self) -> Result<()>;

    /// Length, time of change, identity.
    fn stat(&self) -> Result<Stat>;

    /// Sets the time of change, in nanoseconds since 1970.
    fn set_modified(&self, modified: i64) -> Result<()>;
}

/// What the file system knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The length in bytes.
    pub len: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified: i64,
    /// Its number in the file system.
    pub inode: u64,
    /// What it takes on disk, in bytes.
    pub allocated: u64,
}

impl Stat {
    /// What changes when a file does: length, time, identity. What it takes on disk follows later.
    pub fn version(&self) -> (u64, i64, u64) {
        (self.len, self.modified, self.inode)
    }
}

/// A file that is locked as a whole, against other holders of the file in this and other processes.
pub trait LockFile: Send + Sync + fmt::Debug {
    /// Waits for the lock; shared with other shared holders, or alone.
    fn lock(&self, mode: LockMode) -> Result<()>;

    /// Takes the lock if that needs no waiting; tells whether it did.
    fn try_lock(&self, mode: LockMode) -> Result<bool>;

    /// Gives it back.
    fn unlock(&self) -> Result<()>;
}

/// Who else may hold a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a lock is shared or it is not")]
pub enum LockMode {
    /// Other shared holders.
    Shared,
    /// Nobody.
    Exclusive,
}

/// A lock that is given back when this is dropped.
#[derive(Debug)]
pub struct LockGuard<'a>(&'a dyn LockFile);

impl<'a> LockGuard<'a> {
    /// Waits for the lock.
    pub fn new(file: &'a dyn LockFile, mode: LockMode) -> Result<Self> {
        file.lock(mode)?;
        Ok(Self(file))
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        // Unlocking fails only if the descriptor is gone, and then the lock is gone too.
        drop(self.0.unlock());
    }
}

impl dyn Storage + '_ {
    /// The path with the root before it, for messages.
    pub fn full_path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// How long a file is; `None` if there is none.
    pub fn len(&self, path: &str) -> Result<Option<u64>> {
        Ok(self.stat(path)?.map(|stat| stat.len))
    }

    /// The whole content of a file; `None` if there is none.
    pub fn read(&self, path: &str) -> Result<Option<Bytes>> {
        self.open(path, Access::Read)?.map(|file| read_all(&*file)).transpose()
    }

    /// Writes a whole file under another name, syncs it and gives it its name: after a crash it holds
    /// the old content or the new. The name is durable after `sync_folder`.
    pub fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let aside = format!("{path}.new");
        self.write_new(&aside, bytes)?;
        self.rename(&aside, path)
    }

    /// The path itself if nothing has that name, else with a number behind it: `<path>-2`.
    pub fn free_name(&self, path: String) -> Result<String> {
        let mut free = path.clone();
        for again in 2.. {
            if self.stat(&free)?.is_none() {
                break;
            }
            free = format!("{path}-{again}");
        }
        Ok(free)
    }

    /// Removes what a crash left half written in a folder. Only for those who alone write there.
    pub fn remove_unfinished(&self, folder: &str) -> Result<()> {
        let names = self.list(folder)?;
        let mut unfinished = names.iter().filter(|name| name.ends_with(".new"));
        unfinished.try_for_each(|name| self.remove(&format!("{folder}/{name}")))
    }

    /// Writes a whole file and syncs it.
    pub fn write_new(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self.create(path)?;
        file.write_at(bytes, 0)?;
        file.sync()
    }
}

/// The whole content of a file.
pub fn read_all(file: &dyn File) -> Result<Bytes> {
    read_at_most(file, 0, file.stat()?.len)
}

/// Some bytes of a file: fewer than asked for only if the file ends before. A length that a damaged file states costs no
/// more memory than the file has bytes.
pub fn read_range(file: &dyn File, offset: u64, len: u64) -> Result<Bytes> {
    /// What is not worth a look at the file's length.
    const SMALL: u64 = 4096;
    match len <= SMALL {
        true => read_at_most(file, offset, len),
        false => read_at_most(file, offset, len.min(file.stat()?.len.saturating_sub(offset))),
    }
}

fn read_at_most(file: &dyn File, offset: u64, len: u64) -> Result<Bytes> {
    let len = usize::try_from(len).map_err(|_| Error::internal("a read that exceeds memory"))?;
    let mut buffer = vec![0; len];
    let read = file.read_at(&mut buffer, offset)?;
    buffer.truncate(read);
    Ok(Bytes::from(buffer))
}
