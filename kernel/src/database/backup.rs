//! A copy of everything that a database holds, as of one frame, while writers go on.
//!
//! Checkpoints wait until it is done, so that no file is exchanged or folded; commits go on. What they append is the journal,
//! which is read first, in one go: what came later is not in the copy, whatever of it is in files. A file that an
//! editor writes meanwhile is copied as it is found: what it held before is in the history.

use std::io::Read;
use std::sync::{Arc, PoisonError};

use reedbase_plugin_api::{Error, Result, TableName, Timestamp};

use super::handle::Database;
use crate::delta::delta_timestamp;
use crate::storage::{Access, File, LockGuard, LockMode, Storage};

/// What a copy holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackedUp {
    /// The newest frame in it.
    pub frame: Timestamp,
    /// The tables, with the number of their rows.
    pub tables: Vec<(TableName, u64)>,
    /// How many bytes its files hold.
    pub bytes: u64,
    /// Files that somebody was writing: they are copied as they were found.
    pub being_written: Vec<String>,
}

/// A file to be copied.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackupFile<'a> {
    /// Its path in the folder of the database.
    pub path: &'a str,
    /// How many bytes it holds.
    pub len: u64,
}

impl Database {
    /// Hands every file of the database to `save`, as of one frame; before that, what the copy will hold to `begin`. Memory stays
    /// bounded, whatever the size of the tables.
    ///
    /// # Errors
    /// Those of the storage and of `save`.
    pub fn back_up(
        &self,
        begin: impl FnOnce(&BackedUp) -> Result<()>,
        mut save: impl FnMut(&BackupFile<'_>, &mut dyn Read) -> Result<()>,
    ) -> Result<BackedUp> {
        let inner = &self.inner;
        let lock = inner.checkpoint_lock.as_ref();
        let lock = lock.map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner));
        let _alone =
            lock.as_deref().map(|lock| LockGuard::new(&**lock, LockMode::Exclusive)).transpose()?;
        let storage = &**inner.store.storage();
        let snapshot = self.newest()?;
        let (journal, frame) = {
            let mut head = inner.head();
            let _lock = lock.is_some().then(|| inner.lock()).transpose()?;
            inner.read_on(&mut head)?;
            (read_journal(storage)?, head.journal.newest())
        };
        let rows = |name: TableName| -> Result<(TableName, u64)> {
            let rows = snapshot.state().table(&name).map(|table| table.totals(&inner.store));
            Ok((name, rows.transpose()?.map_or(0, |(_, rows)| rows)))
        };
        let tables = snapshot.tables().into_iter().map(rows).collect::<Result<_>>()?;
        let mut done = BackedUp { frame, tables, bytes: 0, being_written: Vec::new() };
        let files = files(storage, frame)?;
        for path in &files {
            done.bytes += storage.len(path)?.unwrap_or_default();
        }
        done.bytes += journal.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        begin(&done)?;
        for (path, bytes) in journal {
            let file = BackupFile { path: &path, len: bytes.len() as u64 };
            save(&file, &mut bytes.as_ref())?;
        }
        for path in files {
            let Some(file) = storage.open(&path, Access::Read)? else { continue };
            let stat = file.stat()?;
            let entry = BackupFile { path: &path, len: stat.len };
            save(&entry, &mut FileReader { file: Arc::clone(&file), at: 0, len: stat.len })?;
            if file.stat()?.version() != stat.version() {
                done.being_written.push(path);
            }
        }
        Ok(done)
    }
}

/// The segments of the journal, whole.
fn read_journal(storage: &dyn Storage) -> Result<Vec<(String, reedbase_plugin_api::Bytes)>> {
    let mut segments = Vec::new();
    for name in storage.list("journal")?.into_iter().filter(|name| name.ends_with(".wal")) {
        let path = format!("journal/{name}");
        segments.extend(storage.read(&path)?.map(|bytes| (path, bytes)));
    }
    Ok(segments)
}

