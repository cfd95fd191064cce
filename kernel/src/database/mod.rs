//! A database: open it, read it, change it.
//!
//! Reading goes through a [`Snapshot`], changing through a [`Transaction`]. `commit.rs` is a commit from
//! start to end; `checkpoint.rs` moves what the journal holds into the files that people read.

mod config;
mod row;
mod flush;
mod inner;
mod snapshot;
mod frames;
mod past;
mod history;
mod when;
mod uncommitted;
mod table_file;
mod swap;
mod new_versions;
mod frame_list;
mod checkpoint;
mod open_frame;
mod compare;
mod new_table;
mod conditions;
mod transaction;
mod conditional;
mod fitted;
mod resolve;
mod parked;
mod status;
mod fit;
mod commit;
mod frame_steps;
mod conflicts;
mod edited_table;
mod outside;
mod adopt;
mod undo;
mod blame;
mod handle;
mod transact;
mod frame;
mod settings;

pub use adopt::Adopt;
pub use blame::{Blame, BlamedRow, CellVersion};
pub use checkpoint::CheckpointReport;
pub use commit::Commit;
pub use conditional::Amount;
pub use config::Config;
pub use conflicts::PastConflict;
pub use fitted::RowName;
pub use frame::{CleanedUp, Frame, FrameReport};
pub use frame_list::{FrameEntry, FrameStatus, TableAt};
pub use handle::{Database, OpenOptions};
pub use history::{Diff, RowDiff, TableVersion, VersionPlace};
pub use inner::Checkpoints;
pub use new_table::NewTable;
pub use outside::{OlderRows, OutsideEdit};
pub use parked::{CONFLICTS, OpenConflict};
pub use past::RowVersion;
pub use resolve::Pick;
pub use row::{Cell, Row};
pub use settings::SETTINGS;
pub use snapshot::Snapshot;
pub use status::{Status, TableStatus};
pub use transaction::{OnConflict, Transaction};
pub use uncommitted::UncommittedFrame;
pub use undo::Preview;
