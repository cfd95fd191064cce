//! What repairing did, in sentences.

/// What was made anew, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// What was made anew.
    pub made: Vec<String>,
    /// What was lost: nothing that is left says it.
    pub lost: Vec<String>,
    /// The paths under which what was damaged stays.
    pub kept: Vec<String>,
}

/// A number of things.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl Repair {
    /// Whether nothing had to be done.
    pub fn is_empty(&self) -> bool {
        self.made.is_empty() && self.lost.is_empty() && self.kept.is_empty()
    }

    pub(super) fn made(&mut self, what: impl Into<String>) {
        self.made.push(what.into());
    }

    pub(super) fn lost(&mut self, what: impl Into<String>) {
        self.lost.push(what.into());
    }
}
