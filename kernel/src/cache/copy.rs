//! `cache/tables/<table>.copy`: a copy of a table's file. When somebody saves another one in its place, this is what it
//! is compared with: else the old one would have to be made from history. It is kept for tables of which an edit
//! was adopted once: whoever edits a file will edit it again. Whether it is what a mark says, the mark's checksums tell.

use std::sync::Arc;

use reedbase_plugin_api::{Result, TableName};

use crate::storage::{Access, File, FileWriter, Storage};
use crate::table::Table;

fn path(table: &TableName) -> String {
    format!("cache/tables/{table}.copy")
}

/// The copy of a table's file, of whatever version; `None` if there is none.
pub fn open_copy(storage: &dyn Storage, table: &TableName) -> Option<Arc<dyn File>> {
    // Nothing in the cache is needed: a file that cannot be opened is as good as none.
    storage.open(&path(table), Access::Read).ok()?
}

/// Remembers the file of a table.
///
/// # Errors
/// Those of the storage; nothing depends on it.
pub fn write_copy(storage: &dyn Storage, name: &TableName, table: &Table) -> Result<()> {
    storage.create_folder("cache/tables")?;
    let mut file = FileWriter::create(storage, &path(name))?;
    table.for_each_piece(|piece| file.put(&piece))?;
    file.finish_unsynced(storage)
}
