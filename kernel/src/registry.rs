//! The small files that people may read and edit beside the tables: the settings and the dictionaries.
//!
//! ```text
//! registry/mark
//! registry|1
//! config.toml|format = 1\nnode = "000660c27273"\n|
//! registry/users.dict|code|username|created_at\n0|system|1763700000000000\n|9f86d081…
//! check|0F1E2D3C                 CRC32 of all lines before
//! ```
//!
//! The mark holds the text of each as ReedBase wrote it last, and the SHA-256 of what it wrote before that: a file that
//! is either is ours, any other was edited outside. What the mark holds is what counts until the edit is adopted, so
//! that no slip of a hand gives frames to other users. A file is written after the mark: what a crash leaves is then
//! ours in any case, and is written again with the next change. A database of an older version has no mark; its files
//! count as they are.
//!
//! Whoever writes holds the checkpoint's lock.

use reedbase_plugin_api::{Bytes, Error, ErrorKind, Result, Timestamp};
use sha2::{Digest, Sha256};

use crate::storage::Storage;

/// The settings.
pub const CONFIG_PATH: &str = "config.toml";

/// The dictionary of actions.
pub const ACTIONS_PATH: &str = "registry/actions.dict";

/// The dictionary of users.
pub const USERS_PATH: &str = "registry/users.dict";

/// The files.
pub const PATHS: [&str; 3] = [CONFIG_PATH, ACTIONS_PATH, USERS_PATH];

/// The path of the mark.
pub const MARK_PATH: &str = "registry/mark";

const FORMAT: u32 = 1;

/// What was written last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Mark(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: String,
    text: Bytes,
    /// The SHA-256 of the text before, in hexadecimal digits; nothing if there was none.
    before: String,
}

/// A file that somebody edited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryEdit {
    /// Its path in the folder of the database.
    pub path: &'static str,
    /// What ReedBase wrote, and what counts.
    pub before: Bytes,
    /// What the file holds; `None` if it is gone.
    pub after: Option<Bytes>,
}

/// What one of the files says, edits left out; `None` if it was never written.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) if the mark is damaged, or those of the storage.
pub fn read(storage: &dyn Storage, path: &str) -> Result<Option<Bytes>> {
    match Mark::read(storage)?.and_then(|mark| mark.entry(path).map(|entry| entry.text.clone())) {
        Some(text) => Ok(Some(text)),
        None => storage.read(path),
    }
}

/// Writes one of the files. One that was edited outside is left as it is: what is written counts all the same.
///
/// # Errors
/// Those of the storage.
pub fn write(storage: &dyn Storage, path: &str, text: &[u8]) -> Result<()> {
    let mut mark = Mark::read(storage)?.unwrap_or_default();
    let found = storage.read(path)?;
    let edited = mark.entry(path).is_some_and(|entry| !entry.is_ours(found.as_ref()));
    let before = match (edited, mark.entry(path), &found) {
        (true, Some(entry), _) => entry.before.clone(),
        (_, _, Some(found)) => digest(found),
        (_, _, None) => String::new(),
    };
    mark.put(Entry { path: path.to_owned(), text: Bytes::copy_from_slice(text), before });
    mark.write(storage)?;
    if !edited {
        put_in_place(storage, path, text, found.as_ref())?;
        storage.sync_folder(folder_of(path))?;
    }
    Ok(())
}

/// Puts a file in the place of what was found there. What somebody saved meanwhile goes back: it is an edit that waits.
fn put_in_place(
    storage: &dyn Storage,
    path: &str,
    text: &[u8],
    found: Option<&Bytes>,
) -> Result<()> {
    if found.is_none() {
        return storage.replace(path, text);
    }
    let aside = aside(path);
    storage.write_new(&aside, text)?;
    storage.exchange(&aside, path)?;
    if storage.read(&aside)?.as_ref() == found {
        return storage.remove(&aside);
    }
    storage.exchange(&aside, path)?;
    match storage.read(&aside)?.is_some_and(|back| *back == *text) {
        true => storage.remove(&aside),
        // Saved once more meanwhile.
        false => keep(storage, path),
    }
}

