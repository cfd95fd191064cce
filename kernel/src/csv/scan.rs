//! Where records end.
//!
//! A record runs to the first line feed outside quotes. A quote opens a quoted cell only at the start of
//! a cell; inside, `""` is one quote, and after the closing one only a delimiter or a line end may
//! follow. The scan jumps from one special byte to the next (delimiter, quote, line feed). Cells are
//! short most often, so it looks at eight bytes at once for a while (as in Mycroft's test for a zero byte,
//! 1987), and only then calls `memchr`, which is faster once it is under way.

use memchr::{memchr, memchr3};
use reedbase_plugin_api::row::QUOTE;

/// One record of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Where the next record starts: behind the line end.
    pub end: usize,
    /// How many cells it has.
    pub cells: usize,
}

/// What is wrong with a record, and at which byte of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are the two ways to break the rules of quoting")]
pub enum Fault {
    /// A quoted cell starts here and never ends.
    OpenQuote(usize),
    /// Text follows the closing quote.
    TextAfterQuote(usize),
}

/// The record that starts at `start`, which lies before the end of the text. `cell(index, from, to)` is
/// told each of its cells, without the line end.
pub fn next_record(
    text: &[u8],
    start: usize,
    delimiter: u8,
    mut cell: impl FnMut(usize, usize, usize),
) -> Result<Record, Fault> {
    let mut specials = Specials::new(text, start, delimiter);
    let mut cells = 0;
    let mut from = start;
    loop {
        let Some(at) = specials.next() else {
            cell(cells, from, before_line_end(text, from, text.len()));
            return Ok(Record { end: text.len(), cells: cells + 1 });
        };
        match text.get(at) {
            Some(&QUOTE) if at == from => specials.go_on(closing_quote(text, from, delimiter)?),
            Some(&QUOTE) => {}
            Some(b'\n') => {
                cell(cells, from, before_line_end(text, from, at));
                return Ok(Record { end: at + 1, cells: cells + 1 });
            }
            _ => {
                cell(cells, from, at);
                cells += 1;
                from = at + 1;
            }
        }
    }
}

/// The places of delimiters, quotes and line feeds, one after the other.
struct Specials<'a> {
    text: &'a [u8],
    delimiter: u8,
    /// Where the eight bytes start that were looked at.
    block: usize,
    /// The top bit of each of them that is special and was not handed out.
    found: u64,
}

/// How many bytes are looked at by eights before `memchr` is called.
const NEAR: usize = 32;

const LOW: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = 0x8080_8080_8080_8080;

impl<'a> Specials<'a> {
    fn new(text: &'a [u8], start: usize, delimiter: u8) -> Self {
        let mut specials = Self { text, delimiter, block: start, found: 0 };
        specials.go_on(start);
        specials
    }

    /// Goes on behind what was passed over.
    fn go_on(&mut self, at: usize) {
        self.block = at;
        self.found = self.look(at);
    }

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let mut near = NEAR;
        while self.found == 0 {
            let next = self.block + 8;
            if near == 0 {
                let rest = self.text.get(next..)?;
                self.go_on(next + memchr3(self.delimiter, QUOTE, b'\n', rest)?);
                break;
            }
            if next >= self.text.len() {
                return None;
            }
            self.go_on(next);
            near -= 8;
        }
        let place = self.found.trailing_zeros() as usize / 8;
        self.found &= self.found - 1;
        Some(self.block + place)
    }

    /// The top bits of the special ones among the eight bytes at this place.
    #[inline(always)]
    fn look(&self, at: usize) -> u64 {
        let rest = self.text.get(at..).unwrap_or_default();
        let Some(bytes) = rest.first_chunk() else { return self.look_at_end(rest) };
        let bytes = u64::from_le_bytes(*bytes);
        equal(bytes, self.delimiter) | equal(bytes, QUOTE) | equal(bytes, b'\n')
    }

    #[cold]
    fn look_at_end(&self, rest: &[u8]) -> u64 {
        let special = |byte: &u8| [self.delimiter, QUOTE, b'\n'].contains(byte);
        let bit = |place: usize| 0x80 << (8 * place);
        rest.iter().enumerate().filter(|(_, byte)| special(byte)).map(|(at, _)| bit(at)).sum()
    }
}

