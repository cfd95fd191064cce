//! Frames: the unit of commit. What one holds, before it is written anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, FrameId, NodeId, TableName, Timestamp};

/// What a frame did to a table: a code of `registry/actions.dict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action(u16);

impl Action {
    /// Rows were deleted.
    pub const DELETE: Self = Self(0);
    /// Rows were inserted.
    pub const CREATE: Self = Self(1);
    /// Rows were changed.
    pub const UPDATE: Self = Self(2);
    /// An earlier version was made current again.
    pub const ROLLBACK: Self = Self(3);
    /// What was before this version was removed: the history begins with it.
    pub const COMPACT: Self = Self(4);
    /// Somebody's copy was merged.
    pub const AUTOMERGE: Self = Self(7);
    /// Conflicts were parked.
    pub const CONFLICT: Self = Self(8);
    /// Conflicts were resolved.
    pub const RESOLVE: Self = Self(9);
    /// The table was made, from a file or empty.
    pub const INIT: Self = Self(5);
    /// The table, a row or a cell was brought back as it was at some instant.
    pub const RESTORE: Self = Self(10);
    /// The whole table was replaced by a file.
    pub const IMPORT: Self = Self(11);
    /// An outside edit was adopted.
    pub const ADOPT: Self = Self(12);

    /// What several lost versions did together.
    pub const REPAIR: Self = Self(13);

    /// The table was dropped.
    pub const DROP: Self = Self(14);

    /// Every action: name and description, by code. New ones are added at the end.
    pub const ALL: [(&'static str, &'static str); 15] = [
        ("delete", "rows deleted"),
        ("create", "rows inserted"),
        ("update", "rows changed"),
        ("rollback", "an earlier version made current again"),
        ("compact", "history shortened"),
        ("init", "table made"),
        ("snapshot", "snapshot written"),
        ("automerge", "concurrent changes merged"),
        ("conflict", "conflict parked"),
        ("resolve", "conflict resolved"),
        ("restore", "brought back as it was at some instant"),
        ("import", "replaced by a file"),
        ("adopt", "an edit of the table's file taken in"),
        ("repair", "in the place of versions that were lost"),
        ("drop", "table dropped"),
    ];

    /// The action with this code.
    pub const fn from_code(code: u16) -> Self {
        Self(code)
    }

    /// The code.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether such a version stands in the place of others: what it changed once is not known any more, and the hash chain
    /// goes on from its line in the log.
    pub fn stands_in(self) -> bool {
        [Self::COMPACT, Self::REPAIR].contains(&self)
    }

    /// The name, if this version knows the code.
    pub fn name(self) -> &'static str {
        Self::ALL.get(usize::from(self.0)).map_or("unknown", |(name, _)| name)
    }
}

/// A frame as the journal holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameRecord {
    /// What everybody but the tables themselves needs to know.
    pub info: Arc<FrameInfo>,
    /// What it did to each table.
    pub changes: Vec<TableChange>,
}

/// Who made a frame, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameInfo {
    /// The instant; the frame's name.
    pub timestamp: Timestamp,
    /// The node that made it.
    pub node: NodeId,
    /// What the wall clock showed.
    pub wall: Timestamp,
    /// The frame it was made on.
    pub parent: Timestamp,
    /// Counts the frames of the node, from 1.
    pub sequence: u64,
    /// Who made it.
    pub user: String,
    /// The name a person gave it.
    pub name: Option<String>,
    /// Client, host, process, reason: whatever was told.
    pub details: BTreeMap<String, String>,
    /// The tables it touched, with what it did to them.
    pub tables: Vec<(TableName, Action)>,
}

impl FrameInfo {
    /// The id.
    pub fn id(&self) -> FrameId {
        FrameId::new(self.timestamp, self.node)
    }
}

/// What a frame did to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableChange {
    /// The table.
    pub table: TableName,
    /// What it did.
    pub action: Action,
    /// The version before; zero for a new table.
    pub base: Timestamp,
    /// The bytes of the table's file after it.
    pub size: u64,
    /// The rows of the table after it.
    pub rows: u64,
    /// The outside edit that it took in: whoever finds these files knows that they are part of the history.
    pub adopted: Option<Adopted>,
    /// Where the changeset is.
    pub body: ChangeBody,
}

/// What the files of a table were when an outside edit was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a table has these two files")]
pub struct Adopted {
    /// The SHA-256 of `current.csv`.
    pub table: [u8; 32],
    /// The SHA-256 of `schema.toml`.
    pub schema: [u8; 32],
}

impl TableChange {
    /// About how many bytes it takes in the journal.
    pub fn bytes(&self) -> u64 {
        match &self.body {
            ChangeBody::Inline(bytes) => bytes.len() as u64 + 128,
            ChangeBody::File { len, .. } => *len,
        }
    }
}

/// Where a changeset is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the journal has these two ways")]
pub enum ChangeBody {
    /// In the journal, in the codec `rows`.
    Inline(Bytes),
    /// In its delta file, which was synced before the frame was written.
    File {
        /// The length of the file.
        len: u64,
        /// The SHA-256 of the file.
        sha256: [u8; 32],
        /// The SHA-256 of the changeset in the codec `rows`.
        content: [u8; 32],
        /// The text of schema.toml, if the frame changed it.
        schema: Option<Bytes>,
    },
}
