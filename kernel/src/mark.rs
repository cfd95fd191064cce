//! Marks: what a table's files were when we last wrote them.
//!
//! ```text
//! mark|2
//! version|1763700000000000
//! header|48                      bytes before the first row
//! delimiter|44                   the byte between cells
//! key|0,2                        the columns of the key
//! size|1289359
//! sha256|9f86d081…
//! stamp|131077|1763700000123456789   inode and time of change, as a quick look
//! crc32|1A2B3C4D5E6F7081…        8 digits for each block of 64 KiB
//! rows|48211
//! schema|delimiter = ","\nline_end = "lf"\n…   the text of schema.toml
//! check|0F1E2D3C                 CRC32 of all lines before
//! ```
//!
//! `mark` is the current one. While a new file is put in the place of the old one there is also
//! `mark.next`, what the file is about to be: a `current.csv` that matches either is ours, and one that
//! matches neither was edited outside. So was a schema.toml whose text neither mark holds. A mark of format 1
//! lacks the last two lines.

use reedbase_plugin_api::{Bytes, Error, ErrorKind, Result, Shape, TableName, Timestamp};
use sha2::{Digest, Sha256};

use crate::log::{from_hex, to_hex};
use crate::registry::one_line::{escape, unescape};
use crate::storage::{Access, File, Stat, Storage, read_all};
use crate::table::{BLOCK, Table};

/// What a table's file was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// The version it held.
    pub version: Timestamp,
    /// How many bytes stood before the first row.
    pub header: u64,
    /// The byte between cells.
    pub delimiter: u8,
    /// The columns of the key.
    pub key: Vec<usize>,
    /// Its length.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its inode and time of change.
    pub stamp: (u64, i64),
    /// The CRC32 of each block.
    pub checksums: Vec<u32>,
    /// When the mark itself was written, in nanoseconds since 1970, as its file says; 0 before that.
    pub written: i64,
    /// How many rows it held; `None` in a mark of format 1.
    pub rows: Option<u64>,
    /// The text of schema.toml; `None` in a mark of format 1.
    pub schema: Option<Bytes>,
}

/// The newest format of a mark that this version reads, and the one it writes.
const FORMAT: u32 = 2;

/// The name of a file of a table.
pub fn table_path(table: &TableName, name: &str) -> String {
    format!("tables/{table}/{name}")
}

impl Mark {
    /// The mark of a file that was written with these bytes, fed in order.
    pub fn builder() -> MarkBuilder {
        MarkBuilder {
            sha: Sha256::new(),
            checksums: Vec::new(),
            block: crc32fast::Hasher::new(),
            len: 0,
        }
    }

    /// The mark of a file with these bytes, which was made from the file of this one.
    #[must_use]
    pub fn of_file(&self, bytes: &[u8], stat: &Stat) -> Self {
        let block = usize::try_from(BLOCK).unwrap_or(usize::MAX);
        Self {
            size: bytes.len() as u64,
            sha256: Sha256::digest(bytes).into(),
            stamp: (stat.inode, stat.modified),
            checksums: bytes.chunks(block).map(crc32fast::hash).collect(),
            ..self.clone()
        }
    }

    /// Whether a file looks as it did when the mark was made.
    pub fn has_stamp(&self, stat: &Stat) -> bool {
        stat.len == self.size && (stat.inode, stat.modified) == self.stamp
    }

    /// Reads a mark of a table.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if it is damaged.
    pub fn read(storage: &dyn Storage, table: &TableName, name: &str) -> Result<Option<Self>> {
        let path = table_path(table, name);
        let Some(file) = storage.open(&path, Access::Read)? else { return Ok(None) };
        let (text, written) = (read_all(&*file)?, file.stat()?.modified);
        let damaged = || {
            Error::corrupt("the mark of the table is damaged")
                .at_path(storage.full_path(&path))
                .help("make it anew of what is left: rdb repair; or restore the file from a backup")
        };
        match Self::parse(&text) {
            Some(Some(mark)) => Ok(Some(Self { written, ..mark })),
            Some(None) => Err(Error::new(ErrorKind::NewerFormat, "the mark is of a newer format")
                .at_path(storage.full_path(&path))
                .help("update ReedBase")),
            None => Err(damaged()),
        }
    }

