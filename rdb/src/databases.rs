//! The databases that this user named: `~/.reedbase/registry.toml`. A database is in it only if somebody put it there, and
//! works just as well if not. The file is edited in place: what else stands in it stays.

use std::path::{Path, PathBuf};

use reedbase::storage::{FileSystem, LockGuard, LockMode, Storage};
use reedbase::{Error, Result};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// A database that has a name.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// The folder of the database.
    pub(crate) location: PathBuf,
    /// The folder of the project that it belongs to.
    pub(crate) project_root: PathBuf,
}

const FILE: &str = "registry.toml";
const ENTRIES: &str = "database";

/// Those there are, by name.
pub(crate) fn list() -> Result<Vec<Named>> {
    let Some(storage) = home().filter(|home| home.is_dir()).map(|home| FileSystem::new(&home))
    else {
        return Ok(Vec::new());
    };
    let document = read(&storage)?;
    let entries = document.get(ENTRIES).and_then(Item::as_array_of_tables);
    let mut named: Vec<Named> = entries.into_iter().flatten().filter_map(named).collect();
    named.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(named)
}

/// The folder of the database with this name.
pub(crate) fn find(name: &str) -> Result<Option<PathBuf>> {
    Ok(list()?.into_iter().find(|named| named.name == name).map(|named| named.location))
}

/// Gives a database a name.
pub(crate) fn add(new: &Named) -> Result<()> {
    change(|entries| {
        if let Some(there) = entries.iter().filter_map(named).find(|there| there.name == new.name) {
            if there.location == new.location {
                return Ok(());
            }
            return Err(Error::usage(format!(
                "`{}` is the database in {}",
                new.name,
                there.location.display()
            ))
            .help("choose another name with --name, or rdb db:unregister NAME"));
        }
        let mut entry = Table::new();
        let text = |path: &Path| value(path.display().to_string());
        entry.insert("name", value(&new.name));
        entry.insert("mode", value("local"));
        entry.insert("location", text(&new.location));
        entry.insert("project_root", text(&new.project_root));
        entries.push(entry);
        Ok(())
    })
}

/// Forgets a name; the database stays as it is.
pub(crate) fn remove(name: &str) -> Result<()> {
    if list()?.is_empty() {
        return Err(Error::not_found(format!("no database is called `{name}`: none has a name")));
    }
    change(|entries| {
        let place = entries.iter().position(|entry| named(entry).is_some_and(|n| n.name == name));
        let place = place.ok_or_else(|| {
            Error::not_found(format!("no database is called `{name}`"))
                .help("rdb db:list names those there are")
        })?;
        entries.remove(place);
        Ok(())
    })
}

fn change(act: impl FnOnce(&mut ArrayOfTables) -> Result<()>) -> Result<()> {
    let home = home().ok_or_else(|| {
        Error::not_found("there is no home folder").help("set HOME, or name databases by folder")
    })?;
    std::fs::create_dir_all(&home).map_err(|source| Error::io("make the folder", &home, source))?;
    let storage = FileSystem::new(&home);
    let storage: &dyn Storage = &storage;
    let lock = storage.lock_file("lock")?;
    let _alone =
        lock.as_deref().map(|lock| LockGuard::new(lock, LockMode::Exclusive)).transpose()?;
    let mut document = read(storage)?;
    let entries = document.entry(ENTRIES).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    act(entries
        .as_array_of_tables_mut()
        .ok_or_else(|| damaged(storage, "`database` is no list of tables"))?)?;
    storage.replace(FILE, document.to_string().as_bytes())?;
    storage.sync_folder("")
}

fn read(storage: &dyn Storage) -> Result<DocumentMut> {
    let text = storage.read(FILE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.parse().map_err(|error: toml_edit::TomlError| {
        let start = error.span().and_then(|span| text.get(..span.start));
        let line = start.map_or(1, |start| start.lines().count().max(1));
        damaged(storage, error.message()).at_line(line as u64)
    })
}

fn damaged(storage: &dyn Storage, what: &str) -> Error {
    Error::invalid(format!("the list of databases is not TOML as it should be: {what}"))
        .at_path(storage.full_path(FILE))
        .help("write it right, or remove it and register the databases again")
}

fn named(entry: &Table) -> Option<Named> {
    let text = |name: &str| entry.get(name).and_then(Item::as_str).map(str::to_owned);
    let location = PathBuf::from(text("location")?);
    let project_root = text("project_root").map_or_else(|| location.clone(), PathBuf::from);
    Some(Named { name: text("name")?, location, project_root })
}

/// The file that remembers what was typed in the shell; its folder is made if need be.
pub(crate) fn shell_history() -> Option<PathBuf> {
    let home = home()?;
    std::fs::create_dir_all(&home).ok()?;
    Some(home.join("shell_history"))
}

/// Where the list is.
pub(crate) fn home() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".reedbase"))
}
