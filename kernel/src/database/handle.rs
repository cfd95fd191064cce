//! The handle of a database.

use std::path::Path;
use std::sync::Arc;

use reedbase_plugin_api::{Error, MergeDriver, Result, TableName, Timestamp};

use super::adopt::{self, Adopt};
use super::checkpoint::{self, CheckpointReport};
use super::commit::Commit;
use super::config::Config;
use super::frames::Frames;
use super::inner::{Checkpoints, Inner, Settings};
use super::open_frame::OpenFrame;
use super::outside::{self, OutsideEdit, TableCopy};
use super::reads::Reads;
use super::snapshot::{Snapshot, find_known};
use super::status::{self, Status};
use super::transaction::Transaction;
use super::uncommitted;
use super::when;
use crate::clock::{Clock, SystemClock};
use crate::delta::export_patch;
use crate::frame::FrameInfo;
use crate::history::Folded;
use crate::limits::Limits;
use crate::log::{UserDictionary, check_actions};
use crate::merge::Drivers;
use crate::progress::{Progress, Silent};
use crate::registry::{ACTIONS_PATH, USERS_PATH};
use crate::storage::{FileSystem, Storage};
use crate::store::retry;
use crate::table::pieces;

/// A database: one folder. Cheap to clone, and shared by threads; other processes may have the same folder
/// open.
#[derive(Debug, Clone)]
pub struct Database {
    pub(super) inner: Arc<Inner>,
    /// The open frame that it shows, and that transactions are steps of.
    pub(super) frame: Option<Arc<OpenFrame>>,
    /// Who notes what is read.
    pub(super) reads: Option<Arc<Reads>>,
}

/// How to open a database.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    storage: Option<Arc<dyn Storage>>,
    create: bool,
    abort_on_crashed: bool,
    settings: Settings,
}

impl Default for OpenOptions {
    fn default() -> Self {
        let (clock, limits) = (Arc::new(SystemClock), Limits::default());
        let checkpoints = Checkpoints::Background;
        let (user, progress) = ("system".to_owned(), Arc::new(Silent));
        let drivers = Drivers::default();
        let settings = Settings { clock, user, checkpoints, limits, drivers, progress };
        Self { storage: None, create: false, abort_on_crashed: false, settings }
    }
}

impl OpenOptions {
    /// As [`Database::open`] does it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses this storage instead of the folder.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Uses this clock instead of the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Who makes the frames.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.settings.user = user.into();
        self
    }

    /// Makes the database if there is none.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Does not open the database while there are frames whose programs died and that nobody has cleaned up: for programs that
    /// must not go on before somebody has looked.
    #[must_use]
    pub fn abort_on_crashed(mut self, abort: bool) -> Self {
        self.abort_on_crashed = abort;
        self
    }

    /// When the files of tables follow what was committed; in the background if nothing is said.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.settings.checkpoints = checkpoints;
        self
    }

    /// Tells this one how far long work has come.
    #[must_use]
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.settings.progress = progress;
        self
    }

    /// Adds a driver that decides cells which two sides changed, for columns that ask for it by its id.
    #[must_use]
    pub fn merge_driver(mut self, driver: Arc<dyn MergeDriver>) -> Self {
        self.settings.drivers.add(driver);
        self
    }

    /// Changes the sizes at which the kernel changes its ways; meant for tests.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Opens the database in this folder.
    ///
    /// # Errors
    /// Those of [`Database::open`]; [`ServerStartAborted`](reedbase_plugin_api::ErrorKind::ServerStartAborted) if that was asked
    /// for.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        let storage: Arc<dyn Storage> = match &self.storage {
            Some(storage) => Arc::clone(storage),
            None => Arc::new(FileSystem::new(path.as_ref())),
        };
        let config = match Config::read(&*storage) {
            Err(error) if self.create && error.is_not_found() => {
                Config::init(&storage, self.settings.clock.now())?
            }
            config => config?,
        };
        let mut inner = Inner::open(storage, config, self.settings)?;
        let crashed = uncommitted::note_crashed(&inner)?;
        if self.abort_on_crashed {
            uncommitted::check_none_crashed(&inner)?;
        }
        inner.notices.extend(crashed);
        let inner = Arc::new(inner);
        // Edits saved from now on are made from what was adopted: that its files are ours must be known.
        adopt::finish(&inner);
        Ok(Database { inner, frame: None, reads: None })
    }
}

