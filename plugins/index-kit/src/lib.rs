//! What kinds of index share.
//!
//! Most keep their entries in a run, a piece of memory that is made once and then only read, and beside it an [`Overlay`] of
//! what changed since. And each must pass the suite [`conform`].

#![forbid(unsafe_code)]

mod overlay;
mod conform;

pub use conform::conform;
pub use overlay::{Overlay, Window};
