//! `config.toml`: the format of the database, and the node it is.

use std::sync::Arc;

use reedbase_plugin_api::{Error, ErrorKind, NodeId, Result, Timestamp};
use toml_edit::{DocumentMut, Item, value};

use super::keep::Keep;
use crate::log::{UserDictionary, actions_text};
use crate::registry::{self, ACTIONS_PATH, CONFIG_PATH};
use crate::storage::Storage;

/// The newest format of a database that this version reads, and the one it writes.
const FORMAT: i64 = 1;

/// For how many days snapshots of frames are kept, unless the settings say otherwise.
const RETENTION_DAYS: i64 = 365;

/// How many bytes of results of functions are kept, unless the settings say otherwise.
const CACHE_BYTES: u64 = 64 << 20;

/// What stays out of git: the journal, the cache and the locks belong to one machine.
const GIT_IGNORE: &str = "/journal/\n/cache/\n/lock\n/checkpoint.lock\n*.new\n*.old\n";

/// git leaves the bytes of all files as they are: no line end becomes another.
const GIT_ATTRIBUTES: &str = "* -text\n";

/// The settings of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// This location of the database.
    pub node: NodeId,
    /// For how many days snapshots of frames are kept: `frame.retention.days`.
    pub frame_retention_days: i64,
    /// How much of the history of each table is kept: `history.keep`.
    pub history_keep: Keep,
    /// Whether indices are made of what is asked often: `indices.auto`.
    pub indices_auto: bool,
    /// How many bytes of results of functions are kept in memory: `functions.cache_bytes`.
    pub functions_cache_bytes: u64,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if the folder is no database,
    /// [`NewerFormat`](ErrorKind::NewerFormat), or what is wrong with the file.
    pub fn read(storage: &dyn Storage) -> Result<Self> {
        let path = storage.full_path(CONFIG_PATH);
        let text = registry::read(storage, CONFIG_PATH)?.ok_or_else(|| {
            Error::not_found("there is no ReedBase database here")
                .at_path(storage.root())
                .help("make one with: rdb db:init")
        })?;
        Self::parse(&String::from_utf8_lossy(&text)).map_err(|error| error.at_path(path))
    }

    /// The settings that a text makes.
    ///
    /// # Errors
    /// What is wrong with it, or [`NewerFormat`](ErrorKind::NewerFormat).
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::corrupt(format!("the settings of the database are damaged: {what}"))
                .help("restore the file from a backup")
        };
        let document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| wrong(error.message()))?;
        let format = document.get("format").and_then(Item::as_integer);
        match format {
            Some(FORMAT) => {}
            Some(newer) if newer > FORMAT => {
                let message =
                    format!("the database has format {newer}, this is for format {FORMAT}");
                return Err(Error::new(ErrorKind::NewerFormat, message).help("update ReedBase"));
            }
            _ => return Err(wrong("`format` is missing")),
        }
        let node = document.get("node").and_then(Item::as_str).unwrap_or_default();
        let node = node.parse().map_err(|_| wrong("`node` is missing"))?;
        let frame_retention_days = retention(&document)
            .ok_or_else(|| wrong("`frame.retention.days` is not a number of days"))?;
        let history_keep = keep(&document)
            .ok_or_else(|| wrong("`history.keep` does not say how much history is kept"))?;
        let indices_auto = indices_auto(&document)
            .ok_or_else(|| wrong("`indices.auto` is neither true nor false"))?;
        let functions_cache_bytes = functions_cache_bytes(&document)
            .ok_or_else(|| wrong("`functions.cache_bytes` is not a number of bytes"))?;
        Ok(Self { node, frame_retention_days, history_keep, indices_auto, functions_cache_bytes })
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), or those of the storage.
    pub fn init(storage: &Arc<dyn Storage>, now: Timestamp) -> Result<Self> {
        if registry::read(&**storage, CONFIG_PATH)?.is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, "there is a database here already")
                .at_path(storage.root())
                .help("use it, or choose another folder"));
        }
        let mut bits = [0; 8];
        getrandom::fill(&mut bits)
            .map_err(|source| Error::io("draw a random number", "", source.into()))?;
        let node = NodeId::from_bits(u64::from_le_bytes(bits));
        create_folders(&**storage)?;
        // What is there without settings was left by a crash while the database was made: nobody's edit.
        storage.remove(registry::MARK_PATH)?;
        registry::write(&**storage, ACTIONS_PATH, actions_text().as_bytes())?;
        UserDictionary::new(now).write(storage)?;
        storage.replace(".gitignore", GIT_IGNORE.as_bytes())?;
        storage.replace(".gitattributes", GIT_ATTRIBUTES.as_bytes())?;
        let mut document = DocumentMut::new();
        document.insert("format", value(FORMAT));
        document.insert("node", value(node.to_string()));
        // The settings come last: a folder is a database once it has them.
        storage.replace(CONFIG_PATH, document.to_string().as_bytes())?;
        storage.sync_folder("")?;
        registry::complete(&**storage)?;
        Ok(Self {
            node,
            frame_retention_days: RETENTION_DAYS,
            history_keep: Keep::All,
            indices_auto: false,
            functions_cache_bytes: CACHE_BYTES,
        })
    }
}