impl Database {
    /// Opens the database in this folder.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if the folder is no database,
    /// [`NewerFormat`](reedbase_plugin_api::ErrorKind::NewerFormat), or [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the damaged file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::new().open(path)
    }

    /// Makes an empty database in this folder, and opens it.
    ///
    /// # Errors
    /// [`AlreadyExists`](reedbase_plugin_api::ErrorKind::AlreadyExists) if there is one, or those of the file system.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let storage: Arc<dyn Storage> = Arc::new(FileSystem::new(path.as_ref()));
        Config::init(&storage, SystemClock.now())?;
        Self::open(path)
    }

    /// The newest state, held still. Sees what other processes committed.
    ///
    /// # Errors
    /// Damage of the journal, or those of the storage.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let newest = self.newest()?;
        match &self.frame {
            Some(frame) => frame.snapshot(&self.inner, &newest),
            None => Ok(newest),
        }
    }

    /// A handle of the same that notes what is read through it.
    #[must_use]
    pub fn watched(&self) -> (Self, Arc<Reads>) {
        let reads = Arc::new(Reads::default());
        (Self { reads: Some(Arc::clone(&reads)), ..self.clone() }, reads)
    }

    /// Who notes what is read through this handle.
    pub fn reads(&self) -> Option<&Reads> {
        self.reads.as_deref()
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// What time it was at the last tick of the clock, some milliseconds ago at most. Cost: some 5 ns.
    pub(crate) fn last_tick(&self) -> Timestamp {
        self.inner.clock.last_tick()
    }

    /// The newest frame that this process knows of: its own commits count at once, those of other processes as soon as
    /// anything here looks for them, which happens now if nobody looked in the last `age` microseconds. Cost: some 10 ns.
    ///
    /// # Errors
    /// Those of [`snapshot`](Self::snapshot).
    pub fn recent_frame(&self, now: Timestamp, age: i64) -> Result<Timestamp> {
        self.inner.refresh_after(now, age)?;
        Ok(self.inner.flush.newest())
    }

    /// The newest state that everybody sees.
    pub(super) fn newest(&self) -> Result<Snapshot> {
        self.inner.refresh()?;
        let newest = Snapshot::new(self.inner.flush.visible(), Arc::clone(&self.inner.store));
        Ok(newest.watched(self.reads.clone()))
    }

    /// The state at an instant, held still (`AS OF`): a frame's number, id or name, `HEAD~3`, a date, a time, `20 minutes
    /// ago`.
    ///
    /// # Errors
    /// Those of [`frame_at`](Self::frame_at), or damage of a log.
    pub fn as_of(&self, at: &str) -> Result<Snapshot> {
        let frame = self.frame_at(at)?;
        self.snapshot()?.as_of(frame.timestamp)
    }

    /// Begins a transaction on the newest state.
    ///
    /// # Errors
    /// Those of [`snapshot`](Self::snapshot).
    pub fn begin(&self) -> Result<Transaction> {
        let mut transaction = Transaction::new(Arc::clone(&self.inner), self.snapshot()?);
        transaction.frame.clone_from(&self.frame);
        Ok(transaction)
    }

    /// Writes what the journal holds into the tables' files, all of them or those named.
    ///
    /// # Errors
    /// Those of the storage. An outside edit is no error: the table's file is left as it is.
    pub fn checkpoint(&self, tables: &[&str]) -> Result<CheckpointReport> {
        let names = names_of(&self.newest()?, tables)?;
        checkpoint::checkpoint(&self.inner, (!tables.is_empty()).then_some(names.as_slice()))
    }

    /// The tables whose files were edited outside ReedBase. Cost: a look at each table's folder; no file is read
    /// unless its time does not tell.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn edited_outside(&self) -> Result<Vec<TableName>> {
        outside::edited_tables(&self.inner, &self.newest()?)
    }

    /// What somebody did to a table's files outside ReedBase; `None` if nobody did anything. Cost: reading the file
    /// and comparing it.
    ///
    /// # Errors
    /// What is wrong with the file, with its line and cell; [`OutsideEdit`](reedbase_plugin_api::ErrorKind::OutsideEdit)
    /// if it is gone; [`Busy`](reedbase_plugin_api::ErrorKind::Busy) if it is being written.
    pub fn outside_edit(&self, table: &str) -> Result<Option<OutsideEdit>> {
        self.outside_edit_from(table, None, None)
    }

    /// The same, for an edit that was made from this version, or that stands in this file beside `current.csv`.
    ///
    /// # Errors
    /// Those of [`outside_edit`](Self::outside_edit).
    pub fn outside_edit_from(
        &self,
        table: &str,
        base: Option<Timestamp>,
        file: Option<&str>,
    ) -> Result<Option<OutsideEdit>> {
        outside::read(&self.inner, &self.newest()?, table, base, file)
    }

    /// Merges somebody's copy of a table, which was made of the version after `base` and changed since: a transaction that does
    /// to the table what was done to the copy.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for table or version; what is wrong with the copy, with line and
    /// cell.
    pub fn merge_copy(
        &self,
        table: &str,
        base: Timestamp,
        copy: &TableCopy,
    ) -> Result<Transaction> {
        let mut transaction =
            outside::merge_copy(&self.inner, &self.snapshot()?, table, base, copy)?;
        transaction.frame.clone_from(&self.frame);
        Ok(transaction)
    }

    /// Takes outside edits in, as one frame. The files stay as they are.
    ///
    /// # Errors
    /// [`Conflict`](reedbase_plugin_api::ErrorKind::Conflict) if an edit conflicts with a frame, or if a table changed since
    /// its edit was read; [`Busy`](reedbase_plugin_api::ErrorKind::Busy) if a file was saved less than a second ago;
    /// [`OutsideEdit`](reedbase_plugin_api::ErrorKind::OutsideEdit) if it removes more than half of the rows, unless
    /// forced; or those of a commit.
    pub fn adopt(&self, edits: Vec<OutsideEdit>, how: &Adopt) -> Result<Commit> {
        if let Some(frame) = &self.frame {
            return Err(Error::usage(
                "an outside edit is a frame of its own, not a step of an open one",
            )
            .at_frame(frame.info().timestamp)
            .help("adopt it without --frame, and without REED_FRAME"));
        }
        adopt::adopt(&self.inner, self.newest()?, edits, how)
    }

    /// Puts the newest versions of tables in the place of their files. What was edited outside stays beside them,
    /// in files that the report names.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for a table, or those of the storage.
    pub fn discard(&self, tables: &[&str]) -> Result<CheckpointReport> {
        let snapshot = self.newest()?;
        let names = names_of(&snapshot, tables)?;
        adopt::discard(&self.inner, &snapshot, &names)
    }

    /// How things stand.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn status(&self) -> Result<Status> {
        let snapshot = self.newest()?;
        status::status(&self.inner, &snapshot)
    }

    /// All frames, oldest first.
    ///
    /// # Errors
    /// Damage of the index, or those of the storage.
    pub fn frames(&self) -> Result<Vec<Arc<FrameInfo>>> {
        let snapshot = self.snapshot()?;
        retry(|| Frames::of(&self.inner, &snapshot)?.all())
    }

    /// The frame that a text means: its number, id or name, `HEAD~3`, a date, a time, `20 minutes ago`.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if there is none, or none so early.
    pub fn frame_at(&self, text: &str) -> Result<Arc<FrameInfo>> {
        let (snapshot, now) = (self.snapshot()?, self.inner.clock.now());
        retry(|| when::resolve(text, &Frames::of(&self.inner, &snapshot)?, now))
    }

    /// The timestamp of the frame that a text means, as [`frame_at`](Self::frame_at) reads it; zero for an instant before
    /// the first frame, when there was nothing.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) if it means no frame and no instant.
    pub fn instant(&self, text: &str) -> Result<Timestamp> {
        let (snapshot, now) = (self.snapshot()?, self.inner.clock.now());
        retry(|| when::instant(text, &Frames::of(&self.inner, &snapshot)?, now))
    }

    /// Puts all versions of a table into one pack. Costs about a second for every 3 MB of history.
    ///
    /// # Errors
    /// [`NotFound`](reedbase_plugin_api::ErrorKind::NotFound) for the table, or those of the storage.
    pub fn pack(&self, table: &str) -> Result<Folded> {
        self.checkpoint(&[table])?;
        let snapshot = self.newest()?;
        checkpoint::pack(&self.inner, find_known(snapshot.state(), table)?)
    }

    /// A standard bsdiff patch (BSDIFF40) that makes a version of a table of its newest one: the stock
    /// `bspatch` applies it to `current.csv`.
    ///
    /// # Errors
    /// Those of [`Snapshot::table_at`].
    pub fn export_patch(&self, table: &str, at: Timestamp) -> Result<Vec<u8>> {
        let snapshot = self.snapshot()?;
        let (old, new) =
            (snapshot.table(table)?.flatten()?, snapshot.table_at(table, at)?.flatten()?);
        export_patch(&pieces(old.base(), new.base())?)
    }

    /// The users that have made frames, in the order of their codes, with the time they were added.
    ///
    /// # Errors
    /// Damage of the dictionary.
    pub fn users(&self) -> Result<UserDictionary> {
        UserDictionary::read(&**self.inner.store.storage())
    }

    /// Checks the files of the dictionaries as they stand, edits included, and counts the actions and the users.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) with the line.
    pub fn check_dictionaries(&self) -> Result<(u64, u64)> {
        let storage = &**self.inner.store.storage();
        let actions = check_actions(storage, storage.read(ACTIONS_PATH)?)?;
        let users = UserDictionary::parse(&storage.read(USERS_PATH)?.unwrap_or_default(), storage)?;
        Ok((actions, users.count() as u64))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.inner.store.storage().root()
    }

    /// Where its files are.
    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(self.inner.store.storage())
    }

    /// The settings that it was opened with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// What was found and repaired when the database was opened, for people to read.
    pub fn notices(&self) -> &[String] {
        &self.inner.notices
    }
}

/// The tables of these names.
fn names_of(snapshot: &Snapshot, tables: &[&str]) -> Result<Vec<TableName>> {
    tables.iter().map(|name| Ok(find_known(snapshot.state(), name)?.name().clone())).collect()
}
