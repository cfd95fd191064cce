//! From the bytes of a row to its cells, and back.
//!
//! A row is the exact bytes of one CSV record: its cells, the delimiters between them, and the line
//! end, which only the last row of a file may lack. Quoting is that of RFC 4180: a cell that starts
//! with `"` runs to the next lone `"`, and `""` inside stands for one quote. A quote anywhere else is an
//! ordinary character. An empty unquoted cell is NULL; `""` is the empty string.
//!
//! ```text
//! 7,"say ""hi""",,""\r\n      four cells: 7 | say "hi" | NULL | the empty string
//! ```
//!
//! Nothing here checks the structure of a row: the kernel has done that before it hands one out.

use std::borrow::Cow;

/// The quote character.
pub const QUOTE: u8 = b'"';

/// One cell as it stands in the row, quotes included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawCell<'a>(&'a [u8]);

impl<'a> RawCell<'a> {
    /// The cell that these bytes are, quotes included.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes as they stand in the row.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether the cell is NULL: empty and unquoted.
    pub fn is_null(self) -> bool {
        self.0.is_empty()
    }

    /// Whether the cell is quoted.
    pub fn is_quoted(self) -> bool {
        self.0.first() == Some(&QUOTE)
    }

    /// The content without quotes; NULL gives no bytes, like the empty string.
    pub fn content(self) -> Cow<'a, [u8]> {
        let Some(inner) = self.0.strip_prefix(&[QUOTE]) else { return Cow::Borrowed(self.0) };
        let inner = inner.strip_suffix(&[QUOTE]).unwrap_or(inner);
        if memchr::memchr(QUOTE, inner).is_none() {
            return Cow::Borrowed(inner);
        }
        let mut content = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(&byte) = bytes.next() {
            content.push(byte);
            if byte == QUOTE {
                bytes.next();
            }
        }
        Cow::Owned(content)
    }

    /// The text of the cell; `None` is NULL.
    pub fn text(self) -> Option<Cow<'a, str>> {
        if self.is_null() {
            return None;
        }
        Some(match self.content() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        })
    }
}

/// The row without its line end.
pub fn content(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

/// The line end of the row: `\r\n`, `\n` or nothing.
pub fn line_end(row: &[u8]) -> &[u8] {
    row.get(content(row).len()..).unwrap_or_default()
}

/// The cells of a row, in order. An empty row has one cell, which is NULL.
pub fn cells(row: &[u8], delimiter: u8) -> Cells<'_> {
    Cells { rest: Some(content(row)), delimiter }
}

/// The cells of a row, in order.
#[derive(Debug, Clone)]
pub struct Cells<'a> {
    rest: Option<&'a [u8]>,
    delimiter: u8,
}

impl<'a> Iterator for Cells<'a> {
    type Item = RawCell<'a>;

    fn next(&mut self) -> Option<RawCell<'a>> {
        let rest = self.rest?;
        let end = cell_end(rest, self.delimiter);
        let (cell, tail) = rest.split_at(end);
        self.rest = tail.get(1..);
        Some(RawCell(cell))
    }
}

/// Where the first cell of the text ends: at the first delimiter outside quotes, else at the end.
fn cell_end(text: &[u8], delimiter: u8) -> usize {
    let mut from = 0;
    if text.first() == Some(&QUOTE) {
        from = 1;
        while let Some(at) = find(text, from, QUOTE) {
            from = at + 1;
            if text.get(from) != Some(&QUOTE) {
                break;
            }
            from += 1;
        }
    }
    find(text, from, delimiter).unwrap_or(text.len())
}

/// Where the byte stands, at `from` or later.
fn find(text: &[u8], from: usize, byte: u8) -> Option<usize> {
    memchr::memchr(byte, text.get(from..)?).map(|at| from + at)
}

/// Appends a cell with this text (`None` is NULL), quoted where it has to be or where `quoted` asks.
pub fn write_cell(out: &mut Vec<u8>, text: Option<&str>, delimiter: u8, quoted: bool) {
    let Some(text) = text else { return };
    let bytes = text.as_bytes();
    let special = |byte: &u8| *byte == delimiter || matches!(byte, b'\n' | b'\r' | &QUOTE);
    if !quoted && !bytes.is_empty() && !bytes.iter().any(special) {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(QUOTE);
    for part in bytes.split_inclusive(|byte| *byte == QUOTE) {
        out.extend_from_slice(part);
        if part.last() == Some(&QUOTE) {
            out.push(QUOTE);
        }
    }
    out.push(QUOTE);
}

/// A new row with these cells.
pub fn write_row(cells: &[Option<&str>], delimiter: u8, line_end: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(cells.len() * 16);
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        write_cell(&mut out, *cell, delimiter, false);
    }
    out.extend_from_slice(line_end);
    out
}

/// The row with some cells replaced; all other bytes stay as they are. A cell that was quoted stays
/// quoted, unless it becomes NULL. Cells of the same text are left alone.
pub fn replace_cells(row: &[u8], delimiter: u8, edits: &[(usize, Option<&str>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.len() + 32);
    for (index, cell) in cells(row, delimiter).enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        let edit = edits.iter().rev().find(|(column, _)| *column == index);
        match edit {
            Some((_, text)) if cell.text().as_deref() != *text => {
                write_cell(&mut out, *text, delimiter, cell.is_quoted());
            }
            _ => out.extend_from_slice(cell.bytes()),
        }
    }
    out.extend_from_slice(line_end(row));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(row: &str) -> Vec<Option<String>> {
        cells(row.as_bytes(), b',').map(|cell| cell.text().map(Cow::into_owned)).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn cells_of_rows() {
        assert_eq!(texts("a,b\n"), [some("a"), some("b")]);
        assert_eq!(texts("a,b\r\n"), [some("a"), some("b")]);
        assert_eq!(texts("a,b"), [some("a"), some("b")]);
        assert_eq!(texts(""), [None]);
        assert_eq!(texts(",\n"), [None, None]);
        assert_eq!(texts("\"\",x"), [some(""), some("x")]);
        assert_eq!(
            texts("7,\"say \"\"hi\"\"\",,\"\"\r\n"),
            [some("7"), some("say \"hi\""), None, some("")]
        );
        assert_eq!(texts("\"a,b\nc\",5\" pipe"), [some("a,b\nc"), some("5\" pipe")]);
        assert_eq!(texts("\"\"\"\""), [some("\"")]);
    }

    #[test]
    fn only_edited_cells_change() {
        let row = b"1,\"plain\",1.10,\"x,y\"\r\n";
        let edit = |edits: &[(usize, Option<&str>)]| {
            String::from_utf8(replace_cells(row, b',', edits)).unwrap()
        };
        assert_eq!(edit(&[(1, Some("new"))]), "1,\"new\",1.10,\"x,y\"\r\n");
        assert_eq!(edit(&[(2, None)]), "1,\"plain\",,\"x,y\"\r\n");
        assert_eq!(edit(&[(0, Some("a,b"))]), "\"a,b\",\"plain\",1.10,\"x,y\"\r\n");
        assert_eq!(edit(&[(3, Some("x,y"))]), String::from_utf8_lossy(row));
        assert_eq!(edit(&[(2, Some(""))]), "1,\"plain\",\"\",\"x,y\"\r\n");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [None, Some(""), Some("a"), Some("\""), Some("a\nb"), Some("a,b"), Some("\r")] {
            let row = write_row(&[text, text], b',', b"\n");
            let read: Vec<_> = texts(std::str::from_utf8(&row).unwrap());
            assert_eq!(read, [text.map(str::to_owned), text.map(str::to_owned)], "{row:?}");
        }
    }
}
