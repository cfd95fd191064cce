//! The versions of a table on disk: which there are, what each changed, and any of them whole.
//!
//! A version starts as a line of `version.log` and a loose delta. Many loose deltas are folded into a pack,
//! small packs into larger ones, and lines of the log that a pack repeats are dropped when they are old.
//! None of that changes what the history says. Shortening it does: versions before one are removed, if somebody asks.

mod versions;
mod rebuild;
mod shorten;
mod fold;

pub use fold::{Folded, fold, pack_everything};
pub use rebuild::{empty_table, rebuild};
pub use shorten::{Shortened, begins_later, link_of, shorten};
pub use versions::{History, Listing, Versions};
