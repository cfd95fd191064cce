//! How things fail: one small, opaque error with a kind, a position and a way out.
//!
//! An error answers three questions: what happened (the message), where (the [`Position`]), and what
//! to do next (the help). It names ids, paths and offsets, never types of the engine, so that every
//! layer can make one. The source is kept.

use std::fmt;
use std::path::PathBuf;

use crate::Timestamp;

/// The result of anything in ReedBase that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what to do next.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    position: Position,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What sort of failure it is: what a program decides by.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller asked for something that makes no sense: a bad argument, a bad name.
    Usage,
    /// The input is not what it claims to be: a CSV file that does not parse, a row that does not fit.
    InvalidInput,
    /// A database, table, column, row, frame or version that does not exist.
    NotFound,
    /// Something that would be made exists already.
    AlreadyExists,
    /// Another writer changed the same rows first.
    Conflict,
    /// A table's file was changed outside ReedBase and the change was neither adopted nor discarded.
    OutsideEdit,
    /// A file is being written by somebody else: in a moment it will not be.
    Busy,
    /// A file of the database is damaged.
    Corrupt,
    /// The database was written by a newer version of ReedBase.
    NewerFormat,
    /// The database cannot be written: a read-only folder, missing rights.
    ReadOnly,
    /// The disk is full.
    DiskFull,
    /// A sync failed: whether the commit survives a power cut is unknown, and the handle is closed for
    /// writing.
    OutcomeUnknown,
    /// Any other failure of the operating system.
    Io,
    /// A frame of this name is open already.
    FrameAlreadyActive,
    /// There is no such frame, or it is not open any more.
    FrameNotFound,
    /// There was no frame yet at that instant.
    NoFrameBeforeTimestamp,
    /// A snapshot of a frame is not what the logs say.
    FrameSnapshotCorrupted,
    /// A program that asked for it was not let in, since frames crashed and nobody has looked at them yet.
    ServerStartAborted,
    /// A conflict cannot be decided that way.
    InvalidChoice,
    /// A limit was reached: of this version, or one that the caller set.
    Limit,
    /// Somebody stopped it.
    Interrupted,
    /// A licence does not include the feature.
    NotLicensed,
    /// A defect in ReedBase or in a plugin.
    Internal,
}

/// Where a failure is. Everything is optional; what is known is printed.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// The file or folder.
    pub path: Option<PathBuf>,
    /// The table.
    pub table: Option<String>,
    /// The frame, by its timestamp.
    pub frame: Option<Timestamp>,
    /// The key of the row.
    pub key: Option<String>,
    /// The name of the column.
    pub column: Option<String>,
    /// The line in the file, counted from 1.
    pub line: Option<u64>,
    /// The character in the line, counted from 1.
    pub character: Option<u64>,
    /// The cell in the line, counted from 1.
    pub cell: Option<u64>,
    /// The byte in the file, counted from 0.
    pub byte: Option<u64>,
}

