//! `cache/functions/<function>.cache`: the results of a function.
//!
//! ```text
//!  0  magic "RDBCALLS"     8  format (u32): 1     12  length of the name (u32)     16  the name
//!     hits (u64) · misses (u64) · results (u64)
//!     each: call (varint length, bytes) · until (i64, µs) · tables (varint; each: name (varint length, bytes),
//!           version (i64, µs)) · flags (u8: 1 names, 2 frame) · hash of the names of all tables (u64) ·
//!           newest frame (i64, µs) · value (varint length, bytes)
//!     CRC32 of all before
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reedbase_plugin_api::{Bytes, Result, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use super::depends::Depends;
use super::entry::{Counts, Entry};
use crate::registry::CONFIG_PATH;
use crate::storage::{FileWriter, Storage};
use crate::wire::{Reader, put_bytes};

const MAGIC: &[u8; 8] = b"RDBCALLS";
const FORMAT: u32 = 1;
const FOLDER: &str = "cache/functions";

/// A call and its result.
pub(super) type Known = (Box<[u8]>, Arc<Entry>);

/// The file of a function: the end of its name, as far as it is made of plain characters, and a hash of all of it.
fn path(function: &str) -> String {
    let last = function.rsplit("::").next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let last: String = last.chars().map(plain).take(40).collect();
    format!("{FOLDER}/{last}-{:08x}.cache", xxh3_64(function.as_bytes()) as u32)
}

/// The results of a function that the cache on disk has.
pub(super) fn read(storage: &dyn Storage, function: &str, counts: &Arc<Counts>) -> Vec<Known> {
    // Nothing in the cache is needed: a file that cannot be read is as good as none.
    let Ok(Some(bytes)) = storage.read(&path(function)) else { return Vec::new() };
    match parse(&bytes, counts) {
        Ok((name, known)) if name == function => known,
        _ => Vec::new(),
    }
}

/// The functions that the cache on disk has results of, with these and with what was counted; those that are known already
/// are not read.
pub(super) fn read_others<'f>(
    storage: &dyn Storage,
    known: impl Iterator<Item = &'f String>,
) -> Vec<(String, Arc<Counts>, Vec<Known>)> {
    let known: Vec<String> = known.map(|function| path(function)).collect();
    let names = storage.list(FOLDER).unwrap_or_default();
    let names = names.iter().filter(|name| name.ends_with(".cache"));
    let others = names.map(|name| format!("{FOLDER}/{name}")).filter(|path| !known.contains(path));
    let read = others.filter_map(|path| {
        let bytes = storage.read(&path).ok()??;
        let counts = Arc::default();
        let (function, known) = parse(&bytes, &counts).ok()?;
        Some((function, counts, known))
    });
    read.collect()
}

fn parse(bytes: &Bytes, counts: &Arc<Counts>) -> Result<(String, Vec<Known>)> {
    let wrong = || reedbase_plugin_api::Error::corrupt("a file of results is damaged");
    let body = bytes.len().checked_sub(4).ok_or_else(wrong)?;
    let mut end = Reader::new(bytes.slice(body..));
    if crc32fast::hash(&bytes.slice(..body)) != end.u32()? {
        return Err(wrong());
    }
    let mut reader = Reader::new(bytes.slice(..body));
    if reader.array()? != *MAGIC || reader.u32()? != FORMAT {
        return Err(wrong());
    }
    let len = usize::try_from(reader.u32()?).map_err(|_| wrong())?;
    let name = String::from_utf8(reader.take(len)?.into()).map_err(|_| wrong())?;
    let (hits, misses, count) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let known = (0..count).map(|_| {
        let call = reader.bytes()?;
        let until = Timestamp::from_micros(reader.i64()?);
        let depends = Depends::read(&mut reader)?;
        let entry = Entry::new(reader.bytes()?, until, depends, counts);
        Ok((Box::from(&call[..]), Arc::new(entry)))
    });
    let known = known.collect::<Result<_>>()?;
    reader.end()?;
    counts.hits.fetch_add(hits, Ordering::Relaxed);
    counts.misses.fetch_add(misses, Ordering::Relaxed);
    counts.written.store(bytes.len() as u64, Ordering::Relaxed);
    Ok((name, known))
}

