//! The versions of a table on disk: which there are, what each changed, and any of them whole.

mod versions;

pub use versions::{History, empty_table};
