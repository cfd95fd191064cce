//! The lines of a file, as they were read: immutable bytes with offsets and an index of keys.
//!
//! A base comes from a text that is parsed whole, or from the cache, which remembers offsets and index
//! so that nothing needs to be parsed. Then the bytes are read block by block when they are first needed,
//! checked against the checksums of the table's mark, and kept. No file is mapped into memory: an editor
//! may cut it at any moment. If a block is not what the mark says, the file was changed from outside while
//! we were reading, and the whole base is rebuilt from history.

use std::fmt;
use std::sync::{Arc, OnceLock};

use reedbase_plugin_api::{Bytes, Error, ErrorKind, Result, Shape};

use super::order::{OrderWatch, is_plain};
use super::{Key, KeyIndex, KeyOrder, key_of};
use crate::csv::{line_of, next_record};
use crate::storage::{File, read_range};

/// The bytes of a block of a table's file: what one checksum of its mark covers.
pub const BLOCK: u64 = if cfg!(test) { 64 } else { 64 * 1024 };

/// The most bytes a table's file may have: offsets are 32 bits wide.
const FILE_MAX: u64 = u32::MAX as u64;

/// The hash of the keys of a base is seeded with this, so that it differs from that of the packs.
const SEED: u64 = 0x5265_6564_4261_7365;

/// The lines of a file.
pub struct Base {
    shape: Arc<Shape>,
    source: Source,
    /// Where each line starts, and where the last one ends: 4 bytes each, little-endian.
    offsets: Bytes,
    index: KeyIndex,
    rows: u64,
    order: Option<KeyOrder>,
    plain: bool,
}

enum Source {
    Memory(Bytes),
    File(Blocks),
}

/// A file that is read block by block.
struct Blocks {
    file: Arc<dyn File>,
    len: u64,
    checksums: Vec<u32>,
    read: Vec<OnceLock<Bytes>>,
    rebuild: Box<dyn Rebuild>,
    rebuilt: OnceLock<Bytes>,
}

/// Makes the bytes of a table's file again when the file itself is no longer what it was.
pub trait Rebuild: Send + Sync {
    /// The whole file.
    fn rebuild(&self) -> Result<Bytes>;
}

impl<F: Fn() -> Result<Bytes> + Send + Sync> Rebuild for F {
    fn rebuild(&self) -> Result<Bytes> {
        self()
    }
}

/// What is known of a file without reading it; as the cache holds it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Layout {
    /// Where each line starts, and where the last one ends.
    pub offsets: Bytes,
    /// The index of keys.
    pub index: KeyIndex,
    /// How many lines are rows.
    pub rows: u64,
    /// Whether the rows are sorted by key.
    pub order: Option<KeyOrder>,
    /// Whether no key may be a number in another spelling.
    pub plain: bool,
}

impl Layout {
    /// A layout that the cache remembered.
    pub fn new(
        offsets: Bytes,
        index: KeyIndex,
        rows: u64,
        order: Option<KeyOrder>,
        plain: bool,
    ) -> Self {
        Self { offsets, index, rows, order, plain }
    }
}

impl Base {
    /// A table without lines.
    pub fn empty(shape: Arc<Shape>) -> Result<Self> {
        let text = shape.header().clone();
        Self::parse(text, shape)
    }

    /// Parses a whole file, which starts with the header of the shape.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) with line, cell and key for whatever a table may not
    /// hold: text that is not UTF-8, broken quotes, a wrong number of cells, a missing or doubled key.
    pub fn parse(text: Bytes, shape: Arc<Shape>) -> Result<Self> {
        check_text(&text)?;
        let mut lines = Parser::new(&text, &shape);
        lines.run()?;
        let Parser { offsets, hashes, rows, watch, plain, .. } = lines;
        let line = |slot: u32| line_at(&offsets, slot).and_then(|(from, to)| text.get(from..to));
        let same = |one: u32, other: u32| match (line(one), line(other)) {
            (Some(one), Some(other)) => key_of(one, &shape) == key_of(other, &shape),
            _ => false,
        };
        let index = KeyIndex::build(&hashes, same)
            .map_err(|(one, other)| duplicate(&text, &offsets, &shape, one, other))?;
        Ok(Self {
            source: Source::Memory(text),
            offsets: Bytes::from(offsets),
            index,
            rows,
            order: watch.order(rows),
            plain,
            shape,
        })
    }

