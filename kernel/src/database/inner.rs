//! What the clones of a handle share: the newest state, the journal behind it, and the locks.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reedbase_plugin_api::{Error, ErrorKind, Result, TableName, Timestamp};

use super::config::{Config, create_folders};
use super::flush::Flush;
use crate::clock::Clock;
use crate::delta::Codecs;
use crate::journal::{Journal, Position, Scan};
use crate::limits::Limits;
use crate::log::{FrameCache, complete_actions};
use crate::merge::Drivers;
use crate::progress::Progress;
use crate::registry;
use crate::state::State;
use crate::storage::{Access, LockFile, LockGuard, LockMode, Storage};
use crate::store::Store;

/// When the files of tables follow what was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checkpoints {
    /// A thread of the handle writes a table's file when its journal has grown long. A commit waits for it
    /// only if the journal grows faster than files can be written.
    Background,
    /// The commit that makes the journal too long writes the file before it returns.
    Inline,
    /// As `Inline`; and the file of a small table (up to 4 MiB) is written at every commit, so that whoever
    /// looks at `current.csv` sees the last one. Meant for commands.
    Eager,
}

/// How a handle behaves.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) clock: Arc<dyn Clock>,
    /// Who makes the frames.
    pub(super) user: String,
    pub(super) checkpoints: Checkpoints,
    pub(super) limits: Limits,
    /// Who decides cells that two sides changed.
    pub(super) drivers: Drivers,
    /// Who is told how far long work has come.
    pub(super) progress: Arc<dyn Progress>,
}

/// What the clones of a handle share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) store: Arc<Store>,
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) user: String,
    pub(super) drivers: Drivers,
    pub(super) checkpoints: Checkpoints,
    /// Whether a thread is writing files.
    pub(super) writing: AtomicBool,
    pub(super) flush: Flush,
    /// How often somebody began to look for what other processes appended.
    looks: AtomicU64,
    /// When it looked last for somebody who needs not the very newest, in microseconds since 1970.
    looked: AtomicI64,
    pub(super) notices: Vec<String>,
    /// How the files of tables looked when they were found to be ours.
    pub(super) ours: Mutex<HashMap<TableName, (Look, Look)>>,
    /// Tables of the journal whose files others wrote: these may have died before the names were durable.
    pub(super) found: Mutex<BTreeSet<TableName>>,
    /// The index of frames, as it was read last.
    pub(super) frames: FrameCache,
    head: Mutex<Head>,
    /// `None` if the folder cannot be written.
    lock: Option<Box<dyn LockFile>>,
    pub(super) checkpoint_lock: Option<Mutex<Box<dyn LockFile>>>,
}

/// How a file looked: length, time of change, identity; `None` if there was none.
type Look = Option<(u64, i64, u64)>;

/// The newest state, durable or not.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) journal: Journal,
    pub(super) state: Arc<State>,
}

impl Inner {
    /// Opens a database that exists.
    pub(super) fn open(
        storage: Arc<dyn Storage>,
        config: Config,
        settings: Settings,
    ) -> Result<Self> {
        let Settings { clock, user, checkpoints, limits, drivers, progress } = settings;
        let writing = AtomicBool::new(false);
        let lock = storage.lock_file("lock")?;
        let checkpoint_lock = match &lock {
            Some(_) => storage.lock_file("checkpoint.lock")?.map(Mutex::new),
            None => None,
        };
        let store_lock = if lock.is_some() { storage.lock_file("lock")? } else { None };
        let codecs = Codecs::built_in();
        let store = Store::new(Arc::clone(&storage), codecs, limits, progress, store_lock);
        let store = Arc::new(store);
        let (head, scan) = {
            // Alone, since a torn end may have to be cut.
            let held = lock.as_deref().map(|lock| LockGuard::new(lock, LockMode::Exclusive));
            let _held = held.transpose()?;
            let access = if lock.is_some() { Access::Write } else { Access::Read };
            if lock.is_some() && storage.list("journal")?.is_empty() {
                create_folders(&*storage)?;
            }
            Head::open(&storage, &store, access, lock.is_some())?
        };
        let (position, file) = (head.journal.position(), head.journal.file());
        if lock.is_some() {
            // What is found in the journal may never have been synced by whoever wrote it.
            file.sync()?;
        }
        if let Some(lock) = &checkpoint_lock {
            complete_registry(&*storage, lock)?;
        }
        let flush = Flush::new(position, file, Arc::clone(&head.state));
        let notices = scan
            .torn
            .iter()
            .map(|path| format!("the last commit was torn by a crash; its remains are in {path}"));
        let notices = notices.collect();
        let head = Mutex::new(head);
        Ok(Self {
            store,
            config,
            clock,
            user,
            drivers,
            checkpoints,
            writing,
            flush,
            looks: AtomicU64::new(0),
            looked: AtomicI64::new(i64::MIN),
            notices,
            ours: Mutex::default(),
            found: Mutex::new(tables_of(&scan)),
            frames: FrameCache::default(),
            head,
            lock,
            checkpoint_lock,
        })
    }