/// Where the new file stands until it is exchanged with the old one.
fn aside(path: &str) -> String {
    format!("{path}.next")
}

/// Keeps what somebody saved while a file was exchanged.
fn keep(storage: &dyn Storage, path: &str) -> Result<()> {
    let mut number = 1;
    while storage.len(&format!("{path}.edited-{number}"))?.is_some() {
        number += 1;
    }
    storage.rename(&aside(path), &format!("{path}.edited-{number}"))?;
    storage.sync_folder(folder_of(path))
}

/// Begins to mark the files of a database that an older version made, and writes what a crash kept from being written.
///
/// # Errors
/// Those of the storage.
pub fn complete(storage: &dyn Storage) -> Result<()> {
    let known = Mark::read(storage)?.unwrap_or_default();
    let mut mark = known.clone();
    for path in PATHS {
        if let Some(left) = storage.read(&aside(path))? {
            // A crash between two exchanges.
            match mark.entry(path).is_some_and(|entry| entry.is_ours(Some(&left))) {
                true => storage.remove(&aside(path))?,
                false => keep(storage, path)?,
            }
        }
        match (mark.entry(path), storage.read(path)?) {
            (None, Some(text)) => {
                mark.put(Entry { path: path.to_owned(), text, before: String::new() });
            }
            (Some(entry), found)
                if found.as_ref() != Some(&entry.text) && entry.is_ours(found.as_ref()) =>
            {
                storage.replace(path, &entry.text)?;
                storage.sync_folder(folder_of(path))?;
            }
            _ => {}
        }
    }
    if mark == known { Ok(()) } else { mark.write(storage) }
}

/// The files that somebody edited.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) if the mark is damaged, or those of the storage.
pub fn edited(storage: &dyn Storage) -> Result<Vec<RegistryEdit>> {
    let mut edits = Vec::new();
    let Some(mark) = Mark::read(storage)? else { return Ok(edits) };
    for path in PATHS {
        let (Some(entry), after) = (mark.entry(path), storage.read(path)?) else { continue };
        if !entry.is_ours(after.as_ref()) {
            edits.push(RegistryEdit { path, before: entry.text.clone(), after });
        }
    }
    Ok(edits)
}

/// Makes what somebody wrote into a file what counts. Whether it makes sense was checked before.
///
/// # Errors
/// [`Busy`](ErrorKind::Busy) if the file changed since the edit was read, or those of the storage.
pub fn adopt(storage: &dyn Storage, edit: &RegistryEdit) -> Result<()> {
    if storage.read(edit.path)? != edit.after {
        return Err(Error::new(ErrorKind::Busy, "the file is being written")
            .at_path(storage.full_path(edit.path))
            .help("save it, and try again"));
    }
    let mut mark = Mark::read(storage)?.unwrap_or_default();
    let text = edit.after.clone().unwrap_or_default();
    mark.put(Entry { path: edit.path.to_owned(), text, before: String::new() });
    mark.write(storage)
}

/// Puts a file back as ReedBase wrote it; gives the path under which the edit stays.
///
/// # Errors
/// Those of the storage.
pub fn discard(
    storage: &dyn Storage,
    edit: &RegistryEdit,
    now: Timestamp,
) -> Result<Option<String>> {
    let mut kept = None;
    if storage.read(edit.path)?.is_some() {
        let aside = format!("{}.discarded-{now}", edit.path);
        storage.rename(edit.path, &aside)?;
        kept = Some(aside);
    }
    storage.replace(edit.path, &edit.before)?;
    storage.sync_folder(folder_of(edit.path))?;
    Ok(kept)
}

impl Entry {
    /// Whether a file is what was written last, or before that.
    fn is_ours(&self, found: Option<&Bytes>) -> bool {
        match found {
            Some(found) => *found == self.text || digest(found) == self.before,
            None => false,
        }
    }
}

