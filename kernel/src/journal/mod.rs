//! The journal: append-only files whose synced tail is the truth until the next checkpoint.
//!
//! A commit is one record, written behind the last one and synced. The journal is cut into segments,
//! `journal/<number>.wal`, each grown with zeros ahead of need so that a sync has no metadata to write. A
//! segment is never used again: when all it says stands in tables, deltas and logs, a new one is begun
//! and the old one is removed.
//!
//! THE END is found by looking: whoever holds the lock reads on from the last record known to it, and
//! so sees what other processes appended. Where the next header is all zeros, or the file ends, the
//! journal ends. A reader needs no lock: a record that is half written fails its checksums and is not
//! there yet.
//!
//! AFTER A CRASH the last records may be torn or lost in any combination. Each record says how far the
//! segment was known to be synced when it was written (`synced_to`). What is bad below that, was good
//! once: that is damage, and the file is named. What is bad above it was never acknowledged: it is cut
//! off, kept aside as `journal/<number>.torn-<offset>`, and reported.
//!
//! AFTER A FAILED SYNC nobody can tell what reached the disk, and a second sync that succeeds proves
//! nothing (Rebello and others, "Can Applications Recover from fsync Failures?", 2020). The writer marks
//! the header of the segment, which everybody on this machine sees without any sync, and stops. The
//! next holder of the lock copies every whole record past the last known sync into a new segment, syncs
//! that, and goes on there.

mod record;
mod segment;
mod tail;
mod append;
mod cut;
mod open_frame;

pub use open_frame::{OpenFile, Standing, path_of};
pub use tail::{Journal, Position, Scan};