impl Error {
    /// An error of this kind; the message is one sentence without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            help: None,
            position: Position::default(),
            source: None,
        }))
    }

    /// A bad argument.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Input that is not what it claims to be.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Something that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// A damaged file.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// A defect.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// A failure of the operating system, with its kind worked out.
    pub fn io(action: &str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::DiskFull,
            _ => ErrorKind::Io,
        };
        let help = match kind {
            ErrorKind::ReadOnly => Some("check who may write there"),
            ErrorKind::DiskFull => Some("make room; nothing that was committed is lost"),
            _ => None,
        };
        let mut error =
            Self::new(kind, format!("cannot {action}: {source}")).at_path(path).caused_by(source);
        error.0.help = help.map(str::to_owned);
        error
    }

    /// What to do next: one sentence without a full stop.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// The failure that led to this one.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the file, unless one is known already.
    #[must_use]
    pub fn at_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.position.path.get_or_insert_with(|| path.into());
        self
    }

    /// Adds the table, unless one is known already.
    #[must_use]
    pub fn at_table(mut self, table: impl Into<String>) -> Self {
        self.0.position.table.get_or_insert_with(|| table.into());
        self
    }

    /// Adds the frame.
    #[must_use]
    pub fn at_frame(mut self, frame: Timestamp) -> Self {
        self.0.position.frame.get_or_insert(frame);
        self
    }

    /// Adds the key of the row.
    #[must_use]
    pub fn at_key(mut self, key: impl Into<String>) -> Self {
        self.0.position.key.get_or_insert_with(|| key.into());
        self
    }

    /// Adds the name of the column.
    #[must_use]
    pub fn at_column(mut self, column: impl Into<String>) -> Self {
        self.0.position.column.get_or_insert_with(|| column.into());
        self
    }

    /// Adds the line, counted from 1.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.0.position.line.get_or_insert(line);
        self
    }

    /// Adds the character in the line, counted from 1.
    #[must_use]
    pub fn at_character(mut self, character: u64) -> Self {
        self.0.position.character.get_or_insert(character);
        self
    }

    /// Adds the cell in the line, counted from 1.
    #[must_use]
    pub fn at_cell(mut self, cell: u64) -> Self {
        self.0.position.cell.get_or_insert(cell);
        self
    }

    /// Adds the byte, counted from 0.
    #[must_use]
    pub fn at_byte(mut self, byte: u64) -> Self {
        self.0.position.byte.get_or_insert(byte);
        self
    }

    /// Adds line and character of a byte of a text.
    #[must_use]
    pub fn in_text(self, text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let character = before.get(start..).unwrap_or_default().chars().count() as u64 + 1;
        self.at_line(line).at_character(character)
    }

    /// The same, where it was written: `made` was made of `text`, and `origin` says which byte of that a
    /// byte of it comes from, if any.
    #[must_use]
    pub fn moved(
        mut self,
        made: &str,
        origin: impl FnOnce(usize) -> Option<usize>,
        text: &str,
    ) -> Self {
        let position = &mut self.0.position;
        let (Some(line), Some(character)) = (position.line.take(), position.character.take())
        else {
            return self;
        };
        let before = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let lines = made.split_inclusive('\n').take(before(line));
        let start: usize = lines.map(str::len).sum();
        let inside = made.get(start..).unwrap_or_default();
        let byte = inside.char_indices().nth(before(character)).map_or(inside.len(), |(at, _)| at);
        match origin(start + byte) {
            Some(byte) => self.in_text(text, byte),
            None => self,
        }
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message, without position and help.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next, where something can be done.
    pub fn way_out(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// Where it happened.
    pub fn position(&self) -> &Position {
        &self.0.position
    }

    /// Another writer changed the same rows first.
    pub fn is_conflict(&self) -> bool {
        self.kind() == ErrorKind::Conflict
    }

    /// Something does not exist.
    pub fn is_not_found(&self) -> bool {
        use ErrorKind::{FrameNotFound, NoFrameBeforeTimestamp, NotFound};
        matches!(self.kind(), NotFound | FrameNotFound | NoFrameBeforeTimestamp)
    }

    /// A file of the database is damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self.kind(), ErrorKind::Corrupt | ErrorKind::FrameSnapshotCorrupted)
    }

    /// A licence does not include the feature.
    pub fn is_not_licensed(&self) -> bool {
        self.kind() == ErrorKind::NotLicensed
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(path) = &self.path {
            parts.push(path.display().to_string());
        }
        if let Some(table) = &self.table {
            parts.push(format!("table {table}"));
        }
        if let Some(frame) = self.frame {
            parts.push(format!("frame {frame}"));
        }
        if let Some(line) = self.line {
            parts.push(format!("line {line}"));
        }
        if let Some(character) = self.character {
            parts.push(format!("character {character}"));
        }
        if let Some(cell) = self.cell {
            parts.push(format!("cell {cell}"));
        }
        if let Some(column) = &self.column {
            parts.push(format!("column {column}"));
        }
        if let Some(key) = &self.key {
            parts.push(format!("key {key}"));
        }
        if let Some(byte) = self.byte {
            parts.push(format!("byte {byte}"));
        }
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.0.position.to_string();
        if position.is_empty() {
            f.write_str(&self.0.message)
        } else {
            write!(f, "{position}: {}", self.0.message)
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("position", &self.0.position.to_string())
            .field("help", &self.0.help)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_position_before_message() {
        let error = Error::invalid("the quote is never closed").at_path("pages.csv").at_line(7);
        assert_eq!(error.to_string(), "pages.csv, line 7: the quote is never closed");
    }

    #[test]
    fn the_innermost_position_wins() {
        let error = Error::corrupt("bad").at_path("inner").at_path("outer").at_line(1).at_line(2);
        assert_eq!(error.to_string(), "inner, line 1: bad");
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::io("write", "journal/1.wal", source);
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        assert!(error.way_out().is_some());
        assert!(std::error::Error::source(&error).is_some());
    }
}