    /// The newest state; waits for other threads.
    pub(super) fn head(&self) -> MutexGuard<'_, Head> {
        // A panic leaves the head as it was: it is only ever replaced whole.
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock that other processes respect. Only with the head in hand.
    pub(super) fn lock(&self) -> Result<LockGuard<'_>> {
        let lock = self.lock.as_deref().ok_or_else(|| self.read_only())?;
        LockGuard::new(lock, LockMode::Exclusive)
    }

    /// Fails if nothing can be written, or if an earlier sync failed.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.lock.is_none() {
            return Err(self.read_only());
        }
        self.flush.check()
    }

    fn read_only(&self) -> Error {
        Error::new(ErrorKind::ReadOnly, "the folder of the database cannot be written")
            .at_path(self.store.storage().root())
            .help("check who may write there")
    }

    /// Takes in what other processes appended. For holders of the lock.
    pub(super) fn read_on(&self, head: &mut Head) -> Result<()> {
        match self.read_frames(head) {
            Err(error) if error.is_not_found() => self.start_over(head),
            read => read,
        }
    }

    /// Our place in the journal is gone, so much happened meanwhile: reads everything again.
    fn start_over(&self, head: &mut Head) -> Result<()> {
        let access = if self.lock.is_some() { Access::Write } else { Access::Read };
        let scan;
        (*head, scan) = Head::open(self.store.storage(), &self.store, access, false)?;
        self.found.lock().unwrap_or_else(PoisonError::into_inner).extend(tables_of(&scan));
        self.note(head);
        self.flush.go_back(&head.state);
        Ok(())
    }

    fn read_frames(&self, head: &mut Head) -> Result<()> {
        self.looks.fetch_add(1, Ordering::AcqRel);
        let frames = head.journal.tail()?;
        let mut state = None;
        for frame in &frames {
            let before: &State = state.as_ref().unwrap_or(&head.state);
            state = Some(before.advance(frame, &[], &self.store)?);
        }
        if let Some(state) = state {
            head.state = Arc::new(state);
        }
        self.note(head);
        Ok(())
    }

    /// Tells the flush what there is to sync.
    pub(super) fn note(&self, head: &Head) {
        let state = Arc::clone(&head.state);
        self.flush.appended(head.journal.position(), head.journal.file(), state);
    }

    /// Shows what other processes committed, synced first.
    pub(super) fn refresh(&self) -> Result<()> {
        let looks = self.looks.load(Ordering::Acquire);
        let mut head = self.head();
        if self.looks.load(Ordering::Acquire) != looks {
            // Another thread began to look after we were asked: it saw all that we would see.
            let position = head.journal.position();
            drop(head);
            return self.make_durable(position);
        }
        match self.read_frames(&mut head) {
            Err(error) if error.is_not_found() => {
                let lock = self.lock.is_some().then(|| self.lock()).transpose()?;
                self.start_over(&mut head)?;
                drop(lock);
            }
            read => read?,
        }
        if head.journal.has_failed() && self.lock.is_some() {
            let _lock = self.lock()?;
            self.read_on(&mut head)?;
            head.journal.prepare()?;
            self.note(&head);
        }
        let position = head.journal.position();
        drop(head);
        self.make_durable(position)
    }

    /// The same, unless it was done within these microseconds before `now`.
    pub(super) fn refresh_after(&self, now: Timestamp, age: i64) -> Result<()> {
        let looked = self.looked.load(Ordering::Acquire);
        match now.as_micros().checked_sub(looked) {
            Some(since) if (0..age).contains(&since) => Ok(()),
            _ => {
                self.refresh()?;
                self.looked.store(now.as_micros(), Ordering::Release);
                Ok(())
            }
        }
    }

    /// Waits until the journal is durable up to here.
    pub(super) fn make_durable(&self, position: Position) -> Result<()> {
        self.flush.wait(position).inspect_err(|_| {
            self.head().journal.mark_failed(self.flush.synced());
        })
    }

    /// Replaces the newest state by one that shows the same.
    pub(super) fn replace_state(&self, change: impl Fn(&State) -> Result<State>) -> Result<()> {
        let mut head = self.head();
        head.state = Arc::new(change(&head.state)?);
        self.flush.replace(&head.state, change)
    }
}

impl Head {
    /// Reads marks and journal. With `cut`, which needs the lock, a torn end is cut off.
    fn open(
        storage: &Arc<dyn Storage>,
        store: &Store,
        access: Access,
        cut: bool,
    ) -> Result<(Self, Scan)> {
        let mut tables = Vec::new();
        for name in storage.list("tables")? {
            let Ok(name) = TableName::new(&name) else { continue };
            if let Some(mark) = store.look_alone(&name)?.map(|look| look.mark) {
                tables.push((name, mark));
            }
        }
        let (mut journal, scan) = Journal::open(Arc::clone(storage), access, cut)?;
        // Where the folder came from elsewhere, by git say, its journal did not come along.
        journal.go_on_from(tables.iter().map(|(_, mark)| mark.version).max().unwrap_or_default());
        let mut state = State::new(tables);
        for frame in &scan.frames {
            state = state.advance(frame, &[], store)?;
        }
        let state = Arc::new(state.at(journal.newest()));
        Ok((Self { journal, state }, scan))
    }
}

/// The tables that the frames of the journal touched.
fn tables_of(scan: &Scan) -> BTreeSet<TableName> {
    let changes = scan.frames.iter().flat_map(|frame| &frame.changes);
    changes.map(|change| change.table.clone()).collect()
}

/// Adds what a database made by an older version lacks. If another process is at work on the files, it did that, or the
/// next to open does.
fn complete_registry(storage: &dyn Storage, lock: &Mutex<Box<dyn LockFile>>) -> Result<()> {
    let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
    if !lock.try_lock(LockMode::Exclusive)? {
        return Ok(());
    }
    let done = registry::complete(storage).and_then(|()| complete_actions(storage));
    lock.unlock()?;
    done
}

impl Drop for Inner {
    /// Gives back what the journal was filled ahead. Nothing depends on it.
    fn drop(&mut self) {
        let Some(lock) = self.lock.as_deref() else { return };
        let head = self.head.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Ok(_held) = LockGuard::new(lock, LockMode::Exclusive)
            && head.journal.tail().is_ok()
        {
            drop(head.journal.give_back());
        }
    }
}
