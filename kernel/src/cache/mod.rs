//! What spares work when a table is opened. Anything in `cache/` may be deleted at any time; whatever does not fit the
//! table is ignored and written anew.

mod layout;
mod copy;

pub use copy::{open_copy, write_copy};
pub use layout::{is_older, layout_path, read_layout, write_layout};
