//! Frames that are not committed yet: what a person, or a program, does in several steps and wants to become visible
//! at once.
//!
//! A frame begun in the shell lives in its file alone: each command reads it, shows the database as it was when the
//! frame was begun with the steps so far put in, and adds a step. A frame begun by a program holds its changes in memory,
//! and a lock on its file as long as the program lives; the file tells others that the frame is there, and what became
//! of it if the lock is free. Either way nobody else sees anything before the frame is committed, which is a commit like
//! any other: what came of all steps, fitted to the newest state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reedbase_plugin_api::{Error, ErrorKind, FrameId, Result};

use super::inner::Inner;
use super::snapshot::Snapshot;
use super::uncommitted::{HOLDER, committed_as, find, not_found, uncommitted};
use crate::clock::next_timestamp;
use crate::frame::{FrameInfo, FrameRecord, TableChange};
use crate::journal::{OpenFile, Standing, path_of};
use crate::storage::{LockFile, LockMode};

/// The file of an open frame, and what keeps others from taking it for crashed.
#[derive(Debug)]
pub(super) struct OpenFrame {
    file: Mutex<OpenFile>,
    id: FrameId,
    /// Held until this is dropped.
    _lock: Option<Box<dyn LockFile>>,
}

impl OpenFrame {
    /// Begins a frame on the newest one. With `in_memory` its file is locked for as long as this lives.
    pub(super) fn begin(
        inner: &Inner,
        snapshot: &Snapshot,
        name: Option<String>,
        in_memory: bool,
    ) -> Result<Self> {
        inner.check_writable()?;
        let storage = inner.store.storage();
        let holder = in_memory.then(|| (HOLDER.to_owned(), "program".to_owned()));
        let wall = inner.clock.now();
        let mut info = FrameInfo {
            timestamp: next_timestamp(snapshot.frame(), wall),
            node: inner.config.node,
            wall,
            parent: snapshot.frame(),
            sequence: 0,
            user: inner.user.clone(),
            name,
            details: holder.into_iter().collect(),
            tables: Vec::new(),
        };
        let _head = inner.head();
        let _alone = inner.lock()?;
        check_name(inner, info.name.as_deref())?;
        while OpenFile::list(&**storage)?.iter().any(|(id, _)| *id == info.id()) {
            info.timestamp = info.timestamp.next();
        }
        let id = info.id();
        // The lock comes first: nobody may find the file and take its frame for crashed.
        let lock = match in_memory {
            true => storage.lock_file(&path_of(id, Standing::Open))?,
            false => None,
        };
        lock.as_deref().map(|lock| lock.lock(LockMode::Exclusive)).transpose()?;
        let file = OpenFile::create(storage, info)?;
        Ok(Self { file: Mutex::new(file), id, _lock: lock })
    }

    /// Goes on with a frame whose changes stand in its file.
    pub(super) fn resume(inner: &Inner, snapshot: &Snapshot, text: &str) -> Result<Self> {
        let found = find(inner, text)?;
        if found.standing != Standing::Open {
            return Err(Error::new(ErrorKind::FrameNotFound, "the frame is not open any more")
                .at_frame(found.info.timestamp)
                .help("begin another: rdb frame:begin NAME"));
        }
        if found.in_memory {
            return Err(Error::usage("a program holds the changes of the frame")
                .at_frame(found.info.timestamp)
                .help("wait for it to commit"));
        }
        let file = OpenFile::read(inner.store.storage(), found.info.id(), Standing::Open)?;
        let file = file.ok_or_else(|| not_found(text))?;
        if let Some(frame) = committed_as(inner, snapshot, file.info())? {
            // A crash came between the commit and the removal of its file.
            file.remove()?;
            return Err(Error::new(ErrorKind::FrameNotFound, "the frame was committed already")
                .at_frame(frame.timestamp)
                .help("begin another: rdb frame:begin NAME"));
        }
        Ok(Self { id: file.info().id(), file: Mutex::new(file), _lock: None })
    }

    /// Its id until it is committed.
    pub(super) fn id(&self) -> FrameId {
        self.id
    }

    /// Who began it, when and on which frame.
    pub(super) fn info(&self) -> Arc<FrameInfo> {
        Arc::clone(self.file().info())
    }

    fn file(&self) -> MutexGuard<'_, OpenFile> {
        // A step is added whole, or the file is read anew.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database as the frame shows it: the frame it was begun on, and the steps so far.
    pub(super) fn snapshot(&self, inner: &Inner, newest: &Snapshot) -> Result<Snapshot> {
        let file = self.file();
        let base = newest.as_of(file.info().parent)?;
        let mut state = (**base.state()).clone();
        for step in file.steps() {
            state = state.advance(step, &[], &inner.store)?;
        }
        Ok(base.with_state(state))
    }

    /// Notes an operation that changes no table, or whose changes are held in memory.
    pub(super) fn note(&self, inner: &Inner, what: &str, table: Option<&str>) -> Result<()> {
        let mut details = BTreeMap::from([("operation".to_owned(), what.to_owned())]);
        details.extend(table.map(|table| ("table".to_owned(), table.to_owned())));
        self.file().push(inner.clock.now(), details, Vec::new())
    }

    /// The operations that were noted.
    pub(super) fn operations(&self) -> Vec<String> {
        let file = self.file();
        let operation = |details: &BTreeMap<String, String>| {
            let what = details.get("operation")?;
            let table = details.get("table").map_or_else(String::new, |table| format!(" {table}"));
            Some(format!("{what}{table}"))
        };
        file.steps().iter().filter_map(|step| operation(&step.info.details)).collect()
    }

    /// Adds a step, unless another command added one since the frame was read.
    pub(super) fn push(
        &self,
        inner: &Inner,
        details: BTreeMap<String, String>,
        changes: Vec<TableChange>,
    ) -> Result<()> {
        let _head = inner.head();
        let _alone = inner.lock()?;
        let mut file = self.file();
        let now = OpenFile::read(inner.store.storage(), self.id, Standing::Open)?;
        if now.is_none_or(|now| now.end() != file.end()) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "another command used the frame meanwhile",
            )
            .at_frame(file.info().timestamp)
            .help("repeat the command"));
        }
        file.push(inner.clock.now(), details, changes)
    }

    /// What was done so far, oldest first.
    pub(super) fn steps(&self) -> Vec<FrameRecord> {
        self.file().steps().to_vec()
    }

    /// Removes the file of a frame that was committed, or of which nothing is to stay.
    pub(super) fn remove(&self) -> Result<()> {
        self.file().remove()
    }
}

/// Open frames are told apart by their names.
fn check_name(inner: &Inner, name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    let open = uncommitted(inner)?
        .into_iter()
        .find(|frame| frame.standing == Standing::Open && frame.info.name.as_deref() == Some(name));
    match open {
        Some(open) => Err(Error::new(
            ErrorKind::FrameAlreadyActive,
            format!("a frame called `{name}` is open already"),
        )
        .at_frame(open.info.timestamp)
        .help("work in that one with --frame, commit or abandon it, or choose another name")),
        None => Ok(()),
    }
}