/// All other files, the settings last: a folder is a database once it has them.
fn files(storage: &dyn Storage, frame: Timestamp) -> Result<Vec<String>> {
    let mut folders = vec!["registry".to_owned(), "frames".to_owned(), "metrics".to_owned()];
    let tables = storage.list("tables")?.into_iter().filter(|name| TableName::new(name).is_ok());
    folders.extend(tables.map(|name| format!("tables/{name}")));
    let mut files = Vec::new();
    for folder in folders {
        for name in storage.list(&folder)? {
            // What is not whole, and what an exchange displaced.
            let is_left_out = name.ends_with(".new")
                || name.ends_with(".old")
                || (folder == "registry" && name.ends_with(".next"));
            let is_later = delta_timestamp(&name).is_some_and(|delta| delta > frame);
            if !is_left_out && !is_later {
                files.push(format!("{folder}/{name}"));
            }
        }
    }
    files.extend([".gitattributes", ".gitignore", "config.toml"].map(str::to_owned));
    Ok(files)
}

/// Reads a file of which the length was stated: one that was cut meanwhile ends in zeros.
struct FileReader {
    file: Arc<dyn File>,
    at: u64,
    len: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        let read = self.file.read_at(buffer, self.at).map_err(std::io::Error::other)?;
        buffer.iter_mut().skip(read).for_each(|byte| *byte = 0);
        self.at += wanted as u64;
        Ok(wanted)
    }
}

/// Puts the files of a copy into an empty folder. They are durable when [`finish`](Self::finish) returns, and no database
/// before.
#[derive(Debug)]
pub struct Restoring {
    storage: Arc<dyn Storage>,
    settings: Option<Vec<u8>>,
    folders: std::collections::BTreeSet<String>,
}

impl Restoring {
    /// Begins in a folder.
    ///
    /// # Errors
    /// [`AlreadyExists`](reedbase_plugin_api::ErrorKind::AlreadyExists) if something is there.
    pub fn begin(storage: Arc<dyn Storage>) -> Result<Self> {
        let there = ["", "tables", "journal"]
            .iter()
            .any(|folder| storage.list(folder).is_ok_and(|names| !names.is_empty()));
        if there {
            return Err(Error::new(
                reedbase_plugin_api::ErrorKind::AlreadyExists,
                "there is something in the folder already",
            )
            .at_path(storage.root())
            .help("choose another one with --to, or move what is there away"));
        }
        Ok(Self { storage, settings: None, folders: std::collections::BTreeSet::new() })
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if it is none of a database, or those of the storage.
    pub fn file(&mut self, path: &str, content: &mut dyn Read) -> Result<()> {
        let failed = |source| Error::io("read", "the backup", source);
        let safe =
            !path.starts_with('/') && path.split('/').all(|part| !part.is_empty() && part != "..");
        if !safe {
            return Err(Error::corrupt(format!(
                "the backup has a file `{path}`, which is none of a database"
            )));
        }
        if path == "config.toml" {
            let mut settings = Vec::new();
            content.read_to_end(&mut settings).map_err(failed)?;
            self.settings = Some(settings);
            return Ok(());
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if self.folders.insert(folder.to_owned()) {
            self.storage.create_folder(folder)?;
        }
        let file = self.storage.create(path)?;
        let (mut buffer, mut at) = (vec![0; 1 << 16], 0);
        loop {
            let read = content.read(&mut buffer).map_err(failed)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            file.write_at(bytes, at)?;
            at += read as u64;
        }
        file.sync()
    }

    /// Makes a database of the files.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if the settings are missing, or those of the storage.
    pub fn finish(self) -> Result<()> {
        let settings = self.settings.ok_or_else(|| {
            Error::corrupt("the backup is not whole: the settings are missing")
                .help("use another backup")
        })?;
        for folder in ["journal", "tables", "frames", "registry"] {
            self.storage.create_folder(folder)?;
        }
        for folder in self.folders.iter().map(String::as_str).chain(["tables"]) {
            self.storage.sync_folder(folder)?;
        }
        self.storage.write_new("config.toml", &settings)?;
        self.storage.sync_folder("")
    }
}
