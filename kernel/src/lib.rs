//! Tables, deltas and frames: the kernel of ReedBase.
//!
//! Read the modules in the order of the `mod` lines below: each uses only those above it, and a test
//! says so. A commit runs through them once, from top to bottom, and `database/commit.rs` is the one
//! place where that is written down.

#![forbid(unsafe_code)]

mod limits;
pub mod progress;
pub mod storage;
pub mod clock;
pub mod wire;
mod tree;
pub mod csv;
pub mod table;
pub mod schema;
pub mod frame;
pub mod registry;
pub mod delta;
pub mod log;
pub mod changes;
pub mod merge;
pub mod journal;
pub mod mark;
pub mod look;
pub mod cache;
pub mod history;
pub mod store;
pub mod state;
pub mod database;
pub mod index;
pub mod results;
pub mod host;
pub mod verify;
pub mod repair;

pub use limits::Limits;
