//! A backup as a file: a tar archive, compressed with Zstandard, so that the stock tools can open it, too.
//!
//! The first file in it, `backup.toml`, says what follows: each database with the folder it came from. The files of the first
//! database stand in `1/`, those of the second in `2/`, and those of the installation in `home/`. The checksum of the
//! compressed stream covers all of it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reedbase::storage::FileSystem;
use reedbase::{BackedUp, Error, Restoring, Result, Timestamp};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// What a backup says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// When it was made, in microseconds.
    pub(crate) time: i64,
    pub(crate) databases: Vec<Saved>,
}

/// A database in a backup.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    /// The folder it came from.
    pub(crate) folder: PathBuf,
    pub(crate) frame: Timestamp,
    pub(crate) tables: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

const CONTENTS: &str = "backup.toml";
const FORMAT: i64 = 1;

/// How hard is tried: what takes little time.
const LEVEL: i32 = 3;

impl Saved {
    pub(crate) fn of(folder: &Path, done: &BackedUp) -> Self {
        Self {
            folder: folder.to_owned(),
            frame: done.frame,
            tables: done.tables.len() as u64,
            rows: done.tables.iter().map(|(_, rows)| rows).sum(),
            bytes: done.bytes,
        }
    }
}

/// A backup that is being written: into a file of another name, until it is whole.
pub(crate) struct Writer {
    tar: tar::Builder<zstd::Encoder<'static, BufWriter<File>>>,
    path: PathBuf,
    aside: PathBuf,
    time: i64,
}

impl Writer {
    pub(crate) fn create(path: &Path, contents: &Contents) -> Result<Self> {
        if path.exists() {
            return Err(Error::new(
                reedbase::ErrorKind::AlreadyExists,
                "there is such a file already",
            )
            .at_path(path)
            .help("choose another name"));
        }
        let mut aside = path.as_os_str().to_owned();
        aside.push(".new");
        let aside = PathBuf::from(aside);
        let failed = |source| Error::io("write", &aside, source);
        let file = File::create(&aside).map_err(failed)?;
        let mut encoder = zstd::Encoder::new(BufWriter::new(file), LEVEL).map_err(failed)?;
        encoder.include_checksum(true).map_err(failed)?;
        let (tar, time) = (tar::Builder::new(encoder), contents.time / 1_000_000);
        let mut writer = Self { tar, path: path.to_owned(), aside, time };
        let text = contents.to_text();
        writer.file(CONTENTS, text.len() as u64, &mut text.as_bytes())?;
        Ok(writer)
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, path: &str, len: u64, content: &mut dyn Read) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(len);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(self.time).unwrap_or_default());
        let done = self.tar.append_data(&mut header, path, content);
        done.map_err(|source| Error::io("write", &self.aside, source))
    }

    /// The backup is whole: it gets its name, durably. Gives its length.
    pub(crate) fn finish(self) -> Result<u64> {
        let Self { tar, path, aside, .. } = self;
        let done = || -> std::io::Result<u64> {
            let mut file = tar.into_inner()?.finish()?;
            file.flush()?;
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(&aside, &path)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(file.metadata()?.len())
        };
        done().map_err(|source| Error::io("write", &path, source))
    }
}

impl Contents {
    fn to_text(&self) -> String {
        let mut document = DocumentMut::new();
        document.insert("format", value(FORMAT));
        document.insert("time", value(self.time));
        let mut databases = ArrayOfTables::new();
        for saved in &self.databases {
            let number = |number: u64| value(i64::try_from(number).unwrap_or(i64::MAX));
            let mut table = Table::new();
            table.insert("folder", value(saved.folder.display().to_string()));
            table.insert("frame", value(saved.frame.as_micros()));
            table.insert("tables", number(saved.tables));
            table.insert("rows", number(saved.rows));
            table.insert("bytes", number(saved.bytes));
            databases.push(table);
        }
        document.insert("database", Item::ArrayOfTables(databases));
        document.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        let document: DocumentMut = text.parse().ok()?;
        let number = |table: &Table, key: &str| table.get(key).and_then(Item::as_integer);
        if number(document.as_table(), "format")? > FORMAT {
            return None;
        }
        let saved = |table: &Table| {
            let count = |key: &str| u64::try_from(number(table, key)?).ok();
            Some(Saved {
                folder: table.get("folder").and_then(Item::as_str)?.into(),
                frame: Timestamp::from_micros(number(table, "frame")?),
                tables: count("tables")?,
                rows: count("rows")?,
                bytes: count("bytes")?,
            })
        };
        let databases = document.get("database").and_then(Item::as_array_of_tables)?;
        let databases = databases.iter().map(saved).collect::<Option<_>>()?;
        Some(Self { time: number(document.as_table(), "time")?, databases })
    }
}

type Stream = tar::Archive<zstd::Decoder<'static, BufReader<File>>>;

fn open(path: &Path) -> Result<Stream> {
    let failed = |source| Error::io("read", path, source);
    let file = File::open(path).map_err(failed)?;
    Ok(tar::Archive::new(zstd::Decoder::new(file).map_err(failed)?))
}

/// What a backup holds. Cost: reading its start.
pub(crate) fn contents(path: &Path) -> Result<Contents> {
    let mut archive = open(path)?;
    let first = archive.entries().ok().and_then(|mut entries| entries.next()?.ok());
    let mut text = String::new();
    let read = first.filter(|entry| entry.path().is_ok_and(|path| path == Path::new(CONTENTS)));
    let read = read.and_then(|mut entry| entry.read_to_string(&mut text).ok());
    read.and_then(|_| Contents::parse(&text)).ok_or_else(|| {
        Error::corrupt("the file is no backup, or damaged, or one of a newer version").at_path(path)
    })
}

/// Writes the databases of a backup into folders, one for each, and the files of the installation into another.
pub(crate) fn restore(path: &Path, folders: &[PathBuf], home: Option<&Path>) -> Result<()> {
    let damaged = |source: std::io::Error| {
        Error::corrupt("the backup is damaged")
            .at_path(path)
            .caused_by(source)
            .help("use another backup; what was restored of this one is no database")
    };
    let begun = folders.iter().map(|folder| Restoring::begin(Arc::new(FileSystem::new(folder))));
    let mut databases = begun.collect::<Result<Vec<_>>>()?;
    let mut archive = open(path)?;
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.to_string_lossy().into_owned();
        let Some((place, rest)) = name.split_once('/') else { continue };
        let number = place.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        match (number.and_then(|number| databases.get_mut(number)), home) {
            (Some(database), _) => database.file(rest, &mut entry)?,
            (None, Some(home)) if place == "home" => home_file(home, rest, &mut entry)?,
            _ => {}
        }
    }
    // To its end: the checksum comes last.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(damaged)?;
    databases.into_iter().try_for_each(Restoring::finish)
}

/// A file of the installation; one that is there already stays.
fn home_file(home: &Path, path: &str, content: &mut dyn Read) -> Result<()> {
    if path.split('/').any(|part| part.is_empty() || part == "..") {
        return Ok(());
    }
    let path = home.join(path);
    let failed = |source| Error::io("write", &path, source);
    if path.exists() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
    let mut file = File::create(&path).map_err(failed)?;
    std::io::copy(content, &mut file).map_err(failed)?;
    file.sync_all().map_err(failed)
}