    /// A file of which the cache knows the layout, read when it is needed.
    pub fn from_layout(
        shape: Arc<Shape>,
        layout: Layout,
        file: Arc<dyn File>,
        checksums: Vec<u32>,
        rebuild: Box<dyn Rebuild>,
    ) -> Result<Self> {
        let Layout { offsets, index, rows, order, plain } = layout;
        let len = offsets.last_chunk::<4>().map_or(0, |end| u64::from(u32::from_le_bytes(*end)));
        let read = checksums.iter().map(|_| OnceLock::new()).collect();
        let rebuilt = OnceLock::new();
        let blocks = Blocks { file, len, checksums, read, rebuild, rebuilt };
        Ok(Self { shape, source: Source::File(blocks), offsets, index, rows, order, plain })
    }

    /// What the cache should remember.
    pub fn layout(&self) -> Layout {
        let (offsets, index) = (self.offsets.clone(), self.index.clone());
        Layout { offsets, index, rows: self.rows, order: self.order, plain: self.plain }
    }

    /// How its lines are cut into cells.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// The whole file, if it is in memory.
    pub fn text(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Memory(text) => Some(text),
            Source::File(_) => None,
        }
    }

    /// How many lines there are, blank ones included.
    pub fn lines(&self) -> u32 {
        let lines = (self.offsets.len() / 4).saturating_sub(1);
        u32::try_from(lines).unwrap_or(u32::MAX)
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How long the file is, header included.
    pub fn file_len(&self) -> u64 {
        self.offsets.last_chunk::<4>().map_or(0, |end| u64::from(u32::from_le_bytes(*end)))
    }

    /// Whether the rows are sorted by key.
    pub fn order(&self) -> Option<KeyOrder> {
        self.order
    }

    /// Whether no key may be a number in another spelling: `7` is plain, `07` and `7.0` are not.
    pub fn has_plain_keys(&self) -> bool {
        self.plain
    }

    /// The line in a slot.
    ///
    /// # Errors
    /// Those of reading and rebuilding the file.
    pub fn line(&self, slot: u32) -> Result<Bytes> {
        let (from, to) = line_at(&self.offsets, slot).ok_or_else(|| {
            Error::internal(format!("line {slot} is beyond the end of the table"))
        })?;
        self.source.slice(from, to)
    }

    /// Where in the file the line in a slot starts, and how long it is.
    pub fn place_of(&self, slot: u32) -> Option<(u64, u64)> {
        line_at(&self.offsets, slot).map(|(from, to)| (from as u64, (to - from) as u64))
    }

    /// The lines of some slots, as one piece.
    pub fn slice(&self, from: u32, to: u32) -> Result<Bytes> {
        let starts = line_start(&self.offsets, from).zip(line_start(&self.offsets, to));
        let (from, to) =
            starts.ok_or_else(|| Error::internal("lines beyond the end of the table"))?;
        self.source.slice(from, to)
    }

    /// The lines as one piece of memory, for those who look at them all.
    ///
    /// # Errors
    /// Those of reading and rebuilding the file.
    pub fn whole(&self) -> Result<Whole<'_>> {
        let start = line_start(&self.offsets, 0).unwrap_or_default();
        Ok(Whole { base: self, start, bytes: self.slice(0, self.lines())? })
    }

    /// The slot of a key, with its line.
    ///
    /// # Errors
    /// Those of reading and rebuilding the file.
    pub fn find(&self, key: &Key<'_>) -> Result<Option<(u32, Bytes)>> {
        for slot in self.index.candidates(hash(key)) {
            let line = self.line(slot)?;
            if key_of(&line, &self.shape).as_ref() == Some(key) {
                return Ok(Some((slot, line)));
            }
        }
        Ok(None)
    }
}

