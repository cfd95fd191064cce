//! `rdb backup:*`

use std::path::{Path, PathBuf};

use reedbase::storage::FileSystem;
use reedbase::verify::verify;
use reedbase::{BackedUp, Database, Error, Result, clock};
use serde_json::json;
use std::sync::Arc;

use crate::archive::{self, Contents, Saved, Writer};
use crate::args::Global;
use crate::databases;
use crate::locate;
use crate::output::{Output, counted, grouped, size};
use crate::time;

/// Write a copy of the database into one compressed file, while others go on writing
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The copy holds everything as of one frame, history included. It is a tar archive in Zstandard: tar --zstd -tf FILE lists it.\n\n\
    Examples:\n  rdb backup:create                     into ~/.reedbase/backups\n  rdb backup:create /mnt/disk/site.tar.zst\n  \
    rdb backup:create --all               every database that has a name, and what else stands in ~/.reedbase"
)]
pub(crate) struct Create {
    /// The file [default: one in ~/.reedbase/backups]
    file: Option<PathBuf>,
    /// The whole installation
    #[arg(long)]
    all: bool,
}

/// Print the backups there are
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rdb backup:list /mnt/disk")]
pub(crate) struct List {
    /// The folder [default: ~/.reedbase/backups]
    folder: Option<PathBuf>,
}

/// Make a database of a backup
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is restored is read and checked. To go back in a database that is there, see rdb restore --at.\n\n\
    Examples:\n  rdb backup:restore site.tar.zst --to restored/.reedbase\n  rdb backup:restore all.tar.zst        where they came from, if nothing is there"
)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// The folder; of a backup of several databases, they get numbers in it [default: where they came from]
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

/// What the name of a backup ends with.
const ENDING: &str = ".tar.zst";

fn backups() -> Result<PathBuf> {
    let home = databases::home().ok_or_else(|| {
        Error::not_found("there is no home folder").help("set HOME, or name the file")
    })?;
    Ok(home.join("backups"))
}

impl Create {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let folders = self.folders(global)?;
        let now = clock::Clock::now(&clock::SystemClock);
        let path = match &self.file {
            Some(path) => path.clone(),
            None => default_path(&folders, self.all, &time::compact(now))?,
        };
        let opened = folders.iter().map(|folder| open(folder, global, output));
        let opened = opened.collect::<Result<Vec<_>>>()?;
        let mut contents = Contents { time: now.as_micros(), databases: Vec::new() };
        // What a backup says of itself comes first in it: the databases are asked before they are read.
        for (folder, database) in folders.iter().zip(&opened) {
            contents.databases.push(Saved::of(folder, &describe(database)?));
        }
        let mut writer = Writer::create(&path, &contents)?;
        let mut being_written = Vec::new();
        for (number, database) in (1..).zip(&opened) {
            let done = database.back_up(
                |_| Ok(()),
                |file, content| writer.file(&format!("{number}/{}", file.path), file.len, content),
            )?;
            being_written.extend(done.being_written);
        }
        if self.all {
            save_home(&mut writer)?;
        }
        let bytes = writer.finish()?;
        for path in being_written {
            output.notice(&format!(
                "{path} was being written: what it held before is in the history"
            ));
        }
        tell(&path, bytes, &contents, output)
    }

    /// The folders of the databases to be saved.
    fn folders(&self, global: &Global) -> Result<Vec<PathBuf>> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if !self.all {
            return Ok(vec![absolute(&locate::folder(global)?)]);
        }
        let mut folders: Vec<PathBuf> =
            databases::list()?.into_iter().map(|named| named.location).collect();
        let global = databases::home().map(|home| home.join("databases"));
        let there = global.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten();
        folders.extend(there.flatten().map(|entry| entry.path()));
        folders.retain(|folder| folder.join("config.toml").is_file());
        folders.sort();
        folders.dedup();
        Ok(folders)
    }
}

fn open(folder: &Path, global: &Global, output: &mut Output) -> Result<Database> {
    let options = reedbase::OpenOptions::new().user(locate::user(global));
    let database = options.open(folder)?;
    database.notices().iter().for_each(|notice| output.notice(notice));
    Ok(database)
}

/// What a copy would hold.
fn describe(database: &Database) -> Result<BackedUp> {
    let mut said = None;
    let stop = || Error::internal("enough was read");
    let asked = database.back_up(
        |contents| {
            said = Some(contents.clone());
            Err(stop())
        },
        |_, _| Ok(()),
    );
    said.map_or_else(|| asked.and_then(|_| Err(stop())), Ok)
}

fn default_path(folders: &[PathBuf], all: bool, now: &str) -> Result<PathBuf> {
    let backups = backups()?;
    std::fs::create_dir_all(&backups)
        .map_err(|source| Error::io("make the folder", &backups, source))?;
    let name = match folders.first().filter(|_| !all) {
        Some(folder) => {
            let local = folder.file_name().is_some_and(|name| name == locate::LOCAL);
            let named = if local { folder.parent() } else { Some(folder.as_path()) };
            let name = named.and_then(|folder| folder.file_name());
            name.map_or_else(|| "database".to_owned(), |name| name.to_string_lossy().into_owned())
        }
        None => "all".to_owned(),
    };
    Ok(backups.join(format!("{name}-{now}{ENDING}")))
}