/// Remembers the results of a function.
///
/// # Errors
/// Those of the storage; nothing depends on it.
pub(super) fn write(
    storage: &dyn Storage,
    function: &str,
    counts: &Counts,
    known: &[Known],
) -> Result<()> {
    // Whoever removed the folder does not want it back.
    if storage.stat(CONFIG_PATH)?.is_none() {
        return Ok(());
    }
    storage.create_folder(FOLDER)?;
    let mut head = Vec::from(MAGIC);
    head.extend_from_slice(&FORMAT.to_le_bytes());
    head.extend_from_slice(&u32::try_from(function.len()).unwrap_or_default().to_le_bytes());
    head.extend_from_slice(function.as_bytes());
    head.extend_from_slice(&counts.hits.load(Ordering::Relaxed).to_le_bytes());
    head.extend_from_slice(&counts.misses.load(Ordering::Relaxed).to_le_bytes());
    head.extend_from_slice(&(known.len() as u64).to_le_bytes());
    let mut file = FileWriter::create(storage, &path(function))?;
    file.put(&head)?;
    let mut written = head.len() as u64;
    for (call, entry) in known {
        let mut bytes = Vec::with_capacity(call.len() + entry.value.len() + 64);
        put_bytes(&mut bytes, call);
        bytes.extend_from_slice(&entry.until.as_micros().to_le_bytes());
        entry.depends.put(&mut bytes);
        put_bytes(&mut bytes, &entry.value);
        file.put(&bytes)?;
        written += bytes.len() as u64;
    }
    let crc = file.crc()?;
    file.put(&crc.to_le_bytes())?;
    file.finish_unsynced(storage)?;
    counts.written.store(written, Ordering::Relaxed);
    counts.unwritten.store(0, Ordering::Relaxed);
    Ok(())
}

/// Removes what was remembered of a function; that it was not there is no error.
pub(super) fn remove(storage: &dyn Storage, function: &str) -> Result<()> {
    storage.remove(&path(function))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use reedbase_plugin_api::CachedFunction;

    use super::super::call::Call;

    #[test]
    fn results_come_back_and_nothing_else_does() {
        let storage = MemoryStorage::new();
        storage.create(CONFIG_PATH).unwrap();
        let counts = Arc::new(Counts::default());
        counts.hits.store(7, Ordering::Relaxed);
        let call = Call::of(&CachedFunction::new("shop::revenue"));
        let mut nothing = vec![0, 0];
        nothing.extend([0; 16]);
        let depends = Depends::read(&mut Reader::new(nothing.into())).unwrap();
        let until = Timestamp::from_micros(9);
        let entry = Entry::new(Bytes::from("42"), until, depends, &counts);
        let known = [(Box::from(call.as_bytes()), Arc::new(entry))];
        write(&storage, "shop::revenue", &counts, &known).unwrap();
        let again = Arc::new(Counts::default());
        let back = read(&storage, "shop::revenue", &again);
        assert_eq!(back.len(), 1);
        assert_eq!(&back[0].0[..], call.as_bytes());
        assert_eq!((&back[0].1.value[..], back[0].1.until), (&b"42"[..], until));
        assert_eq!(again.hits.load(Ordering::Relaxed), 7);
        assert!(read(&storage, "shop::other", &again).is_empty());
        let others = |known: &[String]| read_others(&storage, known.iter());
        let found = others(&[]);
        assert_eq!((found.len(), found[0].0.as_str(), found[0].2.len()), (1, "shop::revenue", 1));
        assert!(others(&["shop::revenue".into()]).is_empty(), "what is known is not read");
        let whole = storage.files()[&path("shop::revenue")].clone();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            assert!(parse(&damaged.into(), &counts).is_err(), "{at}");
            assert!(parse(&Bytes::from(whole[..at].to_vec()), &counts).is_err(), "{at}");
        }
        remove(&storage, "shop::revenue").unwrap();
        assert!(read_others(&storage, [].iter()).is_empty());
    }
}