/// What a key leads to: the slot of its row, with its line.
type Found = Option<(u32, Bytes)>;

impl Base {
    /// The same for several keys, in their order. Each step is done for all of them before the next one: so what a step
    /// waits for in memory, it waits for at once, and not key by key.
    ///
    /// # Errors
    /// Those of reading and rebuilding the file.
    pub fn find_all(&self, keys: &[Key<'_>]) -> Result<Vec<Found>> {
        let slots: Vec<_> =
            keys.iter().map(|key| self.index.candidates(hash(key)).next()).collect();
        let lines = slots.iter().map(|slot| slot.map(|slot| self.line(slot)).transpose());
        let lines = lines.collect::<Result<Vec<_>>>()?;
        let ends =
            |line: &Bytes| line.first().copied().unwrap_or(0) ^ line.last().copied().unwrap_or(0);
        std::hint::black_box(lines.iter().flatten().fold(0, |all, line| all ^ ends(line)));
        let mut found = Vec::with_capacity(keys.len());
        for ((key, slot), line) in keys.iter().zip(slots).zip(lines) {
            let first =
                slot.zip(line).filter(|(_, line)| key_of(line, &self.shape).as_ref() == Some(key));
            found.push(match (first, slot) {
                (None, Some(_)) => self.find(key)?,
                (first, _) => first,
            });
        }
        Ok(found)
    }
}

/// All lines of a base in memory.
pub struct Whole<'a> {
    base: &'a Base,
    /// Where in the file the first line starts.
    start: usize,
    bytes: Bytes,
}

impl<'a> Whole<'a> {
    /// The base.
    pub fn base(&self) -> &'a Base {
        self.base
    }

    /// The line in a slot; `None` beyond the last.
    pub fn line(&self, slot: u32) -> Option<&[u8]> {
        let (from, to) = line_at(&self.base.offsets, slot)?;
        self.bytes.get(from - self.start..to - self.start)
    }
}

fn hash(key: &Key<'_>) -> u64 {
    // 0 stands for a line without a key.
    key.hash(SEED).max(1)
}

fn line_start(offsets: &[u8], slot: u32) -> Option<usize> {
    let at = offsets.get(slot as usize * 4..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*at)).ok()
}

fn line_at(offsets: &[u8], slot: u32) -> Option<(usize, usize)> {
    let both = offsets.get(slot as usize * 4..)?.first_chunk::<8>()?;
    let both = u64::from_le_bytes(*both);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the first offset")]
    let from = both as u32;
    Some((from as usize, usize::try_from(both >> 32).ok()?))
}

fn check_text(text: &Bytes) -> Result<()> {
    if text.len() as u64 > FILE_MAX {
        return Err(Error::new(ErrorKind::Limit, "the file is larger than 4 GiB")
            .help("split it into several tables"));
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::invalid("the file is not UTF-8")
            .help("save it as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8")
            .at_line(line_of(text, error.valid_up_to()))
            .at_byte(error.valid_up_to() as u64)),
    }
}

