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
    /// More versions than this at one checkpoint go straight into a pack.
    pub pack_min: usize,
    /// More loose deltas than this are folded into a pack.
    pub loose_max: usize,
    /// Fewer versions than this are not removed for a setting that keeps only some.
    pub compact_min: usize,
    /// How many lines a table's log keeps though a pack repeats them.
    pub log_lines: usize,
    /// A keyframe is written when the deltas since the last have come to weigh this part of the table:
    /// 4 is a quarter, about what a table weighs when it is compressed.
    pub keyframe_part: u64,
    /// Deltas that weigh less than this never lead to a keyframe.
    pub keyframe_min: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            large_changeset: 1 << 20,
            small_table: 4 << 20,
            pending_min: 1 << 20,
            journal_kept: 1 << 20,
            cached_min: 1 << 18,
            pack_min: 32,
            loose_max: 64,
            compact_min: 16,
            log_lines: 1000,
            keyframe_part: 4,
            keyframe_min: 64 << 10,
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
            pack_min: 3,
            loose_max: 4,
            compact_min: 2,
            log_lines: 4,
            keyframe_part: 1,
            keyframe_min: 600,
        }
    }
}
