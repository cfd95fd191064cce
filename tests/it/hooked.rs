//! A disk on which somebody acts between any two operations that the database asks of it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use reedbase::Result;
use reedbase::storage::{Access, File, LockFile, MemoryStorage, Stat, Storage};

/// What the database is about to do with names; everything else is `Other`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation<'a> {
    Exchange { one: &'a str, other: &'a str },
    Rename { from: &'a str, to: &'a str },
    Remove { path: &'a str },
    Other,
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange { one, other } => write!(f, "exchange {one} {other}"),
            Self::Rename { from, to } => write!(f, "rename {from} {to}"),
            Self::Remove { path } => write!(f, "remove {path}"),
            Self::Other => Ok(()),
        }
    }
}

/// Somebody who acts first.
pub(crate) trait Hook: Send + Sync + fmt::Debug + 'static {
    fn before(&self, operation: Operation<'_>, disk: &MemoryStorage);
}

/// A storage with somebody beside it.
#[derive(Debug)]
pub(crate) struct Hooked<H> {
    pub(crate) disk: MemoryStorage,
    pub(crate) hook: Arc<H>,
}

impl<H: Hook> Hooked<H> {
    pub(crate) fn new(hook: H) -> Self {
        Self { disk: MemoryStorage::new(), hook: Arc::new(hook) }
    }

    fn before(&self, operation: Operation<'_>) -> &MemoryStorage {
        self.hook.before(operation, &self.disk);
        &self.disk
    }

    fn wrap(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        let (disk, hook) = (self.disk.clone(), Arc::clone(&self.hook));
        Arc::new(HookedFile { file, disk, hook })
    }
}

impl<H: Hook> Storage for Hooked<H> {
    fn root(&self) -> &Path {
        self.disk.root()
    }

    fn create(&self, path: &str) -> Result<Arc<dyn File>> {
        Ok(self.wrap(self.before(Operation::Other).create(path)?))
    }

    fn open(&self, path: &str, access: Access) -> Result<Option<Arc<dyn File>>> {
        Ok(self.before(Operation::Other).open(path, access)?.map(|file| self.wrap(file)))
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>> {
        self.before(Operation::Other).stat(path)
    }

    fn create_folder(&self, path: &str) -> Result<()> {
        self.disk.create_folder(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.before(Operation::Rename { from, to }).rename(from, to)
    }

    fn exchange(&self, one: &str, other: &str) -> Result<()> {
        self.before(Operation::Exchange { one, other }).exchange(one, other)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.before(Operation::Remove { path }).remove(path)
    }

    fn sync_folder(&self, folder: &str) -> Result<()> {
        self.before(Operation::Other).sync_folder(folder)
    }

    fn lock_file(&self, path: &str) -> Result<Option<Box<dyn LockFile>>> {
        self.disk.lock_file(path)
    }
}

#[derive(Debug)]
struct HookedFile<H> {
    file: Arc<dyn File>,
    disk: MemoryStorage,
    hook: Arc<H>,
}

impl<H: Hook> HookedFile<H> {
    fn before(&self) -> &dyn File {
        self.hook.before(Operation::Other, &self.disk);
        &*self.file
    }
}

impl<H: Hook> File for HookedFile<H> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.before().read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.before().write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> Result<()> {
        self.before().sync()
    }

    fn stat(&self) -> Result<Stat> {
        self.before().stat()
    }

    fn set_modified(&self, modified: i64) -> Result<()> {
        self.file.set_modified(modified)
    }
}
