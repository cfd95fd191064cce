//! Frames begun by a program: a transaction that others can see is under way.
//!
//! A transaction is enough for most changes. A frame is for what takes long or matters much, a migration or an import of
//! many tables: it has a name from the start, `rdb frame:list --open` shows it with what it did last, and if the
//! program dies before it commits, the next one that opens the database says so.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use reedbase_plugin_api::{Error, FrameId, Result, Timestamp};

use super::commit::Commit;
use super::frame_list::{self, FrameEntry, TableAt};
use super::handle::Database;
use super::open_frame::OpenFrame;
use super::transaction::{OnConflict, Transaction};
use super::uncommitted::{self, OPENED, UncommittedFrame};
use super::undo::Preview;
use crate::frame::FrameInfo;
use crate::store::retry;

/// Changes of one or more tables under a name, which become visible together. Rolled back if it is dropped before
/// [`commit`](Self::commit).
#[derive(Debug)]
pub struct Frame {
    transaction: Transaction,
    open: Registered,
    database: Database,
}

/// The file that says that a frame is open.
#[derive(Debug)]
struct Registered(OpenFrame);

/// What a frame did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FrameReport {
    /// The commit.
    pub commit: Commit,
    /// When the frame was begun.
    pub begun: Timestamp,
    /// What was logged, oldest first.
    pub operations: Vec<String>,
}

/// What was removed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CleanedUp {
    /// The frames that had crashed or been given up.
    pub frames: Vec<Arc<FrameInfo>>,
    /// How many snapshots of frames were too old.
    pub snapshots: u64,
}

impl Frame {
    /// Begins a frame on the newest state.
    ///
    /// # Errors
    /// [`ReadOnly`](reedbase_plugin_api::ErrorKind::ReadOnly), or those of the storage.
    pub fn begin(database: &Database, name: &str) -> Result<Self> {
        let snapshot = database.newest()?;
        let inner = &database.inner;
        let open = OpenFrame::begin(inner, &snapshot, Some(name.to_owned()), true)?;
        let transaction = Transaction::new(Arc::clone(inner), snapshot).named(name);
        let transaction = transaction.with_detail(OPENED, open.info().id().to_string());
        Ok(Self { transaction, open: Registered(open), database: database.clone() })
    }

    /// When it was begun. Frames are ordered by when they are committed: the frame that it becomes bears a timestamp of
    /// its own, which the report gives.
    pub fn timestamp(&self) -> Timestamp {
        self.open.0.info().timestamp
    }

    /// Its id until it is committed.
    pub fn id(&self) -> FrameId {
        self.open.0.info().id()
    }

    /// Notes what the program is about to do, for whoever looks meanwhile. Cost: one synced append.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn log_operation(&mut self, action: &str, table: Option<&str>) -> Result<()> {
        self.open.0.note(&self.database.inner, action, table)
    }

    /// Makes the changes durable and visible, all of them or, if it fails, none.
    ///
    /// # Errors
    /// Those of [`Transaction::commit`].
    pub fn commit(self) -> Result<FrameReport> {
        self.commit_with(OnConflict::Refuse)
    }

    /// The same, with another way to deal with what others changed, too.
    ///
    /// # Errors
    /// Those of [`commit`](Self::commit).
    pub fn commit_with(self, on_conflict: OnConflict) -> Result<FrameReport> {
        let (begun, operations) = (self.timestamp(), self.open.0.operations());
        let commit = self.transaction.on_conflict(on_conflict).commit()?;
        Ok(FrameReport { commit, begun, operations })
    }

    /// Gives the changes up.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn roll_back(self) -> Result<()> {
        self.open.0.remove()
    }
}

impl Database {
    /// Begins a frame whose changes stand in its file: it outlives this process, and is worked on through
    /// [`in_frame`](Self::in_frame). Programs that make all changes themselves use [`Frame`](super::Frame).
    ///
    /// # Errors
    /// [`ReadOnly`](reedbase_plugin_api::ErrorKind::ReadOnly), or those of the storage.
    pub fn begin_frame(&self, name: Option<&str>) -> Result<Arc<FrameInfo>> {
        let name = name.map(str::to_owned);
        Ok(OpenFrame::begin(&self.inner, &self.newest()?, name, false)?.info())
    }

