//! The seam `MergeDriver`: what becomes of cells that two sides changed, each in another way.

use crate::{ColumnType, Result, Timestamp};

/// A cell that two sides changed. NULL is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeCell {
    /// What the column holds.
    pub kind: ColumnType,
    /// The cell when both sides began.
    pub base: Option<String>,
    /// What the database holds now.
    pub ours: Option<String>,
    /// What is to be merged into it.
    pub theirs: Option<String>,
    /// When ours was written, as far as that is known: not later.
    pub ours_at: Timestamp,
    /// When theirs was written.
    pub theirs_at: Timestamp,
}

/// What a driver makes of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a cell is decided or it is not")]
pub enum Decision {
    /// This text, or NULL.
    Cell(Option<String>),
    /// A person has to decide.
    Conflict,
}

/// Decides cells that two sides changed. A column asks for it in schema.toml: `merge = "<id>"`.
///
/// A driver is called while a commit waits, sometimes with the database locked: what it decides after more than 50 ms
/// does not count, and its cells are conflicts. Its answers must depend on the cells alone, so that every
/// node that merges the same comes to the same.
pub trait MergeDriver: Send + Sync {
    /// The id: 1 to 16 lower-case letters, digits or `-`.
    fn id(&self) -> &str;

    /// Whether it is asked also where both sides wrote the same: two that each counted one more mean two.
    fn decides_agreement(&self) -> bool {
        false
    }

    /// One decision for each cell, in order.
    ///
    /// # Errors
    /// None that concern single cells: those it cannot decide are conflicts.
    fn merge(&self, cells: &[MergeCell]) -> Result<Vec<Decision>>;
}
