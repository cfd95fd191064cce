//! ReedBase: a versioned database whose live tables are plain CSV files.
//!
//! ```
//! # fn main() -> reedbase::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("reedbase-doc-{}", std::process::id()));
//! let db = reedbase::Database::create(&folder)?;
//!
//! let mut tx = db.begin()?.named("first pages");
//! tx.create_table("pages", &reedbase::csv("id,title\nhome,Welcome\n", &["id"])?)?;
//! tx.commit()?;
//!
//! let mut tx = db.begin()?;
//! tx.insert("pages", [("id", "about"), ("title", "About us")])?;
//! tx.update("pages", "home", [("title", "Hello")])?;
//! tx.commit()?;
//!
//! let now = db.snapshot()?;
//! let home = now.get("pages", "home")?.expect("just written");
//! assert_eq!(home.get("title").as_deref(), Some("Hello"));
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub use reedbase_kernel::database::{
    Cell, CheckpointReport, Checkpoints, Commit, Database, Diff, NewTable, OpenOptions, Row,
    RowDiff, RowVersion, Snapshot, Status, TableStatus, TableVersion, Transaction, VersionPlace,
};
pub use reedbase_kernel::frame::{Action, FrameInfo};
pub use reedbase_kernel::table::Key;
pub use reedbase_kernel::{Limits, clock, storage};
pub use reedbase_plugin_api::{
    Column, ColumnType, Error, ErrorKind, FrameId, Position, Result, Schema, TableName, Timestamp,
    Value,
};

mod import;

pub use import::{Import, csv};
