//! `cache/tables/<table>.hashmap`: where the lines of a table's file are, and its index of keys, so that
//! opening a large table reads neither.
//!
//! ```text
//!  0  magic "RDBCACHE"          8  format (u32): 2         12  order (u32): 0 none, 1 number, 2 text; + 4 if all keys are plain
//! 16  SHA-256 of current.csv   48  rows (u64)
//! 56  length of the offsets (u64)                          64  length of the index (u64)
//! 72  offsets, index, CRC32 of all before
//! ```

use reedbase_plugin_api::{Bytes, Result, TableName};

use crate::storage::{FileWriter, Storage};
use crate::table::{KeyIndex, KeyOrder, Layout};
use crate::wire::Reader;

const MAGIC: &[u8; 8] = b"RDBCACHE";
const FORMAT: u32 = 2;

/// Added to the order where no key may be a number in another spelling.
const PLAIN: u32 = 4;

/// The path of the layout of a table.
pub fn layout_path(table: &TableName) -> String {
    format!("cache/tables/{table}.hashmap")
}

/// Whether an older version wrote this.
pub fn is_older(bytes: &[u8]) -> bool {
    let format = bytes.get(8..12).and_then(|format| format.first_chunk::<4>());
    bytes.starts_with(MAGIC) && format.is_some_and(|f| u32::from_le_bytes(*f) < FORMAT)
}

/// The layout of the file with this hash, if the cache has it.
pub fn read_layout(storage: &dyn Storage, table: &TableName, sha256: &[u8; 32]) -> Option<Layout> {
    // Nothing in the cache is needed: a file that cannot be read is as good as none.
    let bytes = storage.read(&layout_path(table)).ok()??;
    parse(&bytes, sha256)
}

fn parse(bytes: &Bytes, sha256: &[u8; 32]) -> Option<Layout> {
    let body = bytes.len().checked_sub(4)?;
    let mut reader = Reader::new(bytes.clone());
    let fits = reader.array().ok()? == *MAGIC && reader.u32().ok()? == FORMAT;
    let order = reader.u32().ok()?;
    let plain = order & PLAIN != 0;
    let order = match order & !PLAIN {
        0 => None,
        1 => Some(KeyOrder::Number),
        2 => Some(KeyOrder::Text),
        _ => return None,
    };
    if !fits || reader.array().ok()? != *sha256 {
        return None;
    }
    let rows = reader.u64().ok()?;
    let offsets_len = usize::try_from(reader.u64().ok()?).ok()?;
    let index_len = usize::try_from(reader.u64().ok()?).ok()?;
    let offsets = reader.take(offsets_len).ok()?;
    let index = KeyIndex::from_bytes(reader.take(index_len).ok()?);
    let crc = reader.u32().ok()?;
    reader.end().ok()?;
    (crc32fast::hash(bytes.get(..body)?) == crc)
        .then(|| Layout::new(offsets, index, rows, order, plain))
}

/// Remembers a layout.
///
/// # Errors
/// Those of the storage; nothing depends on it.
pub fn write_layout(
    storage: &dyn Storage,
    table: &TableName,
    sha256: &[u8; 32],
    layout: &Layout,
) -> Result<()> {
    storage.create_folder("cache/tables")?;
    let mut file = FileWriter::create(storage, &layout_path(table))?;
    let order: u32 = match layout.order {
        None => 0,
        Some(KeyOrder::Number) => 1,
        Some(KeyOrder::Text) => 2,
    };
    file.put(MAGIC)?;
    file.put(&FORMAT.to_le_bytes())?;
    let order = order + if layout.plain { PLAIN } else { 0 };
    file.put(&order.to_le_bytes())?;
    file.put(sha256)?;
    file.put(&layout.rows.to_le_bytes())?;
    file.put(&(layout.offsets.len() as u64).to_le_bytes())?;
    file.put(&(layout.index.as_bytes().len() as u64).to_le_bytes())?;
    file.put(&layout.offsets)?;
    file.put(layout.index.as_bytes())?;
    let crc = file.crc()?;
    file.put(&crc.to_le_bytes())?;
    file.finish_unsynced(storage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use crate::table::{Base, Key};
    use reedbase_plugin_api::Shape;
    use std::sync::Arc;

    #[test]
    fn a_layout_comes_back_and_nothing_else_does() {
        let shape = Arc::new(Shape::new(b',', Bytes::from("a,b\n"), vec![0]).unwrap());
        let base = Base::parse(Bytes::from("a,b\n1,x\n2,y\n"), shape).unwrap();
        let (storage, table) = (MemoryStorage::new(), TableName::new("t").unwrap());
        assert!(read_layout(&storage, &table, &[1; 32]).is_none());
        write_layout(&storage, &table, &[1; 32], &base.layout()).unwrap();
        let layout = read_layout(&storage, &table, &[1; 32]).unwrap();
        assert_eq!((layout.rows, layout.order), (2, Some(KeyOrder::Number)));
        assert!(layout.plain);
        assert_eq!(layout.offsets, base.layout().offsets);
        assert_eq!(base.find(&Key::from("2")).unwrap().unwrap().0, 1);
        assert!(read_layout(&storage, &table, &[2; 32]).is_none());
        let whole = storage.files()["cache/tables/t.hashmap"].clone();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            assert!(parse(&Bytes::from(damaged), &[1; 32]).is_none(), "{at}");
            assert!(parse(&Bytes::from(whole[..at].to_vec()), &[1; 32]).is_none(), "{at}");
        }
    }
}
