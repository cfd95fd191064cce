//! Indices of tables: which there are, how they are made, and how they are kept right.
//!
//! An index answers for one version of a table. For any other it is brought there by the rows that differ: the frames
//! between say which these are, and each is looked at as it is here and as it is there. This works forward, when frames
//! were committed; back, for a snapshot that is held or an older frame; and sideways, for a transaction, which knows what
//! it touched. Where too much differs, the index is built anew, or the table is scanned.
//!
//! ```text
//! kinds      the plugins, by the word behind USING
//! entry      what an index says of a row
//! build      all rows, or those that differ
//! file       cache/index/<table>/<name>.index
//! kept       for each index the newest one that was asked for
//! pending    the same in a transaction
//! wanted     what was asked without an index
//! ```

mod kinds;
mod entry;
mod build;
mod file;
mod kept;
mod pending;
mod wanted;

pub use build::{find_other, find_twin};
pub use entry::{value_of_cells, views};
pub use kept::{At, Indices};
pub use kinds::Kinds;
pub use pending::{Pending, Touched};
pub use wanted::{Columns, Counts, Wanted, index_name};