/// Makes the folders of a database. git keeps none that is empty: a clone lacks them.
pub(super) fn create_folders(storage: &dyn Storage) -> Result<()> {
    let folders = ["", "journal", "tables", "frames", "registry"];
    folders.iter().try_for_each(|folder| storage.create_folder(folder))
}

/// What `frame.retention.days` says; `None` if that is no number of days.
fn retention(document: &DocumentMut) -> Option<i64> {
    let item = document.get("frame").and_then(|frame| frame.get("retention")?.get("days"));
    match item {
        Some(item) => item.as_integer().filter(|days| *days >= 0),
        None => Some(RETENTION_DAYS),
    }
}

/// What `indices.auto` says; `None` if that makes no sense.
fn indices_auto(document: &DocumentMut) -> Option<bool> {
    match document.get("indices").and_then(|indices| indices.get("auto")) {
        Some(said) => said.as_bool(),
        None => Some(false),
    }
}

/// What `functions.cache_bytes` says; `None` if that makes no sense.
fn functions_cache_bytes(document: &DocumentMut) -> Option<u64> {
    match document.get("functions").and_then(|functions| functions.get("cache_bytes")) {
        Some(said) => said.as_integer().and_then(|bytes| u64::try_from(bytes).ok()),
        None => Some(CACHE_BYTES),
    }
}

/// What `history.keep` says, a number or a text; `None` if that makes no sense.
fn keep(document: &DocumentMut) -> Option<Keep> {
    let Some(item) = document.get("history").and_then(|history| history.get("keep")) else {
        return Some(Keep::All);
    };
    let number = item.as_integer().map(|number| number.to_string());
    item.as_str().map(str::to_owned).or(number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn a_new_database_can_be_opened_and_is_not_made_twice() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        assert!(Config::read(&*storage).unwrap_err().is_not_found());
        let config = Config::init(&storage, Timestamp::ZERO).unwrap();
        assert_eq!(Config::read(&*storage).unwrap(), config);
        let again = Config::init(&storage, Timestamp::ZERO).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn other_formats_are_refused() {
        let kind = |text| Config::parse(text).unwrap_err().kind();
        assert_eq!(kind("format = 2\nnode = \"000000000001\""), ErrorKind::NewerFormat);
        assert_eq!(kind("node = \"000000000001\""), ErrorKind::Corrupt);
        assert_eq!(kind("format = 1"), ErrorKind::Corrupt);
        assert_eq!(kind("format = "), ErrorKind::Corrupt);
        let days = |text: &str| {
            let text = format!("format = 1\nnode = \"000000000001\"\n{text}");
            Config::parse(&text).map(|config| config.frame_retention_days)
        };
        assert_eq!(days("").unwrap(), 365);
        assert_eq!(days("frame.retention.days = 730").unwrap(), 730);
        assert_eq!(days("[frame]\nretention.days = 0").unwrap(), 0);
        assert!(days("frame.retention.days = \"many\"").is_err());
        assert!(days("frame.retention.days = -1").is_err());
        let keep = |text: &str| {
            let text = format!("format = 1\nnode = \"000000000001\"\n{text}");
            Config::parse(&text).map(|config| config.history_keep)
        };
        assert_eq!(keep("").unwrap(), Keep::All);
        assert_eq!(keep("history.keep = \"90d\"").unwrap(), Keep::Days(90));
        assert_eq!(keep("[history]\nkeep = 32").unwrap(), Keep::Versions(32));
        assert!(keep("history.keep = 0").is_err());
        assert!(keep("history.keep = true").is_err());
        let bytes = |text: &str| {
            let text = format!("format = 1\nnode = \"000000000001\"\n{text}");
            Config::parse(&text).map(|config| config.functions_cache_bytes)
        };
        assert_eq!(bytes("").unwrap(), 64 << 20);
        assert_eq!(bytes("functions.cache_bytes = 1000").unwrap(), 1000);
        assert!(bytes("functions.cache_bytes = -1").is_err());
        assert!(bytes("functions.cache_bytes = \"much\"").is_err());
    }
}
