//! Whether the files of a table are what its marks say.
//!
//! A file is known by its inode, length and time of change, as the mark wrote them down; only where these do not
//! tell is it read. They do not tell if another machine or a backup made the file, nor if it was changed so
//! soon before the mark was written that a later change could bear the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reedbase_plugin_api::{Bytes, Result, TableName};
use sha2::{Digest, Sha256};

use crate::mark::{Mark, table_path};
use crate::storage::{Access, File, Stat, Storage, read_all};

/// How long a file system may give two changes the same time, in nanoseconds. The time of files that we write is set
/// back by this, so that no later change can bear it.
pub const SAME_TIME: i64 = 10_000_000;

/// What the folder of a table holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Look {
    /// The mark that `current.csv` matches; the current one if it matches none.
    pub mark: Mark,
    /// `current.csv`, if it is what the mark says.
    pub file: Option<Arc<dyn File>>,
    /// What is not ours.
    pub edited: Edited,
}

/// The SHA-256 of files that had to be read, for as long as they look as they did then.
#[derive(Debug, Default)]
pub struct Hashes(Mutex<HashMap<String, Hashed>>);

/// How a file looked, and its hash.
type Hashed = ((u64, i64, u64), [u8; 32]);

impl Hashes {
    /// The hash of a file. Cost: reading it, unless that was done before.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn of(&self, path: &str, file: &dyn File) -> Result<[u8; 32]> {
        let stat = file.stat()?;
        if let Some(sha256) = self.known(path, &stat) {
            return Ok(sha256);
        }
        let bytes = read_all(file)?;
        if file.stat()?.version() != stat.version() {
            return Ok(Sha256::digest(&bytes).into());
        }
        Ok(self.of_bytes(path, &stat, &bytes))
    }

    /// The hash of these bytes, which were all that a file held while it looked like this.
    pub fn of_bytes(&self, path: &str, stat: &Stat, bytes: &[u8]) -> [u8; 32] {
        self.known(path, stat).unwrap_or_else(|| {
            let sha256 = Sha256::digest(bytes).into();
            self.lock().insert(path.to_owned(), (stat.version(), sha256));
            sha256
        })
    }

    fn known(&self, path: &str, stat: &Stat) -> Option<[u8; 32]> {
        self.lock().get(path).filter(|(seen, _)| *seen == stat.version()).map(|(_, sha256)| *sha256)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Hashed>> {
        // Each change is one call: a panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which files of a table were changed outside ReedBase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a table has these two files")]
pub struct Edited {
    /// `current.csv`, which may also be gone.
    pub table: bool,
    /// `schema.toml`.
    pub schema: bool,
}

impl Edited {
    /// Whether any was.
    pub fn any(self) -> bool {
        self.table || self.schema
    }
}

/// Looks at the files of a table; `None` if it was never checkpointed. Files may be exchanged by holders of the
/// database's lock: whoever is none of them should share it.
///
/// # Errors
/// Damage of the mark, or those of the storage.
pub fn look(storage: &dyn Storage, table: &TableName, hashes: &Hashes) -> Result<Option<Look>> {
    let current = Mark::read(storage, table, "mark")?;
    // A mark that was torn by a crash while it was written was never valid.
    let next = Mark::read(storage, table, "mark.next").ok().flatten();
    let is_first = current.is_none();
    let marks: Vec<Mark> = [next, current].into_iter().flatten().collect();
    let Some(newest) = marks.last() else { return Ok(None) };
    let schema = !is_schema_of(storage, table, &marks)?;
    let path = table_path(table, "current.csv");
    let file = storage.open(&path, Access::Read)?;
    let hash = |file: &dyn File| hashes.of(&path, file);
    let found =
        file.map(|file| Ok(match_mark(&file, &marks, &hash)?.map(|mark| (mark.clone(), file))));
    Ok(Some(match found.transpose()?.flatten() {
        Some((mark, file)) => {
            Look { mark, file: Some(file), edited: Edited { table: false, schema } }
        }
        // The first file of the table was about to get its name when a crash came: the journal has it all.
        None if is_first => return Ok(None),
        None => {
            let edited = Edited { table: true, schema };
            Look { mark: newest.clone(), file: None, edited }
        }
    }))
}

/// The mark that a file matches.
fn match_mark<'m>(
    file: &Arc<dyn File>,
    marks: &'m [Mark],
    hash: &dyn Fn(&dyn File) -> Result<[u8; 32]>,
) -> Result<Option<&'m Mark>> {
    let stat = file.stat()?;
    if let Some(mark) = marks.iter().find(|mark| mark.has_stamp(&stat) && !is_young(mark)) {
        return Ok(Some(mark));
    }
    let mut sized = marks.iter().filter(|mark| mark.size == stat.len).peekable();
    if sized.peek().is_none() {
        return Ok(None);
    }
    if sized.peek().is_some_and(|mark| mark.has_stamp(&stat)) {
        // Young: what its bytes were a moment ago does not count.
        let bytes = read_all(&**file)?;
        return Ok(sized.find(|mark| mark.blocks_match(&bytes)));
    }
    let sha256 = hash(&**file)?;
    Ok(sized.find(|mark| mark.sha256 == sha256))
}

/// Whether a file is what a mark says.
///
/// # Errors
/// Those of the storage.
pub fn is_file_of(file: &Arc<dyn File>, mark: &Mark) -> Result<bool> {
    let hash = |file: &dyn File| Ok(Sha256::digest(read_all(file)?).into());
    Ok(match_mark(file, std::slice::from_ref(mark), &hash)?.is_some())
}

/// Whether the file was changed so soon before its mark was written that its time does not tell it from a later
/// change.
fn is_young(mark: &Mark) -> bool {
    mark.written.saturating_sub(mark.stamp.1) < SAME_TIME
}

/// Whether schema.toml is what a mark says. Marks of format 1 do not say.
fn is_schema_of(storage: &dyn Storage, table: &TableName, marks: &[Mark]) -> Result<bool> {
    let texts: Vec<&Bytes> = marks.iter().filter_map(|mark| mark.schema.as_ref()).collect();
    if texts.is_empty() {
        return Ok(true);
    }
    let text = storage.read(&table_path(table, "schema.toml"))?;
    Ok(text.is_some_and(|text| texts.contains(&&text)))
}
