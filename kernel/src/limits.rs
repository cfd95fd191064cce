//! The sizes at which the kernel changes its ways. They are values of a handle, so that a test can make
//! them tiny and every boundary is crossed all the time.

/// Sizes at which the kernel changes its ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// A changeset that touches more bytes goes to its delta file at the commit, not into the journal.
    pub large_changeset: usize,
    /// A table up to this size is written at every commit, where that was asked for.
    pub small_table: u64,
    /// What the journal of a table may grow to before its file is written, whatever its size.
    pub pending_min: u64,
    /// What the journal may grow to before it is begun anew at a checkpoint of some tables.
    pub journal_kept: u64,
    /// A table's file from this size on has its layout cached.
    pub cached_min: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            large_changeset: 1 << 20,
            small_table: 4 << 20,
            pending_min: 1 << 20,
            journal_kept: 1 << 20,
            cached_min: 1 << 18,
        }
    }
}

impl Limits {
    /// Limits that a few rows exceed.
    pub fn tiny() -> Self {
        Self {
            large_changeset: 400,
            small_table: 64,
            pending_min: 2000,
            journal_kept: 1500,
            cached_min: 40,
        }
    }
}