    /// A handle that shows the database as an open frame left it, and whose transactions are steps of that frame:
    /// nobody else sees them before [`commit_frame`](Self::commit_frame). The frame is named by its number, its id, or
    /// its name.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if there is no such frame, or if it is not open any more.
    pub fn in_frame(&self, frame: &str) -> Result<Self> {
        let open = OpenFrame::resume(&self.inner, &self.newest()?, frame)?;
        Ok(Self { frame: Some(Arc::new(open)), ..self.clone() })
    }

    /// The open frame that this handle shows.
    pub fn open_frame(&self) -> Option<Arc<FrameInfo>> {
        self.frame.as_ref().map(|frame| frame.info())
    }

    /// How many steps the open frame has.
    ///
    /// # Errors
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if the handle shows none.
    pub fn open_frame_steps(&self) -> Result<usize> {
        Ok(self.the_frame()?.steps().len())
    }

    /// What the open frame would change, and what it would meet, if it were committed now.
    ///
    /// # Errors
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if the handle shows none; those of reading the tables.
    pub fn frame_preview(&self) -> Result<Preview> {
        let newest = self.newest()?;
        self.the_frame()?.transaction(&self.inner, &newest)?.preview_on(&newest)
    }

    /// Commits the open frame that this handle shows.
    ///
    /// # Errors
    /// [`Usage`](reedbase_plugin_api::ErrorKind::Usage) if it shows none; those of [`Transaction::commit`]. The frame stays
    /// open then.
    pub fn commit_frame(&self) -> Result<Commit> {
        self.commit_frame_with(OnConflict::Refuse)
    }

    /// The same, with another way to deal with what others changed, too.
    ///
    /// # Errors
    /// Those of [`commit_frame`](Self::commit_frame).
    pub fn commit_frame_with(&self, on_conflict: OnConflict) -> Result<Commit> {
        self.the_frame()?.commit(&self.inner, &self.newest()?, on_conflict)
    }

    fn the_frame(&self) -> Result<&Arc<OpenFrame>> {
        let none = || Error::usage("no frame is open here").help("name one with --frame");
        self.frame.as_ref().ok_or_else(none)
    }

    /// The frames that are not committed: open ones, and what is left of those that crashed or were given up.
    ///
    /// # Errors
    /// Damage of a file, or those of the storage.
    pub fn uncommitted_frames(&self) -> Result<Vec<UncommittedFrame>> {
        uncommitted::uncommitted(&self.inner)
    }

    /// All frames with their standing, oldest first: also those that are not committed.
    ///
    /// # Errors
    /// Damage of the index, or those of the storage.
    pub fn frame_entries(&self) -> Result<Vec<FrameEntry>> {
        let newest = self.newest()?;
        retry(|| frame_list::entries(&self.inner, &newest))
    }

    /// Which versions of all tables make the state after a frame. Cost: a look at the log of each table.
    ///
    /// # Errors
    /// Damage of a log, or those of the storage.
    pub fn tables_at(&self, at: Timestamp) -> Result<Vec<TableAt>> {
        let newest = self.newest()?;
        retry(|| frame_list::tables_at(&newest, at, &self.inner))
    }

    /// Gives an open frame up. What it did stays in its file until [`clean_up_frames`](Self::clean_up_frames).
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound); [`Busy`](reedbase_plugin_api::ErrorKind::Busy) if a program works
    /// on it.
    pub fn abandon_frame(&self, frame: &str) -> Result<UncommittedFrame> {
        uncommitted::abandon(&self.inner, frame)
    }

    /// Removes what crashed and abandoned frames left, and snapshots of frames that are older than
    /// `frame.retention.days`.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn clean_up_frames(&self) -> Result<CleanedUp> {
        let frames = uncommitted::clean_up(&self.inner)?;
        let snapshots = frame_list::remove_old_snapshots(&self.inner)?;
        Ok(CleanedUp { frames, snapshots })
    }
}

impl Deref for Frame {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.transaction
    }
}

impl DerefMut for Frame {
    fn deref_mut(&mut self) -> &mut Transaction {
        &mut self.transaction
    }
}

impl Drop for Registered {
    /// Whatever became of the frame, it is not open any more. A file that cannot be removed is taken for that of a crashed
    /// frame later.
    fn drop(&mut self) {
        drop(self.0.remove());
    }
}
