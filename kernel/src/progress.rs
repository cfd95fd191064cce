//! How far a long piece of work has come, for those who want to show it.

use std::fmt;

/// Is told how far a long piece of work has come. Called often, from the thread that does the work.
pub trait Progress: fmt::Debug + Send + Sync {
    /// So many bytes of all are done.
    fn at(&self, work: Work, done: u64, all: u64);
}

/// A long piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// Writing a table's file.
    Write,
    /// Putting versions into a pack.
    Pack,
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state")]
pub struct Silent;

impl Progress for Silent {
    fn at(&self, _work: Work, _done: u64, _all: u64) {}
}
