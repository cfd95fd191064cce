//! A text file that only grows, one line at a time, each line with its own checksum.
//!
//! A line is a CSV record with `|` between cells; its last cell but one or its last is the CRC32 of the
//! other cells, joined by `|`, in 8 upper-case hexadecimal digits. An append that a crash cut short leaves
//! a last line that is not whole: it is overwritten by the next append, and nothing is lost by it, since
//! the journal keeps what it said until the checkpoint is complete. A bad line before a good one is
//! damage, and is named.

use std::borrow::Cow;
use std::sync::Arc;

use reedbase_plugin_api::{Error, Result, row};

use crate::storage::{Access, Storage};

/// An append-only file of lines.
#[derive(Debug)]
pub struct LogFile {
    storage: Arc<dyn Storage>,
    path: String,
    header: &'static str,
    /// Which cell holds the checksum.
    checksum_cell: usize,
}

impl LogFile {
    /// The file at this path. Its first line is the header.
    pub fn new(
        storage: Arc<dyn Storage>,
        path: String,
        header: &'static str,
        checksum_cell: usize,
    ) -> Self {
        Self { storage, path, header, checksum_cell }
    }

    /// What `parse` makes of the cells of every line, in order, and where the next line goes. An absent file
    /// has no lines. Where `parse` gives nothing, the line is damaged.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the line, if one before the last is bad.
    pub fn read<T>(
        &self,
        parse: impl FnMut(&[Cow<'_, str>]) -> Option<T>,
    ) -> Result<(Vec<T>, u64)> {
        let Some(text) = self.storage.read(&self.path)? else { return Ok((Vec::new(), 0)) };
        self.parse(&text, parse)
    }

    fn parse<T>(
        &self,
        text: &[u8],
        mut parse: impl FnMut(&[Cow<'_, str>]) -> Option<T>,
    ) -> Result<(Vec<T>, u64)> {
        let (mut found, mut cells) = (Vec::new(), Vec::new());
        let (mut end, mut bad) = (0, None);
        for (number, line) in (1_u64..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
            let good = if number == 1 {
                line.strip_suffix(b"\n") == Some(self.header.as_bytes())
            } else {
                self.check(line, &mut cells)
            };
            match (good, bad) {
                (true, Some(bad)) => return Err(self.damaged(bad)),
                (true, None) => {
                    end += line.len() as u64;
                    if number > 1 {
                        found.push(parse(&cells).ok_or_else(|| self.damaged(number))?);
                    }
                }
                (false, _) => bad = bad.or(Some(number)),
            }
        }
        // Zeros and a torn line may follow a crash; more than that was never one append.
        if bad == Some(1) && !text.is_empty() && !self.header.as_bytes().starts_with(text) {
            return Err(self.damaged(1));
        }
        Ok((found, end))
    }

    /// What `parse` makes of all lines that are whole, whatever stands between them; and how many are not.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn salvage<T>(
        &self,
        mut parse: impl FnMut(&[Cow<'_, str>]) -> Option<T>,
    ) -> Result<(Vec<T>, u64)> {
        let text = self.storage.read(&self.path)?.unwrap_or_default();
        let (mut found, mut cells, mut bad) = (Vec::new(), Vec::new(), 0);
        for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let good = self.check(line, &mut cells);
            match good.then(|| parse(&cells)).flatten() {
                Some(line) => found.push(line),
                None if number == 0 && line.trim_ascii_end() == self.header.as_bytes() => {}
                None => bad += 1,
            }
        }
        Ok((found, bad))
    }

    /// The cells of a line; `false` if it is not whole or its checksum does not match.
    fn check<'t>(&self, line: &'t [u8], cells: &mut Vec<Cow<'t, str>>) -> bool {
        let Some(line) = line.strip_suffix(b"\n") else { return false };
        cells.clear();
        let (mut at, mut stated) = (0, None);
        for cell in row::cells(line, b'|') {
            if cells.len() == self.checksum_cell {
                stated = Some((at, cell.bytes()));
            }
            at += cell.bytes().len() + 1;
            cells.push(cell.text().unwrap_or_default());
        }
        let Some((at, stated)) = stated else { return false };
        let mut crc = crc32fast::Hasher::new();
        crc.update(line.get(..at.saturating_sub(1)).unwrap_or_default());
        crc.update(line.get(at + stated.len()..).unwrap_or_default());
        *stated == hex_of(crc.finalize())
    }

    /// Whether something follows the last good line.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn is_torn(&self, end: u64) -> Result<bool> {
        Ok(self.storage.len(&self.path)?.is_some_and(|len| len > end))
    }

    /// Appends lines, given by their cells without the checksum; they are durable when this returns. `end` is where the last good
    /// line ended.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn append(&self, end: u64, lines: &[Vec<String>]) -> Result<u64> {
        let file = match self.storage.open(&self.path, Access::Write)? {
            Some(file) if end > 0 => file,
            _ => return self.replace(lines),
        };
        let mut text = Vec::new();
        for cells in lines {
            text.extend_from_slice(&self.line(cells));
        }
        let appended = end + text.len() as u64;
        let written = file.write_at(&text, end).and_then(|()| file.set_len(appended));
        if let Err(error) = written.and_then(|()| file.sync()) {
            // Lines that may never reach the disk must not be taken for durable by whoever reads them next.
            drop(file.set_len(end));
            return Err(error);
        }
        Ok(appended)
    }

    /// Replaces the whole file; the new one is durable when this returns.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn replace(&self, lines: &[Vec<String>]) -> Result<u64> {
        let mut text = format!("{}\n", self.header).into_bytes();
        for cells in lines {
            text.extend_from_slice(&self.line(cells));
        }
        self.storage.replace(&self.path, &text)?;
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.storage.sync_folder(folder)?;
        Ok(text.len() as u64)
    }

