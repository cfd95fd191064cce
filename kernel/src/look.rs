//! Whether the files of a table are what its marks say.
//!
//! A file is known by its inode, length and time of change, as the mark wrote them down; only where these do not
//! tell is it read. They do not tell if another machine or a backup made the file, nor if it was changed so
//! soon before the mark was written that a later change could bear the same time.

use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Result, TableName};

use crate::mark::{Mark, table_path};
use crate::storage::{Access, File, Storage, read_all};

/// How long a file system may give two changes the same time, in nanoseconds.
const SAME_TIME: i64 = 10_000_000;

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
pub fn look(storage: &dyn Storage, table: &TableName) -> Result<Option<Look>> {
    let current = Mark::read(storage, table, "mark")?;
    // A mark that was torn by a crash while it was written was never valid.
    let next = Mark::read(storage, table, "mark.next").ok().flatten();
    let marks: Vec<Mark> = [next, current].into_iter().flatten().collect();
    let Some(newest) = marks.last() else { return Ok(None) };
    let schema = !is_schema_of(storage, table, &marks)?;
    let file = storage.open(&table_path(table, "current.csv"), Access::Read)?;
    let found = file.map(|file| Ok(match_mark(&file, &marks)?.map(|mark| (mark.clone(), file))));
    Ok(Some(match found.transpose()?.flatten() {
        Some((mark, file)) => {
            Look { mark, file: Some(file), edited: Edited { table: false, schema } }
        }
        None => {
            let edited = Edited { table: true, schema };
            Look { mark: newest.clone(), file: None, edited }
        }
    }))
}

/// The mark that a file matches.
fn match_mark<'m>(file: &Arc<dyn File>, marks: &'m [Mark]) -> Result<Option<&'m Mark>> {
    let stat = file.stat()?;
    if let Some(mark) = marks.iter().find(|mark| mark.has_stamp(&stat) && !is_young(mark)) {
        return Ok(Some(mark));
    }
    let mut sized = marks.iter().filter(|mark| mark.size == stat.len).peekable();
    if sized.peek().is_none() {
        return Ok(None);
    }
    let bytes = read_all(&**file)?;
    Ok(sized.find(|mark| {
        if mark.has_stamp(&stat) { mark.blocks_match(&bytes) } else { mark.matches(&bytes) }
    }))
}

/// Whether a file is what a mark says.
///
/// # Errors
/// Those of the storage.
pub fn is_file_of(file: &Arc<dyn File>, mark: &Mark) -> Result<bool> {
    Ok(match_mark(file, std::slice::from_ref(mark))?.is_some())
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