/// Cuts a file into lines and looks at the keys.
struct Parser<'a> {
    text: &'a [u8],
    shape: &'a Shape,
    offsets: Vec<u8>,
    hashes: Vec<u64>,
    rows: u64,
    watch: OrderWatch,
    plain: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a [u8], shape: &'a Shape) -> Self {
        let (offsets, hashes) = (Vec::new(), Vec::new());
        Self { text, shape, offsets, hashes, rows: 0, watch: OrderWatch::default(), plain: true }
    }

    fn run(&mut self) -> Result<()> {
        let mut at = self.shape.header().len();
        while at < self.text.len() {
            self.push_offset(at);
            at = self.line(at)?;
        }
        self.push_offset(at);
        Ok(())
    }

    /// Reads the line that starts here; gives the start of the next.
    fn line(&mut self, start: usize) -> Result<usize> {
        let mut key_cell = None;
        let first = self.shape.key().first();
        let note = |index: usize, from: usize, to: usize| {
            if Some(&index) == first {
                key_cell = Some((from, to));
            }
        };
        let record = next_record(self.text, start, self.shape.delimiter(), note)
            .map_err(|fault| fault.into_error(self.text))?;
        let line = self.text.get(start..record.end).unwrap_or_default();
        if record.cells == 1 && self.shape.is_blank(line) {
            self.hashes.push(0);
            return Ok(record.end);
        }
        let width = self.shape.columns().len();
        if record.cells != width {
            let message = format!("the row has {} of the {width} cells it needs", record.cells);
            return Err(Error::invalid(message)
                .help("every row needs a cell for each column; quote cells that hold the delimiter")
                .at_line(line_of(self.text, start)));
        }
        let plain = key_cell.and_then(|(from, to)| self.text.get(from..to));
        let plain = plain.filter(|cell| self.shape.key().len() == 1 && cell.first() != Some(&b'"'));
        let key = match plain {
            Some([]) => None,
            Some(cell) => std::str::from_utf8(cell).ok().map(Key::from),
            None => key_of(line, self.shape),
        };
        let key = key.ok_or_else(|| self.missing_key(start))?;
        self.hashes.push(hash(&key));
        self.watch.see(&key);
        self.plain = self.plain && is_plain(&key, self.shape.key().len());
        self.rows += 1;
        Ok(record.end)
    }

    fn push_offset(&mut self, at: usize) {
        // `check_text` made sure that offsets fit.
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.offsets.extend_from_slice(&at.to_le_bytes());
    }

    fn missing_key(&self, start: usize) -> Error {
        let names = self.shape.key().iter().filter_map(|index| self.shape.columns().get(*index));
        let names: Vec<_> = names.map(String::as_str).collect();
        Error::invalid("the row has no key")
            .help("fill the key in, name another key with --key, or let --add-key make one")
            .at_line(line_of(self.text, start))
            .at_column(names.join(", "))
    }
}

fn duplicate(text: &[u8], offsets: &[u8], shape: &Shape, one: u32, other: u32) -> Error {
    let start = |slot| line_start(offsets, slot).unwrap_or_default();
    let line = text.get(start(other)..start(other + 1)).unwrap_or_default();
    let key = key_of(line, shape).map(|key| key.display(shape.key().len())).unwrap_or_default();
    let first = line_of(text, start(one));
    Error::invalid(format!("the key was used already, first in line {first}"))
        .help("make the keys unique, name more columns with --key, or let --add-key make a key")
        .at_line(line_of(text, start(other)))
        .at_key(key)
}

impl Source {
    fn slice(&self, from: usize, to: usize) -> Result<Bytes> {
        match self {
            Self::Memory(text) => Ok(cut(text, from, to)),
            Self::File(blocks) => blocks.slice(from, to),
        }
    }
}

/// A part of some bytes, shared; what lies beyond the end is left out.
fn cut(bytes: &Bytes, from: usize, to: usize) -> Bytes {
    let to = to.min(bytes.len());
    bytes.slice(from.min(to)..to)
}

impl Blocks {
    fn slice(&self, from: usize, to: usize) -> Result<Bytes> {
        if let Some(text) = self.rebuilt.get() {
            return Ok(cut(text, from, to));
        }
        match self.read_slice(from, to) {
            Err(error) if error.is_corrupt() => {
                let text = match self.rebuilt.get() {
                    Some(text) => text.clone(),
                    None => self.rebuild.rebuild()?,
                };
                Ok(cut(self.rebuilt.get_or_init(|| text), from, to))
            }
            slice => slice,
        }
    }

    /// A slice of one block is shared; one that spans blocks is put together.
    fn read_slice(&self, from: usize, to: usize) -> Result<Bytes> {
        let size = usize::try_from(BLOCK).unwrap_or(usize::MAX);
        let (first, last) = (from / size, to.saturating_sub(1).max(from) / size);
        if first == last {
            return Ok(cut(&self.block(first)?, from - first * size, to - first * size));
        }
        let mut whole = Vec::with_capacity(to - from);
        for number in first..=last {
            let start = number * size;
            let block = self.block(number)?;
            whole.extend_from_slice(&cut(&block, from.saturating_sub(start), to - start));
        }
        Ok(Bytes::from(whole))
    }

