//! What one frame did to one table.
//!
//! A file is a header and a list of *lines*: its rows, and the blank lines between them, each with its
//! exact bytes. A changeset says how the list before became the list after, without the lines that
//! both have:
//!
//! ```text
//! before           after            removed: 1 line at 1 (b)
//! 0  a             0  a             added:   1 line at 1 (B), 1 line at 4 (e)
//! 1  b             1  B             moves:   1 line from 3 to 2
//! 2  c             2  d
//! 3  d             3  c
//!                  4  e
//! ```
//!
//! Ordinals of removed lines count in the list before, those of added lines in the list after. Lines
//! that are neither removed, added nor moved keep their order and fill the rest. So a changeset reads
//! the same in both directions: swap removed and added, and turn the moves round, and it undoes itself.
//! An updated row is removed and added again at its place; that the two have the same key is what makes
//! them an update.
//!
//! Lines of both sides are kept whole. That is why a difference, the undo of a frame and the history of
//! a row need nothing but changesets.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Error, LineEnd, Result, row};

/// What is needed to cut the lines of a table into rows, cells and keys. Cheap to clone.
#[derive(Debug, Clone, Eq)]
pub struct Shape(Arc<Parts>);

#[derive(Debug, PartialEq, Eq)]
struct Parts {
    delimiter: u8,
    header: Bytes,
    key: Vec<usize>,
    columns: Vec<String>,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Shape {
    /// The shape of a table whose file starts with this header: the exact bytes up to the first row,
    /// with byte order mark, blank lines and line end. The key is given by the positions of its columns.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the key names a column that is
    /// not there, or none.
    pub fn new(delimiter: u8, header: Bytes, key: Vec<usize>) -> Result<Self> {
        let record = header.strip_prefix(Self::BYTE_ORDER_MARK).unwrap_or(&header);
        let skip = record.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let record = record.get(skip..).unwrap_or_default();
        let columns: Vec<String> = row::cells(record, delimiter)
            .map(|cell| cell.text().unwrap_or_default().into_owned())
            .collect();
        if key.is_empty() || key.iter().any(|index| *index >= columns.len()) {
            return Err(Error::invalid("the key names no column of the header"));
        }
        Ok(Self(Arc::new(Parts { delimiter, header, key, columns })))
    }

    /// The bytes that mark a file as UTF-8; kept where they stand.
    pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

    /// The byte between two cells.
    pub fn delimiter(&self) -> u8 {
        self.0.delimiter
    }

    /// The exact bytes before the first row.
    pub fn header(&self) -> &Bytes {
        &self.0.header
    }

    /// The positions of the key's columns.
    pub fn key(&self) -> &[usize] {
        &self.0.key
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.0.columns
    }

    /// The position of a column, found ignoring ASCII case.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.0.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    /// The line end of rows that ReedBase writes: the header's, or `\n` if it has none.
    pub fn line_end(&self) -> LineEnd {
        if self.0.header.ends_with(b"\r\n") { LineEnd::CrLf } else { LineEnd::Lf }
    }

    /// Whether a line is blank: not a row. In a table of one column an empty line is a row.
    pub fn is_blank(&self, line: &[u8]) -> bool {
        self.0.columns.len() > 1 && row::content(line).is_empty()
    }
}

/// Lines that stand together: their place, their number and their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The ordinal of the first line, counted from 0.
    pub start: u64,
    /// How many lines there are.
    pub count: u64,
    /// Their bytes, line ends included.
    pub bytes: Bytes,
}

/// Lines that changed place together, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The ordinal of the first line before.
    pub from: u64,
    /// The ordinal of the first line after.
    pub to: u64,
    /// How many lines there are.
    pub count: u64,
}

/// The text of `schema.toml` on both sides of a frame that changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// The text before; empty for a new table.
    pub before: Bytes,
    /// The text after.
    pub after: Bytes,
}

/// What one frame did to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changeset {
    /// The shape before; `None` for a new table.
    pub before: Option<Shape>,
    /// The shape after.
    pub after: Shape,
    /// The text of `schema.toml`, if the frame changed it.
    pub schema: Option<SchemaText>,
    /// Lines of the list before that are gone, in order.
    pub removed: Vec<Lines>,
    /// Lines of the list after that are new, in order.
    pub added: Vec<Lines>,
    /// Lines that changed place, ordered by where they came from.
    pub moves: Vec<Move>,
    /// Random bytes that keep the hash of the changeset from telling its content once that is erased.
    pub salt: [u8; 16],
}

impl Changeset {
    /// Whether the frame left the table as it was.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
            && self.added.is_empty()
            && self.moves.is_empty()
            && self.schema.is_none()
            && self.before.as_ref() == Some(&self.after)
    }

    /// Whether rows were only replaced where they stand. Where a blank line may be among them, it says no.
    pub fn only_updates(&self) -> bool {
        let place = |lines: &Lines| (lines.start, lines.count);
        self.before.as_ref() == Some(&self.after)
            && self.schema.is_none()
            && self.moves.is_empty()
            && self.removed.iter().map(place).eq(self.added.iter().map(place))
            && !self.removed.iter().any(|lines| may_hold_blank(&lines.bytes))
    }

    /// How many bytes of lines the changeset holds.
    pub fn touched_bytes(&self) -> usize {
        self.removed.iter().chain(&self.added).map(|lines| lines.bytes.len()).sum()
    }

    /// How many lines were removed.
    pub fn removed_count(&self) -> u64 {
        self.removed.iter().map(|lines| lines.count).sum()
    }

    /// How many lines were added.
    pub fn added_count(&self) -> u64 {
        self.added.iter().map(|lines| lines.count).sum()
    }
}

/// Whether one of these lines may be blank: a line end may also stand inside quotes.
fn may_hold_blank(lines: &[u8]) -> bool {
    let starts = |text: &[u8]| text.starts_with(b"\n") || text.starts_with(b"\r\n");
    let mut ends = memchr::memchr_iter(b'\n', lines);
    starts(lines) || ends.any(|end| lines.get(end + 1..).is_some_and(starts))
}
