//! The first record of a file: the names of its columns.

use std::collections::HashMap;

use reedbase_plugin_api::{Error, Result, Shape, row};

use super::{Fault, next_record};

/// The start of a file, up to its first row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// How many bytes it takes: byte order mark, blank lines, record and line end.
    pub len: usize,
    /// The names of the columns.
    pub columns: Vec<String>,
}

impl Header {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) with line and cell if there is
    /// none, if a column has no name, or if two names are equal ignoring ASCII case.
    pub fn parse(text: &[u8], delimiter: u8) -> Result<Self> {
        let mark = if text.starts_with(Shape::BYTE_ORDER_MARK) { 3 } else { 0 };
        let body = text.get(mark..).unwrap_or_default();
        let start = mark + body.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if start == text.len() {
            return Err(Error::invalid("the file has no header")
                .help("the first line must name the columns")
                .at_line(line_of(text, start)));
        }
        let record = next_record(text, start, delimiter, |_, _, _| {})
            .map_err(|fault| fault.into_error(text))?;
        let names = text.get(start..record.end).unwrap_or_default();
        let columns =
            column_names(names, delimiter).map_err(|error| error.at_line(line_of(text, start)))?;
        Ok(Self { len: record.end, columns })
    }
}

/// The names of the columns, checked.
fn column_names(record: &[u8], delimiter: u8) -> Result<Vec<String>> {
    let mut columns = Vec::new();
    let mut seen = HashMap::new();
    for (index, cell) in row::cells(record, delimiter).enumerate() {
        let number = index as u64 + 1;
        let content = cell.content();
        let name = std::str::from_utf8(&content)
            .map_err(|_| Error::invalid("the header is not UTF-8").at_cell(number))?;
        if name.is_empty() {
            return Err(Error::invalid("a column of the header has no name")
                .help("name every column in the first line")
                .at_cell(number));
        }
        if let Some(first) = seen.insert(name.to_ascii_lowercase(), number) {
            return Err(Error::invalid(format!(
                "the header names `{name}` twice, first in cell {first}"
            ))
            .help("give every column a name of its own; upper and lower case count as equal")
            .at_cell(number));
        }
        columns.push(name.to_owned());
    }
    Ok(columns)
}

/// The line of a byte, counted from 1, as an editor counts lines.
pub fn line_of(text: &[u8], byte: usize) -> u64 {
    let before = text.get(..byte).unwrap_or(text);
    memchr::memchr_iter(b'\n', before).count() as u64 + 1
}

impl Fault {
    /// The fault as an error with its line.
    pub fn into_error(self, text: &[u8]) -> Error {
        let (byte, error) = match self {
            Self::OpenQuote(byte) => (
                byte,
                Error::invalid("a quote is opened here and never closed")
                    .help("close it, or write a quote inside a quoted cell twice"),
            ),
            Self::TextAfterQuote(byte) => (
                byte,
                Error::invalid("text follows a closing quote")
                    .help("write a quote inside a quoted cell twice"),
            ),
        };
        error.at_line(line_of(text, byte)).at_byte(byte as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header> {
        Header::parse(text.as_bytes(), b',')
    }

    #[test]
    fn headers() {
        assert_eq!(parse("a,\"b c\"\r\n1,2\r\n").unwrap().columns, ["a", "b c"]);
        assert_eq!(
            parse("\u{feff}a,b\n").unwrap(),
            Header { len: 7, columns: vec!["a".into(), "b".into()] }
        );
        assert_eq!(parse("\n\na\n1\n").unwrap().len, 4);
        assert_eq!(parse("a").unwrap().len, 1);
    }

    #[test]
    fn bad_headers_say_where() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert_eq!(message(""), "line 1: the file has no header");
        assert_eq!(message("\u{feff}\n"), "line 2: the file has no header");
        assert_eq!(message("a,,b\n"), "line 1, cell 2: a column of the header has no name");
        assert_eq!(
            message("a,b,A\n"),
            "line 1, cell 3: the header names `A` twice, first in cell 1"
        );
        assert_eq!(message("a,\"b\n"), "line 1, byte 2: a quote is opened here and never closed");
    }
}
