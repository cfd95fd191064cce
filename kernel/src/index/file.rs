//! `cache/index/<table>/<name>.index`: an index of one version of a table.
//!
//! ```text
//!  0  magic "RDBINDEX"     8  format (u32): 1     12  length of what it is an index of (u32)
//! 16  version (i64, µs)   24  rows (u64)
//! 32  what it is an index of, in words: the kind, each column, whether it is sparse
//!     what the kind wrote · CRC32 of all before
//! ```

use std::fmt::Write;

use reedbase_plugin_api::{Bytes, IndexView, Result, TableName, Timestamp};

use crate::storage::{FileWriter, Storage};
use crate::wire::Reader;

const MAGIC: &[u8; 8] = b"RDBINDEX";
const FORMAT: u32 = 1;

/// An index as it was written.
pub(super) struct Written {
    pub(super) version: Timestamp,
    pub(super) rows: u64,
    /// What the kind wrote.
    pub(super) bytes: Bytes,
}

fn folder(table: &TableName) -> String {
    format!("cache/index/{table}")
}

fn path(table: &TableName, name: &str) -> String {
    format!("{}/{name}.index", folder(table))
}

/// What an index is of: one of something else is of no use.
pub(super) fn describe(view: &IndexView) -> String {
    let mut words = view.spec.using.clone();
    for column in &view.columns {
        let collation = column.collation.name();
        // Writing to a text cannot fail.
        let _ = write!(words, ", {} {} {collation}", column.at, column.kind);
    }
    if view.spec.sparse {
        words += ", sparse";
    }
    words
}

/// The index that the cache has, if it is one of this.
pub(super) fn read(storage: &dyn Storage, table: &TableName, view: &IndexView) -> Option<Written> {
    // Nothing in the cache is needed: a file that cannot be read is as good as none.
    let bytes = storage.read(&path(table, &view.spec.name)).ok()??;
    parse(&bytes, &describe(view))
}

fn parse(bytes: &Bytes, what: &str) -> Option<Written> {
    let body = bytes.len().checked_sub(4)?;
    let mut reader = Reader::new(bytes.clone());
    let fits = reader.array().ok()? == *MAGIC && reader.u32().ok()? == FORMAT;
    let words = usize::try_from(reader.u32().ok()?).ok()?;
    let version = Timestamp::from_micros(reader.i64().ok()?);
    let rows = reader.u64().ok()?;
    if !fits || reader.take(words).ok()? != what.as_bytes() {
        return None;
    }
    let start = 32 + words;
    let crc = bytes.get(body..)?.first_chunk::<4>()?;
    (start <= body && crc32fast::hash(bytes.get(..body)?) == u32::from_le_bytes(*crc))
        .then(|| Written { version, rows, bytes: bytes.slice(start..body) })
}

/// Remembers an index.
///
/// # Errors
/// Those of the storage; nothing depends on it.
pub(super) fn write(
    storage: &dyn Storage,
    table: &TableName,
    view: &IndexView,
    written: &Written,
) -> Result<()> {
    storage.create_folder(&folder(table))?;
    let what = describe(view);
    let mut file = FileWriter::create(storage, &path(table, &view.spec.name))?;
    file.put(MAGIC)?;
    file.put(&FORMAT.to_le_bytes())?;
    file.put(&u32::try_from(what.len()).unwrap_or_default().to_le_bytes())?;
    file.put(&written.version.as_micros().to_le_bytes())?;
    file.put(&written.rows.to_le_bytes())?;
    file.put(what.as_bytes())?;
    file.put(&written.bytes)?;
    let crc = file.crc()?;
    file.put(&crc.to_le_bytes())?;
    file.finish_unsynced(storage)
}

/// Removes what was remembered of an index; that it was not there is no error.
pub(super) fn remove(storage: &dyn Storage, table: &TableName, name: &str) -> Result<()> {
    storage.remove(&path(table, name))
}

#[cfg(test)]
mod tests {
    use reedbase_plugin_api::sql::Collation;
    use reedbase_plugin_api::{ColumnType, IndexSpec, IndexedColumn};

    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn an_index_comes_back_and_nothing_else_does() {
        let kind = ColumnType::Integer;
        let column = IndexedColumn { at: 2, kind, collation: Collation::Binary };
        let spec = IndexSpec::new("i", "btree", &["n"]);
        let view = IndexView { spec, columns: vec![column], ordered: true };
        let (storage, table) = (MemoryStorage::new(), TableName::new("t").unwrap());
        assert!(read(&storage, &table, &view).is_none());
        let version = Timestamp::from_micros(7);
        let written = Written { version, rows: 3, bytes: Bytes::from("entries") };
        write(&storage, &table, &view, &written).unwrap();
        let known = read(&storage, &table, &view).unwrap();
        assert_eq!((known.version, known.rows, &known.bytes[..]), (version, 3, &b"entries"[..]));
        let mut other = view.clone();
        other.columns[0].at = 1;
        assert!(read(&storage, &table, &other).is_none());
        let whole = storage.files()["cache/index/t/i.index"].clone();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            assert!(parse(&Bytes::from(damaged), &describe(&view)).is_none(), "{at}");
            let cut = Bytes::from(whole[..at].to_vec());
            assert!(parse(&cut, &describe(&view)).is_none(), "{at}");
        }
        remove(&storage, &table, "i").unwrap();
        assert!(read(&storage, &table, &view).is_none());
    }
}
