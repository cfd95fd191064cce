//! Dictionaries: short codes for the words that the logs repeat. One pair of files per database, never
//! per process.

use std::collections::HashMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Error, Result, Timestamp, row};

use crate::frame::Action;
use crate::registry::{self, ACTIONS_PATH, USERS_PATH};
use crate::storage::Storage;

const ACTIONS: &str = "code|name|description";
const USERS: &str = "code|username|created_at";

/// The text of `actions.dict`.
pub fn actions_text() -> String {
    let mut text = format!("{ACTIONS}\n");
    for (code, (name, description)) in Action::ALL.iter().enumerate() {
        text.push_str(&format!("{code}|{name}|{description}\n"));
    }
    text
}

/// Checks a text of `actions.dict`, which nothing but people reads: every code that this version knows must stand there
/// under its name. Returns how many there are.
///
/// # Errors
/// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the line.
pub fn check_actions(storage: &dyn Storage, text: Option<Bytes>) -> Result<u64> {
    let damaged = |line: u64, what: &str| {
        Error::corrupt(format!("the dictionary of actions is damaged: {what}"))
            .at_path(storage.full_path(ACTIONS_PATH))
            .at_line(line)
            .help("restore the file from a backup")
    };
    let text = text.ok_or_else(|| damaged(1, "it is missing"))?;
    let mut lines = (1_u64..).zip(text.split_inclusive(|byte| *byte == b'\n'));
    if lines.next().is_none_or(|(_, line)| row::content(line) != ACTIONS.as_bytes()) {
        return Err(damaged(1, "the header is expected"));
    }
    let mut count = 0;
    for (code, (name, _)) in Action::ALL.iter().enumerate() {
        let line = code as u64 + 2;
        let Some((_, found)) = lines.next() else {
            if code < OLDEST {
                return Err(damaged(line, "a line is missing"));
            }
            // An older version wrote it; the next to write adds the others.
            break;
        };
        let cells: Vec<_> = row::cells(found, b'|').map(|cell| cell.text()).collect();
        let [Some(found_code), Some(found_name), Some(_)] = cells.as_slice() else {
            return Err(damaged(line, "a line needs code, name and description"));
        };
        if *found_code != code.to_string() || found_name != name {
            return Err(damaged(line, &format!("{code}|{name} is expected")));
        }
        count += 1;
    }
    // A newer version may have added some.
    Ok(count + lines.count() as u64)
}

/// How many actions the first version knew.
const OLDEST: usize = 12;

/// Adds the actions that a database made by an older version lacks.
///
/// # Errors
/// Those of the storage.
pub fn complete_actions(storage: &dyn Storage) -> Result<()> {
    let known = actions_text();
    match registry::read(storage, ACTIONS_PATH)? {
        Some(text) if text.len() < known.len() && known.as_bytes().starts_with(&text) => {
            registry::write(storage, ACTIONS_PATH, known.as_bytes())
        }
        _ => Ok(()),
    }
}

/// Users by code. Code 0 is the system.
#[derive(Debug, Clone, Default)]
pub struct UserDictionary {
    names: Vec<(String, Timestamp)>,
    codes: HashMap<String, u32>,
}

impl UserDictionary {
    /// A dictionary that knows the system only.
    pub fn new(now: Timestamp) -> Self {
        let mut users = Self::default();
        users.code("system", now);
        users
    }

    /// Reads the dictionary of a database.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the line if it is not what was written.
    pub fn read(storage: &dyn Storage) -> Result<Self> {
        match registry::read(storage, USERS_PATH)? {
            Some(text) => Self::parse(&text, storage),
            None => Ok(Self::new(Timestamp::ZERO)),
        }
    }

    /// The dictionary that a text makes.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn parse(text: &[u8], storage: &dyn Storage) -> Result<Self> {
        let path = storage.full_path(USERS_PATH);
        let mut users = Self::default();
        for (number, line) in (1_u64..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
            let bad = |what: &str| {
                Err(Error::corrupt(format!("the dictionary of users is damaged: {what}"))
                    .at_path(&path)
                    .at_line(number)
                    .help("restore the file from a backup"))
            };
            let cells: Vec<_> = row::cells(line, b'|').map(|cell| cell.text()).collect();
            match cells.as_slice() {
                _ if number == 1 && row::content(line) == USERS.as_bytes() => {}
                [Some(code), Some(name), Some(created)] if number > 1 => {
                    let expected = users.names.len();
                    let (Ok(code), Ok(created)) = (code.parse::<usize>(), created.parse()) else {
                        return bad("a number is expected");
                    };
                    if code != expected || users.codes.contains_key(name.as_ref()) {
                        return bad("a code or a name stands twice, or is missing");
                    }
                    users.code(name, Timestamp::from_micros(created));
                }
                _ => return bad("a line needs code, username and time"),
            }
        }
        Ok(users)
    }

    /// The code of a user, who is added if need be.
    pub fn code(&mut self, name: &str, now: Timestamp) -> u32 {
        if let Some(code) = self.codes.get(name) {
            return *code;
        }
        let code = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push((name.to_owned(), now));
        self.codes.insert(name.to_owned(), code);
        code
    }

    /// The user with this code.
    pub fn name(&self, code: u32) -> Option<&str> {
        self.names.get(code as usize).map(|(name, _)| name.as_str())
    }

    /// How many users there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The users in the order of their codes, with the time they were added.
    pub fn users(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.names.iter().map(|(name, created)| (name.as_str(), *created))
    }

    /// Writes the dictionary. Needs the checkpoint's lock.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn write(&self, storage: &Arc<dyn Storage>) -> Result<()> {
        let mut text = format!("{USERS}\n").into_bytes();
        for (code, (name, created)) in self.names.iter().enumerate() {
            let (code, created) = (code.to_string(), created.to_string());
            let cells = [Some(code.as_str()), Some(name.as_str()), Some(created.as_str())];
            text.extend_from_slice(&row::write_row(&cells, b'|', b"\n"));
        }
        registry::write(&**storage, USERS_PATH, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn users_keep_their_codes() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let mut users = UserDictionary::read(&*storage).unwrap();
        let now = Timestamp::from_micros(5);
        assert_eq!(users.code("jane|doe", now), 1);
        assert_eq!(users.code("system", now), 0);
        users.write(&storage).unwrap();
        let users = UserDictionary::read(&*storage).unwrap();
        assert_eq!(users.name(1), Some("jane|doe"));
        assert_eq!(users.count(), 2);
        for damage in
            ["code|username|created_at\n0|a|1\n0|b|2\n", "x\n", "code|username|created_at\n0|a\n"]
        {
            storage.remove(registry::MARK_PATH).unwrap();
            storage.write_new(USERS_PATH, damage.as_bytes()).unwrap();
            assert!(UserDictionary::read(&*storage).unwrap_err().is_corrupt(), "{damage}");
        }
    }
}