    fn block(&self, number: usize) -> Result<Bytes> {
        let place = self.read.get(number).zip(self.checksums.get(number));
        let (place, checksum) = place.ok_or_else(|| Error::corrupt("the file is too short"))?;
        if let Some(block) = place.get() {
            return Ok(block.clone());
        }
        let start = number as u64 * BLOCK;
        let block = read_range(&*self.file, start, BLOCK.min(self.len.saturating_sub(start)))?;
        if crc32fast::hash(&block) != *checksum {
            return Err(Error::corrupt("a block is not what the mark says").at_byte(start));
        }
        Ok(place.get_or_init(|| block).clone())
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("lines", &self.lines()).field("rows", &self.rows).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{MemoryStorage, Storage};

    fn parse(text: &str) -> Result<Base> {
        let len = text.find('\n').map_or(text.len(), |at| at + 1);
        let header = Bytes::copy_from_slice(&text.as_bytes()[..len]);
        let shape = Shape::new(b',', header, vec![0]).unwrap();
        Base::parse(Bytes::copy_from_slice(text.as_bytes()), Arc::new(shape))
    }

    #[test]
    fn lines_rows_and_keys() {
        let base = parse("id,x\n1,a\n\n\"2\",b\r\n3,").unwrap();
        assert_eq!((base.lines(), base.rows()), (4, 3));
        assert_eq!(base.line(1).unwrap(), "\n");
        assert_eq!(base.find(&Key::from("2")).unwrap().unwrap(), (2, Bytes::from("\"2\",b\r\n")));
        assert_eq!(base.find(&Key::from("4")).unwrap(), None);
        assert_eq!(base.order(), Some(KeyOrder::Number));
        assert_eq!(parse("id,x").unwrap().lines(), 0);
    }

    #[test]
    fn bad_files_say_where() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert_eq!(message("id,x\n1,a\n2\n"), "line 3: the row has 1 of the 2 cells it needs");
        assert_eq!(message("id,x\n,a\n"), "line 2, column id: the row has no key");
        assert_eq!(
            message("id,x\n1,\"a\nb\"\n2,\n1,\n"),
            "line 5, key 1: the key was used already, first in line 2"
        );
        assert_eq!(
            message("id,x\n1,\"a\n"),
            "line 2, byte 7: a quote is opened here and never closed"
        );
        let latin = Bytes::from_static(b"id,x\n1,caf\xe9\n");
        let shape = Shape::new(b',', Bytes::from("id,x\n"), vec![0]).unwrap();
        let error = Base::parse(latin, Arc::new(shape)).unwrap_err();
        assert_eq!(error.to_string(), "line 2, byte 10: the file is not UTF-8");
    }

    #[test]
    fn blocks_are_read_when_needed_and_rebuilt_when_changed() {
        let text: String =
            (0..50).fold("id,x\n".to_owned(), |text, n| format!("{text}{n},value {n}\n"));
        let parsed = parse(&text).unwrap();
        let storage = MemoryStorage::new();
        let file = storage.create("t").unwrap();
        file.write_at(text.as_bytes(), 0).unwrap();
        let checksums = text.as_bytes().chunks(64).map(crc32fast::hash).collect();
        let whole = Bytes::from(text.clone());
        let rebuild = Box::new(move || Ok(whole.clone()));
        let shape = Arc::clone(parsed.shape());
        let layout = parsed.layout();
        let base = Base::from_layout(shape, layout, Arc::clone(&file), checksums, rebuild).unwrap();
        for slot in 0..25 {
            assert_eq!(base.line(slot).unwrap(), parsed.line(slot).unwrap());
        }
        file.write_at(b"spoiled", 500).unwrap();
        for slot in 0..50 {
            assert_eq!(base.line(slot).unwrap(), parsed.line(slot).unwrap());
        }
        assert_eq!(base.find(&Key::from("49")).unwrap().unwrap().0, 49);
    }
}
