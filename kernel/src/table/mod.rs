//! One table in memory: immutable lines from its file, and what frames did to them since.
//!
//! A *line* is a row or a blank line, with its exact bytes. The [`Base`] holds the lines of a file as
//! they were read; a [`Table`] is a base plus a persistent tree of the lines that were touched since, so
//! that a snapshot of a table costs two pointers and an edit costs O(log edits), whatever the size of
//! the file.
//!
//! ```text
//! base        slot 0   slot 1   slot 2            the file as it was read; a slot is an ordinal there
//! tree                 1: B     2: -   3.x: d     line 1 updated, line 2 removed, one added before slot 3
//! table       a        B               d          what a reader sees: ordinals 0, 1, 2
//! ```

mod key;
mod index;
mod order;
mod base;
mod place;
mod view;
mod scan;
mod differing;
mod edit;
mod apply;
mod diff;

pub use apply::{inverse, split};
pub use base::{BLOCK, Base, Layout, Rebuild};
pub use diff::{Difference, Piece, diff, pieces};
pub use edit::{Edit, Stamp, Touched};
pub use index::KeyIndex;
pub use key::{Key, key_of};
pub use order::KeyOrder;
pub use place::Place;
pub use view::{Line, Rows, Table};