    /// `Some(None)` is a newer format.
    fn parse(text: &Bytes) -> Option<Option<Self>> {
        let text = std::str::from_utf8(text).ok()?;
        let (body, check) = text.split_once("check|")?;
        if check != format!("{:08X}\n", crc32fast::hash(body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        let mut value =
            |name: &str| lines.next()?.split_once('|').filter(|(n, _)| *n == name).map(|(_, v)| v);
        let format: u32 = value("mark")?.parse().ok()?;
        if format > FORMAT {
            return Some(None);
        }
        let version = Timestamp::from_micros(value("version")?.parse().ok()?);
        let header = value("header")?.parse().ok()?;
        let delimiter = value("delimiter")?.parse().ok()?;
        let key = value("key")?.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
        let size = value("size")?.parse().ok()?;
        let sha256 = from_hex(value("sha256")?)?;
        let (inode, modified) = value("stamp")?.split_once('|')?;
        let digits = value("crc32")?;
        let starts = (0..digits.len()).step_by(8);
        let crc = |at: usize| u32::from_str_radix(digits.get(at..at + 8)?, 16).ok();
        let checksums = starts.map(crc).collect::<Option<_>>()?;
        let (mut rows, mut schema) = (None, None);
        if format > 1 {
            rows = Some(value("rows")?.parse().ok()?);
            schema = Some(unescape(value("schema")?)?);
        }
        let stamp = (inode.parse().ok()?, modified.parse().ok()?);
        Some(Some(Self {
            version,
            header,
            delimiter,
            key,
            size,
            sha256,
            stamp,
            checksums,
            written: 0,
            rows,
            schema,
        }))
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let key: Vec<_> = self.key.iter().map(usize::to_string).collect();
        let checksums: String = self.checksums.iter().map(|crc| format!("{crc:08X}")).collect();
        let format = if self.rows.is_some() && self.schema.is_some() { FORMAT } else { 1 };
        let mut body = format!(
            "mark|{format}\nversion|{}\nheader|{}\ndelimiter|{}\nkey|{}\nsize|{}\nsha256|{}\nstamp|{}|{}\ncrc32|{}\n",
            self.version,
            self.header,
            self.delimiter,
            key.join(","),
            self.size,
            to_hex(&self.sha256),
            self.stamp.0,
            self.stamp.1,
            checksums,
        );
        if let (Some(rows), Some(schema)) = (self.rows, &self.schema) {
            body.push_str(&format!("rows|{rows}\nschema|{}\n", escape(schema)));
        }
        let check = crc32fast::hash(body.as_bytes());
        format!("{body}check|{check:08X}\n")
    }

    /// Whether these are the bytes of the file.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.size && <[u8; 32]>::from(Sha256::digest(bytes)) == self.sha256
    }

    /// Whether the blocks of these bytes have the checksums of the mark: as sure as
    /// [`matches`](Self::matches) against accidents, and ten times as fast.
    pub fn blocks_match(&self, bytes: &[u8]) -> bool {
        let block = usize::try_from(BLOCK).unwrap_or(usize::MAX);
        bytes.len() as u64 == self.size
            && bytes.chunks(block).map(crc32fast::hash).eq(self.checksums.iter().copied())
    }

    /// Whether a file may start with these whole blocks, or be these bytes.
    pub fn starts_with(&self, start: &[u8]) -> bool {
        let block = usize::try_from(BLOCK).unwrap_or(usize::MAX);
        let mut known = self.checksums.iter();
        start.len() as u64 >= self.header
            && start.chunks(block).all(|bytes| known.next() == Some(&crc32fast::hash(bytes)))
    }

    /// The shape of the table whose file starts with these bytes.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if the mark does not fit.
    pub fn shape(&self, start: &Bytes) -> Result<Shape> {
        let len = usize::try_from(self.header).unwrap_or(usize::MAX).min(start.len());
        Shape::new(self.delimiter, start.slice(..len), self.key.clone())
            .map_err(|error| Error::corrupt("the mark does not fit the table").caused_by(error))
    }
}

/// Computes the checksums of a file while it is written.
#[derive(Debug)]
pub struct MarkBuilder {
    sha: Sha256,
    checksums: Vec<u32>,
    block: crc32fast::Hasher,
    len: u64,
}

impl MarkBuilder {
    /// The next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.sha.update(bytes);
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK - self.len % BLOCK).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.update(now);
            self.len += now.len() as u64;
            if self.len.is_multiple_of(BLOCK) {
                self.checksums.push(std::mem::take(&mut self.block).finalize());
            }
            bytes = later;
        }
    }

    /// The mark of the file with these bytes, which holds this table.
    pub fn finish(mut self, table: &Table, file: &dyn File) -> Result<Mark> {
        if !self.len.is_multiple_of(BLOCK) {
            self.checksums.push(self.block.finalize());
        }
        let (stat, shape) = (file.stat()?, table.shape());
        Ok(Mark {
            version: table.version(),
            header: shape.header().len() as u64,
            delimiter: shape.delimiter(),
            key: shape.key().to_vec(),
            size: self.len,
            sha256: self.sha.finalize().into(),
            stamp: (stat.inode, stat.modified),
            checksums: self.checksums,
            written: 0,
            rows: Some(table.rows()),
            schema: table.schema().cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use crate::table::Base;
    use std::sync::Arc;

    #[test]
    fn a_mark_comes_back_and_damage_is_named() {
        let storage = MemoryStorage::new();
        let file = storage.create("f").unwrap();
        let shape = Shape::new(b'|', Bytes::from("a|b\n"), vec![1, 0]).unwrap();
        let base = Arc::new(Base::empty(Arc::new(shape)).unwrap());
        let schema = Some(Bytes::from("a = \"\\\"\r\n"));
        let table = Table::new(base, Timestamp::from_micros(4)).with_schema(schema);
        for len in [0, 1, 63, 64, 65, 128, 300] {
            let bytes = vec![b'x'; len];
            let mut builder = Mark::builder();
            bytes.chunks(7).for_each(|chunk| builder.update(chunk));
            let mark = builder.finish(&table, &*file).unwrap();
            assert!(mark.matches(&bytes) && mark.blocks_match(&bytes));
            assert!(!mark.matches(b"other") && !mark.blocks_match(b"other"));
            let name = TableName::new("t").unwrap();
            let storage: &dyn Storage = &storage;
            storage.write_new("tables/t/mark", mark.to_text().as_bytes()).unwrap();
            let read =
                || Mark { written: 0, ..Mark::read(storage, &name, "mark").unwrap().unwrap() };
            assert_eq!(read(), mark);
            let old = Mark { rows: None, ..mark.clone() };
            assert!(old.to_text().starts_with("mark|1\n"));
            storage.write_new("tables/t/mark", old.to_text().as_bytes()).unwrap();
            let old = Mark { rows: None, schema: None, ..mark.clone() };
            assert_eq!(read(), old);
            let damaged = mark.to_text().replace("version|4", "version|5");
            storage.write_new("tables/t/mark", damaged.as_bytes()).unwrap();
            assert!(Mark::read(storage, &name, "mark").unwrap_err().is_corrupt());
        }
    }
}
