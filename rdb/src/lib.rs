//! ReedBase: a versioned database whose live tables are plain CSV files.
//!
//! ```
//! # fn main() -> reedbase::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("reedbase-doc-{}", std::process::id()));
//! # std::fs::create_dir(&folder).and_then(|()| std::env::set_current_dir(&folder)).unwrap();
//! let db = reedbase::Database::create("site")?;
//! let mut tx = db.begin()?.named("first pages");
//! tx.create_table("pages", &reedbase::csv("id,title\nhome,Welcome\n", &["id"])?)?;
//! tx.commit()?;
//!
//! let mut tx = db.begin()?;
//! tx.update("pages", "home", [("title", "Hello")])?;
//! tx.commit()?;
//!
//! for version in db.snapshot()?.history("pages", "home")? {
//!     println!("{} {:?}", version.timestamp, version.row);
//! }
//! # let life = db.snapshot()?.history("pages", "home")?;
//! # let titles: Vec<_> = life.iter().flat_map(|version| &version.row).map(|row| row.get("title")).collect();
//! # assert_eq!(titles, [Some("Hello".into()), Some("Welcome".into())]);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub use reedbase_kernel::database::{
    Adopt, Amount, BackedUp, BackupFile, Blame, BlamedRow, Cell, CellVersion, CheckpointReport,
    Checkpoints, CleanedUp, Commit, Compact, CompactReport, Compacted, Diff, Frame, FrameEntry,
    FrameReport, FrameStatus, Keep, MergedText, NewTable, OlderRows, OnConflict, OpenConflict,
    OutsideEdit, PastConflict, Pick, Preview, Restoring, Row, RowDiff, RowName, RowVersion,
    SETTINGS, Snapshot, Status, TableAt, TableCopy, TableStatus, TableVersion, TakenIn,
    Transaction, UncommittedFrame, VersionPlace,
};
pub use reedbase_kernel::frame::{Action, FrameInfo};
pub use reedbase_kernel::host::IndexStat;
pub use reedbase_kernel::index::index_name;
pub use reedbase_kernel::journal::Standing;
pub use reedbase_kernel::merge::{Conflict, ConflictKind, Conflicts};
pub use reedbase_kernel::registry::RegistryEdit;
pub use reedbase_kernel::results::FunctionStat;
pub use reedbase_kernel::table::Key;
pub use reedbase_kernel::{Limits, clock, progress, repair, storage, verify};
pub use reedbase_plugin_api::{
    Aggregate, CachedFunction, Column, ColumnType, Decision, Error, ErrorKind, FrameId, Function,
    FunctionBody, Gather, IndexColumn, IndexSpec, Interrupt, MergeCell, MergeDriver, Outcome,
    Params, Position, QueryOptions, QueryPath, Result, RowSink, Schema, TableName, Timestamp,
    Value, ValueRef, cached, nearest,
};

mod import;
mod plugins;
mod typed;
mod rows;
mod dialect;
mod session;
mod database;
mod functions;

pub use database::{Database, OpenOptions};
pub use functions::CachedCall;
pub use import::{Import, csv};
pub use reedbase_plugin_filter as filter;
pub use rows::{QueryRow, QueryRows};
pub use session::{Prepared, Session};
