//! The real disk: Linux and macOS, local file systems.

use std::fs::{self, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use reedbase_plugin_api::{Error, ErrorKind, Result};

use super::{Access, File, LockFile, LockMode, Stat, Storage};

/// A folder of the file system.
#[derive(Debug)]
pub struct FileSystem {
    root: PathBuf,
}

impl FileSystem {
    /// The folder at this path, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Storage for FileSystem {
    fn root(&self) -> &Path {
        &self.root
    }

    fn create(&self, path: &str) -> Result<Arc<dyn File>> {
        let path = self.path(path);
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|source| Error::io("create the file", &path, source))?;
        Ok(Arc::new(DiskFile { file, path }))
    }

    fn open(&self, path: &str, access: Access) -> Result<Option<Arc<dyn File>>> {
        let path = self.path(path);
        let file = fs::OpenOptions::new().read(true).write(access == Access::Write).open(&path);
        match file {
            Ok(file) => Ok(Some(Arc::new(DiskFile { file, path }))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open the file", &path, error)),
        }
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>> {
        let path = self.path(path);
        match fs::metadata(&path) {
            Ok(meta) => Ok(Some(stat_of(&meta))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at the file", &path, error)),
        }
    }

    fn create_folder(&self, path: &str) -> Result<()> {
        let path = self.path(path);
        fs::create_dir_all(&path).map_err(|source| Error::io("create the folder", &path, source))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.path(folder);
        let fail = |source| Error::io("list the folder", &path, source);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(fail)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is not UTF-8 cannot be one of ours.
            names.extend(entry.map_err(fail)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        fs::rename(&from, &to).map_err(|source| Error::io("rename to the file", &to, source))
    }

    fn exchange(&self, one: &str, other: &str) -> Result<()> {
        let (first, second) = (self.path(one), self.path(other));
        match exchange(&first, &second) {
            Err(
                rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL | rustix::io::Errno::NOTSUP,
            ) => {
                // A file system without an atomic exchange: for a moment the second name is missing,
                // and whoever opens the database in that moment finds the content under the first.
                let aside = format!("{one}.old");
                self.rename(other, &aside)?;
                self.rename(one, other)?;
                self.rename(&aside, one)
            }
            result => result.map_err(|errno| Error::io("exchange the file", &second, errno.into())),
        }
    }

    fn remove(&self, path: &str) -> Result<()> {
        let path = self.path(path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove the file", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn sync_folder(&self, folder: &str) -> Result<()> {
        let path = self.path(folder);
        let synced = fs::File::open(&path).and_then(|folder| folder.sync_all());
        synced.map_err(|source| Error::io("sync the folder", &path, source))
    }

    fn lock_file(&self, path: &str) -> Result<Option<Box<dyn LockFile>>> {
        let path = self.path(path);
        let mut options = fs::OpenOptions::new();
        match options.read(true).write(true).create(true).truncate(false).open(&path) {
            Ok(file) => Ok(Some(Box::new(DiskFile { file, path }))),
            Err(source) => {
                let error = Error::io("open the lock file", &path, source);
                if error.kind() == ErrorKind::ReadOnly { Ok(None) } else { Err(error) }
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> rustix::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_one: &Path, _other: &Path) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOSYS)
}

#[derive(Debug)]
struct DiskFile {
    file: fs::File,
    path: PathBuf,
}

impl DiskFile {
    fn fail(&self, action: &'static str) -> impl Fn(io::Error) -> Error {
        move |source| Error::io(action, &self.path, source)
    }
}

impl File for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail("read the file")(error)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(self.fail("write the file"))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(self.fail("resize the file"))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(self.fail("sync the file"))
    }

    fn stat(&self) -> Result<Stat> {
        let meta = self.file.metadata().map_err(self.fail("look at the file"))?;
        Ok(stat_of(&meta))
    }

    fn set_modified(&self, modified: i64) -> Result<()> {
        let since = Duration::from_nanos(modified.unsigned_abs());
        let time = if modified < 0 {
            UNIX_EPOCH.checked_sub(since)
        } else {
            UNIX_EPOCH.checked_add(since)
        };
        self.file
            .set_modified(time.unwrap_or(UNIX_EPOCH))
            .map_err(self.fail("set the time of the file"))
    }
}

fn stat_of(meta: &fs::Metadata) -> Stat {
    Stat {
        len: meta.len(),
        modified: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
        inode: meta.ino(),
        allocated: meta.blocks() * 512,
    }
}

impl LockFile for DiskFile {
    fn lock(&self, mode: LockMode) -> Result<()> {
        let locked = match mode {
            LockMode::Shared => self.file.lock_shared(),
            LockMode::Exclusive => self.file.lock(),
        };
        locked.map_err(self.fail("lock the file"))
    }

    fn try_lock(&self, mode: LockMode) -> Result<bool> {
        let locked = match mode {
            LockMode::Shared => self.file.try_lock_shared(),
            LockMode::Exclusive => self.file.try_lock(),
        };
        match locked {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(self.fail("lock the file")(source)),
        }
    }

    fn unlock(&self) -> Result<()> {
        self.file.unlock().map_err(self.fail("unlock the file"))
    }
}
