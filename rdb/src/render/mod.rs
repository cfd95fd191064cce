//! Differences, for people and for programs: a [`Document`] takes one table after another and prints them in one of
//! the formats.

/// What differs within a cell.
mod words;
/// The rows and columns of a difference, as a sheet.
mod sheet;
/// For a terminal.
mod text;
/// JSON and CSV.
mod lines;
/// Statements.
mod sql;
/// The highlighter format of daff.
mod daff;
/// A page for a browser.
mod html;
/// What two sides changed, each in another way.
mod conflict;
/// All of a difference, in one of the formats.
mod document;
/// The rows of a query.
pub(crate) mod rows;

pub(crate) use conflict::{conflicts, place, refused, said, sides};
pub(crate) use document::{DiffFormat, Document, Heading};
pub(crate) use text::{diff, file_edit, unified};
pub(crate) use words::{shown, visible};
