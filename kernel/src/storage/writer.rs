//! Writing a file from start to end, with its checksums along the way.
//!
//! It is written under another name (`<name>.new`) and gets its own once it is whole and synced: a file
//! with the right name is never half written.

use std::io::{self, Write};
use std::sync::Arc;

use reedbase_plugin_api::{Error, Result};

use super::{File, Storage};

/// Writes a new file through a buffer, and knows its length and CRC32 on the way.
#[derive(Debug)]
pub struct FileWriter {
    file: Arc<dyn File>,
    path: String,
    buffer: Vec<u8>,
    written: u64,
    crc: crc32fast::Hasher,
}

/// The name of a file that is not whole yet.
fn aside(path: &str) -> String {
    format!("{path}.new")
}

/// How much is gathered before it is written.
const BUFFER: usize = 1 << 18;

impl FileWriter {
    /// Makes the file.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn create(storage: &dyn Storage, path: &str) -> Result<Self> {
        let (file, path) = (storage.create(&aside(path))?, path.to_owned());
        Ok(Self { file, path, buffer: Vec::new(), written: 0, crc: crc32fast::Hasher::new() })
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush_buffer()?;
        }
        if bytes.len() >= BUFFER {
            return self.put_through(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The CRC32 of all that was written so far.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn crc(&mut self) -> Result<u32> {
        self.flush_buffer()?;
        Ok(self.crc.clone().finalize())
    }

    /// Writes what is left, syncs the file and gives it its name, which is durable once the folder is
    /// synced.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn finish(mut self, storage: &dyn Storage) -> Result<()> {
        self.flush_buffer()?;
        self.file.sync()?;
        storage.rename(&aside(&self.path), &self.path)
    }

    /// The same without a sync, for files that may be lost. One of that name is removed first: to replace it, a file
    /// system may write the new one out at once, so that a crash leaves one of them.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn finish_unsynced(mut self, storage: &dyn Storage) -> Result<()> {
        self.flush_buffer()?;
        storage.remove(&self.path)?;
        storage.rename(&aside(&self.path), &self.path)
    }

    fn flush_buffer(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        self.put_through(&buffer)?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    fn put_through(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc.update(bytes);
        self.file.write_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The failure behind an error that went through `std::io::Write`.
pub fn write_error(source: io::Error) -> Error {
    match source.downcast::<Error>() {
        Ok(error) => error,
        Err(source) => Error::io("write", "", source),
    }
}
