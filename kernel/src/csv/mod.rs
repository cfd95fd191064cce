//! CSV as people have it: where its records end, what its dialect is, and what is wrong with it.
//!
//! Cutting one record into cells is `reedbase_plugin_api::row`; here a whole file is cut into records,
//! without copying a byte of it.

mod scan;
mod header;
mod guess;
mod format;

pub use format::CsvFormat;
pub use guess::{guess_delimiter, guess_keys, guess_types};
pub use header::{Header, line_of};
pub use scan::{Fault, Record, next_record};