impl Mark {
    fn entry(&self, path: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.path == path)
    }

    fn put(&mut self, entry: Entry) {
        self.0.retain(|known| known.path != entry.path);
        self.0.push(entry);
        self.0.sort_by(|one, other| one.path.cmp(&other.path));
    }

    fn read(storage: &dyn Storage) -> Result<Option<Self>> {
        let Some(text) = storage.read(MARK_PATH)? else { return Ok(None) };
        let error = |error: Error| error.at_path(storage.full_path(MARK_PATH));
        match Self::parse(&text) {
            Some(Ok(mark)) => Ok(Some(mark)),
            Some(Err(newer)) => Err(error(newer)),
            None => Err(error(Error::corrupt("the mark of settings and dictionaries is damaged"))
                .help("look whether these files are right, then remove the mark: they count as they are then")),
        }
    }

    fn parse(text: &[u8]) -> Option<Result<Self>> {
        let text = std::str::from_utf8(text).ok()?;
        let at = text.rfind("check|")?;
        let (body, check) = (text.get(..at)?, text.get(at + 6..)?.strip_suffix('\n')?);
        if check != format!("{:08X}", crc32fast::hash(body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        let format: u32 = lines.next()?.strip_prefix("registry|")?.parse().ok()?;
        if format > FORMAT {
            return Some(Err(Error::new(ErrorKind::NewerFormat, "the mark is of a newer format")
                .help("update ReedBase")));
        }
        let entry = |line: &str| {
            let (path, rest) = line.split_once('|')?;
            let (text, before) = rest.rsplit_once('|')?;
            let (path, before) = (path.to_owned(), before.to_owned());
            Some(Entry { path, text: one_line::unescape(text)?, before })
        };
        Some(Ok(Self(lines.map(entry).collect::<Option<_>>()?)))
    }

    fn write(&self, storage: &dyn Storage) -> Result<()> {
        let mut body = format!("registry|{FORMAT}\n");
        for Entry { path, text, before } in &self.0 {
            body.push_str(&format!("{path}|{}|{before}\n", one_line::escape(text)));
        }
        let text = format!("{body}check|{:08X}\n", crc32fast::hash(body.as_bytes()));
        storage.replace(MARK_PATH, text.as_bytes())?;
        storage.sync_folder("registry")
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text as one line.
pub mod one_line {
    use reedbase_plugin_api::Bytes;

    /// Backslash, line feed and carriage return become `\\`, `\n` and `\r`.
    pub fn escape(text: &[u8]) -> String {
        String::from_utf8_lossy(text).replace('\\', r"\\").replace('\n', r"\n").replace('\r', r"\r")
    }

    /// The text of a line; `None` if no text makes this line.
    pub fn unescape(line: &str) -> Option<Bytes> {
        let mut text = String::with_capacity(line.len());
        let mut chars = line.chars();
        while let Some(char) = chars.next() {
            text.push(match char {
                '\\' => match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    '\\' => '\\',
                    _ => return None,
                },
                plain => plain,
            });
        }
        Some(Bytes::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Fault, FaultyStorage, MemoryStorage};
    use std::collections::BTreeMap;

    fn text(bytes: &[u8]) -> Bytes {
        Bytes::copy_from_slice(bytes)
    }

    #[test]
    fn an_edit_shows_and_does_not_count_before_it_is_adopted() {
        let memory = MemoryStorage::new();
        let storage: &dyn Storage = &memory;
        write(storage, USERS_PATH, b"a|\n").unwrap();
        write(storage, USERS_PATH, b"a|\\\r\nb\n").unwrap();
        assert!(edited(storage).unwrap().is_empty());
        storage.write_new(USERS_PATH, b"A|\n").unwrap();
        let edits = edited(storage).unwrap();
        assert_eq!((edits.len(), edits[0].after.clone()), (1, Some(text(b"A|\n"))));
        assert_eq!(read(storage, USERS_PATH).unwrap(), Some(text(b"a|\\\r\nb\n")));
        // What is written meanwhile counts, and the edit stays.
        write(storage, USERS_PATH, b"a|\nb\nc\n").unwrap();
        assert_eq!(edited(storage).unwrap()[0].before, text(b"a|\nb\nc\n"));
        assert_eq!(storage.read(USERS_PATH).unwrap(), Some(text(b"A|\n")));
        let kept =
            discard(storage, &edited(storage).unwrap()[0], Timestamp::from_micros(7)).unwrap();
        assert_eq!(storage.read(&kept.unwrap()).unwrap(), Some(text(b"A|\n")));
        assert_eq!(storage.read(USERS_PATH).unwrap(), Some(text(b"a|\nb\nc\n")));
        assert!(edited(storage).unwrap().is_empty());
        storage.remove(USERS_PATH).unwrap();
        assert_eq!(edited(storage).unwrap()[0].after, None);
        storage.write_new(USERS_PATH, b"B\n").unwrap();
        adopt(storage, &edited(storage).unwrap()[0]).unwrap();
        assert!(edited(storage).unwrap().is_empty());
        assert_eq!(read(storage, USERS_PATH).unwrap(), Some(text(b"B\n")));
    }

    #[test]
    fn what_a_crash_between_two_exchanges_left_is_kept() {
        let memory = MemoryStorage::new();
        let storage: &dyn Storage = &memory;
        write(storage, USERS_PATH, b"one\n").unwrap();
        write(storage, USERS_PATH, b"two\n").unwrap();
        for ours in [b"one\n", b"two\n"] {
            storage.write_new("registry/users.dict.next", ours).unwrap();
            complete(storage).unwrap();
            assert_eq!(storage.list("registry").unwrap(), ["mark", "users.dict"]);
        }
        for number in 1..3 {
            let edit = format!("edit {number}\n");
            storage.write_new("registry/users.dict.next", edit.as_bytes()).unwrap();
            complete(storage).unwrap();
            let kept = storage.read(&format!("registry/users.dict.edited-{number}")).unwrap();
            assert_eq!(kept, Some(text(edit.as_bytes())));
        }
        assert_eq!(storage.read(USERS_PATH).unwrap(), Some(text(b"two\n")));
    }

    #[test]
    fn no_byte_of_the_mark_changes_unnoticed() {
        let memory = MemoryStorage::new();
        let storage: &dyn Storage = &memory;
        write(storage, CONFIG_PATH, b"format = 1\n").unwrap();
        let whole = memory.files()[MARK_PATH].clone();
        for at in 0..whole.len() {
            for flip in [1, 0x20, 0x80] {
                let mut damaged = whole.clone();
                damaged[at] ^= flip;
                storage.write_new(MARK_PATH, &damaged).unwrap();
                assert!(read(storage, CONFIG_PATH).unwrap_err().is_corrupt(), "{at}");
            }
        }
    }

    #[test]
    fn a_crash_while_writing_leaves_no_edit() {
        let start = MemoryStorage::new();
        write(&start, USERS_PATH, b"one\n").unwrap();
        for at in 0.. {
            let storage = FaultyStorage::new(start.files());
            storage.fail_at(at, Fault::Crash);
            let written = write(&storage, USERS_PATH, b"two\n");
            if !storage.has_crashed() {
                assert!(written.is_ok() && at > 5);
                break;
            }
            let image: BTreeMap<_, _> = storage.image_after_crash(at as u64);
            let again = MemoryStorage::from_files(image);
            assert!(edited(&again).unwrap().is_empty(), "{at}");
            complete(&again).unwrap();
            let found = read(&again, USERS_PATH).unwrap().unwrap();
            assert!(found == "one\n" || found == "two\n");
            assert_eq!((&again as &dyn Storage).read(USERS_PATH).unwrap(), Some(found));
        }
    }
}
