//! The seam `Format`: files of other kinds to tables and back.

use bytes::Bytes;

use crate::{Result, Schema};

/// A table outside the database: what a format reads into, and writes from.
///
/// Its text is CSV as the database will keep it, header first, in the dialect of the schema. The format
/// `csv` hands the bytes of the file through unchanged.
#[derive(Debug, Clone)]
pub struct Document {
    /// The columns, their types and the dialect of the text. No column is marked as key unless the
    /// source says so.
    pub schema: Schema,
    /// The text.
    pub text: Bytes,
}

/// What a person said about the file to be imported.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The byte between two cells, instead of a guess.
    pub delimiter: Option<u8>,
}

/// Reads tables from files of one kind and writes them.
pub trait Format: Send + Sync {
    /// The id, as in `--format <id>`: 1 to 16 lower-case letters, digits or `-`.
    fn id(&self) -> &str;

    /// The endings of file names, without the dot.
    fn extensions(&self) -> &[&str];

    /// Reads a whole file.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) with line and cell.
    fn read(&self, bytes: Bytes, options: &ImportOptions) -> Result<Document>;

    /// Writes a whole table.
    ///
    /// # Errors
    /// Those of `out`, and tables that the format cannot express.
    fn write(&self, document: &Document, out: &mut dyn std::io::Write) -> Result<()>;
}
