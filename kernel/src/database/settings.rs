//! The settings and the dictionaries of a database: what people may change in them, and edits of their files.

use std::sync::{MutexGuard, PoisonError};

use reedbase_plugin_api::{Error, Result};
use toml_edit::{DocumentMut, Item, Value};

use super::config::Config;
use super::handle::Database;
use super::inner::Inner;
use super::keep::Keep;
use crate::log::{UserDictionary, check_actions};
use crate::registry::{self, ACTIONS_PATH, CONFIG_PATH, RegistryEdit};
use crate::storage::{LockFile, LockMode};

/// The settings that people may change, with what they mean.
pub const SETTINGS: [(&str, &str); 4] = [
    (RETENTION, "for how many days snapshots of frames are kept (365)"),
    (AUTO, "whether indices are made of what is asked often (false)"),
    (CACHE, "how many bytes of results of functions are kept (67108864)"),
    (KEEP, "how much history is kept: 32 versions of each table, 90d, or all (all)"),
];

const RETENTION: &str = "frame.retention.days";
const KEEP: &str = "history.keep";
const AUTO: &str = "indices.auto";
const CACHE: &str = "functions.cache_bytes";

impl Database {
    /// Which of config.toml and the dictionaries were edited outside ReedBase. What they said before counts until the
    /// edit is adopted.
    ///
    /// # Errors
    /// Damage of their mark, or those of the storage.
    pub fn edited_settings(&self) -> Result<Vec<RegistryEdit>> {
        registry::edited(&**self.inner.store.storage())
    }

    /// Makes an edit of config.toml or of a dictionary count. A handle that is open keeps the settings it was opened
    /// with.
    ///
    /// # Errors
    /// What is wrong with the file, with its line; [`Busy`](reedbase_plugin_api::ErrorKind::Busy) if it changed since the
    /// edit was read.
    pub fn adopt_settings(&self, edit: &RegistryEdit) -> Result<()> {
        let _alone = alone(&self.inner)?;
        check(&self.inner, edit)?;
        registry::adopt(&**self.inner.store.storage(), edit)
    }

    /// Puts config.toml or a dictionary back; gives the path under which the edit stays.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn discard_settings(&self, edit: &RegistryEdit) -> Result<Option<String>> {
        let _alone = alone(&self.inner)?;
        registry::discard(&**self.inner.store.storage(), edit, self.inner.clock.now())
    }

    /// A setting; `None` if the default holds.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if there is no such setting.
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        check_key(key)?;
        let item = document(&self.inner)?;
        let mut item = Some(item.as_item());
        for word in key.split('.') {
            item = item.and_then(|item| item.get(word));
        }
        Ok(item.map(|item| match item.as_str() {
            Some(text) => text.to_owned(),
            None => item.to_string().trim().to_owned(),
        }))
    }

    /// Changes a setting. Handles that are open keep what they were opened with.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if there is no such setting,
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if the value is none.
    pub fn set_setting(&self, key: &str, text: &str) -> Result<()> {
        check_key(key)?;
        let parsed = parse(key, text)?;
        let _alone = alone(&self.inner)?;
        let mut document = document(&self.inner)?;
        let mut table = document.as_table_mut();
        let words: Vec<&str> = key.split('.').collect();
        let (last, folders) = words.split_last().ok_or_else(|| no_such(key))?;
        for word in folders {
            let item = table.entry(word).or_insert_with(|| {
                let mut table = toml_edit::Table::new();
                table.set_dotted(true);
                Item::Table(table)
            });
            table = item.as_table_mut().ok_or_else(|| no_such(key))?;
        }
        table.insert(last, Item::Value(parsed));
        let storage = &**self.inner.store.storage();
        registry::write(storage, CONFIG_PATH, document.to_string().as_bytes())
    }
}

/// What a text means as the value of a setting.
fn parse(key: &str, text: &str) -> Result<Value> {
    if key == KEEP {
        return Ok(text.parse::<Keep>()?.to_string().into());
    }
    if key == AUTO {
        let said = text.parse::<bool>();
        return Ok(said.map_err(|_| Error::usage("write true or false"))?.into());
    }
    let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
    let of = if key == CACHE { "bytes" } else { "days" };
    Ok(number.ok_or_else(|| Error::usage(format!("`{text}` is no number of {of}")))?.into())
}

fn document(inner: &Inner) -> Result<DocumentMut> {
    let text = registry::read(&**inner.store.storage(), CONFIG_PATH)?.unwrap_or_default();
    String::from_utf8_lossy(&text).parse().map_err(|error: toml_edit::TomlError| {
        Error::corrupt("the settings of the database are damaged").caused_by(error)
    })
}

fn check_key(key: &str) -> Result<()> {
    match SETTINGS.iter().any(|(known, _)| *known == key) {
        true => Ok(()),
        false => Err(no_such(key)),
    }
}

fn no_such(key: &str) -> Error {
    let known: Vec<&str> = SETTINGS.iter().map(|(key, _)| *key).collect();
    Error::not_found(format!("there is no setting `{key}`"))
        .help(format!("the settings are {}", known.join(", ")))
}

/// Whether what somebody wrote makes sense.
fn check(inner: &Inner, edit: &RegistryEdit) -> Result<()> {
    let storage = &**inner.store.storage();
    let at = |error: Error| error.at_path(storage.full_path(edit.path));
    let text = edit
        .after
        .clone()
        .ok_or_else(|| at(Error::invalid("the file is gone")).help("bring it back: rdb discard"))?;
    match edit.path {
        CONFIG_PATH => match Config::parse(&String::from_utf8_lossy(&text)) {
            Ok(_) => Ok(()),
            Err(error) => Err(at(Error::invalid(error.message()))
                .help("write what is meant, or bring the file back: rdb discard")),
        },
        ACTIONS_PATH => check_actions(storage, Some(text)).map(drop),
        _ => {
            let users = UserDictionary::parse(&text, storage)?;
            let known = UserDictionary::parse(&edit.before, storage)?.count();
            match users.count() < known {
                true => Err(at(Error::invalid(format!("{known} users are expected")))
                    .help("frames name them by their codes: change names, but leave every line")),
                false => Ok(()),
            }
        }
    }
}

/// The lock of whoever writes these files.
struct Alone<'a> {
    file: MutexGuard<'a, Box<dyn LockFile>>,
}

fn alone(inner: &Inner) -> Result<Alone<'_>> {
    inner.check_writable()?;
    let none = || Error::internal("a database that can be written has a lock");
    let lock = inner.checkpoint_lock.as_ref().ok_or_else(none)?;
    let file = lock.lock().unwrap_or_else(PoisonError::into_inner);
    file.lock(LockMode::Exclusive)?;
    Ok(Alone { file })
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        drop(self.file.unlock());
    }
}