    fn line(&self, cells: &[String]) -> Vec<u8> {
        let raw: Vec<Vec<u8>> = cells
            .iter()
            .map(|cell| {
                let mut raw = Vec::new();
                let text = (!cell.is_empty()).then_some(cell.as_str());
                row::write_cell(&mut raw, text, b'|', false);
                raw
            })
            .collect();
        let checksum = hex_of(crc32fast::hash(&raw.join(&b'|')));
        let mut all: Vec<&[u8]> = raw.iter().map(Vec::as_slice).collect();
        all.insert(self.checksum_cell.min(all.len()), &checksum);
        let mut line = all.join(&b'|');
        line.push(b'\n');
        line
    }

    fn damaged(&self, line: u64) -> Error {
        Error::corrupt("the line is damaged")
            .at_path(self.storage.full_path(&self.path))
            .at_line(line)
            .help("make it anew of what is left: rdb repair; or restore the file from a backup")
    }
}

/// Eight upper-case hexadecimal digits.
fn hex_of(number: u32) -> [u8; 8] {
    let digit = |place: usize| (number >> (28 - 4 * place)) & 0xf;
    std::array::from_fn(|place| {
        b"0123456789ABCDEF".get(digit(place) as usize).copied().unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    fn log(storage: &MemoryStorage) -> LogFile {
        LogFile::new(Arc::new(storage.clone()), "log".into(), "a|b|crc", 2)
    }

    fn read(log: &LogFile) -> Result<(Vec<Vec<String>>, u64)> {
        log.read(|cells| Some(cells.iter().map(|cell| cell.to_string()).collect()))
    }

    fn line(a: &str, b: &str) -> Vec<String> {
        vec![a.to_owned(), b.to_owned()]
    }

    #[test]
    fn lines_come_back_whatever_they_hold() {
        let storage = MemoryStorage::new();
        let log = log(&storage);
        assert_eq!(read(&log).unwrap(), (Vec::new(), 0));
        let end = log.append(0, &[line("1", "x|y"), line("", "say \"hi\"")]).unwrap();
        let end = log.append(end, &[line("3", "")]).unwrap();
        let (lines, read_end) = read(&log).unwrap();
        assert_eq!(read_end, end);
        let cells: Vec<_> =
            lines.iter().map(|cells| (cells[0].as_str(), cells[1].as_str())).collect();
        assert_eq!(cells, [("1", "x|y"), ("", "say \"hi\""), ("3", "")]);
    }

    #[test]
    fn a_torn_append_is_overwritten_and_damage_before_it_is_named() {
        let storage = MemoryStorage::new();
        let log = log(&storage);
        log.append(0, &[line("1", "a"), line("2", "b")]).unwrap();
        let whole = storage.files()["log"].clone();
        let first = whole.len() - 13;
        for cut in 0..whole.len() {
            let storage = MemoryStorage::from_files([("log".into(), whole[..cut].to_vec())].into());
            let log = self::log(&storage);
            let (lines, end) = read(&log).unwrap();
            assert_eq!(lines.len(), usize::from(cut >= first), "{cut}");
            log.append(end, &[line("9", "z")]).unwrap();
            assert_eq!(read(&log).unwrap().0.last().unwrap()[0], "9");
        }
        // No byte of a line can change unnoticed: the line is named, or, as the last one, left out.
        for at in 8..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let storage = MemoryStorage::from_files([("log".into(), damaged)].into());
            match read(&self::log(&storage)) {
                Ok((lines, _)) => assert!(at >= first - 1 && lines.len() < 2, "{at}"),
                Err(error) => {
                    assert_eq!(error.to_string(), "memory:/log, line 2: the line is damaged");
                }
            }
        }
    }
}
