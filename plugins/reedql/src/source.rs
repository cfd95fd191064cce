//! Where the rows of a table come from that a statement names.

use reedbase_plugin_api::{Computed, Error, Timestamp};

/// Where the rows of a table of the connection come from.
#[derive(Debug, PartialEq)]
pub(crate) enum Source {
    /// A table as the session reads it.
    Now(String),
    /// A table after an older frame.
    Then { table: String, frame: Timestamp },
    /// A table that is computed.
    Computed(Computed),
}

impl Source {
    /// Whether its rows may change while the session reads the same snapshot.
    pub(crate) fn changes_meanwhile(&self) -> bool {
        matches!(self, Self::Computed(Computed::Indices | Computed::Searches))
    }

    /// That it cannot be changed, unless it is a table as it is now.
    pub(crate) fn not_writable(&self) -> Error {
        match self {
            Self::Computed(_) => Error::usage("a table that is computed cannot be changed"),
            _ => Error::usage("the past cannot be changed")
                .help("change the table as it is now, or bring the past back: rdb restore"),
        }
    }
}