/// What stands in ~/.reedbase beside databases and backups.
fn save_home(writer: &mut Writer) -> Result<()> {
    let Some(home) = databases::home() else { return Ok(()) };
    let mut folders = vec![home.clone()];
    while let Some(folder) = folders.pop() {
        let failed = |source| Error::io("read", &folder, source);
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let inside = path.strip_prefix(&home).unwrap_or(&path);
            let first = inside.components().next().map(|part| part.as_os_str().to_owned());
            if first
                .is_some_and(|first| ["databases", "backups", "lock"].iter().any(|n| first == *n))
            {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).map_err(failed)?;
                let name = format!("home/{}", inside.display());
                writer.file(&name, bytes.len() as u64, &mut bytes.as_slice())?;
            }
        }
    }
    Ok(())
}

fn tell(path: &Path, bytes: u64, contents: &Contents, output: &mut Output) -> Result<()> {
    if output.is_json() {
        return output.json(&contents_json(path, bytes, contents));
    }
    for saved in &contents.databases {
        output.line(&format!(
            "{}: {} with {}, as of frame {}",
            saved.folder.display(),
            counted(saved.tables, "table"),
            counted(saved.rows, "row"),
            saved.frame
        ))?;
    }
    output.line(&format!("saved into {} ({})", path.display(), size(bytes)))
}

fn contents_json(path: &Path, bytes: u64, contents: &Contents) -> serde_json::Value {
    let databases = contents.databases.iter().map(|saved| {
        json!({
            "folder": saved.folder,
            "frame": saved.frame.as_micros(),
            "tables": saved.tables,
            "rows": saved.rows,
            "bytes": saved.bytes,
        })
    });
    json!({
        "file": path,
        "bytes": bytes,
        "time": contents.time,
        "databases": databases.collect::<Vec<_>>(),
    })
}

impl List {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let folder = self.folder.clone().map_or_else(backups, Ok)?;
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let is_backup = |path: &PathBuf| path.to_string_lossy().ends_with(ENDING);
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_backup).collect();
        files.sort();
        let mut rows =
            vec![["file", "made", ">databases", ">rows", ">size"].map(str::to_owned).to_vec()];
        for path in &files {
            let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
            let contents = match archive::contents(path) {
                Ok(contents) => contents,
                Err(error) => {
                    output.notice(&error.to_string());
                    continue;
                }
            };
            if output.is_json() {
                output.json(&contents_json(path, bytes, &contents))?;
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let all: u64 = contents.databases.iter().map(|saved| saved.rows).sum();
            let made = time::local(reedbase::Timestamp::from_micros(contents.time));
            let count = contents.databases.len() as u64;
            rows.push(vec![name, made, grouped(count), grouped(all), size(bytes)]);
        }
        match (output.is_json(), rows.len()) {
            (true, _) => Ok(()),
            (false, 1) => output.line(&format!("no backups in {}", folder.display())),
            _ => output.table(&rows),
        }
    }
}

impl Restore {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        let contents = archive::contents(&self.file)?;
        let several = contents.databases.len() > 1;
        let folders: Vec<PathBuf> = (1..)
            .zip(&contents.databases)
            .map(|(number, saved): (u32, &Saved)| match &self.to {
                Some(to) if several => to.join(number.to_string()),
                Some(to) => to.clone(),
                None => saved.folder.clone(),
            })
            .collect();
        let home = match &self.to {
            Some(to) if several => Some(to.join("home")),
            Some(_) => None,
            None => databases::home(),
        };
        archive::restore(&self.file, &folders, home.as_deref())?;
        for (folder, saved) in folders.iter().zip(&contents.databases) {
            check(folder, saved, output)?;
        }
        Ok(())
    }
}

/// Reads what was restored, and holds it against what the backup says.
fn check(folder: &Path, saved: &Saved, output: &mut Output) -> Result<()> {
    let storage: Arc<dyn reedbase::storage::Storage> = Arc::new(FileSystem::new(folder));
    let report = verify(&storage)?;
    if let Some(finding) = report
        .findings
        .into_iter()
        .find(|finding| finding.concern == reedbase::verify::Concern::Damaged)
    {
        return Err(finding.error);
    }
    let frame = Database::open(folder)?.snapshot()?.frame();
    // Writers may have gone on between the asking and the reading.
    if frame < saved.frame {
        return Err(Error::corrupt(format!(
            "frame {} is expected, and {frame} is there",
            saved.frame
        ))
        .at_path(folder));
    }
    if output.is_json() {
        return output.json(&json!({"folder": folder, "frame": frame.as_micros()}));
    }
    output.line(&format!(
        "restored {} with {} into {}, as of frame {frame}",
        counted(saved.tables, "table"),
        counted(saved.rows, "row"),
        folder.display()
    ))
}
