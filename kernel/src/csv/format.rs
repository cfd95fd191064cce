//! CSV as a format of import and export: the bytes go through as they are.

use reedbase_plugin_api::{
    Bytes, Column, Document, Error, Format, ImportOptions, LineEnd, Result, Schema,
};

use super::{Header, guess_delimiter, guess_types};

/// The built-in format `csv`.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state")]
pub struct CsvFormat;

impl Format for CsvFormat {
    fn id(&self) -> &str {
        "csv"
    }

    fn extensions(&self) -> &[&str] {
        &["csv", "tsv", "psv", "txt"]
    }

    fn read(&self, bytes: Bytes, options: &ImportOptions) -> Result<Document> {
        let delimiter = options.delimiter.unwrap_or_else(|| guess_delimiter(&bytes));
        if matches!(delimiter, b'"' | b'\r' | b'\n' | 0x80..) {
            return Err(Error::usage(
                "the delimiter must be one ASCII character, no quote or line end",
            ));
        }
        let header = Header::parse(&bytes, delimiter)?;
        let types = guess_types(&bytes, &header, delimiter);
        let line_end = match bytes.get(..header.len) {
            Some(header) if header.ends_with(b"\r\n") => LineEnd::CrLf,
            _ => LineEnd::Lf,
        };
        let columns = header.columns.into_iter().zip(types);
        let columns = columns.map(|(name, kind)| Column::new(name, kind)).collect();
        Ok(Document { schema: Schema::new(delimiter, line_end, columns), text: bytes })
    }

    fn write(&self, document: &Document, out: &mut dyn std::io::Write) -> Result<()> {
        let written = out.write_all(&document.text);
        written.map_err(|source| Error::io("write the table", "", source))
    }
}