/// The top bit of each of eight bytes that equals this one.
fn equal(bytes: u64, byte: u8) -> u64 {
    let differing = bytes ^ (LOW * u64::from(byte));
    // Adding 0x7f carries into the top bit of every byte but zero, and never beyond it.
    !(((differing & !TOP) + !TOP) | differing) & TOP
}

/// Behind the closing quote of the cell that starts at `from` with a quote.
fn closing_quote(text: &[u8], from: usize, delimiter: u8) -> Result<usize, Fault> {
    let mut at = from + 1;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        at += memchr(QUOTE, rest).ok_or(Fault::OpenQuote(from))? + 1;
        match text.get(at) {
            Some(&QUOTE) => at += 1,
            None | Some(b'\n') => return Ok(at),
            Some(b'\r') if matches!(text.get(at + 1), None | Some(b'\n')) => return Ok(at),
            Some(&byte) if byte == delimiter => return Ok(at),
            Some(_) => return Err(Fault::TextAfterQuote(at)),
        }
    }
}

/// The end of the last cell: before a carriage return that belongs to the line end.
fn before_line_end(text: &[u8], from: usize, end: usize) -> usize {
    if end > from && text.get(end - 1) == Some(&b'\r') { end - 1 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reedbase_plugin_api::row;

    fn records(text: &str) -> Result<Vec<(&str, usize)>, Fault> {
        let mut found = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let record = next_record(text.as_bytes(), start, b',', |_, _, _| {})?;
            found.push((&text[start..record.end], record.cells));
            start = record.end;
        }
        Ok(found)
    }

    #[test]
    fn records_end_outside_quotes() {
        assert_eq!(records("a,b\n1,2\n").unwrap(), [("a,b\n", 2), ("1,2\n", 2)]);
        assert_eq!(
            records("a\r\n\"x\ny\"\r\nz").unwrap(),
            [("a\r\n", 1), ("\"x\ny\"\r\n", 1), ("z", 1)]
        );
        assert_eq!(records("\n\n").unwrap(), [("\n", 1), ("\n", 1)]);
        assert_eq!(records("\"a\"\"b\",c").unwrap(), [("\"a\"\"b\",c", 2)]);
        assert_eq!(records("5\" pipe,6\"\n").unwrap(), [("5\" pipe,6\"\n", 2)]);
        assert_eq!(records("a,\r\n").unwrap(), [("a,\r\n", 2)]);
    }

    #[test]
    fn broken_quotes_are_named() {
        assert_eq!(records("a,\"b\nc\n"), Err(Fault::OpenQuote(2)));
        assert_eq!(records("a\n\"b\"c\n"), Err(Fault::TextAfterQuote(5)));
        assert_eq!(records("\"b\"\rc\n"), Err(Fault::TextAfterQuote(3)));
        assert_eq!(records("\"\"\""), Err(Fault::OpenQuote(0)));
    }

    proptest! {
        /// Cutting records here and cutting cells in the plugin API agree on every text.
        #[test]
        fn agrees_with_cells(text in "([a\",\r\n]{0,40}|([a-z\u{ac}\u{222c}\u{a2c}]{0,50}[\",\n]){0,8})") {
            let bytes = text.as_bytes();
            let mut start = 0;
            while start < bytes.len() {
                let mut found = Vec::new();
                let each = |_: usize, from: usize, to: usize| found.push(bytes[from..to].to_vec());
                let Ok(record) = next_record(bytes, start, b',', each) else { break };
                let line = &bytes[start..record.end];
                let cells: Vec<_> = row::cells(line, b',').map(|c| c.bytes().to_vec()).collect();
                prop_assert_eq!(&found, &cells);
                prop_assert_eq!(record.cells, cells.len());
                start = record.end;
            }
        }
    }
}
