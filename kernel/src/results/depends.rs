//! What a result was made of, and whether that is still so.

use reedbase_plugin_api::{CachedFunction, Result, TableName, Timestamp};
use xxhash_rust::xxh3::Xxh3;

use crate::database::{Noted, Snapshot};
use crate::wire::{Reader, put_bytes, put_varint};

/// What a result was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Depends {
    /// Tables, with the version of each.
    tables: Box<[(TableName, Timestamp)]>,
    /// The hash of the names of all tables.
    names: Option<u64>,
    /// The newest frame.
    frame: Option<Timestamp>,
}

impl Depends {
    /// What was read of a snapshot or of a later one, and the tables that a function says it reads. What changed since the
    /// snapshot counts as changed since the result was made.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for a table that the function names.
    pub(super) fn of(
        noted: &Noted,
        function: &CachedFunction<'_>,
        snapshot: &Snapshot,
    ) -> Result<Self> {
        let mut names = noted.tables.clone();
        for table in function.tables() {
            let name = snapshot.exact_name(table).map_err(|error| {
                error.help(format!("the function `{}` says that it reads it", function.name()))
            })?;
            names.insert(name);
        }
        let version = |name| snapshot.version_of(name).unwrap_or(Timestamp::ZERO);
        let tables = names.iter().map(|name| (name.clone(), version(name))).collect();
        let names = noted.names.then(|| hash_of_names(snapshot));
        Ok(Self { tables, names, frame: noted.everything.then(|| snapshot.frame()) })
    }

    /// Whether it was made of nothing that can change.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.names.is_none() && self.frame.is_none()
    }

    /// Whether all is as it was.
    pub(super) fn holds(&self, now: &Snapshot) -> bool {
        let version = |name| now.version_of(name).unwrap_or(Timestamp::ZERO);
        self.frame.is_none_or(|frame| frame == now.frame())
            && self.tables.iter().all(|(name, then)| version(name) == *then)
            && self.names.is_none_or(|names| names == hash_of_names(now))
    }

    /// The same, as what a reader of it read.
    pub(super) fn noted(&self) -> Noted {
        let mut noted = Noted::default();
        noted.tables.extend(self.tables.iter().map(|(name, _)| name.clone()));
        (noted.names, noted.everything) = (self.names.is_some(), self.frame.is_some());
        noted
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.tables.len() as u64);
        for (name, version) in &self.tables {
            put_bytes(out, name.as_str().as_bytes());
            out.extend_from_slice(&version.as_micros().to_le_bytes());
        }
        out.push(u8::from(self.names.is_some()) | u8::from(self.frame.is_some()) << 1);
        out.extend_from_slice(&self.names.unwrap_or_default().to_le_bytes());
        out.extend_from_slice(&self.frame.unwrap_or(Timestamp::ZERO).as_micros().to_le_bytes());
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self> {
        let count = reader.varint()?;
        let tables = (0..count).map(|_| {
            let name = reader.text()?;
            Ok((TableName::new(&name)?, Timestamp::from_micros(reader.i64()?)))
        });
        let tables = tables.collect::<Result<_>>()?;
        let flags = reader.byte()?;
        let (names, frame) = (reader.u64()?, Timestamp::from_micros(reader.i64()?));
        let (names, frame) = ((flags & 1 != 0).then_some(names), (flags & 2 != 0).then_some(frame));
        Ok(Self { tables, names, frame })
    }
}

fn hash_of_names(snapshot: &Snapshot) -> u64 {
    let mut hash = Xxh3::new();
    for name in snapshot.all_tables() {
        hash.update(name.as_str().as_bytes());
        hash.update(&[0]);
    }
    hash.digest()
}
